/// Where the tables of rows of tANS come from, eight rows in a vector, for a round of kRound
/// symbols at a time.
#pragma once

#include "row_contexts.h"
#include "torch_ans/tans.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Counted from their tables' first.
TORCH_ANS_FN __m256i symbols_of(__m256i entries) {
  return _mm256_and_si256(entries, _mm256_set1_epi32(kTansSentinel - 1));
}

/// Where the tables of a round come from, here where there is one. Vector v has rows
/// 8 * v .. 8 * v + 7; `first` counts from the tile's start, t from the last `load`.
class OneTansTable {
 public:
  explicit OneTansTable(const TablesView& tables) : offset_(_mm256_set1_epi32(tables.offsets[0])) {}

  /// Prepares `count` symbols of each row.
  TORCH_ANS_FN void load(const std::int32_t* const* /*indexes*/, int /*first*/, int /*count*/) {}

  /// Of the tables of the symbols at t, where their slots begin.
  static TORCH_ANS_FN __m256i begins(int /*v*/, int /*t*/) { return _mm256_setzero_si256(); }

  /// Takes the slots' entries; returns what to keep of them.
  static TORCH_ANS_FN __m256i found(int /*v*/, int /*t*/, __m256i entries) { return entries; }

  /// From what was kept of symbols t .. t + 7 of row 8 * v + r to the symbols.
  TORCH_ANS_FN __m256i finish(int /*v*/, int /*r*/, int /*t*/, __m256i kept) const {
    return _mm256_add_epi32(symbols_of(kept), offset_);
  }

 private:
  __m256i offset_;
};

/// Indexes name them. `kAlike`: they have one offset.
template <int kVectors, int kRound, bool kAlike>
class NamedTansTables {
 public:
  explicit NamedTansTables(const TablesView& tables)
      : tables_(tables), precision_(_mm_cvtsi32_si128(tables.freq_precision)) {}

  TORCH_ANS_FN void load(const std::int32_t* const* indexes, int first, int count) {
    for (int v = 0; v < kVectors; ++v) {
      for (int t = 0; t < kRound; t += 8) {
        __m256i begins[8];
        TORCH_ANS_UNROLL
        for (int r = 0; r < 8; ++r) {
          const __m256i index = load_first(indexes[8 * v + r] + first + t, count - t);
          begins[r] = _mm256_sll_epi32(index, precision_);
          if constexpr (!kAlike) offsets_[v][t + r] = load_eight(tables_.offsets, index);
        }
        transpose_8(begins, begins_[v] + t);
      }
    }
  }

  TORCH_ANS_FN __m256i begins(int v, int t) const { return begins_[v][t]; }
  static TORCH_ANS_FN __m256i found(int /*v*/, int /*t*/, __m256i entries) { return entries; }

  TORCH_ANS_FN __m256i finish(int v, int r, int t, __m256i kept) const {
    return _mm256_add_epi32(symbols_of(kept),
                            kAlike ? _mm256_set1_epi32(tables_.offsets[0]) : offsets_[v][t + r]);
  }

 private:
  const TablesView& tables_;
  __m128i precision_;
  __m256i begins_[kVectors][kRound];
  __m256i offsets_[kVectors][kRound];  ///< of row r, from t on: [v][t + r]
};

/// They follow the symbols; in place of indexes come bases, as in ContextIndex.
template <int kVectors, int kRound>
class FollowingTansTables {
 public:
  using Tile = FollowingTile<8 * kVectors, 1>;

  explicit FollowingTansTables(const Tile& tile)
      : tile_(tile), contexts_(tile), precision_(_mm_cvtsi32_si128(tile.tables.freq_precision)) {}

  TORCH_ANS_FN void load(const std::int32_t* const* bases, int first, int count) {
    contexts_.load(bases, first, count);
  }

  TORCH_ANS_FN __m256i begins(int v, int t) {
    tables_[v][t] = contexts_.tables(contexts_.entries(v, t));
    return _mm256_sll_epi32(tables_[v][t], precision_);
  }

  TORCH_ANS_FN __m256i found(int v, int t, __m256i entries) {
    const __m256i symbols = symbols_of(entries);
    contexts_.found(v, t, symbols);
    const std::int32_t* offsets = tile_.tables.offsets;
    return _mm256_add_epi32(symbols, tile_.one_offset ? _mm256_set1_epi32(offsets[0])
                                                      : load_eight(offsets, tables_[v][t]));
  }

  static TORCH_ANS_FN __m256i finish(int /*v*/, int /*r*/, int /*t*/, __m256i symbols) {
    return symbols;
  }

 private:
  const Tile& tile_;
  RowsContexts<kVectors, kRound> contexts_;
  __m128i precision_;
  __m256i tables_[kVectors][kRound];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
