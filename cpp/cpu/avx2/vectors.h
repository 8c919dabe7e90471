/// What the AVX2 kernels share: eight symbols' tables at a time, and the encoder's front end.
#pragma once

#include <immintrin.h>

#include "cpu/scalar/backends.h"
#include "cpu/tiles.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

TORCH_ANS_FN __m256i load256(const void* source) {
  return _mm256_loadu_si256(static_cast<const __m256i*>(source));
}

TORCH_ANS_FN void store256(void* target, __m256i value) {
  _mm256_storeu_si256(static_cast<__m256i*>(target), value);
}

/// The first `count` elements of eight of 32 bits: all ones.
TORCH_ANS_FN __m256i first_of_eight(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

/// Loads the first `count` elements of eight; the others are 0.
TORCH_ANS_FN __m256i load_first(const std::int32_t* source, int count) {
  return unlikely(count < 8) ? _mm256_maskload_epi32(source, first_of_eight(count))
                             : load256(source);
}

TORCH_ANS_FN void store_first(std::int32_t* target, int count, __m256i values) {
  if (unlikely(count < 8)) {
    _mm256_maskstore_epi32(target, first_of_eight(count), values);
  } else {
    store256(target, values);
  }
}

/// A constant to compare with that GCC does not know: with one it does, it makes two instructions
/// of a comparison, in the middle of what a state waits for.
TORCH_ANS_FN __m256i hidden(__m256i value) {
#if defined(__GNUC__)
  asm("" : "+x"(value));
#endif
  return value;
}

/// `b` where an element of 32 bits of `mask` is all ones, `a` where it is 0. (GCC compares a mask
/// that blends bytes with 0 first.)
TORCH_ANS_FN __m256i pick(__m256i a, __m256i b, __m256i mask) {
  return _mm256_castps_si256(
      _mm256_blendv_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), _mm256_castsi256_ps(mask)));
}

/// The same for elements of 64 bits.
TORCH_ANS_FN __m256i pick_64(__m256i a, __m256i b, __m256i mask) {
  return _mm256_castpd_si256(
      _mm256_blendv_pd(_mm256_castsi256_pd(a), _mm256_castsi256_pd(b), _mm256_castsi256_pd(mask)));
}

/// The low halves of elements of 64 bits: undoes what `_mm256_unpacklo_epi32` and
/// `_mm256_unpackhi_epi32` do with zeros.
TORCH_ANS_FN __m256i low_halves(__m256i a, __m256i b) {
  return _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88));
}

TORCH_ANS_FN __m256i high_halves(__m256i a, __m256i b) {
  return _mm256_castps_si256(
      _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0xdd));
}

/// Eight elements of 64 bits, as these take vectors of 32 bits apart: 0, 1, 4, 5 and 2, 3, 6, 7.
struct EightWide {
  __m256i half[2];

  TORCH_ANS_FN void load(const std::uint64_t* source) {
    const __m256i low = load256(source), high = load256(source + 4);
    half[0] = _mm256_permute2x128_si256(low, high, 0x20);
    half[1] = _mm256_permute2x128_si256(low, high, 0x31);
  }

  TORCH_ANS_FN void store(std::uint64_t* target) const {
    store256(target, _mm256_permute2x128_si256(half[0], half[1], 0x20));
    store256(target + 4, _mm256_permute2x128_si256(half[0], half[1], 0x31));
  }
};

/// Elements a, b and c, d of a column of 64 bits. Loads one by one: a gather takes longer.
TORCH_ANS_FN __m256i load_four(const std::uint64_t* column, std::int32_t a, std::int32_t b,
                               std::int32_t c, std::int32_t d) {
  const auto pair = [column](std::int32_t low, std::int32_t high) {
    const auto* values = reinterpret_cast<const double*>(column);
    return _mm_castpd_si128(_mm_loadh_pd(_mm_load_sd(values + low), values + high));
  };
  return _mm256_inserti128_si256(_mm256_castsi128_si256(pair(a, b)), pair(c, d), 1);
}

/// The halves of eight elements of such a column.
struct SplitColumn {
  __m256i low;
  __m256i high;
};

template <typename Indexes>
TORCH_ANS_FN SplitColumn load_column(const std::uint64_t* column, const Indexes& index) {
  const __m256i front = load_four(column, index[0], index[1], index[4], index[5]);
  const __m256i back = load_four(column, index[2], index[3], index[6], index[7]);
  return {low_halves(front, back), high_halves(front, back)};
}

