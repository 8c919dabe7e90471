/// Compiler differences, and the only macros of the project.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__CUDACC__)
#define TORCH_ANS_HOST_DEVICE __host__ __device__
#else
#define TORCH_ANS_HOST_DEVICE
#endif

#if defined(_MSC_VER) && !defined(__clang__)
#define TORCH_ANS_FN TORCH_ANS_HOST_DEVICE __forceinline
#define TORCH_ANS_COLD TORCH_ANS_HOST_DEVICE __declspec(noinline)
#define TORCH_ANS_NOINLINE __declspec(noinline)
#define TORCH_ANS_UNROLL
#define TORCH_ANS_RESTRICT __restrict
#else
/// A function of the coder: always inlined, so that no copy compiled for one instruction set is
/// shared with code compiled for another. Under sanitizers functions stay functions and loops
/// stay loops, which compiles in a fraction of the time (the inline namespaces below keep the
/// copies apart there).
#if defined(TORCH_ANS_SANITIZED)
#define TORCH_ANS_FN TORCH_ANS_HOST_DEVICE inline
#else
#define TORCH_ANS_FN TORCH_ANS_HOST_DEVICE inline __attribute__((always_inline))
#endif
/// A function for rare cases, kept out of the loops that call it.
#define TORCH_ANS_COLD TORCH_ANS_HOST_DEVICE __attribute__((noinline, cold))
/// A function that is called often enough to be fast, but would crowd the loop that calls it.
#define TORCH_ANS_NOINLINE __attribute__((noinline))
#if defined(TORCH_ANS_SANITIZED)
#define TORCH_ANS_UNROLL
#elif defined(__clang__)
#define TORCH_ANS_UNROLL _Pragma("clang loop unroll(full)")
#elif defined(__CUDACC__)
#define TORCH_ANS_UNROLL _Pragma("unroll")
#else
#define TORCH_ANS_UNROLL _Pragma("GCC unroll 64")
#endif
#define TORCH_ANS_RESTRICT __restrict__
#endif

/// Each instruction set's translation unit names its own inline namespace, so that the linker can
/// never merge templates compiled for different instruction sets.
#ifndef TORCH_ANS_ISA
#define TORCH_ANS_ISA scalar
#endif

namespace torch_ans {

/// benchmarks/bench_checks.py builds the coding loops without their checks, to show what they cost.
#if defined(TORCH_ANS_UNCHECKED)
constexpr bool kChecked = false;
#else
constexpr bool kChecked = true;
#endif

inline namespace TORCH_ANS_ISA {

/// An unaligned little-endian load or store (all supported targets are little endian).
template <typename T>
TORCH_ANS_FN T load(const void* source) {
  T value;
  std::memcpy(&value, source, sizeof(T));
  return value;
}

template <typename T>
TORCH_ANS_FN void store(void* target, T value) {
  std::memcpy(target, &value, sizeof(T));
}

template <typename T>
TORCH_ANS_FN constexpr T smaller(T a, T b) {
  return b < a ? b : a;
}

template <typename T>
TORCH_ANS_FN constexpr T larger(T a, T b) {
  return a < b ? b : a;
}

/// Hides how `value` came about, so that the compiler does not turn arithmetic on a condition
/// that is close to a coin toss back into a branch.
template <typename T>
TORCH_ANS_FN T opaque(T value) {
#if (defined(__GNUC__) || defined(__clang__)) && !defined(__CUDA_ARCH__)
  asm("" : "+r"(value));
#endif
  return value;
}

TORCH_ANS_FN bool unlikely(bool condition) {
#if defined(__GNUC__)
  return __builtin_expect(condition, false);
#else
  return condition;
#endif
}

/// Asks for the cache line of `address`; any address will do.
TORCH_ANS_FN void prefetch(const void* address) {
#if defined(__GNUC__) && !defined(__CUDA_ARCH__)
  __builtin_prefetch(address);
#else
  (void)address;
#endif
}

/// The same, no nearer than into the second-level cache: where so much is asked for that what is
/// in use would leave the first, or loads that are needed now would wait in its queue of misses.
TORCH_ANS_FN void prefetch_l2(const void* address) {
#if defined(__GNUC__) && !defined(__CUDA_ARCH__)
  __builtin_prefetch(address, 0, 2);
#else
  (void)address;
#endif
}

/// The upper half of the double-width product.
TORCH_ANS_FN std::uint32_t multiply_high(std::uint32_t a, std::uint32_t b) {
  return static_cast<std::uint32_t>((static_cast<std::uint64_t>(a) * b) >> 32);
}

TORCH_ANS_FN std::uint64_t multiply_high(std::uint64_t a, std::uint64_t b) {
#if defined(__CUDA_ARCH__)
  return __umul64hi(a, b);
#elif defined(__SIZEOF_INT128__)
  __extension__ using Wide = unsigned __int128;
  return static_cast<std::uint64_t>((static_cast<Wide>(a) * b) >> 64);
#else
  const std::uint64_t low = (a & 0xffffffffu) * (b & 0xffffffffu);
  const std::uint64_t mid = (a >> 32) * (b & 0xffffffffu) + (low >> 32);
  const std::uint64_t mid2 = (a & 0xffffffffu) * (b >> 32) + (mid & 0xffffffffu);
  return (a >> 32) * (b >> 32) + (mid >> 32) + (mid2 >> 32);
#endif
}

/// The number of bits needed to write `value`: 0 for 0.
TORCH_ANS_FN int bit_width(std::uint64_t value) {
#if defined(__CUDA_ARCH__)
  return 64 - __clzll(static_cast<long long>(value));
#else
  int width = 0;
  while (value != 0) {
    ++width;
    value >>= 1;
  }
  return width;
#endif
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
