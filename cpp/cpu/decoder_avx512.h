/// Pop with sixteen states a vector, lanes and groups in their natural order.
#pragma once

#include "backend_scalar.h"
#include "vectors_avx512.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Sixteen matches; `unresolved` marks those that `InverseCdf::find_slowly` has to answer.
struct Matches {
  Vec symbol;
  Vec freq;
  Vec rank;
  __mmask16 unresolved;
};

/// `InverseCdf::find_fast` of sixteen slots; `bucket_shifts` as in TablesView.
TORCH_ANS_FN Matches find_16(const TablesView& tables, Vec slots, Vec bucket_shifts) {
  const Vec low16 = splat(0xffff);
  const Vec shift = _mm512_and_si512(bucket_shifts, splat(31));
  const Vec number =
      _mm512_add_epi32(_mm512_srli_epi32(bucket_shifts, 5), _mm512_srlv_epi32(slots, shift));
  const Vec first = _mm512_i32gather_epi64(_mm512_castsi512_si256(number), tables.buckets, 8);
  const Vec second =
      _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(number, 1), tables.buckets, 8);
  const Vec even = _mm512_slli_epi32(iota(), 1);
  const Vec low = _mm512_permutex2var_epi32(first, even, second);
  const Vec high = _mm512_permutex2var_epi32(first, _mm512_add_epi32(even, splat(1)), second);
  const Vec in_bucket = _mm512_andnot_si512(_mm512_sllv_epi32(splat(0xffffffffu), shift), slots);
  const Vec cut = _mm512_and_si512(low, low16);
  const Vec before = _mm512_srli_epi32(low, 16);
  const __mmask16 is_b = _mm512_cmpge_epu32_mask(in_bucket, cut);
  Matches matches;
  matches.rank = _mm512_mask_sub_epi32(_mm512_add_epi32(in_bucket, before), is_b, in_bucket, cut);
  matches.freq = _mm512_mask_and_epi32(_mm512_add_epi32(before, cut), is_b, high, low16);
  const Vec symbol_a = _mm512_srli_epi32(high, 16);
  matches.symbol = _mm512_mask_add_epi32(symbol_a, is_b, symbol_a, splat(1));
  matches.unresolved = _mm512_cmpge_epu32_mask(matches.rank, matches.freq);
  return matches;
}

/// Answers the unresolved slots one by one. `index(e)` is the table of element e. Returns whether
/// one of them is a sentinel.
template <typename Index>
TORCH_ANS_NOINLINE bool resolve(const TablesView& tables, const Index& index,
                                std::uint32_t unresolved, const std::uint32_t* slots,
                                std::uint32_t* symbol, std::uint32_t* freq, std::uint32_t* rank) {
  bool sentinel = false;
  for (; unresolved != 0; unresolved &= unresolved - 1) {
    const int e = static_cast<int>(_tzcnt_u32(unresolved));
    const TableInfo& info = tables.info[index(e)];
    const Match match = InverseCdf::find_slowly(tables, info, slots[e]);
    symbol[e] = match.symbol;
    freq[e] = match.freq;
    rank[e] = match.rank;
    sentinel |= match.symbol == info.last;
  }
  return sentinel && tables.bypass_coding;
}

/// Where the rows of a vector read, for blocks that are narrower than the vector: one offset an
/// element, the same for all lanes of a block, from a common base.
template <typename Traits, int kBlock>
class GatherCursor {
 public:
  TORCH_ANS_FN void load(const std::uint8_t* base, const std::uint8_t* const* in) {
    alignas(64) std::int32_t offsets[kVecSize];
    for (int e = 0; e < kVecSize; ++e) {
      offsets[e] = static_cast<std::int32_t>(in[e / kBlock] - base);
    }
    base_ = base;
    offset_ = _mm512_load_si512(offsets);
  }

  TORCH_ANS_FN void store(const std::uint8_t** in) const {
    alignas(64) std::int32_t offsets[kVecSize];
    _mm512_store_si512(offsets, offset_);
    for (int e = 0; e < kVecSize; e += kBlock) in[e / kBlock] = base_ + offsets[e];
  }

