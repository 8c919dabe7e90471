/// Push for AVX-512: sixteen lanes a vector.
///
/// States sit with the lanes of a row turned round, the highest first: so the words of a step stand
/// in the order in which they are appended, and compressing them is all that is left to do.
#pragma once

#include "backend_scalar.h"
#include "put_avx512.h"
#include "word_writer_avx512.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `make_ids` for full vectors, or the first elements of one.
template <TableCount kCount>
struct IdMaker {
  const TablesView& tables;
  __mmask16 bad_index = 0;
  __mmask16 outside = 0;

  TORCH_ANS_FN void make(const std::int32_t* symbols, const std::int32_t* indexes,
                         __mmask16 present, std::uint32_t* ids) {
    Vec index = _mm512_setzero_si512();
    if constexpr (kCount != TableCount::kOne) {
      index = _mm512_maskz_loadu_epi32(present, indexes);
      const __mmask16 bad = _mm512_cmpge_epu32_mask(index, splat(tables.num_tables));
      bad_index = static_cast<__mmask16>(bad_index | bad);
      if constexpr (kCount == TableCount::kMany) {
        index = _mm512_mask_mov_epi32(index, bad, _mm512_setzero_si512());
      }
    }
    const Vec limit = pick<kCount>(tables.limits, index);
    const Vec v = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(present, symbols),
                                   pick<kCount>(tables.offsets, index));
    const Vec last = _mm512_sub_epi32(limit, splat(tables.bypass_coding ? 0 : 1));
    outside = static_cast<__mmask16>(outside | _mm512_mask_cmpge_epu32_mask(present, v, limit));
    _mm512_storeu_si512(
        ids, _mm512_add_epi32(pick<kCount>(tables.bases, index), _mm512_min_epu32(v, last)));
  }

  /// Writes whole vectors: up to 15 ids more than asked for.
  TORCH_ANS_FN IdFlags make_all(const std::int32_t* symbols, const std::int32_t* indexes, int count,
                                std::uint32_t* ids) {
    int t = 0;
    for (; t + kVecSize <= count; t += kVecSize) make(symbols + t, indexes + t, 0xffff, ids + t);
    if (t < count) {
      const auto present = static_cast<__mmask16>((1u << (count - t)) - 1);
      make(symbols + t, indexes + t, present, ids + t);
    }
    return {bad_index != 0, outside != 0};
  }
};

template <typename Traits, int kLanes, int kVectors>
struct Avx512Encoder : VectorShape<kLanes, kVectors> {
  using Shape = VectorShape<kLanes, kVectors>;
  using Shape::kBlock;
  using Shape::kChunk;
  using Shape::kRows;
  using State = typename Traits::State;
  using Writer = WordWriter<Traits, Shape>;
  static constexpr int kStoreSlack = 64;

  static TORCH_ANS_FN IdFlags make_ids(const TablesView& tables, const std::int32_t* symbols,
                                       const std::int32_t* indexes, int count, std::uint32_t* ids) {
    if (indexes == nullptr) {
      return IdMaker<TableCount::kOne>{tables}.make_all(symbols, symbols, count, ids);
    }
    return tables.num_tables <= kFewTables
               ? IdMaker<TableCount::kFew>{tables}.make_all(symbols, indexes, count, ids)
               : IdMaker<TableCount::kMany>{tables}.make_all(symbols, indexes, count, ids);
  }

  static TORCH_ANS_FN State put_id(const TablesView& tables, State x, std::uint32_t id,
                                   std::uint8_t*& out) {
    return PutByRecord::put_id<Traits>(tables, x, id, out);
  }

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const std::uint32_t* ids, int begin, int end) {
    if constexpr (Traits::kMaxFreqPrecision == 16) {
      if (tables.freq_precision == 16) {
        return encode<true>(tables, states, outs, ids, begin, end);
      }
    }
    encode<false>(tables, states, outs, ids, begin, end);
  }

 private:
  /// Steps whose words leave together.
  static constexpr int kSteps = Writer::kSteps;

  template <bool kTop>
  static void encode(const TablesView& tables_view, State* states, std::uint8_t** outs,
                     const std::uint32_t* ids, int begin, int end) {
    const TablesView tables = tables_view;
    const Vec order = reverse_blocks<kBlock>(iota());
    PutLanes<Traits, kTop> lanes[kVectors];
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) lanes[v].read(states + v * kVecSize, order);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = outs[r];
    while (end > begin) {
      const int steps = smaller(kSteps, end - begin);
      end -= steps;
      encode_block(tables, lanes, out, ids, end, steps);
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) lanes[v].write(states + v * kVecSize, order);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r];
  }

  /// Groups first + steps - 1 .. first of every row.
  template <bool kTop>
  static TORCH_ANS_FN void encode_block(const TablesView& tables, PutLanes<Traits, kTop>* lanes,
                                        std::uint8_t** out, const std::uint32_t* ids, int first,
                                        int steps) {
    Vec id[kVectors][kSteps];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) load_ids(ids, v, first, id[v]);
    Writer writer;
    if constexpr (kSteps == 1) {
      put_group(tables, lanes, id, 0, 0, writer);
    } else {
      if (steps < kSteps) writer.clear();
      for (int step = 0; step < steps; ++step) {
        put_group(tables, lanes, id, steps - 1 - step, step, writer);
      }
    }
    writer.write(out);
  }

  template <bool kTop>
  static TORCH_ANS_FN void put_group(const TablesView& tables, PutLanes<Traits, kTop>* lanes,
                                     const Vec (*id)[kSteps], int group, int step, Writer& writer) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      __mmask16 leaves[2];
      const Vec words = lanes[v].words();
      lanes[v].put(tables, id[v][group], leaves);
      writer.keep(v, step, words, leaves);
    }
  }

  /// The ids of kSteps groups for vector v, group by group.
  static TORCH_ANS_FN void load_ids(const std::uint32_t* ids, int v, int first, Vec* id) {
    TORCH_ANS_UNROLL
    for (int part = 0; part < kSteps; part += kChunk) {
      TORCH_ANS_UNROLL
      for (int b = 0; b < kChunk; ++b) {
        id[part + b] = _mm512_loadu_si512(ids + Shape::element(v, b, first + part));
      }
      transpose_blocks<kBlock>(id + part);
      TORCH_ANS_UNROLL
      for (int b = 0; b < kChunk; ++b) {
        id[part + b] = reverse_blocks<kBlock>(id[part + b]);
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
