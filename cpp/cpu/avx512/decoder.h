/// Pop with sixteen states a vector, lanes and groups in their natural order.
#pragma once

#include "cpu/scalar/backends.h"
#include "row_states.h"
#include "search.h"
#include "torch_ans/inverse_cdf.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Sixteen slots, by the buckets of LogGrid (inverse_cdf.h); `bucket_shifts` as in TablesView.
template <bool kLoads = false>
TORCH_ANS_FN Matches find_16(const TablesView& tables, Vec slots, Vec bucket_shifts) {
  const Vec low16 = splat(0xffff);
  const Vec full = splat((1u << tables.freq_precision) - 1);
  const __mmask16 upper = _mm512_cmpgt_epu32_mask(slots, _mm512_srli_epi32(full, 1));
  const Vec distance = _mm512_mask_xor_epi32(slots, upper, slots, full);
  const Vec first_value = splat(1u << LogGrid::kFirstOctave);
  const Vec bits = _mm512_castps_si512(_mm512_cvtepi32_ps(_mm512_add_epi32(distance, first_value)));
  const Vec from_first =
      _mm512_sub_epi32(bits, _mm512_castps_si512(_mm512_cvtepi32_ps(first_value)));
  const Vec number = _mm512_srlv_epi32(from_first, _mm512_and_si512(bucket_shifts, splat(31)));
  const Vec step = _mm512_mask_xor_epi32(number, upper, number, splat(0xffffffffu));
  const Vec place = _mm512_add_epi32(_mm512_srli_epi32(bucket_shifts, 5), step);
  const Halves bucket = look_up_halves<kLoads, 8>(tables.log_buckets, place);
  const Vec freq_a = _mm512_srli_epi32(bucket.low, 16);
  const Vec rank_a = _mm512_sub_epi32(slots, _mm512_and_si512(bucket.low, low16));
  const __mmask16 is_b = _mm512_cmpge_epu32_mask(rank_a, freq_a);
  Matches matches;
  matches.rank = _mm512_mask_sub_epi32(rank_a, is_b, rank_a, freq_a);
  matches.freq = _mm512_mask_and_epi32(freq_a, is_b, bucket.high, low16);
  const Vec symbol_a = _mm512_srli_epi32(bucket.high, 16);
  matches.symbol = _mm512_mask_add_epi32(symbol_a, is_b, symbol_a, splat(1));
  matches.unresolved = _mm512_cmpge_epu32_mask(matches.rank, matches.freq);
  return matches;
}

/// Sixteen slots that tell all by themselves.
template <bool kLoads>
TORCH_ANS_FN Matches find_packed(const TablesView& tables, Vec slots) {
  const Vec found = look_up<kLoads, sizeof(PackedSlot)>(tables.packed_slots, slots);
  const Vec low12 = splat((1u << kPackedSlotPrecision) - 1);
  return {_mm512_srli_epi32(found, 24),
          _mm512_and_si512(_mm512_srli_epi32(found, kPackedSlotPrecision), low12),
          _mm512_and_si512(found, low12), 0};
}

/// Answers the unresolved slots one by one. `index(e)` is the table of element e. Returns whether
/// one of them is a sentinel.
template <typename Index>
TORCH_ANS_FN bool resolve(const TablesView& tables, const Index& index, Vec slots,
                          Matches& matches) {
  alignas(64) std::uint32_t slot[kVecSize], symbol[kVecSize];
  _mm512_store_si512(slot, slots);
  _mm512_store_si512(symbol, matches.symbol);
  bool sentinel = false;
  for (std::uint32_t left = matches.unresolved; left != 0; left = _blsr_u32(left)) {
    const auto e = static_cast<int>(_tzcnt_u32(left));
    const TableInfo& info = tables.info[index(e)];
    // The bucket's second symbol is not it; its first one may have been left out.
    const Match match = search_cdf16(tables, info.base, symbol[e] - 1, slot[e]);
    const auto one = static_cast<__mmask16>(_blsi_u32(left));
    const auto put = [one](Vec& v, std::uint32_t value) {
      v = _mm512_mask_mov_epi32(v, one, splat(value));
    };
    put(matches.symbol, match.symbol);
    put(matches.freq, match.freq);
    put(matches.rank, match.rank);
    sentinel |= match.symbol == info.last;
  }
  return sentinel && tables.bypass_coding;
}

template <typename Traits, int kLanes, int kVectors, bool kLoads = false>
class Avx512Decoder : public VectorShape<kLanes, kVectors> {
  using Shape = VectorShape<kLanes, kVectors>;
  using Shape::kBlock, Shape::kChunk, Shape::kRowVectors;

