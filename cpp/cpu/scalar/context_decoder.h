/// Pop with tables that follow the symbols, without vectors: rows in lockstep.
///
/// A symbol's table hangs on the symbol before it, and that one on its own table: a chain of loads
/// that only other rows fill with work.
#pragma once

#include "backends.h"
#include "cpu/context_index.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Tables that follow the symbols, for rows in lockstep, whose contexts lie next to each other.
template <int kRows>
class GroupTables {
 public:
  template <int kBlock>
  GroupTables(const FollowingTile<kRows, kBlock>& tile, const std::int32_t* const* bases)
      : index_(tile.history.index()), bases_(bases), start_(tile.history.at(0, tile.first)) {
    static_assert(kBlock == 1, "rows lie next to each other");
  }

  TORCH_ANS_FN std::uint32_t index(int r, int t) const {
    const std::uint16_t* place = start_ + t * kRows + r;
    const std::int32_t base = bases_ == nullptr ? 0 : bases_[r][t];
    return static_cast<std::uint32_t>(
        index_.find(base, [&](std::int64_t offset) { return *(place - offset * kRows); }));
  }

  TORCH_ANS_FN void ask_ahead(int /*t*/) const {}

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
  using Base::kRows;
  using State = typename Traits::State;
  static constexpr int kHistoryBlock = 1;
  static constexpr bool kInPlace = false;

  static int decode_groups(const FollowingTile<kRows, kHistoryBlock>& tile,
                           const TileRows<State>& rows, int begin, int end, bool& escaped) {
    const GroupTables<kRows> following(tile, rows.indexes);
    return Base::decode(tile.tables, following, rows, begin, end, escaped);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
