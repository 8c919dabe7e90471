/// Choices that are close to a coin toss, made without a branch. Compilers like to turn
/// `a < b ? c : d` back into one, and a mispredicted branch costs more than a whole symbol.
#pragma once

#include "torch_ans/config.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `a < b ? below : otherwise`; `mask` is all ones where a < b, else 0.
template <typename T>
TORCH_ANS_FN T select_below(T a, T b, T below, T otherwise, T& mask) {
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__CUDA_ARCH__)
  asm("cmp %[b], %[a]\n\tcmovb %[below], %[chosen]\n\tsbb %[mask], %[mask]"
      : [chosen] "+&r"(otherwise), [mask] "=r"(mask)
      : [a] "r"(a), [b] "r"(b), [below] "r"(below)
      : "cc");
  return otherwise;
#else
  mask = static_cast<T>(T{0} - opaque(static_cast<T>(a < b)));
  return static_cast<T>(otherwise ^ ((otherwise ^ below) & mask));
#endif
}

/// `a < b ? below : otherwise`.
template <typename T>
TORCH_ANS_FN T select_below(T a, T b, T below, T otherwise) {
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__CUDA_ARCH__)
  asm("cmp %[b], %[a]\n\tcmovb %[below], %[chosen]"
      : [chosen] "+&r"(otherwise)
      : [a] "r"(a), [b] "r"(b), [below] "r"(below)
      : "cc");
  return otherwise;
#else
  T mask;
  return select_below(a, b, below, otherwise, mask);
#endif
}

/// Two such choices at once, of 32-bit values; adds 1 to `count` unless a < b. T may be wider,
/// which saves the extension where 64-bit arithmetic follows.
template <typename T>
TORCH_ANS_FN void select_pair_below(std::uint32_t a, std::uint32_t b, T below1, T below2, T& value1,
                                    T& value2, std::uint32_t& count) {
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__CUDA_ARCH__)
  asm("cmp %[b], %[a]\n\tcmovb %k[below1], %k[value1]\n\tcmovb %k[below2], %k[value2]\n\t"
      "sbb $-1, %[count]"
      : [value1] "+&r"(value1), [value2] "+&r"(value2), [count] "+&r"(count)
      : [a] "r"(a), [b] "r"(b), [below1] "r"(below1), [below2] "r"(below2)
      : "cc");
#else
  const std::uint32_t is_below = opaque(static_cast<std::uint32_t>(a < b));
  const T mask = T{0} - static_cast<T>(is_below);
  value1 ^= (value1 ^ below1) & mask;
  value2 ^= (value2 ^ below2) & mask;
  count += 1 - is_below;
#endif
}

/// What a put does where a word leaves: if a > most, then `value` becomes `less`, `shift` becomes
/// `more`, and `count` grows by 1. `most` and `more` stay in memory, which saves registers.
TORCH_ANS_FN void select_above(std::uint64_t a, const std::uint64_t& most, std::uint64_t less,
                               const std::uint32_t& more, std::uint64_t& value,
                               std::uint64_t& shift, std::int64_t& count) {
#if defined(__GNUC__) && defined(__x86_64__) && !defined(__CUDA_ARCH__)
  asm("cmp %[a], %[most]\n\tcmovb %[less], %[value]\n\tcmovb %[more], %k[shift]\n\t"
      "adc $0, %[count]"
      : [value] "+&r"(value), [shift] "+&r"(shift), [count] "+&r"(count)
      : [a] "r"(a), [most] "m"(most), [less] "r"(less), [more] "m"(more)
      : "cc");
#else
  const std::uint64_t is_above = opaque(static_cast<std::uint64_t>(a > most));
  const std::uint64_t mask = 0 - is_above;
  value ^= (value ^ less) & mask;
  shift ^= (shift ^ more) & mask;
  count += static_cast<std::int64_t>(is_above);
#endif
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
