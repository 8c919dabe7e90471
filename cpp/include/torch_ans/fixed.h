/// From floating-point probabilities to integers: one exact scaling, one conversion toward zero.
/// Neither depends on the machine, its rounding mode or its treatment of tiny numbers, and all that
/// follows is integer arithmetic, so that the same floats mean the same slots everywhere.
#pragma once

#include "torch_ans/config.h"

namespace torch_ans {

/// Floating-point types that the standard has no name for, as their bits.
struct Float16 {
  std::uint16_t bits;
};
struct BFloat16 {
  std::uint16_t bits;
};

inline namespace TORCH_ANS_ISA {

/// Probabilities count multiples of 2^-30.
constexpr int kFixedBits = 30;
constexpr std::int32_t kFixedOne = std::int32_t{1} << kFixedBits;

template <typename To, typename From>
TORCH_ANS_FN To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "the same bits");
  To to;
  std::memcpy(&to, &from, sizeof(to));
  return to;
}

/// floor(p * 2^30) for p in [0, 1]; what is below (and -NaN) counts as 0, what is above as 1.
TORCH_ANS_FN std::uint32_t to_fixed(float p) {
  // Floats that are not negative are in the order of their bits.
  const auto bits = bit_cast<std::int32_t>(p);
  const std::int32_t clamped = smaller(larger(bits, 0), bit_cast<std::int32_t>(1.0f));
  return static_cast<std::uint32_t>(
      static_cast<std::int32_t>(bit_cast<float>(clamped) * static_cast<float>(kFixedOne)));
}

TORCH_ANS_FN std::uint32_t to_fixed(double p) {
  const auto bits = bit_cast<std::int64_t>(p);
  const std::int64_t clamped = smaller(larger(bits, std::int64_t{0}), bit_cast<std::int64_t>(1.0));
  return static_cast<std::uint32_t>(
      static_cast<std::int32_t>(bit_cast<double>(clamped) * static_cast<double>(kFixedOne)));
}

TORCH_ANS_FN std::uint32_t to_fixed(BFloat16 p) {
  return to_fixed(bit_cast<float>(static_cast<std::uint32_t>(p.bits) << 16));
}

TORCH_ANS_FN std::uint32_t to_fixed(Float16 p) {
  constexpr std::int32_t kOne = 15 << 10;
  const std::int32_t bits = static_cast<std::int16_t>(p.bits);
  const std::int32_t clamped = smaller(larger(bits, 0), kOne);
  // (1024 + mantissa) * 2^(exponent - 25), without the 1024 (and with exponent 1) for exponent 0.
  const std::int32_t exponent = clamped >> 10;
  const std::int32_t hidden = exponent == 0 ? 0 : 1024;
  const std::int32_t shift = larger(exponent, 1) + kFixedBits - 25;
  return static_cast<std::uint32_t>((clamped & 1023) | hidden) << shift;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
