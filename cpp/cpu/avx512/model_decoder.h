/// Pop with models for AVX-512, of rows of 8 lanes or more: sixteen states a vector. The model gets
/// the slots of all vectors at once.
#pragma once

#include "cpu/scalar/model_backends.h"
#include "row_states.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <typename Traits, int kLanes, int kVectors>
class Avx512ModelDecoder
    : public ModelDecoder<Traits, kLanes, VectorShape<kLanes, kVectors>::kRows> {
  using Shape = VectorShape<kLanes, kVectors>;
  using Base = ModelDecoder<Traits, kLanes, Shape::kRows>;
  using Base::kStates;
  static constexpr int kRowVectors = Shape::kRowVectors;
  static_assert(kStates == kVectors * kVecSize, "vectors are full");

 public:
  using Base::kRows;
  using State = typename Traits::State;

  static void decode_groups(const CodingTask& task, const std::int64_t* elements, State* states,
                            const std::uint8_t** in, std::int32_t* symbols, int begin, int end,
                            bool* broken) {
    Working w;
    w.rows.load(states, in);
    for (int group = begin; group < end; ++group) {
      std::int64_t first[kRows];
      for (int r = 0; r < kRows; ++r) first[r] = elements[r] + group * kLanes;
      decode_group(task, first, w, broken);
      const Vec low = splat(static_cast<std::uint32_t>(task.model->low));
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) store_symbols(w, v, low, symbols, group);
    }
    w.rows.store(states, in);
  }

 private:
  struct Working {
    RowStates<Traits, Shape> rows;
    alignas(64) std::uint32_t slots[kStates], symbol[kStates], start[kStates], freq[kStates];
  };

  /// One group of every row, whose elements begin with `first`.
  static TORCH_ANS_FN void decode_group(const CodingTask& task, const std::int64_t* first,
                                        Working& w, bool* broken) {
    const int precision = task.tables.freq_precision;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      _mm512_store_si512(w.slots + v * kVecSize, w.rows.slots(v, precision));
    }
    if (unlikely(!task.functions->find_symbols(*task.model, {first, kRows, kLanes}, w.slots,
                                               {w.symbol, w.start, w.freq}))) {
      Base::find_broken(task, first, w.slots, broken);
    }
    TORCH_ANS_UNROLL
    for (int c = 0; c < w.rows.kCursors; ++c) advance(w, c, precision);
  }

  /// The states of cursor c, and the words that they take.
  static TORCH_ANS_FN void advance(Working& w, int c, int precision) {
    Matches matches[kRowVectors];
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) {
      const int v = c * kRowVectors + i;
      matches[i].freq = _mm512_load_si512(w.freq + v * kVecSize);
      matches[i].rank = _mm512_sub_epi32(_mm512_load_si512(w.slots + v * kVecSize),
                                         _mm512_load_si512(w.start + v * kVecSize));
    }
    w.rows.advance(c, 0, matches, precision);
  }

  static TORCH_ANS_FN void store_symbols(const Working& w, int v, Vec low, std::int32_t* symbols,
                                         int group) {
    alignas(64) std::int32_t values[kVecSize];
    _mm512_store_si512(values, _mm512_add_epi32(_mm512_load_si512(w.symbol + v * kVecSize), low));
    TORCH_ANS_UNROLL
    for (int block = 0; block < Shape::kChunk; ++block) {
      std::memcpy(symbols + Shape::row(v, block) * Base::kTileStride + Shape::in_row(v, group),
                  values + block * Shape::kBlock, Shape::kBlock * sizeof(*values));
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
