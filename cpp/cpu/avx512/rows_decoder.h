/// Pop of 64-bit states with one lane a row: eight rows in a vector, all in elements of 64 bits.
#pragma once

#include "cpu/scalar/backends.h"
#include "search.h"
#include "torch_ans/inverse_cdf.h"
#include "torch_ans/rans.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

constexpr int kWideSize = 8;

TORCH_ANS_FN Vec splat64(std::uint64_t value) {
  return _mm512_set1_epi64(static_cast<long long>(value));
}

/// Eight matches; `unresolved` marks those that the bucket could not tell.
struct WideMatches {
  Vec symbol;
  Vec freq;
  Vec rank;
  __mmask8 unresolved;
};

/// The 16-bit field number kField of each element.
template <int kField>
TORCH_ANS_FN Vec field(Vec v) {
  constexpr char a = 2 * kField, z = static_cast<char>(0x80);
  const __m128i bytes = _mm_setr_epi8(a, a + 1, z, z, z, z, z, z, a + 8, a + 9, z, z, z, z, z, z);
  return _mm512_shuffle_epi8(v, _mm512_broadcast_i32x4(bytes));
}

/// Eight slots, by the buckets of LogGrid (inverse_cdf.h); `bucket_shifts` as in TablesView.
TORCH_ANS_FN WideMatches find_8(const TablesView& tables, Vec slots, Vec bucket_shifts) {
  const Vec full = splat64((1u << tables.freq_precision) - 1);
  const __mmask8 upper = _mm512_cmpgt_epu64_mask(slots, _mm512_srli_epi64(full, 1));
  const Vec distance = _mm512_mask_xor_epi64(slots, upper, slots, full);
  const Vec first_value = splat64(1u << LogGrid::kFirstOctave);
  // The upper half of an element is 0, and 0.0f then.
  const Vec bits = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_add_epi64(distance, first_value)));
  const Vec from_first =
      _mm512_sub_epi64(bits, _mm512_castps_si512(_mm512_cvtepi32_ps(first_value)));
  const Vec number = _mm512_srlv_epi64(from_first, _mm512_and_si512(bucket_shifts, splat64(31)));
  const Vec step = _mm512_mask_xor_epi64(number, upper, number, splat64(~std::uint64_t{0}));
  const Vec place = _mm512_add_epi64(_mm512_srli_epi64(bucket_shifts, 5), step);
  const Vec buckets = _mm512_i64gather_epi64(place, tables.log_buckets, 8);
  const Vec freq_a = field<1>(buckets);
  const Vec rank_a = _mm512_sub_epi64(slots, field<0>(buckets));
  const __mmask8 is_b = _mm512_cmpge_epu64_mask(rank_a, freq_a);
  WideMatches matches;
  matches.rank = _mm512_mask_sub_epi64(rank_a, is_b, rank_a, freq_a);
  matches.freq = _mm512_mask_mov_epi64(freq_a, is_b, field<2>(buckets));
  const Vec symbol_a = _mm512_srli_epi64(buckets, 48);
  matches.symbol = _mm512_mask_add_epi64(symbol_a, is_b, symbol_a, splat64(1));
  matches.unresolved = _mm512_cmpge_epu64_mask(matches.rank, matches.freq);
  return matches;
}

/// Eight slots that tell all by themselves.
TORCH_ANS_FN WideMatches find_8_packed(const TablesView& tables, Vec slots) {
  const Vec found =
      _mm512_cvtepu32_epi64(_mm512_i64gather_epi32(slots, tables.packed_slots, sizeof(PackedSlot)));
  const Vec low12 = splat64((1u << kPackedSlotPrecision) - 1);
  return {_mm512_srli_epi64(found, 24),
          _mm512_and_si512(_mm512_srli_epi64(found, kPackedSlotPrecision), low12),
          _mm512_and_si512(found, low12), 0};
}

