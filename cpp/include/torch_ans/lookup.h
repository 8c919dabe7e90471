/// From a slot to its symbol: three ways behind one interface,
/// `Match find(tables, info, slot)` for slots below 2^precision.
#pragma once

#include "torch_ans/select.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// A symbol (counted from the table's first), its freq, and the slot's rank among its slots.
template <typename Count>
struct BasicMatch {
  std::uint32_t symbol;
  Count freq;
  Count rank;
};
using Match = BasicMatch<std::uint32_t>;

/// The last symbol of [low, high] that starts at or below `slot`. Branch-free halving. `Cdf` is a
/// pointer, or whatever else has entries.
template <typename Cdf>
TORCH_ANS_FN std::uint32_t search_cdf(const Cdf& cdf, std::uint32_t low, std::uint32_t high,
                                      std::uint32_t slot) {
  std::uint32_t count = high - low + 1;
  while (count > 1) {
    const std::uint32_t half = count / 2;
    low += half & (0u - opaque(static_cast<std::uint32_t>(cdf[low + half] <= slot)));
    count -= half;
  }
  return low;
}

template <typename Cdf>
TORCH_ANS_FN Match match_at(const Cdf& cdf, std::uint32_t symbol, std::uint32_t slot) {
  const std::uint32_t start = cdf[symbol];
  return {symbol, cdf[symbol + 1] - start, slot - start};
}

/// No table at all: for few symbols.
struct BinarySearch {
  template <typename Cdf>
  static TORCH_ANS_FN Match find_in(const Cdf& cdf, std::uint32_t last, std::uint32_t slot) {
    return match_at(cdf, search_cdf(cdf, 0, last, slot), slot);
  }

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    return find_in(tables.cdf + info.base, info.last, slot);
  }
};

/// A sparse inverse of the CDF: buckets of slots that name up to two symbols each.
struct InverseCdf {
  /// `rank >= freq` says that the bucket could not tell: ask `search_bucket`.
  template <typename Count>
  static TORCH_ANS_FN BasicMatch<Count> find_fast(const TablesView& tables, const TableInfo& info,
                                                  std::uint32_t slot) {
    // The fields are loaded one by one: a load costs less than taking a register apart. The
    // part of the address that does not depend on the slot is added first.
    const Bucket* table = opaque(tables.buckets + info.bucket);
    const auto* bucket = reinterpret_cast<const std::uint8_t*>(table + (slot >> info.shift));
    return choose<Count>(load<std::uint16_t>(bucket), load<std::uint16_t>(bucket + 2),
                         load<std::uint16_t>(bucket + 4), load<std::uint16_t>(bucket + 6), slot);
  }

  /// The same for a bucket that is there already.
  static TORCH_ANS_FN Match resolve(Bucket bucket, std::uint32_t slot) {
    const auto low = static_cast<std::uint32_t>(bucket);
    const auto high = static_cast<std::uint32_t>(bucket >> 32);
    return choose<std::uint32_t>(low & 0xffffu, low >> 16, high & 0xffffu, high >> 16, slot);
  }

  /// The symbol alone, for buckets that hold more than two, or one that needs care.
  static TORCH_ANS_FN std::uint32_t search_bucket(const TablesView& tables, const TableInfo& info,
                                                  std::uint32_t slot) {
    const Bucket* bucket = tables.buckets + info.bucket + (slot >> info.shift);
    const std::uint32_t past = ((slot >> info.shift) + 1) << info.shift;
    const auto first = static_cast<std::uint32_t>(bucket[0] >> 48);
    // A bucket is named after the symbol at its start, which the bucket before ends in.
    const std::uint32_t high = past >> tables.freq_precision != 0
                                   ? info.last
                                   : static_cast<std::uint32_t>(bucket[1] >> 48);
    return search_cdf(tables.cdf + info.base, first, high, slot);
  }

  static TORCH_ANS_FN Match find_slowly(const TablesView& tables, const TableInfo& info,
                                        std::uint32_t slot) {
    return match_at(tables.cdf + info.base, search_bucket(tables, info, slot), slot);
  }

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    const Match match = find_fast<std::uint32_t>(tables, info, slot);
    return match.rank < match.freq ? match : find_slowly(tables, info, slot);
  }

 private:
  template <typename Count>
  static TORCH_ANS_FN BasicMatch<Count> choose(std::uint32_t start_a, std::uint32_t freq_a,
                                               std::uint32_t freq_b, std::uint32_t symbol_a,
                                               std::uint32_t slot) {
    const std::uint32_t rank = slot - start_a;
    BasicMatch<Count> match{symbol_a, freq_b, rank - freq_a};
    select_pair_below<Count>(rank, freq_a, freq_a, rank, match.freq, match.rank, match.symbol);
    return match;
  }
};

/// Slots in alias order: another format than the two above.
struct AliasTable {
  /// The symbol of a slot in bucket `number` of the table with this CDF.
  template <typename Cdf>
  static TORCH_ANS_FN Match resolve(const AliasBucket& bucket, std::uint32_t number, const Cdf& cdf,
                                    std::uint32_t slot) {
    const std::uint32_t is_other = opaque(static_cast<std::uint32_t>(slot >= bucket.cut));
    const std::uint32_t symbol = is_other != 0 ? bucket.other : number;
    const std::int32_t shift = is_other != 0 ? bucket.other_shift : bucket.self_shift;
    return {symbol, cdf[symbol + 1] - cdf[symbol], slot - static_cast<std::uint32_t>(shift)};
  }

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    const std::uint32_t number = slot >> info.shift;
    return resolve(tables.aliases[info.bucket + number], number, tables.cdf + info.base, slot);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
