/// Gaussians, Laplacians and logistics in integers: F at the edge below symbol i, for a mean and a
/// scale of its own.
///
/// All doubles here hold integers (below 2^53) or their quotients: a quotient of integers that is
/// rounded in any way and then cut off is the whole quotient, as its distance to the next integer
/// is at least 1 / divisor, more than the rounding of numbers below 2^53 / divisor. So no count
/// depends on how a machine rounds.
#pragma once

#include "torch_ans/model.h"
#include "torch_ans/tail_tables.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Positions count 2^-14 symbols, scales 2^-16, standardised distances 2^-15 scales.
constexpr double kPositionUnits = 1 << 14;
constexpr double kScaleUnits = 1 << 16;
constexpr int kDistanceBits = 15;
constexpr double kMostDistance = kTailScales << kDistanceBits;
/// Bits of a distance between two entries of a tail's table.
constexpr int kFractionBits = 9;
static_assert(kTailSteps << kFractionBits == 1 << kDistanceBits, "entries are 1/64 apart");

/// `value` in [low, high]; NaN counts as low.
template <typename Real>
TORCH_ANS_FN Real clamp_to(Real value, Real low, Real high) {
  const Real above = value > low ? value : low;
  return above < high ? above : high;
}

/// The mean, counted from the edge below symbol 0 (whose value is `low`), cut off to a whole
/// position before that: within 2^16 symbols of it.
TORCH_ANS_FN double position_of(double mean, std::int32_t low) {
  constexpr double kFar = 70368744177664.0;  // 2^46
  const auto whole = static_cast<std::int64_t>(clamp_to(mean * kPositionUnits, -kFar, kFar));
  const std::int64_t edge = std::int64_t{low} * (1 << 14) - (1 << 13);
  constexpr double kMost = 1073741823.0;  // 2^30 - 1
  return clamp_to(static_cast<double>(whole - edge), -kMost, 2 * kMost);
}

/// The scale, cut off, from 2^-16 to 2^16.
TORCH_ANS_FN double divisor_of(double scale) {
  const double clamped = clamp_to(scale * kScaleUnits, 1.0, 4294967296.0);
  return static_cast<double>(static_cast<std::int64_t>(clamped));
}

/// Scales between the mean and the edge below symbol i, in whole distances, toward zero.
TORCH_ANS_FN std::int32_t distance_to(std::uint32_t i, double position, double divisor) {
  // (2^-14 symbols) / (2^-16 symbols a scale) = 2^2 * 2^-15 * 2^15 scales
  constexpr double kUnits = kScaleUnits / kPositionUnits * (1 << kDistanceBits);
  const double difference =
      static_cast<double>(static_cast<std::int32_t>(i)) * kPositionUnits - position;
  return static_cast<std::int32_t>(
      clamp_to(difference * kUnits / divisor, -kMostDistance, kMostDistance));
}

/// Where in a tail's table a distance is.
TORCH_ANS_FN std::uint32_t tail_entry(std::int32_t distance) {
  return static_cast<std::uint32_t>(distance < 0 ? -distance : distance) >> kFractionBits;
}

/// A tail's probability at a distance without its sign, from the entry and the one behind it, by
/// straight lines: they do not rise.
TORCH_ANS_FN std::uint32_t tail_between(std::uint32_t size, std::uint32_t entry,
                                        std::uint32_t next) {
  const std::uint32_t fraction = size & ((1u << kFractionBits) - 1);
  return entry - (((entry - next) * fraction) >> kFractionBits);
}

/// F, which does not fall, as the tail does not rise.
TORCH_ANS_FN std::uint32_t probability_below(std::int32_t distance, std::uint32_t entry,
                                             std::uint32_t next) {
  const auto size = static_cast<std::uint32_t>(distance < 0 ? -distance : distance);
  const std::uint32_t tail = tail_between(size, entry, next);
  return distance < 0 ? tail : static_cast<std::uint32_t>(kFixedOne) - tail;
}

/// Components of a mixture.
constexpr int kMostComponents = 32;
/// Weights of a mixture count 2^-15; they sum to exactly 1.
constexpr int kWeightBits = 15;

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