/// As `resolve` (decoder.h).
template <typename Index>
TORCH_ANS_FN bool resolve_8(const TablesView& tables, const Index& index, Vec slots,
                            WideMatches& matches) {
  alignas(64) std::uint64_t slot[kWideSize], symbol[kWideSize];
  _mm512_store_si512(slot, slots);
  _mm512_store_si512(symbol, matches.symbol);
  bool sentinel = false;
  for (std::uint32_t left = matches.unresolved; left != 0; left = _blsr_u32(left)) {
    const auto e = static_cast<int>(_tzcnt_u32(left));
    const TableInfo& info = tables.info[index(e)];
    const Match match = search_cdf16(tables, info.base, static_cast<std::uint32_t>(symbol[e]) - 1,
                                     static_cast<std::uint32_t>(slot[e]));
    const auto one = static_cast<__mmask8>(_blsi_u32(left));
    const auto put = [one](Vec& v, std::uint32_t value) {
      v = _mm512_mask_mov_epi64(v, one, splat64(value));
    };
    put(matches.symbol, match.symbol);
    put(matches.freq, match.freq);
    put(matches.rank, match.rank);
    sentinel |= match.symbol == info.last;
  }
  return sentinel && tables.bypass_coding;
}

/// D(x) of eight states, and where their rows read.
///
/// A state has at least 2^31 between two steps. One that takes a word has 2^15 or more before it
/// and 2^47 after, which the next step leaves at 2^31 or above: no row takes words in two steps
/// running. So two words, loaded ahead, last for kReadSteps steps.
class WideStates {
 public:
  using Traits = Rans64;
  static constexpr int kReadSteps = 4;

  TORCH_ANS_FN void load(const std::uint64_t* states, const std::uint8_t* const* in) {
    x_ = _mm512_loadu_si512(states);
    in_ = _mm512_loadu_si512(in);
  }

  TORCH_ANS_FN void store(std::uint64_t* states) const { _mm512_storeu_si512(states, x_); }
  TORCH_ANS_FN void store_places(const std::uint8_t** in) const { _mm512_storeu_si512(in, in_); }

  TORCH_ANS_FN Vec slots(int precision) const {
    return _mm512_and_si512(x_, splat64((1u << precision) - 1u));
  }

  /// To be called before every kReadSteps calls of `advance`, or fewer. Reads eight bytes: a row
  /// from which a group may be taken has them, as its header and its length stand below the words.
  TORCH_ANS_FN void read() {
    words_ = _mm512_i64gather_epi64(_mm512_sub_epi64(in_, splat64(8)), nullptr, 1);
  }

  TORCH_ANS_FN void advance(const WideMatches& matches, int precision) {
    const Vec high = _mm512_srl_epi64(x_, _mm_cvtsi32_si128(precision));
    x_ = _mm512_add_epi64(_mm512_mullo_epi64(high, matches.freq), matches.rank);
    const __mmask8 need = _mm512_cmplt_epu64_mask(x_, splat64(Traits::kLowerBound));
    x_ = _mm512_mask_shldi_epi64(x_, need, x_, words_, 32);
    words_ = _mm512_mask_slli_epi64(words_, need, words_, 32);
    in_ = _mm512_mask_sub_epi64(in_, need, in_, splat64(4));
  }

 private:
  Vec x_;
  Vec words_;
  Vec in_;
};

/// Eight rows of sixteen 32-bit elements to sixteen columns and back. Column 8 h + 4 u + k is
/// half u of pair 4 h + k.
TORCH_ANS_FN void transpose_quads(const Vec* in, Vec* out) {
  const Vec low_01 = _mm512_unpacklo_epi32(in[0], in[1]);
  const Vec high_01 = _mm512_unpackhi_epi32(in[0], in[1]);
  const Vec low_23 = _mm512_unpacklo_epi32(in[2], in[3]);
  const Vec high_23 = _mm512_unpackhi_epi32(in[2], in[3]);
  out[0] = _mm512_unpacklo_epi64(low_01, low_23);
  out[1] = _mm512_unpackhi_epi64(low_01, low_23);
  out[2] = _mm512_unpacklo_epi64(high_01, high_23);
  out[3] = _mm512_unpackhi_epi64(high_01, high_23);
}

