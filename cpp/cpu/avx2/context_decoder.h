/// Pop of rows of one lane with tables that follow the symbols: eight rows in a vector.
#pragma once

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
    const __m256i at = contexts_.entries(v, step);
    const __m256i shifts = tile_.context_shifts != nullptr
                               ? load_eight(tile_.context_shifts, at)
                               : load_eight(tile_.tables.log_bucket_shifts, contexts_.tables(at));
    return split_columns(_mm256_setzero_si256(), shifts);
  }

  TORCH_ANS_FN auto index_of(const std::int32_t* const* bases, int v, int t) const {
    return [tile = &tile_, bases, v, t](int r) {
      const int row = 8 * v + r;
      return tile->history.find(bases == nullptr ? 0 : bases[row][t], row, tile->first + t);
    };
  }

  TORCH_ANS_FN __m256i found(int v, int step, __m256i symbols) {
    const __m256i kept =
        tile_.one_offset ? symbols : add_offsets(symbols, contexts_.entries(v, step));
    contexts_.found(v, step, symbols);
    return kept;
  }

  TORCH_ANS_FN __m256i offsets(int /*v*/, int /*r*/) const {
    return _mm256_set1_epi32(tile_.one_offset ? tile_.tables.offsets[0] : 0);
  }

 private:
  TORCH_ANS_FN __m256i add_offsets(__m256i symbols, __m256i entries) const {
    return _mm256_add_epi32(symbols, load_eight(tile_.tables.offsets, contexts_.tables(entries)));
  }

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

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
