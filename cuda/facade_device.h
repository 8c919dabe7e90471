/// The facade on a GPU. Included by facade.h only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <type_traits>

#define TORCH_ANS_DEVICE __device__ __forceinline__
/// What is rare: one copy of it keeps the kernels small.
#define TORCH_ANS_DEVICE_COLD __device__ __noinline__
/// Before a loop that is rarely entered: left as it is, it stays small.
#define TORCH_ANS_KEEP_LOOP _Pragma("unroll 1")

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

constexpr int kWarpSize = 32;

TORCH_ANS_DEVICE unsigned thread_index() { return threadIdx.x; }
TORCH_ANS_DEVICE unsigned block_size() { return blockDim.x; }
TORCH_ANS_DEVICE unsigned block_index() { return blockIdx.x; }
TORCH_ANS_DEVICE unsigned grid_size() { return gridDim.x; }
TORCH_ANS_DEVICE unsigned lane_index() { return threadIdx.x & 31u; }
TORCH_ANS_DEVICE unsigned warp_index() { return threadIdx.x >> 5; }
/// The same, in a way that tells the compiler so: all threads of a warp have the same. What follows
/// from it is then known to be uniform too. The whole warp's affair.
TORCH_ANS_DEVICE unsigned uniform_warp_index() {
  return __shfl_sync(0xffffffffu, threadIdx.x >> 5, 0);
}

TORCH_ANS_DEVICE unsigned lanes_below() {
  unsigned mask;
  asm("mov.u32 %0, %%lanemask_lt;" : "=r"(mask));
  return mask;
}

TORCH_ANS_DEVICE unsigned lanes_above() {
  unsigned mask;
  asm("mov.u32 %0, %%lanemask_gt;" : "=r"(mask));
  return mask;
}

TORCH_ANS_DEVICE int count_bits(unsigned value) { return __popc(value); }
/// The number of the lowest set bit; -1 for 0.
TORCH_ANS_DEVICE int lowest_bit(unsigned value) { return __ffs(static_cast<int>(value)) - 1; }

/// Collectives of the whole warp.
TORCH_ANS_DEVICE unsigned ballot(bool vote) { return __ballot_sync(0xffffffffu, vote); }
TORCH_ANS_DEVICE bool any(bool vote) { return __any_sync(0xffffffffu, vote) != 0; }
template <typename T>
TORCH_ANS_DEVICE T shuffle(T value, unsigned source) {
  return __shfl_sync(0xffffffffu, value, static_cast<int>(source));
}
TORCH_ANS_DEVICE void sync_warp() { __syncwarp(); }
/// A barrier of the whole block.
TORCH_ANS_DEVICE void sync_block() { __syncthreads(); }

/// The value, to be kept in a register: the compiler cannot work it out anew, nor do so ahead of a
/// branch.
template <typename T>
TORCH_ANS_DEVICE T held(T value) {
  static_assert(sizeof(T) == 4 || sizeof(T) == 8, "a register or two");
  if constexpr (sizeof(T) == 4) {
    asm volatile("" : "+r"(value));
  } else {
    asm volatile("" : "+l"(value));
  }
  return value;
}

/// The value, to be kept in a register of each thread: otherwise the compiler keeps what all
/// threads of a warp share in registers of the warp, of which an instruction can read only one.
template <typename T>
TORCH_ANS_DEVICE T held_by_each(T value) {
  return held(value + (lanes_below() >> 31));
}

/// `address` + `count` * sizeof(T), by one instruction.
template <typename T>
TORCH_ANS_DEVICE T* moved(T* address, unsigned count) {
  T* sum;
  asm("{ .reg .u32 a, b, low, high; mov.b64 {a, b}, %3;\n\t"
      "mad.lo.cc.u32 low, %1, %2, a;\n\tmadc.hi.u32 high, %1, %2, b;\n\t"
      "mov.b64 %0, {low, high}; }"
      : "=l"(sum)
      : "r"(count), "n"(sizeof(T)), "l"(address));
  return sum;
}

