/// Building the sparse inverse of a CDF: see `Bucket` (views.h) and `InverseCdf` (lookup.h).
#pragma once

#include <vector>

#include "torch_ans/config.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// One CDF row: `last + 2` entries from 0 to 2^precision, strictly increasing.
struct CdfRow {
  const std::uint32_t* cdf;
  std::uint32_t last;
  int precision;
  bool bypass_coding;

  std::uint32_t freq(std::uint32_t symbol) const { return cdf[symbol + 1] - cdf[symbol]; }
  /// Whether a bucket must leave this symbol to `InverseCdf::find_slowly`.
  bool needs_care(std::uint32_t symbol) const {
    return (bypass_coding && symbol == last) || freq(symbol) > 0xffffu;
  }
};

/// Of the 2^precision slots, how many lie past the second symbol of their bucket.
inline std::uint32_t unresolved_slots(const CdfRow& row, int bucket_bits) {
  const int shift = row.precision - bucket_bits;
  std::uint32_t unresolved = 0;
  std::uint32_t symbol = 0;
  for (std::uint32_t bucket = 0; bucket < (1u << bucket_bits); ++bucket) {
    const std::uint32_t low = bucket << shift;
    const std::uint32_t high = low + (1u << shift);
    while (row.cdf[symbol + 1] <= low) ++symbol;
    if (symbol + 1 < row.last && row.cdf[symbol + 2] < high) {
      unresolved += high - row.cdf[symbol + 2];
    }
  }
  return unresolved;
}

/// The fewest buckets (as a power of two) that leave at most `tolerance` of the slots unresolved.
inline int choose_bucket_bits(const CdfRow& row, double tolerance) {
  const int symbol_bits = bit_width(row.last);
  const int most = smaller(row.precision, larger(13, symbol_bits + 1));
  const auto allowed =
      static_cast<std::uint32_t>(tolerance * static_cast<double>(1u << row.precision));
  int bits = smaller(most, larger(2, symbol_bits - 3));
  while (bits < most && unresolved_slots(row, bits) > allowed) ++bits;
  return bits;
}

inline Bucket make_bucket(const CdfRow& row, std::uint32_t symbol, std::uint32_t low) {
  const Bucket name = static_cast<Bucket>(symbol) << 48;
  if (row.needs_care(symbol)) return name;
  const std::uint32_t cut = row.cdf[symbol + 1] - low;
  const std::uint32_t before = low - row.cdf[symbol];
  const bool has_b = symbol < row.last && !row.needs_care(symbol + 1);
  const std::uint32_t freq_b = has_b ? row.freq(symbol + 1) : 0;
  return name | static_cast<Bucket>(freq_b) << 32 | before << 16 | cut;
}

/// Appends 2^bucket_bits buckets.
inline void append_buckets(const CdfRow& row, int bucket_bits, std::vector<Bucket>& buckets) {
  const int shift = row.precision - bucket_bits;
  std::uint32_t symbol = 0;
  for (std::uint32_t bucket = 0; bucket < (1u << bucket_bits); ++bucket) {
    const std::uint32_t low = bucket << shift;
    while (row.cdf[symbol + 1] <= low) ++symbol;
    buckets.push_back(make_bucket(row, symbol, low));
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
