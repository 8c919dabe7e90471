/// Logits in integers: the softmax of a row of them, and its edges (cpp/FORMAT.md, "Logits").
///
/// The weight of a logit is exp(logit - largest logit) in multiples of 2^-29, by the table of
/// Laplace; F at an edge is the sum of the weights below it, divided by the sum of all.
#pragma once

#include "torch_ans/parametric.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Logits count 2^-15, as distances do; what is beyond 2^20 counts as that.
constexpr float kLogitUnits = 1 << kDistanceBits;
constexpr float kMostLogit = 1 << 20;

/// A whole number that a logit is cut off to, toward zero: at most 2^35. NaN counts as the least.
TORCH_ANS_FN float logit_count(float logit) {
  constexpr float kWhole = 1 << 24;  // from there on floats are whole numbers
  const float count = clamp_to(logit, -kMostLogit, kMostLogit) * kLogitUnits;
  const auto whole =
      static_cast<float>(static_cast<std::int32_t>(clamp_to(count, -kWhole, kWhole)));
  return -kWhole < count && count < kWhole ? whole : count;
}

TORCH_ANS_FN double logit_count(double logit) {
  const double bounded = clamp_to(logit, double{-kMostLogit}, double{kMostLogit});
  return static_cast<double>(static_cast<std::int64_t>(bounded * double{kLogitUnits}));
}

TORCH_ANS_FN float logit_count(BFloat16 logit) {
  return logit_count(bit_cast<float>(static_cast<std::uint32_t>(logit.bits) << 16));
}

TORCH_ANS_FN float logit_count(Float16 logit) {
  constexpr std::int32_t kInfinite = 31 << 10;
  const std::int32_t bits = logit.bits & 0x7fff;
  // (1024 + mantissa) * 2^(exponent - 25), without the 1024 (and with exponent 1) for exponent 0.
  const std::int32_t exponent = bits >> 10;
  const std::int32_t mantissa = (bits & 1023) | (exponent == 0 ? 0 : 1024);
  const std::int32_t shift = larger(exponent, 1) + kDistanceBits - 25;
  const std::int32_t cut_off = mantissa << larger(shift, 0) >> larger(-shift, 0);
  const float most = kMostLogit * kLogitUnits;
  const float size = bits >= kInfinite ? most : static_cast<float>(cut_off);
  return bits > kInfinite || logit.bits > 0x7fff ? -size : size;
}

/// From the largest count to another. Whole numbers whose difference is below 2^24 have that
/// difference also as floats, and rounding does not lead a larger one below the bound.
template <typename Count>
TORCH_ANS_FN std::uint32_t logit_distance(Count most, Count count) {
  const Count bounded = smaller(most - count, static_cast<Count>(kMostDistance));
  return static_cast<std::uint32_t>(static_cast<std::int32_t>(bounded));
}

TORCH_ANS_FN std::uint32_t logit_weight(std::uint32_t distance) {
  const std::uint32_t at = distance >> kFractionBits;
  return tail_between(distance, kLaplaceTail[at], kLaplaceTail[at + 1]);
}

/// The edges of a row whose weights have a given sum.
class LogitEdges {
 public:
  /// 2^33 * 2^30 still fits 63 bits.
  static constexpr int kSumBits = 33;

  TORCH_ANS_FN LogitEdges(const Edges& limits, std::uint64_t sum) : limits_(limits) {
    while (sum >> shift_ >> kSumBits != 0) ++shift_;
    total_ = sum >> shift_;
  }

  /// C(i), where the weights before symbol i have the sum `below`.
  TORCH_ANS_FN std::uint32_t at(std::uint32_t i, std::uint64_t below) const {
    const std::uint64_t fixed = (below >> shift_ << kFixedBits) / total_;
    return limits_.clamp(i, limits_.inner(i, static_cast<std::uint32_t>(fixed)));
  }

  /// True only where C(i) <= slot, and false at some edges where it is, but never two in a row
  /// that leak: F is cut off, which this does without a division and so ignores.
  TORCH_ANS_FN bool starts_by(std::uint32_t i, std::uint64_t below, std::uint32_t slot) const {
    const std::uint64_t leak = std::uint64_t{i} * limits_.leak * total_;
    return (below >> shift_) * limits_.spread + leak < (std::uint64_t{slot} + 1) * total_;
  }

 private:
  const Edges limits_;
  std::uint64_t total_ = 0;
  int shift_ = 0;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
