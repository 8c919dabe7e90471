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

  static int decode_groups(const TablesView& tables, State* states, const std::uint8_t** ins,
                           const std::int32_t* const* indexes, std::int32_t* const* symbols,
                           int begin, int end, bool& escaped) {
    const Job job{states, ins, indexes, symbols};
    if (tables.packed_slots != nullptr) {
      return decode(OneRowsTable<true>(tables), tables, job, begin, end, escaped);
    }
    return indexes == nullptr
               ? decode(OneRowsTable<false>(tables), tables, job, begin, end, escaped)
               : decode(NamedRowsTables<kVectors>(tables), tables, job, begin, end, escaped);
  }

 protected:
  struct Job {
    State* states;
    const std::uint8_t** in;
    const std::int32_t* const* indexes;
    std::int32_t* const* symbols;
    alignas(32) std::int32_t taken[kRows] = {};  ///< bytes of each row so far, below 0
  };

  template <typename Source>
  static int decode(Source source, const TablesView& tables_view, Job job, int begin, int end,
                    bool& escaped) {
    const TablesView tables = tables_view;
    EightStates<Traits> x[kVectors];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v].load(job.states + 8 * v);
    int group = begin;
    while (group < end && !escaped) {
      group += decode_chunk(source, tables, job, x, group, smaller(kSteps, end - group), escaped);
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v].store(job.states + 8 * v);
    for (int r = 0; r < kRows; ++r) job.in[r] += job.taken[r];
    return group;
  }

 private:
  using Words = WordsAhead<Traits>;
  static constexpr int kSteps = 8;

  /// Gets up to `groups` <= kSteps groups from `group` on; returns how many.
  template <typename Source>
  static TORCH_ANS_FN int decode_chunk(Source& source, const TablesView& tables, Job& job,
                                       EightStates<Traits>* x, int group, int groups,
                                       bool& escaped) {
    const StepConstants constants = step_constants<Traits>(tables.freq_precision);
    __m256i symbols[kVectors][kSteps];
    source.load(job.indexes, group, groups);
    ask_ahead<Source::kReadsIndexes>(job, group);
    bool sentinel = false;
    int step = 0;
    while (step < groups && !sentinel) {
      Words words[kVectors];
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        words[v].read({job.in + 8 * v, job.taken + 8 * v});
      }
      TORCH_ANS_UNROLL
      for (int k = 0; k < Words::kSteps; ++k) {
        if (step >= groups || sentinel) break;
        sentinel = decode_step(source, tables, constants, job, x, words, group, step, symbols);
        ++step;
      }
    }
    escaped = sentinel && tables.bypass_coding;
    store_symbols(source, job, symbols, group, step);
    return step;
  }

  /// One symbol of every row. Returns whether one is a table's last.
  template <typename Source>
  static TORCH_ANS_FN bool decode_step(Source& source, const TablesView& tables,
                                       const StepConstants& constants, Job& job,
                                       EightStates<Traits>* x, Words* words, int group, int step,
                                       __m256i (*symbols)[kSteps]) {
    DecoderColumns table[kVectors];
    __m256i slots[kVectors];
    VectorMatch matches[kVectors];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      table[v] = source.columns(v, step);
      slots[v] = x[v].slots(constants);
    }
    find_together<Source::kPacked, kVectors>(tables, table, slots, constants.full, matches);
    bool sentinel = false;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (!Source::kPacked) {
        const auto index = source.index_of(job.indexes, v, group + step);
        sentinel |= find_rest(tables, index, slots[v], matches[v]);
      }
      symbols[v][step] = source.found(v, step, matches[v].symbol);
      x[v].advance(matches[v], constants);
      absorb(constants, x[v], words[v], job.taken + 8 * v);
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
                                         const __m256i (*symbols)[kSteps], int group, int groups) {
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
