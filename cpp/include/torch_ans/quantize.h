/// From probabilities to a quantised CDF: integer arithmetic after one rounding, so that every
/// machine gets the same table. The result equals CompressAI's `pmf_to_quantized_cdf`.
///
/// counts = round(p * 2^P); freqs = floor(counts * 2^P / sum(counts)), the last one takes what is
/// left; then every symbol without a slot is given one by the symbol that has the fewest above 1
/// (the first of equals), which is found by draining the donors in the order (freq, position).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numeric>
#include <vector>

namespace torch_ans {

enum class QuantizeStatus { kOk, kNotFinite, kNegative, kTooLarge, kZeroSum, kTooManySymbols };

/// Probabilities above this (of a pmf that is not normalised) would overflow the arithmetic.
constexpr double kMaxPmfValue = 2147483648.0;

/// Gives a slot to each symbol that has none. False: there are fewer slots than symbols.
inline bool lend_slots(std::vector<std::uint64_t>& freqs) {
  std::size_t wanting = 0;
  std::vector<std::uint32_t> donors;
  for (std::size_t i = 0; i < freqs.size(); ++i) {
    if (freqs[i] == 0) ++wanting;
    if (freqs[i] > 1) donors.push_back(static_cast<std::uint32_t>(i));
    freqs[i] = freqs[i] == 0 ? 1 : freqs[i];
  }
  if (wanting == 0) return true;
  std::stable_sort(donors.begin(), donors.end(),
                   [&](std::uint32_t a, std::uint32_t b) { return freqs[a] < freqs[b]; });
  for (const std::uint32_t donor : donors) {
    const auto lent = std::min<std::uint64_t>(wanting, freqs[donor] - 1);
    freqs[donor] -= lent;
    wanting -= static_cast<std::size_t>(lent);
    if (wanting == 0) return true;
  }
  return false;
}

/// `counts` (at most 2^47 each, 2^63 in sum, not all 0) to `cdf[0 .. length]`.
inline QuantizeStatus quantize_counts(const std::vector<std::uint64_t>& counts, int precision,
                                      std::int32_t* cdf) {
  const std::uint64_t slots = std::uint64_t{1} << precision;
  const auto total = std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
  if (total == 0) return QuantizeStatus::kZeroSum;
  if (counts.size() > slots) return QuantizeStatus::kTooManySymbols;
  std::vector<std::uint64_t> freqs(counts.size());
  std::uint64_t used = 0;
  for (std::size_t i = 0; i < counts.size(); ++i) {
    freqs[i] = slots * counts[i] / total;
    used += freqs[i];
  }
  freqs.back() += slots - used;
  if (!lend_slots(freqs)) return QuantizeStatus::kTooManySymbols;
  std::uint64_t start = 0;
  for (std::size_t i = 0; i < freqs.size(); ++i) {
    cdf[i] = static_cast<std::int32_t>(start);
    start += freqs[i];
  }
  cdf[freqs.size()] = static_cast<std::int32_t>(start);
  return QuantizeStatus::kOk;
}

inline QuantizeStatus quantize_pmf(const float* pmf, std::size_t length, int precision,
                                   std::int32_t* cdf) {
  std::vector<std::uint64_t> counts(length);
  for (std::size_t i = 0; i < length; ++i) {
    if (!std::isfinite(pmf[i])) return QuantizeStatus::kNotFinite;
    if (pmf[i] < 0) return QuantizeStatus::kNegative;
    if (pmf[i] > kMaxPmfValue) return QuantizeStatus::kTooLarge;
    // Scaling by a power of two is exact, so this rounds once (half away from zero).
    counts[i] = static_cast<std::uint64_t>(
        std::round(static_cast<double>(pmf[i]) * static_cast<double>(1u << precision)));
  }
  return quantize_counts(counts, precision, cdf);
}

/// Integer weights (a histogram, say) are proportional as they are: nothing is rounded first.
inline QuantizeStatus quantize_pmf(const std::int64_t* pmf, std::size_t length, int precision,
                                   std::int32_t* cdf) {
  std::vector<std::uint64_t> counts(length);
  for (std::size_t i = 0; i < length; ++i) {
    if (pmf[i] < 0) return QuantizeStatus::kNegative;
    if (pmf[i] > (std::int64_t{1} << 47)) return QuantizeStatus::kTooLarge;
    counts[i] = static_cast<std::uint64_t>(pmf[i]);
  }
  return quantize_counts(counts, precision, cdf);
}

}  // namespace torch_ans
