/// Pop with models for AVX-512, of rows of 8 lanes or more: sixteen states a vector. The model gets
/// the slots of all vectors at once.
#pragma once

#include "backend_model.h"
#include "decoder_avx512.h"

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
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) w.x[v].load(states + v * kVecSize);
    TORCH_ANS_UNROLL
    for (int c = 0; c < kCursors; ++c) load_cursor(w.cursor[c], in, c);
    for (int group = begin; group < end; ++group) {
      std::int64_t first[kRows];
      for (int r = 0; r < kRows; ++r) first[r] = elements[r] + group * kLanes;
      decode_group(task, first, w, broken);
      const Vec low = splat(static_cast<std::uint32_t>(task.model->low));
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) store_symbols(w, v, low, symbols, group);
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) w.x[v].store(states + v * kVecSize);
    TORCH_ANS_UNROLL
    for (int c = 0; c < kCursors; ++c) store_cursor(w.cursor[c], in, c);
  }

 private:
  static constexpr bool kWhole = Shape::kBlock == kVecSize;  ///< a row fills vectors
  using Cursor =
      std::conditional_t<kWhole, ExpandCursor<Traits>, GatherCursor<Traits, Shape::kBlock>>;
  static constexpr int kCursors = kVectors / kRowVectors;

  struct Working {
    DecoderStates<Traits> x[kVectors];
    Cursor cursor[kCursors];
    alignas(64) std::uint32_t slots[kStates], symbol[kStates], start[kStates], freq[kStates];
  };

  static TORCH_ANS_FN void load_cursor(Cursor& cursor, const std::uint8_t** in, int c) {
    if constexpr (kWhole) {
      cursor.load(in[c]);
    } else {
      cursor.load(in[0], in + c * Shape::kChunk);
    }
  }

  static TORCH_ANS_FN void store_cursor(const Cursor& cursor, const std::uint8_t** in, int c) {
    if constexpr (kWhole) {
      in[c] = cursor.in();
    } else {
      cursor.store(in + c * Shape::kChunk);
    }
  }

  /// One group of every row, whose elements begin with `first`.
  static TORCH_ANS_FN void decode_group(const CodingTask& task, const std::int64_t* first,
                                        Working& w, bool* broken) {
    const int precision = task.tables.freq_precision;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      _mm512_store_si512(w.slots + v * kVecSize, w.x[v].slots(precision));
    }
    if (unlikely(!task.functions->find_symbols(*task.model, {first, kRows, kLanes}, w.slots,
                                               {w.symbol, w.start, w.freq}))) {
      Base::find_broken(task, first, w.slots, broken);
    }
    TORCH_ANS_UNROLL
    for (int c = 0; c < kCursors; ++c) advance(w, c, precision);
  }

  /// The states of cursor c, and the words that they take.
  static TORCH_ANS_FN void advance(Working& w, int c, int precision) {
    __mmask16 one[kRowVectors] = {};
    __mmask16 two[kRowVectors] = {};
    Vec words[kRowVectors];
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) {
      const int v = c * kRowVectors + i;
      const Vec rank = _mm512_sub_epi32(_mm512_load_si512(w.slots + v * kVecSize),
                                        _mm512_load_si512(w.start + v * kVecSize));
      const Matches matches{{}, _mm512_load_si512(w.freq + v * kVecSize), rank, 0};
      w.x[v].advance(matches, precision, one[i], two[i]);
    }
    w.cursor[c].template read<kRowVectors>(0, one, two, words);
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) w.x[c * kRowVectors + i].refill(words[i], one[i], two[i]);
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
