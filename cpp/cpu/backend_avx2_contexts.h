/// Pop of rows of one lane with tables that follow the symbols: eight rows in a vector.
#pragma once

#include "backend_avx2_rows.h"
#include "context_index.h"

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

  explicit FollowingRowsTables(const Tile& tile)
      : tile_(tile), contexts_(tile.history.index().task()) {}

  TORCH_ANS_FN void load(const std::int32_t* const* bases, int group, int groups) {
    place_ = tile_.history.at(0, tile_.first + group);
    for (int v = 0; v < kVectors; ++v) {
      __m256i rows[8];
      for (int r = 0; r < 8; ++r) {
        rows[r] = bases == nullptr ? _mm256_setzero_si256()
                                   : _mm256_maskload_epi32(bases[8 * v + r] + group,
                                                           first_of_eight(groups));
      }
      transpose_8(rows, bases_[v]);
    }
  }

  TORCH_ANS_FN DecoderColumns columns(int v, int step) const {
    const __m256i at = entries(v, step);
    const __m256i shifts = tile_.context_shifts != nullptr
                               ? load_eight(tile_.context_shifts, at)
                               : load_eight(tile_.tables.log_bucket_shifts, tables(at));
    return split_columns(_mm256_setzero_si256(), shifts);
  }

  TORCH_ANS_FN auto index_of(const std::int32_t* const* bases, int v, int t) const {
    return [tile = &tile_, bases, v, t](int r) {
      const int row = 8 * v + r;
      return tile->history.find(bases == nullptr ? 0 : bases[row][t], row, tile->first + t);
    };
  }

  TORCH_ANS_FN __m256i found(int v, int step, __m256i symbols) {
    const __m256i kept = tile_.one_offset ? symbols : add_offsets(symbols, entries(v, step));
    const __m256i next = _mm256_sub_epi32(symbols, _mm256_set1_epi32(-1));
    const __m128i contexts =
        _mm_packus_epi32(_mm256_castsi256_si128(next), _mm256_extracti128_si256(next, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(place_of(v, step)), contexts);
    return kept;
  }

  TORCH_ANS_FN __m256i offsets(int /*v*/, int /*r*/) const {
    return _mm256_set1_epi32(tile_.one_offset ? tile_.tables.offsets[0] : 0);
  }

 private:
  TORCH_ANS_FN std::uint16_t* place_of(int v, int step) const {
    return place_ + step * kRows + 8 * v;
  }

  /// Where in ContextTask::tables the tables of eight symbols stand.
  TORCH_ANS_FN __m256i entries(int v, int step) const {
    __m256i at = context(0, v, step);
    for (int k = 1; k < contexts_.order; ++k) {
      at = _mm256_add_epi32(_mm256_mullo_epi32(at, _mm256_set1_epi32(contexts_.sizes[k])),
                            context(k, v, step));
    }
    return _mm256_add_epi32(bases_[v][step], at);
  }

  TORCH_ANS_FN __m256i context(int k, int v, int step) const {
    const std::uint16_t* before = place_of(v, step) - contexts_.offsets[k] * kRows;
    return _mm256_min_epu32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(before))),
        _mm256_set1_epi32(contexts_.sizes[k] - 1));
  }

  TORCH_ANS_FN __m256i tables(__m256i entries) const {
    return load_eight(contexts_.tables, entries);
  }

  TORCH_ANS_FN __m256i add_offsets(__m256i symbols, __m256i entries) const {
    return _mm256_add_epi32(symbols, load_eight(tile_.tables.offsets, tables(entries)));
  }

  const Tile& tile_;
  const ContextTask contexts_;
  std::uint16_t* place_ = nullptr;  ///< where the contexts of the chunk's first symbols go
  __m256i bases_[kVectors][8];
};

template <typename Traits, int kVectors>
struct RowsContextDecoder : RowsDecoder<Traits, kVectors>, FollowsSymbols {
  using Base = RowsDecoder<Traits, kVectors>;
  using Base::kRows;
  using State = typename Traits::State;
  static constexpr int kHistoryBlock = 1;

  static int decode_groups(const FollowingTile<kRows, kHistoryBlock>& tile, State* states,
                           const std::uint8_t** in, const std::int32_t* const* bases,
                           std::int32_t* const* symbols, int begin, int end, bool& escaped) {
    return Base::decode(FollowingRowsTables<kVectors>(tile), tile.tables,
                        {states, in, bases, symbols}, begin, end, escaped);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
