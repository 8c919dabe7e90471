/// C(s, x) for sixteen states at once.
///
/// The quotient comes from a floating-point reciprocal that is never above 1 / freq: rounded
/// toward zero all the way it is x / freq or one less, which one look at the remainder tells.
/// - The reciprocal is the CPU's guess, 2^-14 off at most, after Newton's steps, each of which
///   squares what is missing. They come from below, and here round down. A step could end above
///   1 / freq by the rounding of `miss` alone, less than 2^-38 for a float and 2^-81 for a double
///   after two steps (relative to 1 / freq, and less what the step leaves missing); but the next
///   number above 1 / freq is at least 2^-40 (2^-69) away for a freq of 16 bits, and a `miss` whose
///   rounding comes near that leaves more than that missing.
/// - 32-bit states: x / freq < 2^(31 - P). One step leaves 2^-28 missing, and rounding it, the
///   conversion of x and the product lose 2^-23 each: together less than one if
///   3.04 * 2^(8 - P) <= 1, that is from P = 10 on.
/// - 64-bit states: x < freq * 2^(63 - P). Two steps leave 2^-56 missing. With 2^m the next power
///   of 2 above freq, rounding the reciprocal loses 2^-52 * freq / 2^m of it (less if freq is a
///   power of 2); converting an x of 2^e or more, 2^-52 * 2^e / x, where e <= m + 62 - P. So the
///   quotient lacks (freq / 2^m + 2^(m - 1) / freq + 2^-4) * 2^(11 - P); the first two together
///   are 3 / 2 at most: less than one from P = 12 on. (As many bits `quotient_of` leaves in front.)
#pragma once

#include "torch_ans/rans.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

constexpr int kTowardZero = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;

template <typename Traits>
constexpr int least_put_precision() {
  return sizeof(typename Traits::State) == 8 ? 12 : 10;
}

/// The slots of sixteen symbols.
template <bool kTop>
struct Slots {
  Vec start;
  Vec freq;

  /// From SlotPairs. kTop: an end of 2^16 reads 0.
  TORCH_ANS_FN explicit Slots(Vec pair) {
    start = _mm512_and_si512(pair, splat(0xffff));
    freq = _mm512_sub_epi32(_mm512_srli_epi32(pair, 16), start);
    if constexpr (kTop) freq = _mm512_and_si512(freq, splat(0xffff));
  }
};

/// States of 32 bits. kTop: precision is 16, else it is below.
template <typename Traits, bool kTop>
struct PutLanes {
  static constexpr int kWordMasks = Traits::kMaxWords;
  Vec x;

  TORCH_ANS_FN void read(const std::uint32_t* states, Vec order) {
    x = _mm512_permutexvar_epi32(order, _mm512_loadu_si512(states));
  }
  TORCH_ANS_FN void write(std::uint32_t* states, Vec order) const {
    _mm512_storeu_si512(states, _mm512_permutexvar_epi32(order, x));
  }

  /// The words that may leave next are the low halves of 32 bits.
  TORCH_ANS_FN Vec words() const { return x; }

  /// `leaves[w]`: the lanes that give up more than w words.
  TORCH_ANS_FN void put(const TablesView& tables, Vec pair, __mmask16* leaves) {
    const Slots<kTop> slots(pair);
    const Vec freq = slots.freq;
    const auto precision = static_cast<std::uint32_t>(tables.freq_precision);
    const __m512 divisor = _mm512_cvtepi32_ps(freq);
    const __m512 reciprocal = refine(_mm512_rcp14_ps(divisor), divisor);
    const Vec limit = _mm512_sllv_epi32(freq, splat(31 - precision));
    leaves[0] = _mm512_cmpge_epu32_mask(x, limit);
    if constexpr (kWordMasks == 2) {
      leaves[1] = _mm512_cmpge_epu32_mask(_mm512_srli_epi32(x, 8), limit);
      x = _mm512_mask_srli_epi32(x, leaves[0], x, 8);
      x = _mm512_mask_srli_epi32(x, leaves[1], x, 8);
    } else {
      x = _mm512_mask_srli_epi32(x, leaves[0], x, 16);
    }
    const __m512 dividend = _mm512_cvt_roundepi32_ps(x, kTowardZero);
    const Vec quotient =
        _mm512_cvttps_epi32(_mm512_mul_round_ps(dividend, reciprocal, kTowardZero));
    const Vec rest = remainder(quotient, freq);
    const Vec complement = _mm512_sub_epi32(splat(std::uint32_t{1} << precision), freq);
    x = _mm512_add_epi32(_mm512_sllv_epi32(quotient, splat(precision)),
                         _mm512_add_epi32(rest, slots.start));
    x = _mm512_mask_add_epi32(x, _mm512_cmpge_epu32_mask(rest, freq), x, complement);
  }

 private:
  static TORCH_ANS_FN __m512 refine(__m512 guess, __m512 divisor) {
    const __m512 miss = _mm512_fnmadd_ps(divisor, guess, _mm512_set1_ps(1.0f));
    return _mm512_fmadd_round_ps(guess, miss, guess, kTowardZero);
  }

  /// Less than 2 freq: 16 bits of it tell all where freq is at most 2^15.
  TORCH_ANS_FN Vec remainder(Vec quotient, Vec freq) const {
    if constexpr (kTop) {
      return _mm512_sub_epi32(x, _mm512_mullo_epi32(quotient, freq));
    } else {
      return _mm512_and_si512(_mm512_sub_epi32(x, _mm512_mullo_epi16(quotient, freq)),
                              splat(0xffff));
    }
  }
};

