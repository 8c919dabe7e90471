/// C(s, x) for eight states at a time.
///
/// The quotient comes from a floating-point reciprocal such that it is x / freq or one less, which
/// one look at the remainder tells.
#pragma once

#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The slots of eight symbols, from SlotPairs, in which an end of 2^16 reads 0.
struct EightSlots {
  __m256i start;
  __m256i freq;

  TORCH_ANS_FN explicit EightSlots(__m256i pairs) {
    const __m256i low_half = _mm256_set1_epi32(0xffff);
    start = _mm256_and_si256(pairs, low_half);
    freq = _mm256_and_si256(_mm256_sub_epi32(_mm256_srli_epi32(pairs, 16), start), low_half);
  }
};

/// What leaves eight states before a symbol enters: of the low words of `words` those that `leaves`
/// is all ones for, `leaves[1]` for a second one.
template <typename Traits>
struct Leaving {
  __m256i words;
  __m256i leaves[Traits::kMaxWords];
};

/// x / freq for x < freq << (31 - precision), for precisions from 11 on.
///
/// Two roundings and the conversion of x are off by a factor of less than 1 +- 2^-22 (twice that
/// where the CPU is told to round up or down), which the factor 1 - 2^-21 makes a quotient that is
/// never too high; and as x / freq < 2^20 it is too low by 1 at most, which the remainder shows.
struct Quotient {
  __m256i quotient;
  __m256i remainder;
  __m256i is_exact;  ///< 0: one more
};

TORCH_ANS_FN Quotient divide(__m256i x, __m256i freq) {
  const __m256 rounded_down = _mm256_set1_ps(1.0f - 0x1p-21f);
  const __m256 reciprocal = _mm256_div_ps(rounded_down, _mm256_cvtepi32_ps(freq));
  const __m256i quotient = _mm256_cvttps_epi32(_mm256_mul_ps(_mm256_cvtepi32_ps(x), reciprocal));
  const __m256i remainder = _mm256_sub_epi32(x, _mm256_mullo_epi32(quotient, freq));
  return {quotient, remainder, _mm256_cmpgt_epi32(freq, remainder)};
}

/// Eight states of 32 bits. `Constants` are what all steps need.
template <typename Traits, bool kWide = sizeof(typename Traits::State) == 8>
class EightPuts {
  static_assert(Traits::kLowerBits + Traits::kWordBits == 31, "what limit_shift is for");

 public:
  static constexpr int kMinPrecision = 11;

  struct Constants {
    __m256i precision;
    __m256i limit_shift;
    __m256i total;

    TORCH_ANS_FN explicit Constants(int bits)
        : precision(_mm256_set1_epi32(bits)),
          limit_shift(_mm256_set1_epi32(31 - bits)),
          total(_mm256_set1_epi32(1 << bits)) {}
  };

  TORCH_ANS_FN void load(const std::uint32_t* states) { x_ = load256(states); }
  TORCH_ANS_FN void store(std::uint32_t* states) const { store256(states, x_); }

  TORCH_ANS_FN Leaving<Traits> put(const Constants& constants, __m256i pairs) {
    const EightSlots slots(pairs);
    const Leaving<Traits> leaving =
        renormalise(_mm256_sllv_epi32(slots.freq, constants.limit_shift));
    const Quotient q = divide(x_, slots.freq);
    const __m256i low = _mm256_add_epi32(_mm256_sllv_epi32(q.quotient, constants.precision),
                                         _mm256_add_epi32(q.remainder, slots.start));
    const __m256i one_more =
        _mm256_andnot_si256(q.is_exact, _mm256_sub_epi32(constants.total, slots.freq));
    x_ = _mm256_add_epi32(low, one_more);
    return leaving;
  }

 private:
  TORCH_ANS_FN Leaving<Traits> renormalise(__m256i limit) {
    const __m256i most = _mm256_sub_epi32(limit, _mm256_set1_epi32(1));  // limit may be 2^31
    const __m256i bits = _mm256_set1_epi32(Traits::kWordBits);
    Leaving<Traits> leaving;
    leaving.words = x_;
    leaving.leaves[0] = _mm256_cmpgt_epi32(x_, most);
    __m256i freed = _mm256_and_si256(leaving.leaves[0], bits);
    if constexpr (Traits::kMaxWords == 2) {
      leaving.leaves[1] = _mm256_cmpgt_epi32(_mm256_srli_epi32(x_, Traits::kWordBits), most);
      freed = _mm256_add_epi32(freed, _mm256_and_si256(leaving.leaves[1], bits));
    }
    x_ = _mm256_srlv_epi32(x_, freed);
    return leaving;
  }

  __m256i x_;
};