/// Whether an index names a table, for all of a tile: whether the largest does.
TORCH_ANS_FN bool all_name_tables_avx2(const std::int32_t* indexes, int count,
                                       std::uint32_t num_tables) {
  constexpr int kVectors = 4;
  if constexpr (!kChecked) return true;
  __m256i most[kVectors] = {};
  int t = 0;
  for (; t + 8 * kVectors <= count; t += 8 * kVectors) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      most[v] = _mm256_max_epu32(most[v], load256(indexes + t + 8 * v));
    }
  }
  const __m256i all =
      _mm256_max_epu32(_mm256_max_epu32(most[0], most[1]), _mm256_max_epu32(most[2], most[3]));
  const __m256i limit = _mm256_set1_epi32(static_cast<std::int32_t>(num_tables));
  const __m256i bad = _mm256_cmpeq_epi32(_mm256_max_epu32(all, limit), all);
  return _mm256_testz_si256(bad, bad) != 0 && all_name_tables(indexes + t, count - t, num_tables);
}

/// As in tiles.h. Asks for what is ahead line by line.
TORCH_ANS_FN IdFlags make_ids_avx2(const TablesView& tables, const TileSource& source, int count,
                                   std::uint32_t* ids) {
  constexpr int kLine = 16;
  const std::int32_t* const symbols = source.symbols;
  const std::int32_t* const indexes = source.indexes;
  if (indexes != nullptr && !all_name_tables_avx2(indexes, count, tables.num_tables)) {
    return {true, false};
  }
  const bool one_table = tables.num_tables == 1;
  if (one_table || tables.encoder_columns == nullptr) {
    for (int t = 0; t < count && source.ahead != 0; t += kLine) source.prefetch_next(t);
    return make_ids(tables, symbols, one_table ? nullptr : indexes, count, ids);
  }
  const __m256i low_half = _mm256_set1_epi32(0xffff);
  const __m256i direct = _mm256_set1_epi32(tables.bypass_coding ? 0 : 1);
  __m256i outside = _mm256_setzero_si256();
  int t = 0;
  for (; t + 8 <= count; t += 8) {
    if (t % kLine == 0) source.prefetch_next(t);
    const SplitColumn table = load_column(tables.encoder_columns, indexes + t);
    const __m256i last = _mm256_and_si256(table.high, low_half);
    const __m256i v = _mm256_sub_epi32(load256(symbols + t), _mm256_srai_epi32(table.high, 16));
    const __m256i limit = _mm256_add_epi32(last, direct);
    const __m256i is_outside = _mm256_cmpeq_epi32(_mm256_max_epu32(v, limit), v);
    outside = _mm256_or_si256(outside, is_outside);
    store256(ids + t, _mm256_add_epi32(table.low, _mm256_min_epu32(v, last)));
  }
  const IdFlags rest = make_ids(tables, symbols + t, indexes + t, count - t, ids + t);
  return {false, rest.outside || _mm256_testz_si256(outside, outside) == 0};
}

/// Symbols that fit, as bytes.
struct NarrowByPacks : NarrowsBytes {
  static TORCH_ANS_FN void narrow(const std::int32_t* symbols, int count, std::uint8_t* bytes) {
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // a pack goes half by half
    const auto pack = [](const std::int32_t* from) {
      return _mm256_packus_epi32(load256(from), load256(from + 8));
    };
    int t = 0;
    for (; t + 32 <= count; t += 32) {
      const __m256i packed = _mm256_packus_epi16(pack(symbols + t), pack(symbols + t + 16));
      store256(bytes + t, _mm256_permutevar8x32_epi32(packed, order));
    }
    for (; t < count; ++t) bytes[t] = static_cast<std::uint8_t>(symbols[t]);
  }
};

/// The portable loops behind this front end.
template <typename Traits, int kLanes, int kRows>
struct LockstepEncoder : ScalarEncoder<Traits, kLanes, kRows, PutByRecord>, AsksByLine {
  static TORCH_ANS_FN IdFlags make_ids(const TablesView& tables, const TileSource& source,
                                       int count, std::uint32_t* ids) {
    return make_ids_avx2(tables, source, count, ids);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
