/// Pop with sixteen states a vector, lanes and groups in their natural order.
#pragma once

#include <type_traits>

#include "backend_scalar.h"
#include "lookups_avx512.h"
#include "search_avx512.h"
#include "torch_ans/inverse_cdf.h"
#include "vectors_avx512.h"
#include "word_cursors_avx512.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Sixteen matches; `unresolved` marks those that the bucket could not tell.
struct Matches {
  Vec symbol;
  Vec freq;
  Vec rank;
  __mmask16 unresolved;
};

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
  const Halves bucket = look_up_halves<kLoads>(tables.log_buckets, place);
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

/// D(x) of sixteen states.
template <typename Traits>
class DecoderStates {
  static constexpr bool kWide = sizeof(typename Traits::State) == 8;

 public:
  using State = typename Traits::State;

  TORCH_ANS_FN void load(const State* states) { std::memcpy(x_, states, sizeof(x_)); }
  TORCH_ANS_FN void store(State* states) const { std::memcpy(states, x_, sizeof(x_)); }

  TORCH_ANS_FN Vec slots(int precision) const {
    const Vec low =
        kWide ? join(_mm512_cvtepi64_epi32(x_[0]), _mm512_cvtepi64_epi32(x_[kWide ? 1 : 0]))
              : x_[0];
    return _mm512_and_si512(low, splat((1u << precision) - 1u));
  }

  /// All but the words that the states then lack: a first (`one`), and a second one (`two`).
  TORCH_ANS_FN void advance(const Matches& matches, int precision, __mmask16& one, __mmask16& two) {
    const __m128i shift = _mm_cvtsi32_si128(precision);
    if constexpr (kWide) {
      one = join_masks(advance_half<0>(matches, shift), advance_half<1>(matches, shift));
    } else {
      Vec& x = x_[0];
      x = _mm512_add_epi32(_mm512_mullo_epi32(matches.freq, _mm512_srl_epi32(x, shift)),
                           matches.rank);
      one = _mm512_cmplt_epu32_mask(x, splat(Traits::kLowerBound));
      if constexpr (Traits::kMaxWords == 2) {
        two = _mm512_mask_cmplt_epu32_mask(one, x, splat(Traits::kLowerBound >> 8));
      }
    }
  }

  /// The word of each element, or its two bytes in the upper half, the first one uppermost.
  TORCH_ANS_FN void refill(Vec words, __mmask16 one, __mmask16 two) {
    if constexpr (kWide) {
      refill_half<0>(words, static_cast<__mmask8>(one));
      refill_half<1>(words, static_cast<__mmask8>(one >> 8));
    } else {
      constexpr int kBits = Traits::kWordBits;
      Vec& x = x_[0];
      const Vec first = kBits == 8 ? _mm512_srli_epi32(words, 24) : words;
      x = _mm512_mask_or_epi32(x, one, _mm512_slli_epi32(x, kBits), first);
      if constexpr (Traits::kMaxWords == 2) {
        const Vec second = _mm512_and_si512(_mm512_srli_epi32(words, 16), splat(0xff));
        x = _mm512_mask_or_epi32(x, two, _mm512_slli_epi32(x, kBits), second);
      }
    }
  }

 private:
  template <int kHalf>
  TORCH_ANS_FN __mmask8 advance_half(const Matches& matches, __m128i shift) {
    Vec& x = x_[kHalf];
    const Vec freq = widen<kHalf>(matches.freq);
    const Vec high = _mm512_srl_epi64(x, shift);
    const Vec product = _mm512_add_epi64(
        _mm512_mul_epu32(high, freq),
        _mm512_slli_epi64(_mm512_mul_epu32(_mm512_srli_epi64(high, 32), freq), 32));
    x = _mm512_add_epi64(product, widen<kHalf>(matches.rank));
    return _mm512_cmplt_epu64_mask(x,
                                   _mm512_set1_epi64(static_cast<long long>(Traits::kLowerBound)));
  }

  template <int kHalf>
  TORCH_ANS_FN void refill_half(Vec words, __mmask8 need) {
    Vec& x = x_[kHalf];
    x = _mm512_mask_or_epi64(x, need, _mm512_slli_epi64(x, 32), widen<kHalf>(words));
  }

