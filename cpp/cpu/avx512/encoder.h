/// Push for AVX-512: sixteen lanes a vector.
///
/// States sit with the lanes of a row turned round, the highest first: so the words of a step stand
/// in the order in which they are appended, and compressing them is all that is left to do.
#pragma once

#include "put.h"
#include "symbols.h"
#include "word_writer.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <typename Traits, int kLanes, int kVectors>
struct Avx512Encoder : VectorShape<kLanes, kVectors>,
                       VectorPairs<Traits, VectorShape<kLanes, kVectors>::kRows> {
  using Shape = VectorShape<kLanes, kVectors>;
  using Shape::kBlock;
  using Shape::kChunk;
  using Shape::kRows;
  using State = typename Traits::State;
  using Writer = WordWriter<Traits, Shape>;
  static constexpr int kStoreSlack = 64;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const SlotPair* pairs, int begin, int end) {
    if constexpr (Traits::kMaxFreqPrecision == 16) {
      if (tables.freq_precision == 16) {
        return encode<true>(tables, states, outs, pairs, begin, end);
      }
    }
    encode<false>(tables, states, outs, pairs, begin, end);
  }

 private:
  /// Steps whose words leave together.
  static constexpr int kSteps = Writer::kSteps;

  template <bool kTop>
  static void encode(const TablesView& tables_view, State* states, std::uint8_t** outs,
                     const SlotPair* pairs, int begin, int end) {
    const TablesView tables = tables_view;
    const Vec order = reverse_blocks<kBlock>(iota());
    PutLanes<Traits, kTop> lanes[kVectors];
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) lanes[v].read(states + v * kVecSize, order);
    // (One by one: gathered into a vector they would go through memory with each store.)
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = opaque(outs[r]);
    while (end > begin) {
      const int steps = smaller(kSteps, end - begin);
      end -= steps;
      encode_block(tables, lanes, out, pairs, end, steps);
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) lanes[v].write(states + v * kVecSize, order);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r];
  }

  /// Groups first + steps - 1 .. first of every row.
  template <bool kTop>
  static TORCH_ANS_FN void encode_block(const TablesView& tables, PutLanes<Traits, kTop>* lanes,
                                        std::uint8_t** out, const SlotPair* pairs, int first,
                                        int steps) {
    Vec pair[kVectors][kSteps];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) load_groups(pairs, v, first, pair[v]);
    Writer writer;
    if constexpr (kSteps == 1) {
      put_group(tables, lanes, pair, 0, 0, writer);
    } else {
      if (steps < kSteps) writer.clear();
      for (int step = 0; step < steps; ++step) {
        put_group(tables, lanes, pair, steps - 1 - step, step, writer);
      }
    }
    writer.write(out);
  }

  template <bool kTop>
  static TORCH_ANS_FN void put_group(const TablesView& tables, PutLanes<Traits, kTop>* lanes,
                                     const Vec (*pair)[kSteps], int group, int step,
                                     Writer& writer) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      __mmask16 leaves[2];
      const Vec words = lanes[v].words();
      lanes[v].put(tables, pair[v][group], leaves);
      writer.keep(v, step, words, leaves);
    }
  }

  /// The pairs of kSteps groups for vector v, group by group.
  static TORCH_ANS_FN void load_groups(const SlotPair* pairs, int v, int first, Vec* pair) {
    TORCH_ANS_UNROLL
    for (int part = 0; part < kSteps; part += kChunk) {
      TORCH_ANS_UNROLL
      for (int b = 0; b < kChunk; ++b) {
        pair[part + b] = _mm512_loadu_si512(pairs + Shape::element(v, b, first + part));
      }
      transpose_blocks<kBlock>(pair + part);
      TORCH_ANS_UNROLL
      for (int b = 0; b < kChunk; ++b) {
        pair[part + b] = reverse_blocks<kBlock>(pair[part + b]);
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
