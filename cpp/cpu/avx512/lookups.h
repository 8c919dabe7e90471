/// Numbers at sixteen places of memory: by gathers or, for CPUs whose gathers take longer, by a
/// load each.
#pragma once

#include "torch_ans/config.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The two halves of a vector's first and of its second 64 bits.
struct FourPlaces {
  TORCH_ANS_FN explicit FourPlaces(__m128i places)
      : front(_mm_cvtsi128_si64(places)), back(_mm_extract_epi64(places, 1)) {}

  static TORCH_ANS_FN std::int64_t low(long long two) { return static_cast<std::int32_t>(two); }
  static TORCH_ANS_FN std::int64_t high(long long two) { return two >> 32; }

  long long front;
  long long back;
};

TORCH_ANS_FN Vec join_quarters(__m128i q0, __m128i q1, __m128i q2, __m128i q3) {
  return join(_mm256_set_m128i(q1, q0), _mm256_set_m128i(q3, q2));
}

/// The 32 bits at kScale * place bytes from `base` on.
template <bool kLoads, int kScale>
TORCH_ANS_FN Vec look_up(const void* base, Vec place) {
  if constexpr (!kLoads) return _mm512_i32gather_epi32(place, base, kScale);
  const auto at = [base](std::int64_t number) {
    return load<std::int32_t>(static_cast<const std::uint8_t*>(base) + kScale * number);
  };
  const auto four = [at](__m128i quarter) {
    const FourPlaces p(quarter);
    const __m128i front = _mm_cvtsi32_si128(at(p.low(p.front)));
    const __m128i back = _mm_cvtsi32_si128(at(p.low(p.back)));
    return _mm_unpacklo_epi64(_mm_insert_epi32(front, at(p.high(p.front)), 1),
                              _mm_insert_epi32(back, at(p.high(p.back)), 1));
  };
  return join_quarters(
      four(_mm512_castsi512_si128(place)), four(_mm512_extracti32x4_epi32(place, 1)),
      four(_mm512_extracti32x4_epi32(place, 2)), four(_mm512_extracti32x4_epi32(place, 3)));
}

/// The 64 bits there.
template <bool kLoads, int kScale>
TORCH_ANS_FN Halves look_up_halves(const void* base, Vec place) {
  if constexpr (!kLoads) {
    const Vec first = _mm512_i32gather_epi64(_mm512_castsi512_si256(place), base, kScale);
    const Vec second = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(place, 1), base, kScale);
    return split(first, second);
  }
  const auto at = [base](std::int64_t number) {
    return static_cast<const std::uint8_t*>(base) + kScale * number;
  };
  const auto pair = [at](long long two) {
    const auto* front = reinterpret_cast<const __m128i*>(at(FourPlaces::low(two)));
    const auto* back = reinterpret_cast<const double*>(at(FourPlaces::high(two)));
    // (The loads of doubles into low halves want them aligned.)
    return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(_mm_loadl_epi64(front)), back));
  };
  const FourPlaces q0(_mm512_castsi512_si128(place));
  const FourPlaces q1(_mm512_extracti32x4_epi32(place, 1));
  const FourPlaces q2(_mm512_extracti32x4_epi32(place, 2));
  const FourPlaces q3(_mm512_extracti32x4_epi32(place, 3));
  const __m512 front = _mm512_castsi512_ps(
      join_quarters(pair(q0.front), pair(q1.front), pair(q2.front), pair(q3.front)));
  const __m512 back = _mm512_castsi512_ps(
      join_quarters(pair(q0.back), pair(q1.back), pair(q2.back), pair(q3.back)));
  return {_mm512_castps_si512(_mm512_shuffle_ps(front, back, 0x88)),
          _mm512_castps_si512(_mm512_shuffle_ps(front, back, 0xdd))};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
