/// Pop of rows of one lane: eight rows in a vector.
#pragma once

#include "backend_avx2_states.h"
#include "backend_avx2_transpose.h"
#include "prefetch_rows.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Takes eight steps at a time: as many symbols of a row are a vector.
template <typename Traits, int kVectors>
struct RowsDecoder : ScalarDecoder<Traits, 1, 8 * kVectors, FindByBucket> {
  static constexpr int kRows = 8 * kVectors;
  static constexpr bool kInPlace = true;
  using State = typename Traits::State;

  static int decode_groups(const TablesView& tables, State* states, const std::uint8_t** ins,
                           const std::int32_t* const* indexes, std::int32_t* const* symbols,
                           int begin, int end, bool& escaped) {
    Job job{states, ins, indexes, symbols, {}};
    if (tables.packed_slots != nullptr) return decode<true, true>(tables, job, begin, end, escaped);
    return indexes == nullptr ? decode<true, false>(tables, job, begin, end, escaped)
                              : decode<false, false>(tables, job, begin, end, escaped);
  }

 private:
  using States = EightStates<Traits>;
  static constexpr int kSteps = 8;

  struct Job {
    State* states;
    const std::uint8_t** in;
    const std::int32_t* const* indexes;
    std::int32_t* const* symbols;
    alignas(32) std::int32_t taken[kRows];  ///< bytes of each row so far, below 0
  };

  /// Eight steps from `group` on, by row (`offsets`), or step by step.
  struct Chunk {
    int group;
    DecoderColumns single;  ///< of the only table, where there is one
    __m256i offsets[kVectors][8];
    __m256i bucket_shifts[kVectors][kSteps];
    __m256i symbols[kVectors][kSteps];
  };

  template <bool kSingleTable, bool kPacked>
  static int decode(const TablesView& tables_view, Job& job, int begin, int end, bool& escaped) {
    const TablesView tables = tables_view;
    States x[kVectors];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      x[v].load(job.states + 8 * v);
      store256(job.taken + 8 * v, _mm256_setzero_si256());
    }
    int group = begin;
    while (group < end && !escaped) {
      group += decode_chunk<kSingleTable, kPacked>(tables, job, x, group,
                                                   smaller(kSteps, end - group), escaped);
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v].store(job.states + 8 * v);
    for (int r = 0; r < kRows; ++r) job.in[r] += job.taken[r];
    return group;
  }

  /// Gets up to `groups` <= kSteps groups from `group` on; returns how many.
  template <bool kSingleTable, bool kPacked>
  static TORCH_ANS_FN int decode_chunk(const TablesView& tables, Job& job, States* x, int group,
                                       int groups, bool& escaped) {
    const StepConstants constants = step_constants<Traits>(tables.freq_precision);
    constexpr std::int32_t kFirst[8] = {};
    Chunk chunk;
    chunk.group = group;
    chunk.single = load_decoder_columns(tables, kFirst);
    if constexpr (!kSingleTable) load_columns(tables, job, groups, chunk);
    ask_ahead(job, group);
    bool sentinel = false;
    int step = 0;
    while (step < groups && !sentinel) {
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        x[v].read([&](int r) { return job.in[8 * v + r] + job.taken[8 * v + r]; });
      }
      TORCH_ANS_UNROLL
      for (int k = 0; k < States::kReadSteps; ++k) {
        if (step >= groups || sentinel) break;
        sentinel = decode_step<kSingleTable, kPacked>(tables, constants, job, x, chunk, step);
        ++step;
      }
    }
    escaped = sentinel && tables.bypass_coding;
    store_symbols<kSingleTable>(job, chunk, step);
    return step;
  }

  /// One symbol of every row. Returns whether one is a table's last.
  template <bool kSingleTable, bool kPacked>
  static TORCH_ANS_FN bool decode_step(const TablesView& tables, const StepConstants& constants,
                                       Job& job, States* x, Chunk& chunk, int step) {
    DecoderColumns table[kVectors];
    __m256i slots[kVectors];
    VectorMatch matches[kVectors];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      table[v] =
          kSingleTable ? chunk.single : split_columns(constants.full, chunk.bucket_shifts[v][step]);
      slots[v] = x[v].slots(constants);
    }
    find_together<kPacked, kVectors>(tables, table, slots, constants.full, matches);
    bool sentinel = false;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      if constexpr (!kPacked) {
        const std::int32_t* const* rows = kSingleTable ? nullptr : job.indexes + 8 * v;
        const int place = chunk.group + step;
        const auto index = [=](int r) { return rows == nullptr ? 0 : rows[r][place]; };
        sentinel |= find_rest(tables, index, slots[v], matches[v]);
      }
      chunk.symbols[v][step] = matches[v].symbol;
      __m256i taken = load256(job.taken + 8 * v);
      x[v].advance(matches[v], constants, taken);
      store256(job.taken + 8 * v, taken);
    }
    return sentinel;
  }

  static TORCH_ANS_FN __m256i first_elements(int count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
  }

  static TORCH_ANS_FN void load_columns(const TablesView& tables, const Job& job, int groups,
                                        Chunk& chunk) {
    for (int v = 0; v < kVectors; ++v) {
      __m256i bucket_shifts[8];
      for (int r = 0; r < 8; ++r) {
        const std::int32_t* index = job.indexes[8 * v + r] + chunk.group;
        alignas(32) std::int32_t padded[8];
        if (unlikely(groups < kSteps)) {
          store256(padded, _mm256_maskload_epi32(index, first_elements(groups)));
          index = padded;
        }
        const PackedColumns columns = load_packed_columns(tables, index);
        bucket_shifts[r] = columns.bucket_shift;
        chunk.offsets[v][r] = columns.offset;
      }
      transpose_8(bucket_shifts, chunk.bucket_shifts[v]);
    }
  }

  /// More streams meet here than a CPU's prefetchers follow. A line holds two chunks.
  static TORCH_ANS_FN void ask_ahead(const Job& job, int group) {
    constexpr int kBytesAhead = 192;
    constexpr int kAhead = ScalarTile::kTileSymbols + 32;
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      if (group / kSteps % 2 == 0) {
        prefetch(job.in[r] + job.taken[r] - kBytesAhead);
        if (job.indexes != nullptr) prefetch(job.indexes[r] + group + kAhead);
      } else {
        prefetch_to_write(job.symbols[r] + group);
      }
    }
  }

  template <bool kSingleTable>
  static TORCH_ANS_FN void store_symbols(const Job& job, const Chunk& chunk, int groups) {
    for (int v = 0; v < kVectors; ++v) {
      __m256i rows[8];
      transpose_8(chunk.symbols[v], rows);
      for (int r = 0; r < 8; ++r) {
        std::int32_t* place = job.symbols[8 * v + r] + chunk.group;
        const __m256i row =
            _mm256_add_epi32(rows[r], kSingleTable ? chunk.single.offset : chunk.offsets[v][r]);
        if (unlikely(groups < kSteps)) {
          _mm256_maskstore_epi32(place, first_elements(groups), row);
        } else {
          store256(place, row);
        }
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
