/// Building alias tables (Walker, "An efficient method for generating discrete random variables
/// with general distributions", 1977; Vose, 1991; for rANS: Giesen, 2014).
///
/// The 2^precision slots are cut into a power of two of equal buckets, at least one a symbol
/// (padding symbols own nothing). Every bucket holds slots of its own symbol and of one other.
/// The order in which the pairs are formed decides the bytes and is part of the format: symbols
/// below a bucket's size are stacked in ascending order, the others as well; pairs are formed
/// from the tops of both stacks.
#pragma once

#include <vector>

#include "torch_ans/cdf_row.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// log2 of the number of buckets for `symbols` symbols.
TORCH_ANS_FN int alias_bucket_bits(std::uint32_t symbols) { return bit_width(symbols - 1); }

/// Buckets of a table; they are not more than its slots, which holds for every valid CDF.
TORCH_ANS_FN std::uint32_t alias_buckets(const CdfRow& row) {
  return 1u << alias_bucket_bits(row.symbols());
}

/// log2 of the slots of a bucket.
TORCH_ANS_FN int alias_shift(const CdfRow& row) {
  return row.precision - alias_bucket_bits(row.symbols());
}

/// Two stacks of symbols in one array of buckets, one from each end, in a field that is not in use
/// yet; so are the symbols' slots that are left.
class AliasStacks {
 public:
  TORCH_ANS_FN AliasStacks(AliasBucket* buckets, std::uint32_t count)
      : buckets_(buckets), large_(count), count_(count) {}

  TORCH_ANS_FN bool has_small() const { return small_ > 0; }
  TORCH_ANS_FN bool has_large() const { return large_ < count_; }
  TORCH_ANS_FN void push_small(std::uint32_t symbol) { place(small_++) = to_field(symbol); }
  TORCH_ANS_FN void push_large(std::uint32_t symbol) { place(--large_) = to_field(symbol); }
  TORCH_ANS_FN std::uint32_t pop_small() { return static_cast<std::uint32_t>(place(--small_)); }
  TORCH_ANS_FN std::uint32_t top_large() { return static_cast<std::uint32_t>(place(large_)); }
  TORCH_ANS_FN void pop_large() { ++large_; }

  TORCH_ANS_FN std::uint32_t left(std::uint32_t symbol) const {
    return static_cast<std::uint32_t>(buckets_[symbol].self_shift);
  }
  TORCH_ANS_FN void set_left(std::uint32_t symbol, std::uint32_t slots) {
    buckets_[symbol].self_shift = to_field(slots);
  }

 private:
  static TORCH_ANS_FN std::int32_t to_field(std::uint32_t value) {
    return static_cast<std::int32_t>(value);
  }
  TORCH_ANS_FN std::int32_t& place(std::uint32_t i) { return buckets_[i].other_shift; }

  AliasBucket* buckets_;
  std::uint32_t small_ = 0;
  std::uint32_t large_;
  std::uint32_t count_;
};

/// Fills `cut` and `other` of the buckets, one pair after the other.
TORCH_ANS_FN void pair_alias_buckets(const CdfRow& row, AliasBucket* buckets) {
  const std::uint32_t count = alias_buckets(row);
  const std::uint32_t size = 1u << alias_shift(row);
  AliasStacks stacks(buckets, count);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint32_t freq = i <= row.last ? row.freq(i) : 0;
    stacks.set_left(i, freq);
    if (freq < size) {
      stacks.push_small(i);
    } else {
      stacks.push_large(i);
    }
  }
  while (stacks.has_small()) {
    const std::uint32_t self = stacks.pop_small();
    const std::uint32_t other = stacks.top_large();
    buckets[self].cut = self * size + stacks.left(self);
    buckets[self].other = other;
    stacks.set_left(other, stacks.left(other) - (size - stacks.left(self)));
    if (stacks.left(other) < size) {
      stacks.pop_large();
      stacks.push_small(other);
    }
  }
  for (; stacks.has_large(); stacks.pop_large()) {
    const std::uint32_t self = stacks.top_large();
    buckets[self].cut = (self + 1) * size;
    buckets[self].other = self;
  }
}

/// Then the shifts: ranks are given out in ascending order of slots. `given`, one entry a symbol,
/// holds zeros, and in the end the symbols' freqs.
TORCH_ANS_FN void rank_alias_buckets(const CdfRow& row, AliasBucket* buckets,
                                     std::uint32_t* given) {
  const std::uint32_t size = 1u << alias_shift(row);
  for (std::uint32_t self = 0; self < alias_buckets(row); ++self) {
    AliasBucket& bucket = buckets[self];
    const std::uint32_t low = self * size;
    const std::uint32_t own = bucket.cut - low;  // 0 for padding
    const std::uint32_t given_self = self <= row.last ? given[self] : 0;
    bucket.self_shift = static_cast<std::int32_t>(low - given_self);
    bucket.other_shift = static_cast<std::int32_t>(bucket.cut - given[bucket.other]);
    if (own > 0) given[self] += own;
    given[bucket.other] += size - own;
  }
}

/// Then `slots[cdf[symbol] + rank]`, the rank-th slot of the symbol, for the slots [first, past) of
/// a bucket, which are all the symbol's. Where there are none it may be padding, without a CDF.
TORCH_ANS_FN void place_alias_slots(const CdfRow& row, std::uint32_t symbol, std::int32_t shift,
                                    std::uint32_t first, std::uint32_t past, std::uint16_t* slots) {
  if (first == past) return;
  std::uint16_t* target = slots + row.cdf[symbol] + (first - static_cast<std::uint32_t>(shift));
  for (std::uint32_t slot = first; slot < past; ++slot) {
    *target++ = static_cast<std::uint16_t>(slot);
  }
}

/// Fills `alias_buckets(row)` buckets and `row.slots()` slots.
inline void build_alias_table(const CdfRow& row, AliasBucket* buckets, std::uint16_t* slots) {
  std::vector<std::uint32_t> given(row.symbols(), 0);
  pair_alias_buckets(row, buckets);
  rank_alias_buckets(row, buckets, given.data());
  const std::uint32_t size = 1u << alias_shift(row);
  for (std::uint32_t self = 0; self < alias_buckets(row); ++self) {
    const AliasBucket& bucket = buckets[self];
    place_alias_slots(row, self, bucket.self_shift, self * size, bucket.cut, slots);
    place_alias_slots(row, bucket.other, bucket.other_shift, bucket.cut, (self + 1) * size, slots);
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
