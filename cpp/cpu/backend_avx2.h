/// What the AVX2 kernels share: eight symbols' tables at a time, and the encoder's front end.
#pragma once

#include <immintrin.h>

#include "backend_scalar.h"
#include "tiles.h"

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

/// Eight tables, column by column.
struct TableColumns {
  __m256i base;
  __m256i offset;
  __m256i bucket;
  __m256i last;
  __m256i shift;
};

TORCH_ANS_FN __m256i load_two_infos(const TablesView& tables, std::int32_t low, std::int32_t high) {
  const auto* infos = reinterpret_cast<const __m128i*>(tables.info);
  const __m256i first = _mm256_castsi128_si256(_mm_loadu_si128(infos + low));
  return _mm256_inserti128_si256(first, _mm_loadu_si128(infos + high), 1);
}

/// Eight 16-byte loads and a transposition: gathers of the columns take longer.
TORCH_ANS_FN TableColumns load_columns(const TablesView& tables, const std::int32_t* indexes) {
  static_assert(sizeof(TableInfo) == 16, "one load a table");
  const __m256i r0 = load_two_infos(tables, indexes[0], indexes[4]);
  const __m256i r1 = load_two_infos(tables, indexes[1], indexes[5]);
  const __m256i r2 = load_two_infos(tables, indexes[2], indexes[6]);
  const __m256i r3 = load_two_infos(tables, indexes[3], indexes[7]);
  const __m256i front01 = _mm256_unpacklo_epi32(r0, r1);  // base, base, offset, offset
  const __m256i front23 = _mm256_unpacklo_epi32(r2, r3);
  const __m256i back01 = _mm256_unpackhi_epi32(r0, r1);  // bucket, bucket, last, last
  const __m256i back23 = _mm256_unpackhi_epi32(r2, r3);
  const __m256i last_shift = _mm256_unpackhi_epi64(back01, back23);  // two halves
  return {_mm256_unpacklo_epi64(front01, front23), _mm256_unpackhi_epi64(front01, front23),
          _mm256_unpacklo_epi64(back01, back23),
          _mm256_and_si256(last_shift, _mm256_set1_epi32(0xffff)),
          _mm256_srli_epi32(last_shift, 16)};
}

/// As in tiles.h. Asks for what is ahead line by line.
TORCH_ANS_FN IdFlags make_ids_avx2(const TablesView& tables, const TileSource& source, int count,
                                   std::uint32_t* ids) {
  constexpr int kLine = 16;
  const std::int32_t* const symbols = source.symbols;
  const std::int32_t* const indexes = source.indexes;
  if (indexes != nullptr && !all_name_tables(indexes, count, tables.num_tables)) {
    return {true, false};
  }
  if (tables.num_tables == 1) {
    for (int t = 0; t < count && source.ahead != 0; t += kLine) source.prefetch_next(t);
    return make_ids(tables, symbols, nullptr, count, ids);
  }
  const __m256i direct = _mm256_set1_epi32(tables.bypass_coding ? 0 : 1);
  __m256i outside = _mm256_setzero_si256();
  int t = 0;
  for (; t + 8 <= count; t += 8) {
    if (t % kLine == 0) source.prefetch_next(t);
    const TableColumns table = load_columns(tables, indexes + t);
    const __m256i v = _mm256_sub_epi32(load256(symbols + t), table.offset);
    const __m256i limit = _mm256_add_epi32(table.last, direct);
    const __m256i is_outside = _mm256_cmpeq_epi32(_mm256_max_epu32(v, limit), v);
    outside = _mm256_or_si256(outside, is_outside);
    store256(ids + t, _mm256_add_epi32(table.base, _mm256_min_epu32(v, table.last)));
  }
  const IdFlags rest = make_ids(tables, symbols + t, indexes + t, count - t, ids + t);
  return {false, rest.outside || _mm256_testz_si256(outside, outside) == 0};
}

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
