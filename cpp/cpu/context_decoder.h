/// Pop with tables that follow the symbols, without vectors: rows in lockstep.
///
/// A symbol's table hangs on the symbol before it, and that one on its own table: a chain of loads
/// that only other rows fill with work.
#pragma once

#include "backend_scalar.h"
#include "context_index.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The tables of the symbols of one group of lanes, for rows in lockstep, whose contexts lie next
/// to each other.
template <int kRows>
class GroupTables {
 public:
  template <int kBlock>
  GroupTables(const FollowingTile<kRows, kBlock>& tile, const std::int32_t* const* bases)
      : index_(tile.history.index()), bases_(bases), start_(tile.history.at(0, tile.first)) {
    static_assert(kBlock == 1, "rows lie next to each other");
  }

  /// Of row r, at `t` of the tile.
  TORCH_ANS_FN std::uint32_t find(int r, int t) const {
    const std::uint16_t* place = start_ + t * kRows + r;
    const std::int32_t base = bases_ == nullptr ? 0 : bases_[r][t];
    return static_cast<std::uint32_t>(
        index_.find(base, [&](std::int64_t offset) { return *(place - offset * kRows); }));
  }

  /// `symbol` counts from its table's first.
  TORCH_ANS_FN void found(int r, int t, std::uint32_t symbol) const {
    start_[t * kRows + r] = static_cast<std::uint16_t>(smaller(symbol + 1, 0xffffu));
  }

 private:
  const ContextIndex index_;
  const std::int32_t* const* bases_;
  std::uint16_t* start_;
};

/// By whatever the tables have.
struct FindAnyhow {
  static constexpr int kMaxUnrolled = 1;

  template <typename Count>
  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot, std::uint32_t& sentinels) {
    const Match match = tables.aliases != nullptr   ? AliasTable::find(tables, info, slot)
                        : tables.buckets != nullptr ? InverseCdf::find(tables, info, slot)
                                                    : BinarySearch::find(tables, info, slot);
    sentinels |= static_cast<std::uint32_t>(match.symbol == info.last);
    return match;
  }
};

template <typename Traits, int kLanes, int kRows_, typename Find>
struct ContextDecoder : ScalarDecoder<Traits, kLanes, kRows_, Find>, FollowsSymbols {
  using Base = ScalarDecoder<Traits, kLanes, kRows_, Find>;
  using Base::kRows, Base::kTileStride, Base::kUnrolled;
  using State = typename Traits::State;
  static constexpr int kHistoryBlock = 1;

  static int decode_groups(const FollowingTile<kRows, kHistoryBlock>& tile, State* states,
                           const std::uint8_t** ins, const std::int32_t* const* bases,
                           std::int32_t* const* symbols, int begin, int end, bool& escaped) {
    const TablesView tables = tile.tables;
    const GroupTables<kRows> following(tile, bases);
    const int precision = tables.freq_precision;
    std::int32_t* out = symbols[0];
    State x[kRows * kLanes];
    const std::uint8_t* in[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) x[k] = states[k];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) in[r] = ins[r];
    std::uint32_t sentinels = 0;
    int group = begin;
    for (; group < end && sentinels == 0; ++group) {
      for (int first = 0; first < kLanes; first += kUnrolled) {
        TORCH_ANS_UNROLL
        for (int lane = first; lane < first + kUnrolled; ++lane) {
          TORCH_ANS_UNROLL
          for (int r = 0; r < kRows; ++r) {
            const int t = group * kLanes + lane;
            State& state = x[r * kLanes + lane];
            const TableInfo& info = tables.info[following.find(r, t)];
            const auto match =
                Find::template find<State>(tables, info, slot_of(state, precision), sentinels);
            state = get<Traits>(state, match.freq, match.rank, precision, in[r]);
            out[r * kTileStride + t] = static_cast<std::int32_t>(match.symbol) + info.offset;
            following.found(r, t, match.symbol);
          }
        }
      }
      sentinels &= static_cast<std::uint32_t>(tables.bypass_coding);
    }
    escaped = sentinels != 0;
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) states[k] = x[k];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) ins[r] = in[r];
    return group;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