/// 1 / divisor, or a bit less.
TORCH_ANS_FN __m512d reciprocal_of(__m512d divisor) {
  const auto refine = [divisor](__m512d guess) {
    const __m512d miss = _mm512_fnmadd_pd(divisor, guess, _mm512_set1_pd(1.0));
    return _mm512_fmadd_round_pd(guess, miss, guess, kTowardZero);
  };
  return refine(refine(_mm512_rcp14_pd(divisor)));
}

/// The quotient in the last bits of a double of which it is the fraction. Its exponent stands above
/// the lowest 52 bits, whence a shift by a precision drops it.
TORCH_ANS_FN Vec quotient_of(__m512d dividend, __m512d reciprocal) {
  return _mm512_castpd_si512(
      _mm512_fmadd_round_pd(dividend, reciprocal, _mm512_set1_pd(0x1p52), kTowardZero));
}

/// States of 64 bits. Their halves are two vectors, so that limits, words and remainders are those
/// of sixteen states at once. Quotients are those of the even elements and of the odd ones.
template <bool kTop>
struct PutLanes<Rans64, kTop> {
  static constexpr int kWordMasks = 1;
  Vec low;
  Vec high;

  TORCH_ANS_FN void read(const std::uint64_t* states, Vec order) {
    const Halves halves = load_halves(states);
    low = _mm512_permutexvar_epi32(order, halves.low);
    high = _mm512_permutexvar_epi32(order, halves.high);
  }
  TORCH_ANS_FN void write(std::uint64_t* states, Vec order) const {
    store_halves(states, _mm512_permutexvar_epi32(order, low),
                 _mm512_permutexvar_epi32(order, high));
  }

  TORCH_ANS_FN Vec words() const { return low; }

  TORCH_ANS_FN void put(const TablesView& tables, Vec pair, __mmask16* leaves) {
    const Slots<kTop> slots(pair);
    const Vec freq = slots.freq;
    const auto precision = static_cast<std::uint32_t>(tables.freq_precision);
    // The lower half of a limit is 0.
    const Vec limit = _mm512_sllv_epi32(freq, splat(31 - precision));
    const __mmask16 stays = _mm512_cmplt_epu32_mask(high, limit);
    leaves[0] = static_cast<__mmask16>(~stays);
    low = _mm512_mask_mov_epi32(high, stays, low);
    high = _mm512_maskz_mov_epi32(stays, high);
    const Vec even = divide(join_lower(low, high), _mm512_maskz_mov_epi32(0x5555, freq));
    const Vec odd = divide(join_upper(low, high), _mm512_srli_epi64(freq, 32));
    const Vec quotient = join_lower(even, odd);
    // The remainder is below 2 freq.
    const Vec rest = _mm512_sub_epi32(low, _mm512_mullo_epi32(quotient, freq));
    const Vec complement = _mm512_sub_epi32(splat(std::uint32_t{1} << precision), freq);
    const __mmask16 one_less = _mm512_cmpge_epu32_mask(rest, freq);
    Vec slot = _mm512_add_epi32(rest, slots.start);
    slot = _mm512_mask_add_epi32(slot, one_less, slot, complement);
    const Vec first = _mm512_sllv_epi32(quotient, splat(precision));
    low = _mm512_add_epi32(first, slot);
    high = _mm512_shldv_epi32(join_upper(even, odd), quotient, splat(precision));
    // To correct a quotient may carry into the upper half.
    const __mmask16 last = _mm512_cmpeq_epi32_mask(first, splat(~std::uint32_t{0} << precision));
    if (unlikely(last != 0)) {
      const auto carry = static_cast<__mmask16>(one_less & last);
      high = _mm512_mask_add_epi32(high, carry, high, splat(1));
    }
  }

 private:
  static TORCH_ANS_FN Vec divide(Vec x, Vec freq) {
    return quotient_of(_mm512_cvt_roundepi64_pd(x, kTowardZero),
                       reciprocal_of(_mm512_cvtepi64_pd(freq)));
  }
};

/// Eight states of 64 bits, in a vector of their own: fewer steps from state to state.
class PutEight {
 public:
  TORCH_ANS_FN explicit PutEight(const TablesView& tables)
      : limit_shift_(_mm512_set1_epi64(63 - tables.freq_precision)),
        precision_(_mm512_set1_epi64(tables.freq_precision)),
        total_(_mm512_set1_epi64(std::int64_t{1} << tables.freq_precision)) {}

  /// Says which states give up a word.
  TORCH_ANS_FN __mmask8 put(Vec& x, Vec freq, Vec start) const {
    const __m512d reciprocal = reciprocal_of(_mm512_cvtepi64_pd(freq));
    const __mmask8 leaves = _mm512_cmpge_epu64_mask(x, _mm512_sllv_epi64(freq, limit_shift_));
    // Both states that the division may start from are converted while the limit is compared.
    const Vec shifted = _mm512_srli_epi64(x, 32);
    const __m512d whole = _mm512_cvt_roundepi64_pd(x, kTowardZero);
    const __m512d dividend =
        _mm512_mask_mov_pd(whole, leaves, _mm512_cvt_roundepi64_pd(shifted, kTowardZero));
    x = _mm512_mask_mov_epi64(x, leaves, shifted);
    const Vec quotient = quotient_of(dividend, reciprocal);
    // The remainder is below 2 freq: 32 bits of it tell all.
    const Vec rest = _mm512_and_si512(_mm512_sub_epi64(x, _mm512_mul_epu32(quotient, freq)),
                                      _mm512_set1_epi64(0xffffffff));
    x = _mm512_add_epi64(_mm512_sllv_epi64(quotient, precision_), _mm512_add_epi64(rest, start));
    x = _mm512_mask_add_epi64(x, _mm512_cmpge_epu64_mask(rest, freq), x,
                              _mm512_sub_epi64(total_, freq));
    return leaves;
  }

 private:
  Vec limit_shift_;
  Vec precision_;
  Vec total_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
