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

/// The slots [low, past) of a bucket.
struct SlotRange {
  std::uint32_t low;
  std::uint32_t past;
};

/// 2^bits buckets of the same width: found with one shift.
class LinearGrid {
 public:
  LinearGrid(int precision, int bits) : shift_(precision - bits), count_(1u << bits) {}

  std::uint32_t count() const { return count_; }
  SlotRange slots(std::uint32_t bucket) const { return {bucket << shift_, (bucket + 1) << shift_}; }

 private:
  int shift_;
  std::uint32_t count_;
};

/// Buckets that are the narrower the nearer they lie to either end of the slots, where a
/// distribution with tails has its many rare symbols: a few thousand buckets then resolve nearly
/// all slots. d slots from the nearer end, bucket number `(bits of float(d + 32) - bits of 32.0f)
/// >> (23 - bits)` has them: 2^bits buckets an octave. Those of the lower half follow on
/// `origin()` upwards, those of the upper half before it downwards.
class LogGrid {
 public:
  static constexpr int kMantissaBits = 23;
  static constexpr int kFirstOctave = 5;

  LogGrid(int precision, int bits)
      : bits_(bits), slots_(1u << precision), half_(number(slots_ / 2 - 1) + 1) {}

  std::uint32_t count() const { return 2 * half_; }
  std::uint32_t origin() const { return half_; }
  int shift() const { return kMantissaBits - bits_; }

  SlotRange slots(std::uint32_t bucket) const {
    if (bucket >= half_) {
      return {distance(bucket - half_), distance(bucket - half_ + 1)};
    }
    return {slots_ - distance(half_ - bucket), slots_ - distance(half_ - 1 - bucket)};
  }

 private:
  std::uint32_t number(std::uint32_t d) const {
    const std::uint32_t value = d + (1u << kFirstOctave);
    const int octave = bit_width(value) - 1;
    const std::uint32_t mantissa = (value << (kMantissaBits - octave)) - (1u << kMantissaBits);
    const auto octaves = static_cast<std::uint32_t>(octave - kFirstOctave);
    return ((octaves << kMantissaBits) + mantissa) >> shift();
  }

  /// The smallest d of a bucket; for the one past the last, where the other half begins.
  std::uint32_t distance(std::uint32_t n) const {
    const std::uint64_t scaled = std::uint64_t{(1u << bits_) + (n & ((1u << bits_) - 1))}
                                 << (kFirstOctave + (n >> bits_));
    const std::uint64_t value = (scaled + (1u << bits_) - 1) >> bits_;
    return smaller(static_cast<std::uint32_t>(value) - (1u << kFirstOctave), slots_ / 2);
  }

  int bits_;
  std::uint32_t slots_;
  std::uint32_t half_;
};

/// The symbols of slots that mostly ascend.
class SymbolWalk {
 public:
  explicit SymbolWalk(const CdfRow& row) : cdf_(row.cdf) {}

  std::uint32_t at(std::uint32_t slot) {
    if (slot < cdf_[symbol_]) symbol_ = 0;
    while (cdf_[symbol_ + 1] <= slot) ++symbol_;
    return symbol_;
  }

 private:
  const std::uint32_t* cdf_;
  std::uint32_t symbol_ = 0;
};

/// Of the 2^precision slots, how many lie past the second symbol of their bucket.
template <typename Grid>
std::uint32_t unresolved_slots(const CdfRow& row, const Grid& grid) {
  SymbolWalk walk(row);
  std::uint32_t unresolved = 0;
  for (std::uint32_t bucket = 0; bucket < grid.count(); ++bucket) {
    const SlotRange range = grid.slots(bucket);
    const std::uint32_t third = walk.at(range.low) + 2;
    if (third <= row.last && row.cdf[third] < range.past) unresolved += range.past - row.cdf[third];
  }
  return unresolved;
}

/// The coarsest grid of `least` to `most` bits that leaves at most `tolerance` of the slots
/// unresolved.
template <typename Grid>
int choose_grid_bits(const CdfRow& row, int least, int most, double tolerance) {
  const auto allowed =
      static_cast<std::uint32_t>(tolerance * static_cast<double>(1u << row.precision));
  int bits = least;
  while (bits < most && unresolved_slots(row, Grid(row.precision, bits)) > allowed) ++bits;
  return bits;
}

inline Bucket make_bucket(const CdfRow& row, std::uint32_t symbol) {
  const Bucket name = static_cast<Bucket>(symbol) << 48;
  if (row.needs_care(symbol)) return name;
  const bool has_b = symbol < row.last && !row.needs_care(symbol + 1);
  const std::uint32_t freq_b = has_b ? row.freq(symbol + 1) : 0;
  return name | static_cast<Bucket>(freq_b) << 32 | static_cast<Bucket>(row.freq(symbol)) << 16 |
         row.cdf[symbol];
}

template <typename Grid>
void append_buckets(const CdfRow& row, const Grid& grid, std::vector<Bucket>& buckets) {
  SymbolWalk walk(row);
  for (std::uint32_t bucket = 0; bucket < grid.count(); ++bucket) {
    buckets.push_back(make_bucket(row, walk.at(grid.slots(bucket).low)));
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
