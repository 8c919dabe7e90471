/// Building the sparse inverse of a CDF: see `Bucket` (views.h) and `InverseCdf` (lookup.h).
#pragma once

#include <vector>

#include "torch_ans/cdf_row.h"
#include "torch_ans/fixed.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Whether a bucket must leave this symbol to `InverseCdf::find_slowly`.
TORCH_ANS_FN bool needs_care(const CdfRow& row, std::uint32_t symbol) {
  return row.is_sentinel(symbol) || row.freq(symbol) > 0xffffu;
}

/// The slots [low, past) of a bucket.
struct SlotRange {
  std::uint32_t low;
  std::uint32_t past;
};

/// 2^bits buckets of the same width: found with one shift.
class LinearGrid {
 public:
  TORCH_ANS_FN LinearGrid(int precision, int bits) : shift_(precision - bits), count_(1u << bits) {}

  TORCH_ANS_FN std::uint32_t count() const { return count_; }
  TORCH_ANS_FN SlotRange slots(std::uint32_t bucket) const {
    return {bucket << shift_, (bucket + 1) << shift_};
  }

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

  TORCH_ANS_FN LogGrid(int precision, int bits)
      : bits_(bits), slots_(1u << precision), half_(number(slots_ / 2 - 1) + 1) {}

  TORCH_ANS_FN std::uint32_t count() const { return 2 * half_; }
  TORCH_ANS_FN std::uint32_t origin() const { return half_; }
  TORCH_ANS_FN int shift() const { return kMantissaBits - bits_; }

  /// The bucket of a slot, at most `last_slot`, whose `top_bit` says which half it is in;
  /// `origin()` is at `origin`.
  static TORCH_ANS_FN std::uint32_t find(std::uint32_t slot, std::uint32_t last_slot, int top_bit,
                                         std::uint32_t origin, int shift) {
    constexpr float kFirst = static_cast<float>(1u << kFirstOctave);
    const std::uint32_t upper = 0u - (slot >> top_bit);
    const std::uint32_t d = slot ^ (upper & last_slot);
    const std::uint32_t value = bit_cast<std::uint32_t>(static_cast<float>(d) + kFirst);
    return origin + (((value - bit_cast<std::uint32_t>(kFirst)) >> shift) ^ upper);
  }

  TORCH_ANS_FN SlotRange slots(std::uint32_t bucket) const {
    if (bucket >= half_) {
      return {distance(bucket - half_), distance(bucket - half_ + 1)};
    }
    return {slots_ - distance(half_ - bucket), slots_ - distance(half_ - 1 - bucket)};
  }

 private:
  TORCH_ANS_FN std::uint32_t number(std::uint32_t d) const {
    const std::uint32_t value = d + (1u << kFirstOctave);
    const int octave = bit_width(value) - 1;
    const std::uint32_t mantissa = (value << (kMantissaBits - octave)) - (1u << kMantissaBits);
    const auto octaves = static_cast<std::uint32_t>(octave - kFirstOctave);
    return ((octaves << kMantissaBits) + mantissa) >> shift();
  }

  /// The smallest d of a bucket; for the one past the last, where the other half begins.
  TORCH_ANS_FN std::uint32_t distance(std::uint32_t n) const {
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

/// How many slots of a bucket lie past its second symbol, where its first one is `symbol`.
TORCH_ANS_FN std::uint32_t unresolved_slots(const CdfRow& row, const SlotRange& range,
                                            std::uint32_t symbol) {
  const std::uint32_t third = symbol + 2;
  return third <= row.last && row.cdf[third] < range.past ? range.past - row.cdf[third] : 0;
}

/// Of the 2^precision slots, how many a table leaves unresolved. More buckets mean fewer searches,
/// but more misses, which cost more where there are many tables.
inline std::uint32_t tolerated_slots(std::int64_t num_tables, int precision) {
  const double tolerance = num_tables <= 4 ? 0.002 : 0.045;
  return static_cast<std::uint32_t>(tolerance * static_cast<double>(1u << precision));
}

/// What to choose a grid's bits from.
struct GridBits {
  int least;
  int most;
};

TORCH_ANS_FN GridBits linear_grid_bits(const CdfRow& row) {
  const int symbol_bits = bit_width(row.last);
  const int most = smaller(row.precision, larger(13, symbol_bits + 1));
  return {smaller(most, larger(2, symbol_bits - 3)), most};
}

/// All buckets of all tables, 512 MiB. Where there would be more, decoders search the CDF.
constexpr std::size_t kMaxBuckets = std::size_t{1} << 26;

/// Whether a grid leaves at most `allowed` slots of a table unresolved.
template <typename Grid>
bool resolves_most(const CdfRow& row, const Grid& grid, std::uint32_t allowed) {
  SymbolWalk walk(row);
  std::uint32_t unresolved = 0;
  for (std::uint32_t bucket = 0; bucket < grid.count() && unresolved <= allowed; ++bucket) {
    const SlotRange range = grid.slots(bucket);
    unresolved += unresolved_slots(row, range, walk.at(range.low));
  }
  return unresolved <= allowed;
}

/// The coarsest LinearGrid that leaves at most `allowed` slots unresolved, or the finest one.
inline int choose_linear_bits(const CdfRow& row, const GridBits& choice, std::uint32_t allowed) {
  int bits = choice.least;
  while (bits < choice.most && !resolves_most(row, LinearGrid(row.precision, bits), allowed)) {
    ++bits;
  }
  return bits;
}

TORCH_ANS_FN Bucket make_bucket(const CdfRow& row, std::uint32_t symbol) {
  const Bucket name = static_cast<Bucket>(symbol) << 48;
  if (needs_care(row, symbol)) return name;
  const bool has_b = symbol < row.last && !needs_care(row, symbol + 1);
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