  /// The four bytes below what each element has to read, where elements of `one` (and of `two`
  /// once more) read a word each, lower lanes nearer to the end. Moves the rows on.
  TORCH_ANS_FN Vec read(__mmask16 one, __mmask16 two) {
    constexpr int kBytes = static_cast<int>(sizeof(typename Traits::Word));
    if constexpr (kBlock == 1) {
      const Vec bytes = below(offset_);
      move(one, two, splat(kBytes));
      return bytes;
    }
    const Vec lane = _mm512_and_si512(iota(), splat(kBlock - 1));
    const Vec first = _mm512_sub_epi32(iota(), lane);
    const Vec block = _mm512_sllv_epi32(splat((1u << kBlock) - 1u), first);
    const Vec lower =
        _mm512_and_si512(block, _mm512_sub_epi32(_mm512_sllv_epi32(splat(1), iota()), splat(1)));
    Vec taken = count(one, lower);
    Vec total = count(one, block);
    if constexpr (Traits::kMaxWords == 2) {
      taken = _mm512_add_epi32(taken, count(two, lower));
      total = _mm512_add_epi32(total, count(two, block));
    }
    constexpr int kLog = kBytes == 4 ? 2 : kBytes - 1;
    const Vec bytes = below(_mm512_sub_epi32(offset_, _mm512_slli_epi32(taken, kLog)));
    offset_ = _mm512_sub_epi32(offset_, _mm512_slli_epi32(total, kLog));
    return bytes;
  }

 private:
  TORCH_ANS_FN Vec below(Vec offset) const {
    return _mm512_i32gather_epi32(_mm512_sub_epi32(offset, splat(4)), base_, 1);
  }

  TORCH_ANS_FN void move(__mmask16 one, __mmask16 two, Vec bytes) {
    offset_ = _mm512_mask_sub_epi32(offset_, one, offset_, bytes);
    if constexpr (Traits::kMaxWords == 2) {
      offset_ = _mm512_mask_sub_epi32(offset_, two, offset_, bytes);
    }
  }

  static TORCH_ANS_FN Vec count(__mmask16 mask, Vec among) {
    return _mm512_popcnt_epi32(_mm512_and_si512(splat(mask), among));
  }

  const std::uint8_t* base_;
  Vec offset_;
};

/// The same for a vector whose elements are lanes of one row: one load, spread by expansion.
template <typename Traits>
class ExpandCursor {
 public:
  TORCH_ANS_FN explicit ExpandCursor(const std::uint8_t* in) : in_(in) {}

  TORCH_ANS_FN const std::uint8_t* in() const { return in_; }

  /// As GatherCursor::read, the word in the upper bits of each element.
  TORCH_ANS_FN Vec read(__mmask16 one, __mmask16 two) {
    if constexpr (Traits::kWordBits == 32) {
      const Vec words = _mm512_permutexvar_epi32(_mm512_sub_epi32(splat(15), iota()),
                                                 _mm512_loadu_si512(in_ - 64));
      in_ -= 4 * _mm_popcnt_u32(one);
      return _mm512_maskz_expand_epi32(one, words);
    } else if constexpr (Traits::kWordBits == 16) {
      const __m256i order = _mm512_cvtepi32_epi16(_mm512_sub_epi32(splat(15), iota()));
      const __m256i words = _mm256_permutexvar_epi16(
          order, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in_ - 32)));
      in_ -= 2 * _mm_popcnt_u32(one);
      return _mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_expand_epi16(one, words)), 16);
    } else {
      const __m128i turn = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
      const auto* end = reinterpret_cast<const __m128i*>(in_);
      const __m256i bytes = _mm256_setr_m128i(_mm_shuffle_epi8(_mm_loadu_si128(end - 1), turn),
                                              _mm_shuffle_epi8(_mm_loadu_si128(end - 2), turn));
      const std::uint32_t mask = _pdep_u32(one, 0x55555555u) | _pdep_u32(two, 0xaaaaaaaau);
      in_ -= _mm_popcnt_u32(mask);
      // The first byte of an element goes to its top.
      const Vec pairs = _mm512_cvtepu16_epi32(_mm256_maskz_expand_epi8(mask, bytes));
      return _mm512_or_si512(_mm512_slli_epi32(pairs, 24),
                             _mm512_slli_epi32(_mm512_srli_epi32(pairs, 8), 16));
    }
  }

 private:
  const std::uint8_t* in_;
};