/// Eight states of 64 bits.
///
/// Integers below 2^52 are the last bits of a double to which 2^52 was added. So a sum with a
/// quotient in it is rounded to an integer. The reciprocal, the state as a double and the sum are
/// rounded. x / freq < 2^(63 - precision), so that the first two change the quotient by less than
/// d = 2^(11 - precision) <= 1/4, or by twice that where the CPU is told to round up or down; and
/// what the sum lacks for that (`kLess`) makes it the quotient or one less. The sum is not below
/// 2^52, as x is 2^31 or more and the quotient far above 2.
template <typename Traits>
class EightPuts<Traits, true> {
  static_assert(Traits::kMaxWords == 1 && Traits::kWordBits == 32, "rans64");

 public:
  static constexpr int kMinPrecision = 13;

  /// Rounding to the nearest, down, up, toward zero.
  static constexpr double kLess[4] = {1.0, 0.5, 1.5, 0.5};

  struct Constants {
    __m128i precision;
    __m128i limit_shift;
    __m256i total;
    __m256d to_integer;

    TORCH_ANS_FN explicit Constants(int bits)
        : precision(_mm_cvtsi32_si128(bits)),
          limit_shift(_mm_cvtsi32_si128(63 - bits)),
          total(_mm256_set1_epi32(1 << bits)),
          to_integer(_mm256_set1_pd(0x1p52 - kLess[_MM_GET_ROUNDING_MODE() >> 13])) {}
  };

  TORCH_ANS_FN void load(const std::uint64_t* states) { x_.load(states); }
  TORCH_ANS_FN void store(std::uint64_t* states) const { x_.store(states); }

  TORCH_ANS_FN Leaving<Traits> put(const Constants& constants, __m256i pairs) {
    const __m256i zero = _mm256_setzero_si256();
    const EightSlots slots(pairs);
    const Half front = divide(constants, x_.half[0], _mm256_unpacklo_epi32(slots.freq, zero));
    const Half back = divide(constants, x_.half[1], _mm256_unpackhi_epi32(slots.freq, zero));
    const Leaving<Traits> leaving{
        low_halves(x_.half[0], x_.half[1]),
        {_mm256_xor_si256(low_halves(front.stays, back.stays), _mm256_set1_epi32(-1))}};
    // Less than 2 freq: 32 bits of it tell all.
    const __m256i rest = low_halves(front.rest, back.rest);
    const __m256i exact = _mm256_cmpgt_epi32(slots.freq, rest);
    const __m256i one_more =
        _mm256_andnot_si256(exact, _mm256_sub_epi32(constants.total, slots.freq));
    const __m256i low = _mm256_add_epi32(_mm256_add_epi32(rest, slots.start), one_more);
    x_.half[0] = _mm256_add_epi64(front.shifted, _mm256_unpacklo_epi32(low, zero));
    x_.half[1] = _mm256_add_epi64(back.shifted, _mm256_unpackhi_epi32(low, zero));
    return leaving;
  }

 private:
  struct Half {
    __m256i stays;    ///< all ones: no word leaves
    __m256i shifted;  ///< the quotient << precision
    __m256i rest;     ///< in the low halves
  };

  static TORCH_ANS_FN Half divide(const Constants& constants, __m256i x, __m256i freq) {
    const __m256i stays = _mm256_cmpgt_epi64(freq, _mm256_srl_epi64(x, constants.limit_shift));
    x = pick_64(_mm256_srli_epi64(x, 32), x, stays);
    const __m256d quotient = _mm256_fmadd_pd(to_double(x), reciprocal(freq), constants.to_integer);
    const __m256i bits = _mm256_castpd_si256(quotient);
    // The exponent is shifted out; the product takes the low halves.
    return {stays, _mm256_sll_epi64(bits, constants.precision),
            _mm256_sub_epi64(x, _mm256_mul_epu32(bits, freq))};
  }

  static TORCH_ANS_FN __m256d reciprocal(__m256i freq) {
    const __m256d sum = _mm256_set1_pd(0x1p52);
    const __m256i bits = _mm256_or_si256(freq, _mm256_castpd_si256(sum));
    return _mm256_div_pd(_mm256_set1_pd(1.0), _mm256_sub_pd(_mm256_castsi256_pd(bits), sum));
  }

  /// The halves are the last bits of 2^84 + 2^32 high and of 2^52 + low.
  static TORCH_ANS_FN __m256d to_double(__m256i x) {
    const __m256i high = _mm256_blend_epi32(_mm256_srli_epi64(x, 32),
                                            _mm256_castpd_si256(_mm256_set1_pd(0x1p84)), 0xaa);
    const __m256i low = _mm256_blend_epi32(x, _mm256_castpd_si256(_mm256_set1_pd(0x1p52)), 0xaa);
    const __m256d front = _mm256_sub_pd(_mm256_castsi256_pd(high), _mm256_set1_pd(0x1p84 + 0x1p52));
    return _mm256_add_pd(front, _mm256_castsi256_pd(low));
  }

  EightWide x_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
