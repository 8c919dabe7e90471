/// From a slot to its symbol: three ways behind one interface,
/// `Match find(tables, info, slot)` for slots below 2^precision.
#pragma once

#include "torch_ans/config.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// A symbol (counted from the table's first), its freq, and the slot's rank among its slots.
struct Match {
    std::uint32_t symbol;
    std::uint32_t freq;
    std::uint32_t rank;
};

/// The last symbol of [low, high] that starts at or below `slot`. Branch-free halving.
TORCH_ANS_FN std::uint32_t search_cdf(const std::uint32_t* cdf, std::uint32_t low,
                                      std::uint32_t high, std::uint32_t slot) {
    std::uint32_t count = high - low + 1;
    while (count > 1) {
        const std::uint32_t half = count / 2;
        low += half & (0u - opaque(static_cast<std::uint32_t>(cdf[low + half] <= slot)));
        count -= half;
    }
    return low;
}

TORCH_ANS_FN Match match_at(const std::uint32_t* cdf, std::uint32_t symbol, std::uint32_t slot) {
    return {symbol, cdf[symbol + 1] - cdf[symbol], slot - cdf[symbol]};
}

/// No table at all: for few symbols.
struct BinarySearch {
    static TORCH_ANS_FN Match find(const TablesView& tables,
                                   const TableInfo& info, std::uint32_t slot) {
        const std::uint32_t* cdf = tables.cdf + info.base;
        return match_at(cdf, search_cdf(cdf, 0, info.last, slot), slot);
    }
};

/// A sparse inverse of the CDF: buckets of slots that name up to two symbols each.
struct InverseCdf {
    /// `rank >= freq` says that the bucket could not tell: ask `find_slowly`.
    static TORCH_ANS_FN Match find_fast(const TablesView& tables, const TableInfo& info,
                                        std::uint32_t slot) {
        const Bucket bucket = tables.buckets[info.bucket + (slot >> info.shift)];
        const std::uint32_t in_bucket = slot & ((std::uint32_t{1} << info.shift) - 1);
        const auto low = static_cast<std::uint32_t>(bucket);
        const auto high = static_cast<std::uint32_t>(bucket >> 32);
        const std::uint32_t cut = low & 0xffffu;
        const std::uint32_t before = low >> 16;
        const std::uint32_t is_b = opaque(static_cast<std::uint32_t>(in_bucket >= cut));
        const std::uint32_t mask = 0u - is_b;
        const std::uint32_t freq_a = before + cut;
        const std::uint32_t rank_a = before + in_bucket;
        Match match;
        match.symbol = (high >> 16) + is_b;
        match.freq = freq_a ^ ((freq_a ^ (high & 0xffffu)) & mask);
        match.rank = rank_a ^ ((rank_a ^ (in_bucket - cut)) & mask);
        return match;
    }

    static TORCH_ANS_FN Match find_slowly(const TablesView& tables, const TableInfo& info,
                                          std::uint32_t slot) {
        const Bucket bucket = tables.buckets[info.bucket + (slot >> info.shift)];
        const std::uint32_t* cdf = tables.cdf + info.base;
        const auto first = static_cast<std::uint32_t>(bucket >> 48);
        return match_at(cdf, search_cdf(cdf, first, info.last, slot), slot);
    }

    static TORCH_ANS_FN Match find(const TablesView& tables,
                                   const TableInfo& info, std::uint32_t slot) {
        const Match match = find_fast(tables, info, slot);
        return match.rank < match.freq ? match : find_slowly(tables, info, slot);
    }
};

/// Slots in alias order: another format than the two above.
struct AliasTable {
    static TORCH_ANS_FN Match find(const TablesView& tables,
                                   const TableInfo& info, std::uint32_t slot) {
        const std::uint32_t number = slot >> info.shift;
        const AliasBucket& bucket = tables.aliases[info.bucket + number];
        const std::uint32_t is_other = opaque(static_cast<std::uint32_t>(slot >= bucket.cut));
        const std::uint32_t symbol = is_other != 0 ? bucket.other : number;
        const std::int32_t shift = is_other != 0 ? bucket.other_shift : bucket.self_shift;
        const std::uint32_t* cdf = tables.cdf + info.base;
        return {symbol, cdf[symbol + 1] - cdf[symbol],
                slot - static_cast<std::uint32_t>(shift)};
    }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
