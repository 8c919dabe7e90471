/// Pop of one row of one lane, which is bound by the latency of what a symbol waits for.
///
/// Between two loads of a bucket stand a multiplication, the choice between the bucket's symbols
/// A and B, and the choice whether a word enters. Here they wait for as little as they can: the
/// products with both freqs are formed before A or B is known; and a state that takes a word takes
/// its next slot from that word alone, which is known long before.
#pragma once

#include <type_traits>

#include "backends.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <typename Traits>
struct ChainDecoder : ScalarDecoder<Traits, 1, 1, FindByBucket> {
  static_assert(Traits::kMaxWords == 1, "one word or none enters");
  static_assert(Traits::kMaxFreqPrecision <= Traits::kWordBits, "a word holds a whole slot");
  using State = typename Traits::State;

  static int decode_groups(const TablesView& tables, const TileRows<State>& rows, int begin,
                           int end, bool& escaped) {
    return with_tables<0>(rows.indexes, [&](const auto& source) {
      return decode(tables, source, rows, begin, end, escaped);
    });
  }

 private:
  struct Chain {
    State x;
    State low;  ///< its low bits, sooner; the others mean nothing
    const std::uint8_t* in;
    std::uint32_t sentinels;
  };

  template <typename Source>
  static int decode(const TablesView& tables_view, const Source& source_given,
                    const TileRows<State>& rows, int begin, int end, bool& escaped) {
    const TablesView tables = tables_view;
    const Source source = source_given;
    std::int32_t* const symbols = rows.symbols[0];
    Chain chain{rows.states[0], rows.states[0], rows.in[0], 0};
    int t = begin;
    for (; t < end && chain.sentinels == 0; ++t) {
      source.ask_ahead(t);
      const TableInfo& info = tables.info[source.index(0, t)];
      symbols[t] = static_cast<std::int32_t>(get_symbol(tables, info, chain)) + info.offset;
      chain.sentinels &= static_cast<std::uint32_t>(tables.bypass_coding);
    }
    escaped = chain.sentinels != 0;
    rows.states[0] = chain.x;
    rows.in[0] = chain.in;
    return t;
  }

  static TORCH_ANS_FN std::uint32_t get_symbol(const TablesView& tables, const TableInfo& info,
                                               Chain& chain) {
    const int precision = tables.freq_precision;
    const std::uint32_t slot = slot_of(chain.low, precision);
    const std::size_t bucket = slot >> info.shift;
    const auto* table = reinterpret_cast<const std::uint8_t*>(tables.buckets + info.bucket);
    // Four addresses known beforehand, to which loads add the bucket: one sum would come later.
    const auto field = [&](int k) -> State {
      return load<std::uint16_t>(opaque(table + 2 * k) + sizeof(Bucket) * bucket);
    };
    const State freq_a = field(1);
    const State freq_b = field(2);
    const State rank = slot - field(0);
    const State rank_b = opaque(rank - freq_a);
    const State high = chain.x >> precision;
    const State with_a = high * freq_a + rank;
    const State with_b = high * freq_b + rank_b;
    State is_a;
    State next = select_below<State>(rank, freq_a, with_a, with_b, is_a);
    std::uint32_t symbol =
        static_cast<std::uint32_t>(field(3)) + 1u + static_cast<std::uint32_t>(is_a);
    if (unlikely(rank >= freq_a + freq_b)) {
      symbol = search(tables, info, slot);
      const std::uint32_t* cdf = tables.cdf + info.base + symbol;
      next = high * (cdf[1] - cdf[0]) + (slot - cdf[0]);
      chain.sentinels |= static_cast<std::uint32_t>(symbol == info.last);
    }
    refill(chain, next);
    return symbol;
  }

  static TORCH_ANS_FN void refill(Chain& chain, State next) {
    using Word = typename Traits::Word;
    const State word = load<Word>(chain.in - sizeof(Word));
    const auto refilled = static_cast<State>(next << Traits::kWordBits) | word;
    State less;
    chain.low = select_below<State>(next, Traits::kLowerBound, word, next, less);
    chain.x = select_below<State>(next, Traits::kLowerBound, refilled, next);
    chain.in +=
        static_cast<std::int64_t>(sizeof(Word)) * static_cast<std::make_signed_t<State>>(less);
  }

  /// Not inlined: it would take registers from the loop around it.
  static TORCH_ANS_COLD std::uint32_t search(const TablesView& tables, const TableInfo& info,
                                             std::uint32_t slot) {
    return InverseCdf::search_bucket(tables, info, slot);
  }
};

/// One row at a time.
template <typename Traits, int kLanes>
using OneRowDecoder =
    std::conditional_t<kLanes == 1 && Traits::kMaxWords == 1, ChainDecoder<Traits>,
                       ScalarDecoder<Traits, kLanes, 1, FindByBucket>>;

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