TORCH_ANS_FN void rows_to_columns(const Vec* rows, __m256i* columns) {
  Vec quads[8];
  transpose_quads(rows, quads);
  transpose_quads(rows + 4, quads + 4);
  const Vec front = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11);
  const Vec back = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
  TORCH_ANS_UNROLL
  for (int k = 0; k < 4; ++k) {
    const Vec first = _mm512_permutex2var_epi64(quads[k], front, quads[k + 4]);
    const Vec second = _mm512_permutex2var_epi64(quads[k], back, quads[k + 4]);
    columns[k] = _mm512_castsi512_si256(first);
    columns[4 + k] = _mm512_extracti64x4_epi64(first, 1);
    columns[8 + k] = _mm512_castsi512_si256(second);
    columns[12 + k] = _mm512_extracti64x4_epi64(second, 1);
  }
}

TORCH_ANS_FN void columns_to_rows(const __m256i* columns, Vec* rows) {
  Vec quads[8];
  TORCH_ANS_UNROLL
  for (int k = 0; k < 4; ++k) {
    const Vec first = join(columns[k], columns[4 + k]);
    const Vec second = join(columns[8 + k], columns[12 + k]);
    quads[k] = _mm512_shuffle_i32x4(first, second, 0x88);
    quads[k + 4] = _mm512_shuffle_i32x4(first, second, 0xdd);
  }
  transpose_quads(quads, rows);
  transpose_quads(quads + 4, rows + 4);
}