/// D(x) of sixteen states, but for the words they lack.
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

  template <typename Cursor>
  TORCH_ANS_FN void get(const Matches& matches, int precision, Cursor& cursor) {
    const __m128i shift = _mm_cvtsi32_si128(precision);
    if constexpr (kWide) {
      const __mmask16 need =
          join_masks(advance_half<0>(matches, shift), advance_half<1>(matches, shift));
      const Vec words = cursor.read(need, 0);
      refill_half<0>(words, static_cast<__mmask8>(need));
      refill_half<1>(words, static_cast<__mmask8>(need >> 8));
    } else {
      Vec& x = x_[0];
      x = _mm512_add_epi32(_mm512_mullo_epi32(matches.freq, _mm512_srl_epi32(x, shift)),
                           matches.rank);
      const __mmask16 one = _mm512_cmplt_epu32_mask(x, splat(Traits::kLowerBound));
      if constexpr (Traits::kMaxWords == 1) {
        const Vec words = _mm512_srli_epi32(cursor.read(one, 0), 16);
        x = _mm512_mask_or_epi32(x, one, _mm512_slli_epi32(x, 16), words);
      } else {
        const __mmask16 two = _mm512_mask_cmplt_epu32_mask(one, x, splat(Traits::kLowerBound >> 8));
        const Vec bytes = cursor.read(one, two);
        x = _mm512_mask_or_epi32(x, one, _mm512_slli_epi32(x, 8), _mm512_srli_epi32(bytes, 24));
        const Vec second = _mm512_and_si512(_mm512_srli_epi32(bytes, 16), splat(0xff));
        x = _mm512_mask_or_epi32(x, two, _mm512_slli_epi32(x, 8), second);
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

template <typename Traits, int kLanes, int kVectors>
class Avx512Decoder : public VectorShape<kLanes, kVectors> {
  using Shape = VectorShape<kLanes, kVectors>;
  using Shape::kBlock, Shape::kChunk, Shape::kRowVectors;

 public:
  using State = typename Traits::State;
  static constexpr int kRows = Shape::kRows;

  static TORCH_ANS_FN Match find(const TablesView& tables, const TableInfo& info,
                                 std::uint32_t slot) {
    return InverseCdf::find(tables, info, slot);
  }

  static int decode_groups(const TablesView& tables, State* states, const std::uint8_t** in,
                           const std::int32_t* indexes, std::int32_t* symbols, int begin, int end,
                           bool& escaped) {
    const Job job{tables, states, in, indexes, symbols};
    if (indexes == nullptr) return decode<TableCount::kOne>(job, begin, end, escaped);
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
    const std::int32_t* indexes;
    std::int32_t* symbols;
  };

  /// All that changes from step to step.
  struct Working {
    DecoderStates<Traits> x[kVectors];
    GatherCursor<Traits, kBlock> gather[kVectors];  // kBlock < 16
    const std::uint8_t* in[kRows];                  // kBlock == 16
    Vec symbols[kVectors][kChunk];
  };

  template <TableCount kCount>
  static int decode(const Job& job, int begin, int end, bool& escaped) {
    const TablesView tables = job.tables;
    Working w;
    for (int v = 0; v < kVectors; ++v) {
      w.x[v].load(job.states + v * kVecSize);
      if constexpr (kBlock < kVecSize) {
        w.gather[v].load(job.in[0], job.in + Shape::row(v, 0));
      }
    }
    for (int r = 0; r < kRows; ++r) w.in[r] = job.in[r];
    int group = begin;
    while (group < end && !escaped) {
      group += decode_chunk<kCount>(tables, job, w, group, smaller(kChunk, end - group), escaped);
    }
    for (int v = 0; v < kVectors; ++v) {
      w.x[v].store(job.states + v * kVecSize);
      if constexpr (kBlock < kVecSize) w.gather[v].store(job.in + Shape::row(v, 0));
    }
    if constexpr (kBlock == kVecSize) {
      for (int r = 0; r < kRows; ++r) job.in[r] = w.in[r];
    }
    return group;
  }

  /// Gets up to `groups` <= kChunk groups from `group` on; returns how many.
  template <TableCount kCount>
  static TORCH_ANS_FN int decode_chunk(const TablesView& tables, const Job& job, Working& w,
                                       int group, int groups, bool& escaped) {
    Vec bucket_shifts[kVectors][kChunk];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      TORCH_ANS_UNROLL
      for (int block = 0; block < kChunk; ++block) {
        bucket_shifts[v][block] =
            pick<kCount>(tables.bucket_shifts, row_indexes<kCount>(tables, job, v, block, group));
      }
      if constexpr (kCount != TableCount::kOne) transpose_blocks<kBlock>(bucket_shifts[v]);
    }
    int step = 0;
    bool sentinel = false;
    TORCH_ANS_UNROLL
    for (; step < kChunk; ++step) {
      if (step >= groups || sentinel) break;
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        sentinel |= decode_step(tables, job, w, v, step, group + step, bucket_shifts[v][step]);
      }
    }
    escaped = sentinel;
    store_symbols<kCount>(tables, job, w, group);
    return step;
  }

  /// Sixteen indexes of a row. Past what was asked for they may be anything.
  template <TableCount kCount>
  static TORCH_ANS_FN Vec row_indexes(const TablesView& tables, const Job& job, int v, int block,
                                      int group) {
    if constexpr (kCount == TableCount::kOne) {
      return _mm512_setzero_si512();
    } else {
      const Vec indexes = _mm512_loadu_si512(job.indexes + Shape::element(v, block, group));
      return kCount == TableCount::kFew ? indexes
                                        : _mm512_min_epu32(indexes, splat(tables.num_tables - 1));
    }
  }

  /// One group of the rows of vector v. Returns whether it holds a sentinel.
  static TORCH_ANS_FN bool decode_step(const TablesView& tables, const Job& job, Working& w, int v,
                                       int step, int group, Vec bucket_shifts) {
    const Vec slots = w.x[v].slots(tables.freq_precision);
    Matches matches = find_16(tables, slots, bucket_shifts);
    bool sentinel = false;
    if (unlikely(matches.unresolved != 0)) {
      sentinel = resolve_all(tables, job, v, group, slots, matches);
    }
    if constexpr (kBlock < kVecSize) {
      w.x[v].get(matches, tables.freq_precision, w.gather[v]);
    } else {
      ExpandCursor<Traits> cursor(w.in[Shape::row(v, 0)]);
      w.x[v].get(matches, tables.freq_precision, cursor);
      w.in[Shape::row(v, 0)] = cursor.in();
    }
    w.symbols[v][step] = matches.symbol;
    return sentinel;
  }

  static TORCH_ANS_FN bool resolve_all(const TablesView& tables, const Job& job, int v, int group,
                                       Vec slots, Matches& matches) {
    alignas(64) std::uint32_t slot[kVecSize], symbol[kVecSize], freq[kVecSize], rank[kVecSize];
    _mm512_store_si512(slot, slots);
    _mm512_store_si512(symbol, matches.symbol);
    _mm512_store_si512(freq, matches.freq);
    _mm512_store_si512(rank, matches.rank);
    const auto index = [&](int e) {
      return job.indexes == nullptr
                 ? 0
                 : job.indexes[Shape::element(v, e / kBlock, group) + e % kBlock];
    };
    const bool sentinel = resolve(tables, index, matches.unresolved, slot, symbol, freq, rank);
    matches.symbol = _mm512_load_si512(symbol);
    matches.freq = _mm512_load_si512(freq);
    matches.rank = _mm512_load_si512(rank);
    return sentinel;
  }

  /// Symbols past those decoded are stored too, and overwritten later.
  template <TableCount kCount>
  static TORCH_ANS_FN void store_symbols(const TablesView& tables, const Job& job, Working& w,
                                         int group) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      transpose_blocks<kBlock>(w.symbols[v]);
      TORCH_ANS_UNROLL
      for (int block = 0; block < kChunk; ++block) {
        const Vec offsets =
            pick<kCount>(tables.offsets, row_indexes<kCount>(tables, job, v, block, group));
        _mm512_storeu_si512(job.symbols + Shape::element(v, block, group),
                            _mm512_add_epi32(w.symbols[v][block], offsets));
      }
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
