/// The contexts of rows that are decoded together, and the tables that follow from them.
#pragma once

#include "cpu/context_index.h"
#include "find.h"
#include "transpose.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Of kCount symbols of each row at a time. Vector v has rows 8 * v .. 8 * v + 7; t counts from the
/// first symbol of the last `load`.
template <int kVectors, int kCount>
class RowsContexts {
 public:
  static constexpr int kRows = 8 * kVectors;
  using Tile = FollowingTile<kRows, 1>;

  explicit RowsContexts(const Tile& tile) : tile_(tile), contexts_(tile.history.index().task()) {}

  /// Prepares `count` symbols of each row, from `first` of the tile on. `bases` may be null.
  TORCH_ANS_FN void load(const std::int32_t* const* bases, int first, int count) {
    place_ = tile_.history.at(0, tile_.first + first);
    for (int v = 0; v < kVectors; ++v) {
      for (int t = 0; t < kCount; t += 8) {
        __m256i rows[8];
        for (int r = 0; r < 8; ++r) {
          rows[r] = bases == nullptr ? _mm256_setzero_si256()
                                     : load_first(bases[8 * v + r] + first + t, count - t);
        }
        transpose_8(rows, bases_[v] + t);
      }
    }
  }

  /// Where in ContextTask::tables the tables of eight symbols stand.
  TORCH_ANS_FN __m256i entries(int v, int t) const {
    __m256i at = context(0, v, t);
    for (int k = 1; k < contexts_.order; ++k) {
      at = _mm256_add_epi32(_mm256_mullo_epi32(at, _mm256_set1_epi32(contexts_.sizes[k])),
                            context(k, v, t));
    }
    return _mm256_add_epi32(bases_[v][t], at);
  }

  TORCH_ANS_FN __m256i tables(__m256i entries) const {
    return load_eight(contexts_.tables, entries);
  }

  /// `symbols` count from their tables' first.
  TORCH_ANS_FN void found(int v, int t, __m256i symbols) {
    const __m256i next = _mm256_sub_epi32(symbols, _mm256_set1_epi32(-1));
    const __m128i contexts =
        _mm_packus_epi32(_mm256_castsi256_si128(next), _mm256_extracti128_si256(next, 1));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(place_of(v, t)), contexts);
  }

 private:
  TORCH_ANS_FN std::uint16_t* place_of(int v, int t) const { return place_ + t * kRows + 8 * v; }

  TORCH_ANS_FN __m256i context(int k, int v, int t) const {
    const std::uint16_t* before = place_of(v, t) - contexts_.offsets[k] * kRows;
    return _mm256_min_epu32(
        _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(before))),
        _mm256_set1_epi32(contexts_.sizes[k] - 1));
  }

  const Tile& tile_;
  const ContextTask contexts_;
  std::uint16_t* place_ = nullptr;  ///< where the contexts of the first symbols go
  __m256i bases_[kVectors][kCount];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
