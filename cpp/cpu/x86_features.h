/// What an x86-64 processor and its operating system offer, asked with the instructions themselves:
/// compilers' own functions for it differ, and know fewer names the older they are.
#pragma once

#include <cstdint>
#include <initializer_list>

#if defined(_MSC_VER)
#include <intrin.h>
#else
#include <cpuid.h>
#endif

namespace torch_ans {

class X86Features {
 public:
  X86Features() {
    const Registers vendor = cpuid(0, 0);
    const std::uint32_t most_leaf = vendor.eax;
    is_amd_ = vendor.ebx == 0x68747541u;  // "Auth" of "AuthenticAMD"
    const std::uint32_t most_extended = cpuid(kExtended, 0).eax;
    basic_ = cpuid(1, 0);
    if (most_leaf >= 7) more_ = cpuid(7, 0);
    if (most_extended >= kExtended + 1) extended_ = cpuid(kExtended + 1, 0);
    constexpr int kOsxsave = 27;
    if (bit(basic_.ecx, kOsxsave)) saved_ = saved_registers();
  }

  /// x86-64-v3: AVX2 and what came with it.
  bool has_avx2() const {
    constexpr int kFma = 12, kMovbe = 22, kF16c = 29;
    constexpr int kBmi = 3, kAvx2 = 5, kBmi2 = 8, kLzcnt = 5;
    constexpr std::uint32_t kVectors = 0x06;  // xmm and ymm outlive a change of threads
    return (saved_ & kVectors) == kVectors && all(basic_.ecx, {kFma, kMovbe, kF16c}) &&
           all(more_.ebx, {kBmi, kAvx2, kBmi2}) && bit(extended_.ecx, kLzcnt);
  }

  /// x86-64-v4, VBMI2, VPOPCNTDQ and BITALG.
  bool has_avx512() const {
    constexpr int kF = 16, kDq = 17, kCd = 28, kBw = 30, kVl = 31;
    constexpr int kVbmi2 = 6, kBitalg = 12, kVpopcntdq = 14;
    constexpr std::uint32_t kVectors = 0xe6;  // zmm and masks, too
    return has_avx2() && (saved_ & kVectors) == kVectors &&
           all(more_.ebx, {kF, kDq, kCd, kBw, kVl}) &&
           all(more_.ecx, {kVbmi2, kBitalg, kVpopcntdq});
  }

  /// Whether a gather takes longer than as many loads: on AMD's processors before Zen 5.
  bool has_slow_gathers() const {
    constexpr std::uint32_t kZen5 = 0x1a;
    const std::uint32_t family = (basic_.eax >> 8 & 0xf) + (basic_.eax >> 20 & 0xff);
    return is_amd_ && family < kZen5;
  }

 private:
  struct Registers {
    std::uint32_t eax, ebx, ecx, edx;
  };

  static constexpr std::uint32_t kExtended = 0x80000000u;

  static bool bit(std::uint32_t word, int number) { return (word >> number & 1) != 0; }

  static bool all(std::uint32_t word, std::initializer_list<int> numbers) {
    bool found = true;
    for (const int number : numbers) found &= bit(word, number);
    return found;
  }

#if defined(_MSC_VER)
  static Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
    int r[4];
    __cpuidex(r, static_cast<int>(leaf), static_cast<int>(subleaf));
    return {static_cast<std::uint32_t>(r[0]), static_cast<std::uint32_t>(r[1]),
            static_cast<std::uint32_t>(r[2]), static_cast<std::uint32_t>(r[3])};
  }

  /// XCR0: the register sets that the operating system saves.
  static std::uint64_t saved_registers() { return _xgetbv(0); }
#else
  static Registers cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
    Registers r{};
    __cpuid_count(leaf, subleaf, r.eax, r.ebx, r.ecx, r.edx);
    return r;
  }

  static std::uint64_t saved_registers() {
    std::uint32_t low, high;
    asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return std::uint64_t{high} << 32 | low;
  }
#endif

  Registers basic_{}, more_{}, extended_{};
  std::uint64_t saved_ = 0;
  bool is_amd_ = false;
};

}  // namespace torch_ans
