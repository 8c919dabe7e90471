/// The contexts of rows that are decoded together, and the tables that follow from them.
#pragma once

#include "contexts.h"
#include "transpose.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Of kCount symbols of each row at a time. Vector v has rows 8 * v .. 8 * v + 7; t counts from the
/// first symbol of the last `load`.
template <int kVectors, int kCount>
class RowsContexts : public VectorContexts<8 * kVectors, 1> {
  using Base = VectorContexts<8 * kVectors, 1>;

 public:
  static constexpr int kRows = 8 * kVectors;
  using Tile = FollowingTile<kRows, 1>;

  explicit RowsContexts(const Tile& tile) : Base(tile), tile_(tile) {}

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
    return Base::entries(bases_[v][t], place_of(v, t));
  }

  /// `symbols` count from their tables' first.
  TORCH_ANS_FN void found(int v, int t, __m256i symbols) { Base::found(place_of(v, t), symbols); }

 private:
  TORCH_ANS_FN std::uint16_t* place_of(int v, int t) const { return place_ + t * kRows + 8 * v; }

  const Tile& tile_;
  std::uint16_t* place_ = nullptr;  ///< where the contexts of the first symbols go
  __m256i bases_[kVectors][kCount];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
