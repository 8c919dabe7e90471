/// Means and scales for AVX-512: read as they are, and made into the numbers of
/// torch_ans/parametric.h.
#pragma once

#include "models.h"
#include "torch_ans/parametric.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// One of the values that describe distributions, eight elements at a time, as doubles.
template <typename Real>
class Column {
 public:
  TORCH_ANS_FN Column(const Model& model, int which)
      : values_(static_cast<const Real*>(model.values[which])), stride_(model.strides[which]) {}

  /// Elements that follow each other; 0 for those that are not present.
  TORCH_ANS_FN __m512d run(std::int64_t first, __mmask8 present) const {
    if (stride_ == 1) return load_run(values_ + first, present);
    if (stride_ == 0) return _mm512_set1_pd(static_cast<double>(*values_));
    const __m512i steps = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    return pick(_mm512_add_epi64(_mm512_set1_epi64(first), steps), present);
  }

  TORCH_ANS_FN void prefetch(std::int64_t first) const {
    torch_ans::prefetch(values_ + first * stride_);
  }

  /// Any elements.
  TORCH_ANS_FN __m512d pick(__m512i element, __mmask8 present) const {
    const __m512i place = _mm512_mullo_epi64(element, _mm512_set1_epi64(stride_));
    if constexpr (sizeof(Real) == 4) {
      return _mm512_cvtps_pd(
          _mm512_mask_i64gather_ps(_mm256_setzero_ps(), present, place, values_, 4));
    } else {
      return _mm512_mask_i64gather_pd(_mm512_setzero_pd(), present, place, values_, 8);
    }
  }

 private:
  static TORCH_ANS_FN __m512d load_run(const float* values, __mmask8 present) {
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(present, values));
  }
  static TORCH_ANS_FN __m512d load_run(const double* values, __mmask8 present) {
    return _mm512_maskz_loadu_pd(present, values);
  }

  const Real* values_;
  std::int64_t stride_;
};

/// `clamp_to` of eight: the bound where `value` is NaN, as the first operand then loses.
TORCH_ANS_FN __m512d clamp_to(__m512d value, double low, double high) {
  return _mm512_min_pd(_mm512_max_pd(value, _mm512_set1_pd(low)), _mm512_set1_pd(high));
}

/// Cut off to a multiple of 2^-kBits.
template <int kBits>
TORCH_ANS_FN __m512d cut_off(__m512d value) {
  return _mm512_roundscale_pd(value, kBits << 4 | _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

/// Eight means and scales. Distances come without a division: N / D for integers, cut off, is N
/// times an inverse of D that is too large, but (with the product's rounding) by a share of less
/// than 1 / N. So the product is not below N / D and less than 1 / D above it, and the next integer
/// is that far at least. N is at most 2^48 here.
class EightScales {
 public:
  static constexpr double kUnits = kScaleUnits / kPositionUnits * (1 << kDistanceBits);
  static constexpr double kSymbol = kPositionUnits * kUnits;

  __m512d position;  ///< of the mean, as `position_of`, times kUnits: so a symbol is kSymbol
  __m512d divisor;   ///< as `divisor_of`
  __m512d inverse;   ///< 1 / divisor, a bit more than that

  /// The edge below symbol 0, for the constructor.
  static TORCH_ANS_FN __m512d first_edge(std::int32_t low) {
    return _mm512_set1_pd(static_cast<double>(low) * kSymbol - kSymbol / 2);
  }

  EightScales() = default;
  TORCH_ANS_FN EightScales(__m512d mean, __m512d scale, __m512d first_edge) {
    // What `position_of` clamps to 2^46 first is that far from the alphabet.
    constexpr double kMost = 1073741823.0;  // 2^30 - 1
    const __m512d from_edge =
        _mm512_fmsub_pd(cut_off<14>(mean), _mm512_set1_pd(kSymbol), first_edge);
    position = clamp_to(from_edge, -kMost * kUnits, 2 * kMost * kUnits);
    const __m512d units = _mm512_mul_pd(scale, _mm512_set1_pd(kScaleUnits));
    divisor = cut_off<0>(clamp_to(units, 1.0, 4294967296.0));
    inverse = invert(divisor);
  }

  /// Of the edges below symbols i.
  TORCH_ANS_FN __m512d difference(__m256i i) const {
    return _mm512_fmsub_pd(_mm512_cvtepi32_pd(i), _mm512_set1_pd(kSymbol), position);
  }

  /// The absolute distance for a difference, in 64 bits.
  TORCH_ANS_FN __m512i distance(__m512d difference) const {
    constexpr int kLesserWithoutSign = 0xa;
    return _mm512_cvttpd_epi64(_mm512_range_pd(_mm512_mul_pd(difference, inverse),
                                               _mm512_set1_pd(kMostDistance), kLesserWithoutSign));
  }

 private:
  /// A guess is (1 - e) / d with |e| < 2^-14; times 1 + e and 1 + e^2 it is (1 - e^4) / d. Three
  /// roundings here and the product's change less than 2^-52 each, in any rounding mode; 2^-49 is
  /// added.
  static TORCH_ANS_FN __m512d invert(__m512d d) {
    const __m512d guess = _mm512_rcp14_pd(d);
    const __m512d miss = _mm512_fnmadd_pd(d, guess, _mm512_set1_pd(1.0));
    const __m512d nearer = _mm512_fmadd_pd(guess, miss, guess);
    constexpr double kMore = 1.0 + 0x1p-49;
    return _mm512_mul_pd(nearer, _mm512_fmadd_pd(miss, miss, _mm512_set1_pd(kMore)));
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
