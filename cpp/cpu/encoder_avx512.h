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

/// The slots of four symbols in every fourth element each, from the first on.
TORCH_ANS_FN Vec load_four_pairs(const std::uint16_t* cdf16, const std::uint32_t* ids) {
  const auto low = load<std::uint64_t>(ids);
  const auto high = load<std::uint64_t>(ids + 2);
  const auto pair = [cdf16](std::uint64_t id) { return splat(load<std::uint32_t>(cdf16 + id)); };
  Vec pairs = pair(static_cast<std::uint32_t>(low));
  pairs = _mm512_mask_mov_epi32(pairs, 0x2222, pair(low >> 32));
  pairs = _mm512_mask_mov_epi32(pairs, 0x4444, pair(static_cast<std::uint32_t>(high)));
  return _mm512_mask_mov_epi32(pairs, 0x8888, pair(high >> 32));
}

/// Replaces sixteen ids by the slots of their symbols. Loaded one by one, which takes half as long
/// as a gather; ids that are read back at once would wait for their own store.
TORCH_ANS_FN void replace_by_pairs(const std::uint16_t* cdf16, std::uint32_t* ids) {
  Vec quarter[4];
  TORCH_ANS_UNROLL
  for (int q = 0; q < 4; ++q) quarter[q] = load_four_pairs(cdf16, ids + 4 * q);
  const Vec low = _mm512_mask_mov_epi32(quarter[0], 0xf0f0, quarter[1]);
  const Vec high = _mm512_mask_mov_epi32(quarter[2], 0xf0f0, quarter[3]);
  _mm512_storeu_si512(ids, _mm512_mask_mov_epi32(low, 0xff00, high));
}

/// A column of the tables, kept in registers where it fits.
template <TableCount kCount>
class Column {
 public:
  TORCH_ANS_FN explicit Column(const void* column) : column_(column) {
    const auto* quarters = static_cast<const Vec*>(column);
    if constexpr (kCount == TableCount::kOne) part_[0] = splat(load<std::uint32_t>(column));
    if constexpr (kCount == TableCount::kFew) {
      TORCH_ANS_UNROLL
      for (int q = 0; q < 4; ++q) part_[q] = _mm512_loadu_si512(quarters + q);
    }
  }

  /// Where kFew, an index of 64 or more reads another entry.
  TORCH_ANS_FN Vec pick(Vec index) const {
    if constexpr (kCount == TableCount::kOne) {
      return part_[0];
    } else if constexpr (kCount == TableCount::kFew) {
      const Vec low = _mm512_permutex2var_epi32(part_[0], index, part_[1]);
      const Vec high = _mm512_permutex2var_epi32(part_[2], index, part_[3]);
      return _mm512_mask_mov_epi32(low, _mm512_test_epi32_mask(index, splat(32)), high);
    } else {
      return _mm512_i32gather_epi32(index, column_, 4);
    }
  }

 private:
  const void* column_;
  Vec part_[kCount == TableCount::kFew ? 4 : 1];
};

/// `make_pairs` for full vectors, or the first elements of one.
template <TableCount kCount>
class PairMaker {
 public:
  TORCH_ANS_FN explicit PairMaker(const TablesView& tables)
      : cdf16_(tables.cdf16),
        num_tables_(splat(tables.num_tables)),
        direct_(splat(tables.bypass_coding ? 0 : 1)),
        bases_(tables.bases),
        limits_(tables.limits),
        offsets_(tables.offsets) {}

  /// Writes whole vectors: up to 15 pairs more than asked for. A few rows are walked backwards, as
  /// their tiles are: then hardware sees where they lead.
  template <bool kBackwards>
  TORCH_ANS_FN IdFlags make_all(const TileSource& source, int count, SlotPair* pairs) {
    const int whole = count / kVecSize * kVecSize;
    if (whole < count) {
      const auto present = static_cast<__mmask16>((1u << (count - whole)) - 1);
      const Vec index = source.indexes == nullptr
                            ? splat(0)
                            : _mm512_maskz_loadu_epi32(present, source.indexes + whole);
      make_ids(_mm512_maskz_loadu_epi32(present, source.symbols + whole), index, present,
           pairs + whole);
    }
    for (int done = 0; done < whole; done += kVecSize) {
      const int t = kBackwards ? whole - kVecSize - done : done;
      source.prefetch_next(t);
      const Vec index =
          source.indexes == nullptr ? splat(0) : _mm512_loadu_si512(source.indexes + t);
      make_ids(_mm512_loadu_si512(source.symbols + t), index, 0xffff, pairs + t);
    }
    for (int t = 0; t < count; t += kVecSize) replace_by_pairs(cdf16_, pairs + t);
    return {bad_index_ != 0, outside_ != 0};
  }

 private:
  /// What a bad index picks is not looked up: entry 0 of the CDF is.
  TORCH_ANS_FN void make_ids(Vec symbol, Vec index, __mmask16 present, std::uint32_t* ids) {
    const __mmask16 bad = _mm512_cmpge_epu32_mask(index, num_tables_);
    bad_index_ = static_cast<__mmask16>(bad_index_ | bad);
    if constexpr (kCount == TableCount::kMany) {
      index = _mm512_mask_mov_epi32(index, bad, _mm512_setzero_si512());
    }
    const Vec limit = limits_.pick(index);
    const Vec v = _mm512_sub_epi32(symbol, offsets_.pick(index));
    const Vec last = _mm512_sub_epi32(limit, direct_);
    outside_ =
        static_cast<__mmask16>(outside_ | _mm512_mask_cmpge_epu32_mask(present, v, limit));
    const Vec id = _mm512_add_epi32(bases_.pick(index), _mm512_min_epu32(v, last));
    const Vec safe = _mm512_mask_mov_epi32(id, bad, _mm512_setzero_si512());
    _mm512_storeu_si512(ids, safe);
  }

  const std::uint16_t* cdf16_;
  Vec num_tables_;
  Vec direct_;
  Column<kCount> bases_;
  Column<kCount> limits_;
  Column<kCount> offsets_;
  __mmask16 bad_index_ = 0;
  __mmask16 outside_ = 0;
};

template <typename Traits, int kLanes, int kVectors>
struct Avx512Encoder : VectorShape<kLanes, kVectors>, TakesPairs {
  using Shape = VectorShape<kLanes, kVectors>;
  using Shape::kBlock;
  using Shape::kChunk;
  using Shape::kRows;
  using State = typename Traits::State;
  using Writer = WordWriter<Traits, Shape>;
  static constexpr int kStoreSlack = 64;

  static TORCH_ANS_FN IdFlags make_pairs(const TablesView& tables, const TileSource& source,
                                         int count, SlotPair* pairs) {
    constexpr bool kBackwards = kRows <= 4;
    if (tables.num_tables == 1) {
      return PairMaker<TableCount::kOne>(tables).template make_all<kBackwards>(source, count,
                                                                               pairs);
    }
    if (tables.num_tables <= kFewTables) {
      return PairMaker<TableCount::kFew>(tables).template make_all<kBackwards>(source, count,
                                                                               pairs);
    }
    return PairMaker<TableCount::kMany>(tables).template make_all<kBackwards>(source, count, pairs);
  }

  static TORCH_ANS_FN State put_id(const TablesView& tables, State x, SlotPair pair,
                                   std::uint8_t*& out) {
    return PutByPair::put_id<Traits>(tables, x, pair, out);
  }

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
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = outs[r];
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
                                     const Vec (*pair)[kSteps], int group, int step, Writer& writer) {
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
