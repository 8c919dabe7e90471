/// Pop of rows of one lane: eight rows in a vector.
#pragma once

#include "cpu/prefetch_rows.h"
#include "row_tables.h"
#include "words.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Takes eight steps at a time: as many symbols of a row are a vector.
template <typename Traits, int kVectors>
struct RowsDecoder : ScalarDecoder<Traits, 1, 8 * kVectors, FindByBucket>, NarrowByPacks {
  static constexpr int kRows = 8 * kVectors;
  static constexpr bool kInPlace = true;
  using State = typename Traits::State;

  static int decode_groups(const TablesView& tables, const TileRows<State>& rows, int begin,
                           int end, bool& escaped) {
    const Job job{rows};
    if (tables.packed_slots != nullptr) {
      return decode(OneRowsTable<true>(tables), tables, job, begin, end, escaped);
    }
    return rows.indexes == nullptr
               ? decode(OneRowsTable<false>(tables), tables, job, begin, end, escaped)
               : decode(NamedRowsTables<kVectors>(tables), tables, job, begin, end, escaped);
  }

 protected:
  struct Job : TileRows<State> {
    alignas(32) std::int32_t taken[kRows] = {};  ///< bytes of each row so far, below 0
  };

  template <typename Source>
  static int decode(Source source, const TablesView& tables_view, Job job, int begin, int end,
                    bool& escaped) {
    const TablesView tables = tables_view;
    Working w(tables);
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) w.x[v].load(job.states + 8 * v);
    w.group = begin;
    while (w.group < end && !escaped) {
      escaped = decode_chunk(source, tables, job, w, smaller(kSteps, end - w.group));
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) w.x[v].store(job.states + 8 * v);
    for (int r = 0; r < kRows; ++r) job.in[r] += job.taken[r];
    return w.group;
  }

 private:
  using Words = WordsAhead<Traits>;
  static constexpr int kSteps = 8;

  struct Working {
    const StepConstants constants;
    EightStates<Traits> x[kVectors];
    Words words[kVectors];
    int group;  ///< those before it are done

    TORCH_ANS_FN explicit Working(const TablesView& tables)
        : constants(step_constants<Traits>(tables.freq_precision)) {}
  };

  /// Of a chunk, step by step. Apart from the rest, as what is indexed by numbers known late stays
  /// in memory.
  using Symbols = __m256i[kVectors][kSteps];

  /// Gets `groups` <= kSteps groups, or those up to a sentinel under bypass: then it returns true.
  template <typename Source>
  static TORCH_ANS_FN bool decode_chunk(Source& source, const TablesView& tables, Job& job,
                                        Working& w, int groups) {
    Symbols symbols;
    source.load(job.indexes, w.group, groups);
    ask_ahead<Source::kReadsIndexes>(job, w.group);
    bool sentinel = false;
    int step = 0;
    while (step < groups && !sentinel) {
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        w.words[v].read({job.in + 8 * v, job.taken + 8 * v});
      }
      TORCH_ANS_UNROLL
      for (int k = 0; k < Words::kSteps; ++k) {
        if (step >= groups || sentinel) break;
        sentinel = decode_step(source, tables, job, w, symbols, step);
        ++step;
      }
    }
    store_symbols(source, job, symbols, w.group, step);
    w.group += step;
    return sentinel && tables.bypass_coding;
  }

  /// One symbol of every row. Returns whether one is a table's last.
  template <typename Source>
  static TORCH_ANS_FN bool decode_step(Source& source, const TablesView& tables, Job& job,
                                       Working& w, Symbols& symbols, int step) {
    DecoderColumns table[kVectors];
    __m256i slots[kVectors];
    VectorMatch matches[kVectors];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      table[v] = source.columns(v, step);
      slots[v] = w.x[v].slots(w.constants);
    }
    find_together<Source::kPacked, kVectors>(tables, table, slots, w.constants.full, matches);
    bool sentinel = false;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (!Source::kPacked) {
        const auto index = source.index_of(job.indexes, v, w.group + step);
        sentinel |= find_rest(tables, index, slots[v], matches[v]);
      }
      symbols[v][step] = source.found(v, step, matches[v].symbol);
      w.x[v].advance(matches[v], w.constants);
      absorb(w.constants, w.x[v], w.words[v], job.taken + 8 * v);
    }
    return sentinel;
  }

  /// More streams meet here than a CPU's prefetchers follow. A line holds two chunks.
  template <bool kIndexes>
  static TORCH_ANS_FN void ask_ahead(const Job& job, int group) {
    constexpr int kBytesAhead = 192;
    constexpr int kAhead = ScalarTile::kTileSymbols + 32;
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (group / kSteps % 2 == 0) {
        prefetch(job.in[r] + job.taken[r] - kBytesAhead);
        if constexpr (kIndexes) prefetch(job.indexes[r] + group + kAhead);
      } else {
        prefetch_to_write(job.symbols[r] + group);
      }
    }
  }

  template <typename Source>
  static TORCH_ANS_FN void store_symbols(const Source& source, const Job& job,
                                         const Symbols& symbols, int group, int groups) {
    for (int v = 0; v < kVectors; ++v) {
      __m256i rows[8];
      transpose_8(symbols[v], rows);
      for (int r = 0; r < 8; ++r) {
        store_first(job.symbols[8 * v + r] + group, groups,
                    _mm256_add_epi32(rows[r], source.offsets(v, r)));
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