template <int kVectors>
class Avx512RowsDecoder : public VectorRows<kVectors * kWideSize> {
 public:
  using Avx512RowsDecoder::VectorRows::kRows, Avx512RowsDecoder::VectorRows::kTileSymbols;
  using State = std::uint64_t;
  using Job = TileRows<State>;
  static constexpr bool kInPlace = true;

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    return InverseCdf::find(tables, info, slot);
  }

  static int decode_groups(const TablesView& tables, const Job& job, int begin, int end,
                           bool& escaped) {
    if (tables.packed_slots != nullptr) {
      return decode<TableCount::kOne, true>(tables, job, begin, end, escaped);
    }
    return with_table_count(tables.num_tables, [&](auto count) {
      return decode<count>(tables, job, begin, end, escaped);
    });
  }

 private:
  static constexpr int kChunk = 16;  ///< symbols of a row that come and go in one vector
  static constexpr int kLineSymbols = 16;

  struct Chunk {
    alignas(64) __m256i bucket_shifts[kVectors][kChunk];
    alignas(64) __m256i symbols[kVectors][kChunk];
  };

  template <TableCount kCount, bool kPacked = false>
  static int decode(const TablesView& tables_view, const Job& job, int begin, int end,
                    bool& escaped) {
    const TablesView tables = tables_view;
    WideStates x[kVectors];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      x[v].load(job.states + v * kWideSize, job.in + v * kWideSize);
    }
    int group = begin;
    while (group < end && !escaped) {
      group += decode_chunk<kCount, kPacked>(tables, job, x, group, smaller(kChunk, end - group),
                                             escaped);
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v].store(job.states + v * kWideSize);
    store_places(x, job.in);
    return group;
  }

  static TORCH_ANS_FN void store_places(const WideStates* x, const std::uint8_t** in) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v].store_places(in + v * kWideSize);
  }

  /// Gets up to `groups` <= kChunk groups from `group` on; returns how many.
  template <TableCount kCount, bool kPacked>
  static TORCH_ANS_FN int decode_chunk(const TablesView& tables, const Job& job, WideStates* x,
                                       int group, int groups, bool& escaped) {
    Chunk chunk;
    if constexpr (!kPacked) load_bucket_shifts<kCount>(tables, job, group, groups, chunk);
    store_places(x, job.in);
    int step = 0;
    bool sentinel = false;
    while (step < groups && !sentinel) {
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) x[v].read();
      TORCH_ANS_UNROLL
      for (int k = 0; k < WideStates::kReadSteps; ++k) {
        if (step >= groups || sentinel) break;
        prefetch_share(job, group, step);
        TORCH_ANS_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          sentinel |= decode_step<kPacked>(tables, job, x[v], v, step, group + step, chunk);
        }
        ++step;
      }
    }
    escaped = sentinel;
    store_symbols<kCount>(tables, job, chunk, group, step);
    return step;
  }

  /// Asks for what comes later, a few lines with each step: more streams meet here than a CPU's
  /// prefetchers follow.
  static TORCH_ANS_FN void prefetch_share(const Job& job, int group, int step) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const int row = v * kWideSize + step % kWideSize;
      if (step < kWideSize) {
        prefetch(job.in[row] - kBytesAhead);
        if (job.indexes != nullptr) prefetch(job.indexes[row] + group + kIndexesAhead);
      } else {
        prefetch(job.symbols[row] + group + kSymbolsAhead);
      }
    }
  }

  static constexpr int kBytesAhead = 192;
  static constexpr int kIndexesAhead = kTileSymbols + 2 * kLineSymbols;
  static constexpr int kSymbolsAhead = kTileSymbols;

  static TORCH_ANS_FN __mmask16 first_elements(int count) {
    return static_cast<__mmask16>((1u << count) - 1u);
  }

  /// The indexes of a chunk of a row.
  template <TableCount kCount>
  static TORCH_ANS_FN Vec row_indexes(const Job& job, int row, int group, int groups) {
    if constexpr (kCount == TableCount::kOne) return _mm512_setzero_si512();
    return _mm512_maskz_loadu_epi32(first_elements(groups), job.indexes[row] + group);
  }

  template <TableCount kCount>
  static TORCH_ANS_FN void load_bucket_shifts(const TablesView& tables, const Job& job, int group,
                                              int groups, Chunk& chunk) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      Vec rows[kWideSize];
      TORCH_ANS_UNROLL
      for (int r = 0; r < kWideSize; ++r) {
        rows[r] = pick<kCount>(tables.log_bucket_shifts,
                               row_indexes<kCount>(job, v * kWideSize + r, group, groups));
      }
      rows_to_columns(rows, chunk.bucket_shifts[v]);
    }
  }

  /// One symbol of eight rows. Returns whether one of them is a sentinel.
  template <bool kPacked>
  static TORCH_ANS_FN bool decode_step(const TablesView& tables, const Job& job, WideStates& x,
                                       int v, int step, int group, Chunk& chunk) {
    const Vec slots = x.slots(tables.freq_precision);
    WideMatches matches =
        kPacked ? find_8_packed(tables, slots)
                : find_8(tables, slots, _mm512_cvtepu32_epi64(chunk.bucket_shifts[v][step]));
    bool sentinel = false;
    if (unlikely(matches.unresolved != 0)) {
      const std::int32_t* const* indexes = job.indexes;
      const auto index = [=](int e) {
        return indexes == nullptr ? 0 : indexes[v * kWideSize + e][group];
      };
      sentinel = resolve_8(tables, index, slots, matches);
    }
    chunk.symbols[v][step] = _mm512_cvtepi64_epi32(matches.symbol);
    x.advance(matches, tables.freq_precision);
    return sentinel;
  }

  template <TableCount kCount>
  static TORCH_ANS_FN void store_symbols(const TablesView& tables, const Job& job,
                                         const Chunk& chunk, int group, int groups) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      Vec rows[kWideSize];
      columns_to_rows(chunk.symbols[v], rows);
      TORCH_ANS_UNROLL
      for (int r = 0; r < kWideSize; ++r) {
        const int row = v * kWideSize + r;
        const Vec offsets =
            pick<kCount>(tables.offsets, row_indexes<kCount>(job, row, group, groups));
        _mm512_mask_storeu_epi32(job.symbols[row] + group, first_elements(groups),
                                 _mm512_add_epi32(rows[r], offsets));
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
