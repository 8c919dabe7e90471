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

#include "torch_ans/config.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// log2 of the number of buckets for `symbols` symbols.
inline int alias_bucket_bits(std::uint32_t symbols) { return bit_width(symbols - 1); }

/// Fills `aliases` (2^alias_bucket_bits entries) and `slots` (2^precision entries:
/// `slots[cdf[symbol] + rank]` is the rank-th slot of the symbol). The buckets must not be more
/// than the slots, which holds for every valid CDF.
inline void build_alias_table(const std::uint32_t* cdf, std::uint32_t symbols, int precision,
                              AliasBucket* aliases, std::uint16_t* slots) {
  const std::uint32_t buckets = 1u << alias_bucket_bits(symbols);
  const std::uint32_t size = (1u << precision) / buckets;
  std::vector<std::uint32_t> left(buckets, 0);
  std::vector<std::uint32_t> small, large;
  for (std::uint32_t i = 0; i < buckets; ++i) {
    if (i < symbols) left[i] = cdf[i + 1] - cdf[i];
    (left[i] < size ? small : large).push_back(i);
  }
  while (!small.empty()) {
    const std::uint32_t self = small.back();
    small.pop_back();
    const std::uint32_t other = large.back();
    aliases[self].cut = self * size + left[self];
    aliases[self].other = other;
    left[other] -= size - left[self];
    if (left[other] < size) {
      large.pop_back();
      small.push_back(other);
    }
  }
  for (const std::uint32_t self : large) {
    aliases[self].cut = (self + 1) * size;
    aliases[self].other = self;
  }
  // Ranks are given out in ascending order of slots.
  std::vector<std::uint32_t> given(buckets, 0);
  for (std::uint32_t self = 0; self < buckets; ++self) {
    AliasBucket& bucket = aliases[self];
    const std::uint32_t low = self * size;
    bucket.self_shift = static_cast<std::int32_t>(low - given[self]);
    bucket.other_shift = static_cast<std::int32_t>(bucket.cut - given[bucket.other]);
    for (std::uint32_t slot = low; slot < low + size; ++slot) {
      const std::uint32_t owner = slot < bucket.cut ? self : bucket.other;
      slots[cdf[owner] + given[owner]++] = static_cast<std::uint16_t>(slot);
    }
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