 public:
  using State = typename Traits::State;
  static constexpr int kRows = Shape::kRows;
  static constexpr bool kInPlace = true;

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    return InverseCdf::find(tables, info, slot);
  }

  static int decode_groups(const TablesView& tables, const TileRows<State>& rows, int begin,
                           int end, bool& escaped) {
    const Job job{rows, tables};
    if (tables.packed_slots != nullptr) {
      return decode<TableCount::kOne, true>(job, begin, end, escaped);
    }
    return with_table_count(tables.num_tables,
                            [&](auto count) { return decode<count>(job, begin, end, escaped); });
  }

 private:
  struct Job : TileRows<State> {
    const TablesView& tables;
  };

  using Rows = RowStates<Traits, Shape, kLoads>;
  using Symbols = Vec[kVectors][kChunk];
  /// Steps in a row of code. With a load for each element all of a chunk would not fit a CPU's
  /// first caches.
  static constexpr int kUnrolled = kLoads ? Rows::kReadSteps : kChunk;

  template <TableCount kCount, bool kPacked = false>
  static int decode(const Job& job, int begin, int end, bool& escaped) {
    const TablesView tables = job.tables;
    Rows x;
    x.load(job.states, job.in);
    int group = begin;
    while (group < end && !escaped) {
      group += decode_chunk<kCount, kPacked>(tables, job, x, group, smaller(kChunk, end - group),
                                             escaped);
    }
    x.store(job.states, job.in);
    return group;
  }

  /// Gets up to `groups` <= kChunk groups from `group` on; returns how many.
  template <TableCount kCount, bool kPacked>
  static TORCH_ANS_FN int decode_chunk(const TablesView& tables, const Job& job, Rows& x, int group,
                                       int groups, bool& escaped) {
    constexpr int kBlocks = kCount == TableCount::kOne ? 1 : kChunk;  // one stands for all
    Vec bucket_shifts[kVectors][kBlocks];
    Symbols symbols;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      TORCH_ANS_UNROLL
      for (int block = 0; block < kBlocks; ++block) {
        bucket_shifts[v][block] = pick<kCount>(tables.log_bucket_shifts,
                                               row_indexes<kCount>(job, v, block, group, groups));
      }
      if constexpr (kCount != TableCount::kOne) transpose_blocks<kBlock>(bucket_shifts[v]);
    }
    x.note();
    int step = 0;
    bool sentinel = false;
    for (int first = 0; first < kChunk && step == first; first += kUnrolled) {
      TORCH_ANS_UNROLL
      for (int k = 0; k < kUnrolled; ++k) {
        if (step >= groups || sentinel) break;
        prefetch_share(job, x, group, first + k);
        TORCH_ANS_UNROLL
        for (int c = 0; c < Rows::kCursors; ++c) {
          sentinel |= decode_step<kPacked>(tables, job, x, c, first + k, group + first + k,
                                           bucket_shifts, symbols);
        }
        step = first + k + 1;
      }
    }
    escaped = sentinel;
    store_symbols<kCount>(tables, job, symbols, group, step);
    return step;
  }

  /// Asks for what one row of each vector needs later. Where rows fill vectors they are few: the
  /// CPU sees to their words itself, and asking for lines to write costs more than it saves. But
  /// loads fill its queues with so much that it does not see far ahead.
  static TORCH_ANS_FN void prefetch_share(const Job& job, const Rows& x, int group, int step) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const int row = Shape::row(v, step);
      const int ahead = Shape::in_row(v, group) + Shape::kTileSymbols;
      if (job.indexes != nullptr) prefetch(job.indexes[row] + ahead + 2 * kVecSize);
      if constexpr (kBlock < kVecSize || kLoads) {
        x.prefetch_row(v, step);
        prefetch(job.symbols[row] + ahead);
      }
    }
  }

  /// The first elements of a chunk that belong to `groups` groups.
  static TORCH_ANS_FN __mmask16 elements_of(int groups) {
    return static_cast<__mmask16>((1u << (groups * kBlock)) - 1u);
  }

  /// The indexes of a chunk of a row.
  template <TableCount kCount>
  static TORCH_ANS_FN Vec row_indexes(const Job& job, int v, int block, int group, int groups) {
    if constexpr (kCount == TableCount::kOne) return _mm512_setzero_si512();
    const std::int32_t* row = job.indexes[Shape::row(v, block)] + Shape::in_row(v, group);
    return _mm512_maskz_loadu_epi32(elements_of(groups), row);
  }

  /// One group of the rows of cursor c. Returns whether it holds a sentinel.
  template <bool kPacked, int kBlocks>
  static TORCH_ANS_FN bool decode_step(const TablesView& tables, const Job& job, Rows& x, int c,
                                       int step, int group, const Vec (*bucket_shifts)[kBlocks],
                                       Symbols& symbols) {
    bool sentinel = false;
    Matches matches[kRowVectors];
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) {
      const int v = c * kRowVectors + i;
      const Vec slots = x.slots(v, tables.freq_precision);
      matches[i] = kPacked ? find_packed<kLoads>(tables, slots)
                           : find_16<kLoads>(tables, slots, bucket_shifts[v][step % kBlocks]);
      if (unlikely(matches[i].unresolved != 0)) {
        const std::int32_t* const* indexes = job.indexes;
        const auto index = [=](int e) {
          return indexes == nullptr
                     ? 0
                     : indexes[Shape::row(v, e / kBlock)][Shape::in_row(v, group) + e % kBlock];
        };
        sentinel |= resolve(tables, index, slots, matches[i]);
      }
      symbols[v][step] = matches[i].symbol;
    }
    x.advance(c, step, matches, tables.freq_precision);
    return sentinel;
  }

  template <TableCount kCount>
  static TORCH_ANS_FN void store_symbols(const TablesView& tables, const Job& job, Symbols& symbols,
                                         int group, int groups) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      transpose_blocks<kBlock>(symbols[v]);
      TORCH_ANS_UNROLL
      for (int block = 0; block < kChunk; ++block) {
        const Vec offsets =
            pick<kCount>(tables.offsets, row_indexes<kCount>(job, v, block, group, groups));
        _mm512_mask_storeu_epi32(job.symbols[Shape::row(v, block)] + Shape::in_row(v, group),
                                 elements_of(groups), _mm512_add_epi32(symbols[v][block], offsets));
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
