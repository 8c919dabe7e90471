/// Pop with tables that follow the symbols, sixteen states a vector.
#pragma once

#include "contexts.h"
#include "cpu/prefetch_rows.h"
#include "decoder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// As Avx512Decoder, but a step finds its tables itself: each waits for the step before, so several
/// vectors advance side by side.
template <typename Traits, int kLanes, int kVectors>
class Avx512ContextDecoder : public VectorShape<kLanes, kVectors>, public FollowsSymbols {
  using Shape = VectorShape<kLanes, kVectors>;
  using Shape::kBlock, Shape::kChunk, Shape::kRowVectors;

 public:
  using State = typename Traits::State;
  static constexpr int kRows = Shape::kRows;
  static constexpr int kHistoryBlock = kBlock;
  static constexpr bool kInPlace = true;
  using Tile = FollowingTile<kRows, kHistoryBlock>;

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    return InverseCdf::find(tables, info, slot);
  }

  static int decode_groups(const Tile& tile, const TileRows<State>& rows, int begin, int end,
                           bool& escaped) {
    const Job job{tile, tile.tables, VectorContexts<kRows, kBlock>(tile.history.index().task()),
                  rows.indexes, rows.symbols};
    Working w;
    w.rows.load(rows.states, rows.in);
    for (auto& bases_of_vector : w.bases) {
      for (Vec& base : bases_of_vector) base = _mm512_setzero_si512();
    }
    int group = begin;
    while (group < end && !escaped) {
      group += decode_chunk(job, w, group, smaller(kChunk, end - group), escaped);
    }
    w.rows.store(rows.states, rows.in);
    prefetch_words<kRows>(rows.in, (end - begin) * kLanes);
    return group;
  }

 private:
  struct Job {
    const Tile& tile;
    const TablesView tables;
    const VectorContexts<kRows, kBlock> contexts;
    const std::int32_t* const* bases;
    std::int32_t* const* symbols;
  };

  struct Working {
    RowStates<Traits, Shape> rows;
    Vec bases[kVectors][kChunk];
    Vec symbols[kVectors][kChunk];
  };

  /// The first elements of a chunk that belong to `groups` groups.
  static TORCH_ANS_FN __mmask16 elements_of(int groups) {
    return static_cast<__mmask16>((1u << (groups * kBlock)) - 1u);
  }

  /// Gets up to `groups` <= kChunk groups from `group` on; returns how many.
  static TORCH_ANS_FN int decode_chunk(const Job& job, Working& w, int group, int groups,
                                       bool& escaped) {
    if (job.bases != nullptr) load_bases(job, w, group, groups);
    int step = 0;
    bool sentinel = false;
    for (; step < groups && !sentinel; ++step) {
      TORCH_ANS_UNROLL
      for (int c = 0; c < w.rows.kCursors; ++c)
        sentinel |= decode_step(job, w, c, step, group + step);
    }
    escaped = sentinel;
    store_symbols(job, w, group, step);
    return step;
  }

  static TORCH_ANS_FN void load_bases(const Job& job, Working& w, int group, int groups) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      TORCH_ANS_UNROLL
      for (int block = 0; block < kChunk; ++block) {
        w.bases[v][block] = _mm512_maskz_loadu_epi32(
            elements_of(groups), job.bases[Shape::row(v, block)] + Shape::in_row(v, group));
      }
      transpose_blocks<kBlock>(w.bases[v]);
    }
  }

  /// One group of the rows of cursor c. Returns whether it holds a sentinel.
  static TORCH_ANS_FN bool decode_step(const Job& job, Working& w, int c, int step, int group) {
    const TablesView& tables = job.tables;
    bool sentinel = false;
    Matches matches[kRowVectors];
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) {
      const int v = c * kRowVectors + i;
      std::uint16_t* place =
          job.tile.history.at(Shape::row(v, 0), job.tile.first + Shape::in_row(v, group));
      const Vec entries = job.contexts.entries(w.bases[v][step], place);
      const Vec shifts = bucket_shifts(job, entries);
      const Vec slots = w.rows.slots(v, tables.freq_precision);
      matches[i] = find_16(tables, slots, shifts);
      if (unlikely(matches[i].unresolved != 0)) {
        alignas(64) std::int32_t indexes[kVecSize];
        _mm512_store_si512(indexes, job.contexts.tables(entries));
        sentinel |= resolve(tables, [&](int e) { return indexes[e]; }, slots, matches[i]);
      }
      job.contexts.found(place, matches[i].symbol);
      w.symbols[v][step] = _mm512_add_epi32(matches[i].symbol, offsets_of(job, entries));
    }
    w.rows.advance(c, step, matches, tables.freq_precision);
    return sentinel;
  }

  static TORCH_ANS_FN Vec bucket_shifts(const Job& job, Vec entries) {
    if (job.tile.context_shifts != nullptr) {
      return _mm512_i32gather_epi32(entries, job.tile.context_shifts, 4);
    }
    return _mm512_i32gather_epi32(job.contexts.tables(entries), job.tables.log_bucket_shifts, 4);
  }

  static TORCH_ANS_FN Vec offsets_of(const Job& job, Vec entries) {
    const std::int32_t* offsets = job.tables.offsets;
    if (job.tile.one_offset) return _mm512_set1_epi32(offsets[0]);
    return _mm512_i32gather_epi32(job.contexts.tables(entries), offsets, 4);
  }

  static TORCH_ANS_FN void store_symbols(const Job& job, Working& w, int group, int groups) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      transpose_blocks<kBlock>(w.symbols[v]);
      TORCH_ANS_UNROLL
      for (int block = 0; block < kChunk; ++block) {
        std::int32_t* place = job.symbols[Shape::row(v, block)] + Shape::in_row(v, group);
        _mm512_mask_storeu_epi32(place, elements_of(groups), w.symbols[v][block]);
        prefetch_to_write(place);
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