  Vec x_[kWide ? 2 : 1];
};

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

  static int decode_groups(const TablesView& tables, State* states, const std::uint8_t** in,
                           const std::int32_t* const* indexes, std::int32_t* const* symbols,
                           int begin, int end, bool& escaped) {
    const Job job{tables, states, in, indexes, symbols};
    if (tables.packed_slots != nullptr) {
      return decode<TableCount::kOne, true>(job, begin, end, escaped);
    }
    if (tables.num_tables == 1) return decode<TableCount::kOne>(job, begin, end, escaped);
    if (tables.num_tables <= kFewTables) {
      return decode<TableCount::kFew>(job, begin, end, escaped);
    }
    return decode<TableCount::kMany>(job, begin, end, escaped);
  }

 private:
  struct Job {
    const TablesView& tables;
    State* states;
    const std::uint8_t** in;
    const std::int32_t* const* indexes;
    std::int32_t* const* symbols;
  };

  using Cursor = std::conditional_t<kBlock == kVecSize, ExpandCursor<Traits>,
                                    GatherCursor<Traits, kBlock, kLoads>>;
  static constexpr int kCursors = kVectors / kRowVectors;

  /// All that changes from step to step.
  struct Working {
    DecoderStates<Traits> x[kVectors];
    Cursor cursor[kCursors];
    Vec symbols[kVectors][kChunk];
  };

  template <TableCount kCount, bool kPacked = false>
  static int decode(const Job& job, int begin, int end, bool& escaped) {
    const TablesView tables = job.tables;
    Working w;
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) w.x[v].load(job.states + v * kVecSize);
    TORCH_ANS_UNROLL
    for (int c = 0; c < kCursors; ++c) load_cursor(w.cursor[c], job.in, c);
    int group = begin;
    while (group < end && !escaped) {
      group += decode_chunk<kCount, kPacked>(tables, job, w, group, smaller(kChunk, end - group),
                                             escaped);
    }
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) w.x[v].store(job.states + v * kVecSize);
    TORCH_ANS_UNROLL
    for (int c = 0; c < kCursors; ++c) store_cursor(w.cursor[c], job.in, c);
    return group;
  }

  static TORCH_ANS_FN void load_cursor(Cursor& cursor, const std::uint8_t** in, int c) {
    if constexpr (kBlock == kVecSize) {
      cursor.load(in[c]);
    } else {
      cursor.load(in[0], in + c * kChunk);
    }
  }

  static TORCH_ANS_FN void store_cursor(const Cursor& cursor, const std::uint8_t** in, int c) {
    if constexpr (kBlock == kVecSize) {
      in[c] = cursor.in();
    } else {
      cursor.store(in + c * kChunk);
    }
  }

  /// Gets up to `groups` <= kChunk groups from `group` on; returns how many.
  template <TableCount kCount, bool kPacked>
  static TORCH_ANS_FN int decode_chunk(const TablesView& tables, const Job& job, Working& w,
                                       int group, int groups, bool& escaped) {
    Vec bucket_shifts[kVectors][kChunk];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      TORCH_ANS_UNROLL
      for (int block = 0; block < kChunk; ++block) {
        bucket_shifts[v][block] = pick<kCount>(tables.log_bucket_shifts,
                                               row_indexes<kCount>(job, v, block, group, groups));
      }
      if constexpr (kCount != TableCount::kOne) transpose_blocks<kBlock>(bucket_shifts[v]);
    }
    note_places(w);
    int step = 0;
    bool sentinel = false;
    TORCH_ANS_UNROLL
    for (; step < kChunk; ++step) {
      if (step >= groups || sentinel) break;
      prefetch_share(job, w, group, step);
      TORCH_ANS_UNROLL
      for (int c = 0; c < kCursors; ++c) {
        sentinel |= decode_step<kPacked>(tables, job, w, c, step, group + step, bucket_shifts);
      }
    }
    escaped = sentinel;
    store_symbols<kCount>(tables, job, w, group, step);
    return step;
  }

  static TORCH_ANS_FN void note_places(Working& w) {
    if constexpr (kBlock < kVecSize) {
      TORCH_ANS_UNROLL
      for (int c = 0; c < kCursors; ++c) w.cursor[c].note();
    }
  }

  /// Asks for what one row of each vector needs later. Where rows fill vectors they are few: the
  /// CPU sees to their words itself, and asking for lines to write costs more than it saves. But
  /// loads fill its queues with so much that it does not see far ahead.
  static TORCH_ANS_FN void prefetch_share(const Job& job, const Working& w, int group, int step) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      const int row = Shape::row(v, step);
      const int ahead = Shape::in_row(v, group) + Shape::kTileSymbols;
      if (job.indexes != nullptr) prefetch(job.indexes[row] + ahead + 2 * kVecSize);
      if constexpr (kBlock < kVecSize) {
        w.cursor[v].prefetch_row(step);
        prefetch(job.symbols[row] + ahead);
      } else if constexpr (kLoads) {
        if (v % kRowVectors == 0) w.cursor[v / kRowVectors].prefetch_row();
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
  template <bool kPacked>
  static TORCH_ANS_FN bool decode_step(const TablesView& tables, const Job& job, Working& w, int c,
                                       int step, int group, const Vec (*bucket_shifts)[kChunk]) {
    bool sentinel = false;
    __mmask16 one[kRowVectors] = {};
    __mmask16 two[kRowVectors] = {};
    Vec words[kRowVectors];
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) {
      const int v = c * kRowVectors + i;
      const Vec slots = w.x[v].slots(tables.freq_precision);
      Matches matches = kPacked ? find_packed<kLoads>(tables, slots)
                                : find_16<kLoads>(tables, slots, bucket_shifts[v][step]);
      if (unlikely(matches.unresolved != 0)) {
        const std::int32_t* const* indexes = job.indexes;
        const auto index = [=](int e) {
          return indexes == nullptr
                     ? 0
                     : indexes[Shape::row(v, e / kBlock)][Shape::in_row(v, group) + e % kBlock];
        };
        sentinel |= resolve(tables, index, slots, matches);
      }
      w.symbols[v][step] = matches.symbol;
      w.x[v].advance(matches, tables.freq_precision, one[i], two[i]);
    }
    w.cursor[c].template read<kRowVectors>(step, one, two, words);
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) w.x[c * kRowVectors + i].refill(words[i], one[i], two[i]);
    return sentinel;
  }

  template <TableCount kCount>
  static TORCH_ANS_FN void store_symbols(const TablesView& tables, const Job& job, Working& w,
                                         int group, int groups) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      transpose_blocks<kBlock>(w.symbols[v]);
      TORCH_ANS_UNROLL
      for (int block = 0; block < kChunk; ++block) {
        const Vec offsets =
            pick<kCount>(tables.offsets, row_indexes<kCount>(job, v, block, group, groups));
        _mm512_mask_storeu_epi32(job.symbols[Shape::row(v, block)] + Shape::in_row(v, group),
                                 elements_of(groups),
                                 _mm512_add_epi32(w.symbols[v][block], offsets));
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