/// a * b + c of 64 bits, by one instruction. (Said to be 64 bits, they would be taken apart.)
TORCH_ANS_DEVICE std::uint64_t multiply_add(std::int32_t a, std::int32_t b, std::uint64_t c) {
  unsigned low, high;
  asm("mad.lo.cc.u32 %0, %2, %3, %4;\n\tmadc.hi.s32 %1, %2, %3, %5;"
      : "=&r"(low), "=r"(high)
      : "r"(a), "r"(b), "r"(static_cast<unsigned>(c)), "r"(static_cast<unsigned>(c >> 32)));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

/// The same without signs: another instruction, and assembler text has no parameters.
TORCH_ANS_DEVICE std::uint64_t multiply_add(std::uint32_t a, std::uint32_t b, std::uint64_t c) {
  unsigned low, high;
  asm("mad.lo.cc.u32 %0, %2, %3, %4;\n\tmadc.hi.u32 %1, %2, %3, %5;"
      : "=&r"(low), "=r"(high)
      : "r"(a), "r"(b), "r"(static_cast<unsigned>(c)), "r"(static_cast<unsigned>(c >> 32)));
  return static_cast<std::uint64_t>(high) << 32 | low;
}

/// A T of 1, 2, 4, 8 or 16 bytes, aligned to its size, by one access; `access` reads what it is
/// given the address of.
template <typename T, typename Access>
TORCH_ANS_DEVICE T load_whole(const T* source, const Access& access) {
  T value;
  if constexpr (sizeof(T) == 16) {
    const uint4 bits = access(reinterpret_cast<const uint4*>(source));
    memcpy(&value, &bits, sizeof(T));
  } else if constexpr (sizeof(T) == 8) {
    const uint2 bits = access(reinterpret_cast<const uint2*>(source));
    memcpy(&value, &bits, sizeof(T));
  } else {
    value = access(source);
  }
  return value;
}

/// Reads memory that no one writes while the kernel runs, through the read-only cache.
template <typename T>
TORCH_ANS_DEVICE T cached_load(const T* source) {
  return load_whole(source, [](const auto* bits) { return __ldg(bits); });
}

/// Reads and writes of what is used once: they should not push tables out of the caches.
template <typename T>
TORCH_ANS_DEVICE T streaming_load(const T* source) {
  if constexpr (sizeof(T) == 8) {
    return static_cast<T>(__ldcs(reinterpret_cast<const long long*>(source)));
  } else {
    return __ldcs(source);
  }
}

template <typename T>
TORCH_ANS_DEVICE void streaming_store(T* target, T value) {
  if constexpr (sizeof(T) == 8) {
    __stcs(reinterpret_cast<long long*>(target), static_cast<long long>(value));
  } else {
    __stcs(target, value);
  }
}

/// Begins to bring memory nearer that will be read. An address of no memory does no harm.
TORCH_ANS_DEVICE void prefetch(const void* address) {
  asm volatile("prefetch.global.L2 [%0];" ::"l"(address));
}

/// `streaming_load` of what fills a register then.
template <typename T>
TORCH_ANS_DEVICE std::int32_t streaming_load_int(const T* source) {
  if constexpr (std::is_same_v<T, std::uint8_t>) {
    std::int32_t value;  // __ldcs would have it cut to 8 bits once more
    asm volatile("ld.global.cs.u8 %0, [%1];" : "=r"(value) : "l"(source));
    return value;
  } else {
    return static_cast<std::int32_t>(streaming_load(source));
  }
}

/// Writes a word to global memory if `wanted`, without a branch.
TORCH_ANS_DEVICE void store_if(bool wanted, std::uint16_t* target, std::uint32_t value) {
  asm volatile("{ .reg .pred p; setp.ne.u32 p, %0, 0; @p st.global.u16 [%1], %2; }" ::"r"(
                   static_cast<unsigned>(wanted)),
               "l"(target), "h"(static_cast<std::uint16_t>(value))
               : "memory");
}

/// Writes the low bits of `value`, whose others need not be cleared.
template <typename T>
TORCH_ANS_DEVICE void streaming_store_low(T* target, std::int32_t value) {
  if constexpr (sizeof(T) == 1) {
    asm volatile("st.global.cs.u8 [%0], %1;" ::"l"(target), "r"(value) : "memory");
  } else {
    streaming_store(target, static_cast<T>(value));
  }
}

/// Global memory by which threads of a warp tell each other something: the twin looks for races.
template <typename T>
TORCH_ANS_DEVICE T exchanged_load(const T* source) {
  return *source;
}

template <typename T>
TORCH_ANS_DEVICE void exchanged_store(T* target, T value) {
  *target = value;
}

TORCH_ANS_DEVICE void atomic_add(unsigned* target, unsigned value) { atomicAdd(target, value); }
TORCH_ANS_DEVICE void atomic_min(std::uint64_t* target, std::uint64_t value) {
  atomicMin(reinterpret_cast<unsigned long long*>(target), value);
}

/// Elements of the block's dynamic shared memory, from byte `offset` on: a multiple of their size.
template <typename T>
class SharedArray {
 public:
  TORCH_ANS_DEVICE explicit SharedArray(std::uint32_t offset) {
    extern __shared__ uint4 dynamic_shared_memory[];
    data_ = reinterpret_cast<T*>(reinterpret_cast<char*>(dynamic_shared_memory) + offset);
  }
  TORCH_ANS_DEVICE T get(unsigned i) const {
    return load_whole(data_ + i, [](const auto* bits) { return *bits; });
  }
  TORCH_ANS_DEVICE void set(unsigned i, T value) const { data_[i] = value; }
  /// Sets bits, whoever else does so between two barriers.
  TORCH_ANS_DEVICE void merge(unsigned i, T bits) const { atomicOr(data_ + i, bits); }

  /// Begins to copy an element of 4 or 16 bytes from memory that no one writes. Nobody may touch
  /// it until this thread has waited for its copies; others read it behind a barrier after that.
  TORCH_ANS_DEVICE void copy(unsigned i, const T* source) const {
    static_assert(sizeof(T) == 4 || sizeof(T) == 16, "what a copy takes");
#if __CUDA_ARCH__ >= 800
    const auto target = static_cast<unsigned>(__cvta_generic_to_shared(data_ + i));
    if constexpr (sizeof(T) == 4) {
      asm volatile("cp.async.ca.shared.global.L2::128B [%0], [%1], 4;" ::"r"(target), "l"(source)
                   : "memory");
    } else {
      asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(target), "l"(source)
                   : "memory");
    }
#else
    data_[i] = cached_load(source);
#endif
  }

 private:
  T* data_;
};

/// A place in shared memory that is read at all the time, `offset` bytes from its start.
TORCH_ANS_DEVICE std::uint32_t shared_place(std::uint32_t offset) {
  extern __shared__ uint4 dynamic_shared_memory[];
  return held_by_each(static_cast<unsigned>(__cvta_generic_to_shared(dynamic_shared_memory)) +
                      offset);
}

template <typename T>
TORCH_ANS_DEVICE T load_shared(std::uint32_t place) {
  return load_whole(static_cast<const T*>(__cvta_shared_to_generic(place)),
                    [](const auto* bits) { return *bits; });
}

/// Until all copies that this thread has begun are there for it to read.
TORCH_ANS_DEVICE void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_all;" ::: "memory");
#endif
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
