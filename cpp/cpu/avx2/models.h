/// What the models for AVX2 share: edges of eight symbols at a time, in the integers of model.h.
#pragma once

#include "cpu/scalar/models.h"
#include "torch_ans/parametric.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

TORCH_ANS_FN __m256 load_floats(const float* values) { return _mm256_loadu_ps(values); }

TORCH_ANS_FN __m256 load_floats(const Float16* values) {
  return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
}

TORCH_ANS_FN __m256 load_floats(const BFloat16* values) {
  const __m128i bits = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
  return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}

/// Calls `body(eight values, which of them count)` for values begin .. end - 1 of a row; those that
/// do not count are some of it.
template <typename Real, typename Body>
TORCH_ANS_FN void for_each_eight(const Real* row, std::uint32_t begin, std::uint32_t end,
                                 const Body& body) {
  std::uint32_t i = begin;
  for (; i + 8 <= end; i += 8) body(load_floats(row + i), _mm256_set1_epi32(-1));
  if (i == end) return;
  Real padded[8];
  for (std::uint32_t k = 0; k < 8; ++k) padded[k] = row[smaller(i + k, end - 1)];
  body(load_floats(padded), first_of_eight(static_cast<int>(end - i)));
}

/// The even and the odd elements, each in 64 bits.
TORCH_ANS_FN __m256i sum_pairs(__m256i values) {
  const __m256i even = _mm256_blend_epi32(values, _mm256_setzero_si256(), 0xaa);
  return _mm256_add_epi64(even, _mm256_srli_epi64(values, 32));
}

TORCH_ANS_FN std::uint64_t sum_of_four(__m256i sums) {
  const __m128i two =
      _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
  return static_cast<std::uint64_t>(_mm_cvtsi128_si64(two) + _mm_extract_epi64(two, 1));
}

/// As `to_fixed` of each; float16 and bfloat16 are floats, too, without rounding.
TORCH_ANS_FN __m256i to_fixed(__m256 values) {
  const __m256i one = _mm256_castps_si256(_mm256_set1_ps(1.0f));
  const __m256i bits = _mm256_max_epi32(_mm256_castps_si256(values), _mm256_setzero_si256());
  const __m256 clamped = _mm256_castsi256_ps(_mm256_min_epi32(bits, one));
  const __m256 scale = _mm256_set1_ps(static_cast<float>(kFixedOne));
  return _mm256_cvttps_epi32(_mm256_mul_ps(clamped, scale));
}

/// As Edges::inner. 2^2 F * spread is 2^32 times what F gives.
TORCH_ANS_FN __m256i inner_edges(const Edges& limits, __m256i i, __m256i fixed) {
  static_assert(kFixedBits == 30, "the upper halves of products are shares");
  const __m256i factor = _mm256_set1_epi32(static_cast<int>(limits.spread << 2));
  const __m256i even = _mm256_srli_epi64(_mm256_mul_epu32(fixed, factor), 32);
  const __m256i odd = _mm256_mul_epu32(_mm256_srli_epi64(fixed, 32), factor);
  const __m256i leaks = _mm256_set1_epi32(-static_cast<int>(limits.leak));  // 0 or all ones
  return _mm256_add_epi32(_mm256_and_si256(i, leaks), _mm256_blend_epi32(even, odd, 0xaa));
}

/// table[at] and table[at + 1] for eight places. Loads one by one: gathers take longer.
template <typename T>
TORCH_ANS_FN void load_neighbours(const T* table, __m256i at, __m256& first, __m256& second) {
  static_assert(sizeof(T) == 4, "pairs of 64 bits");
  const auto pair = [table](long long two) {
    const auto places = static_cast<std::uint64_t>(two);
    const auto* front = reinterpret_cast<const __m128i*>(table + (places & 0xffffffffu));
    const auto* back = reinterpret_cast<const double*>(table + (places >> 32));
    // (The loads of doubles into low halves want them aligned.)
    return _mm_loadh_pd(_mm_castsi128_pd(_mm_loadl_epi64(front)), back);
  };
  const __m128i low = _mm256_castsi256_si128(at);
  const __m128i high = _mm256_extracti128_si256(at, 1);
  const __m256 front = _mm256_castpd_ps(
      _mm256_set_m128d(pair(_mm_cvtsi128_si64(high)), pair(_mm_cvtsi128_si64(low))));
  const __m256 back = _mm256_castpd_ps(
      _mm256_set_m128d(pair(_mm_extract_epi64(high, 1)), pair(_mm_extract_epi64(low, 1))));
  first = _mm256_shuffle_ps(front, back, 0x88);
  second = _mm256_shuffle_ps(front, back, 0xdd);
}

/// `tail_between` of eight distances without their signs.
TORCH_ANS_FN __m256i interpolate_tail(const std::uint32_t* tail, __m256i size) {
  __m256 entries, nexts;
  load_neighbours(tail, _mm256_srli_epi32(size, kFractionBits), entries, nexts);
  const __m256i entry = _mm256_castps_si256(entries);
  const __m256i drop = _mm256_sub_epi32(entry, _mm256_castps_si256(nexts));
  const __m256i fraction = _mm256_and_si256(size, _mm256_set1_epi32((1 << kFractionBits) - 1));
  return _mm256_sub_epi32(entry,
                          _mm256_srli_epi32(_mm256_mullo_epi32(drop, fraction), kFractionBits));
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
