/// Pop with tables that follow the symbols: rows of one lane, eight in a vector, and eight lanes in
/// a vector.
#pragma once

#include "decoder.h"
#include "row_contexts.h"
#include "rows_decoder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// As OneRowsTable; in place of indexes come bases, as in ContextIndex.
template <int kVectors>
class FollowingRowsTables {
 public:
  static constexpr int kRows = 8 * kVectors;
  static constexpr bool kPacked = false;
  static constexpr bool kReadsIndexes = false;
  using Tile = FollowingTile<kRows, 1>;

  explicit FollowingRowsTables(const Tile& tile) : tile_(tile), contexts_(tile) {}

  TORCH_ANS_FN void load(const std::int32_t* const* bases, int group, int groups) {
    contexts_.load(bases, group, groups);
  }

  TORCH_ANS_FN DecoderColumns columns(int v, int step) const {
    const __m256i shifts = contexts_.bucket_shifts(contexts_.entries(v, step));
    return split_columns(_mm256_setzero_si256(), shifts);
  }

  TORCH_ANS_FN auto index_of(const std::int32_t* const* bases, int v, int t) const {
    return [tile = &tile_, bases, v, t](int r) {
      const int row = 8 * v + r;
      return tile->history.find(bases == nullptr ? 0 : bases[row][t], row, tile->first + t);
    };
  }

  /// Adds the offsets here where tables have ones of their own: they follow from contexts, too.
  TORCH_ANS_FN __m256i found(int v, int step, __m256i symbols) {
    const __m256i kept =
        contexts_.have_one_offset()
            ? symbols
            : _mm256_add_epi32(symbols, contexts_.offsets(contexts_.entries(v, step)));
    contexts_.found(v, step, symbols);
    return kept;
  }

  TORCH_ANS_FN __m256i offsets(int /*v*/, int /*r*/) const {
    return contexts_.have_one_offset() ? contexts_.offset() : _mm256_setzero_si256();
  }

 private:
  const Tile& tile_;
  RowsContexts<kVectors, 8> contexts_;
};

template <typename Traits, int kVectors>
struct RowsContextDecoder : RowsDecoder<Traits, kVectors>, FollowsSymbols {
  using Base = RowsDecoder<Traits, kVectors>;
  using Base::kRows;
  using State = typename Traits::State;
  static constexpr int kHistoryBlock = 1;

  static int decode_groups(const FollowingTile<kRows, kHistoryBlock>& tile,
                           const TileRows<State>& rows, int begin, int end, bool& escaped) {
    return Base::decode(FollowingRowsTables<kVectors>(tile), tile.tables, {rows}, begin, end,
                        escaped);
  }
};

/// As NamedLanesTables; in place of indexes come bases, as in ContextIndex.
template <int kRows, int kBlock>
class FollowingLanesTables {
 public:
  static constexpr bool kPacked = false;
  static constexpr bool kReadsIndexes = false;
  using Tile = FollowingTile<kRows, kBlock>;

  FollowingLanesTables(const Tile& tile, const std::int32_t* const* bases)
      : tile_(tile), bases_(bases), contexts_(tile), start_(tile.history.at(0, tile.first)) {}

  TORCH_ANS_FN DecoderColumns columns(int row, int t) const {
    const __m256i base =
        bases_ == nullptr ? _mm256_setzero_si256() : load_blocks<kBlock>({bases_ + row, t});
    const __m256i entries = contexts_.entries(base, place_of(row, t));
    return split_columns(contexts_.offsets(entries), contexts_.bucket_shifts(entries));
  }

  TORCH_ANS_FN auto index_of(int row, int t) const {
    return [tile = &tile_, bases = bases_, row, t](int e) {
      const int r = row + e / kBlock;
      const int lane = t + e % kBlock;
      return tile->history.find(bases == nullptr ? 0 : bases[r][lane], r, tile->first + lane);
    };
  }

  TORCH_ANS_FN void found(int row, int t, __m256i symbols) const {
    contexts_.found(place_of(row, t), symbols);
  }

 private:
  /// A tile starts with a block.
  TORCH_ANS_FN std::uint16_t* place_of(int row, int t) const {
    return start_ + t * kRows + row * kBlock;
  }

  const Tile& tile_;
  const std::int32_t* const* bases_;
  const VectorContexts<kRows, kBlock> contexts_;
  std::uint16_t* start_;
};

template <typename Traits, int kLanes, int kVectors>
struct VectorContextDecoder : VectorDecoder<Traits, kLanes, kVectors>, FollowsSymbols {
  using Base = VectorDecoder<Traits, kLanes, kVectors>;
  using Base::kRows;
  using State = typename Traits::State;
  static constexpr int kHistoryBlock = Base::kBlock;

  static int decode_groups(const FollowingTile<kRows, kHistoryBlock>& tile,
                           const TileRows<State>& rows, int begin, int end, bool& escaped) {
    const FollowingLanesTables<kRows, kHistoryBlock> source(tile, rows.indexes);
    return Base::decode(source, tile.tables, rows, begin, end, escaped);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
