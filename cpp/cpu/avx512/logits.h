/// Logits for AVX-512: the weights of torch_ans/logits.h, sixteen at a time.
#pragma once

#include "cpu/scalar/logits.h"
#include "models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The first `count` logits of sixteen; below all others where there are less.
TORCH_ANS_FN __m512 load_logits(const float* logits, __mmask16 present) {
  const __m512 least = _mm512_set1_ps(-kMostLogit);
  return _mm512_mask_loadu_ps(least, present, logits);
}

TORCH_ANS_FN __m512 load_logits(const Float16* logits, __mmask16 present) {
  constexpr std::int16_t kLeast = -(1 << 10);  // minus infinity
  return _mm512_cvtph_ps(_mm256_mask_loadu_epi16(_mm256_set1_epi16(kLeast), present, logits));
}

TORCH_ANS_FN __m512 load_logits(const BFloat16* logits, __mmask16 present) {
  constexpr std::int16_t kLeast = -(1 << 7);  // minus infinity
  const __m256i bits = _mm256_mask_loadu_epi16(_mm256_set1_epi16(kLeast), present, logits);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

/// `clamp_to` of sixteen: the least where a logit is NaN, as the first operand then loses.
TORCH_ANS_FN __m512 bound_logits(__m512 logits) {
  const __m512 above = _mm512_max_ps(logits, _mm512_set1_ps(-kMostLogit));
  return _mm512_min_ps(above, _mm512_set1_ps(kMostLogit));
}

TORCH_ANS_FN __m512 count_logits(__m512 bounded) {
  return _mm512_roundscale_ps(_mm512_mul_ps(bounded, _mm512_set1_ps(kLogitUnits)),
                              _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

template <typename Real_>
class LogitVectors {
 public:
  using Real = Real_;

  TORCH_ANS_FN LogitVectors(const Real* logits, std::uint32_t size) : logits_(logits), size_(size) {
    __m512 most = _mm512_set1_ps(-kMostLogit);
    for (std::uint32_t i = 0; i < size; i += kVecSize) {
      most = _mm512_max_ps(load_logits(logits + i, present(i, size)), most);
    }
    most_ = count_logits(bound_logits(_mm512_set1_ps(_mm512_reduce_max_ps(most))));
  }

  TORCH_ANS_FN std::uint32_t weight(std::uint32_t i) const {
    return LogitRow<Real>::weight(_mm512_cvtss_f32(most_), logits_[i]);
  }

  TORCH_ANS_FN std::uint64_t sum(std::uint32_t begin, std::uint32_t end) const {
    __m512i sum = _mm512_setzero_si512();
    for (std::uint32_t i = begin; i < end; i += kVecSize) {
      const Vec found = weights(i, present(i, end));
      sum = _mm512_add_epi64(sum, _mm512_maskz_mov_epi32(0x5555, found));
      sum = _mm512_add_epi64(sum, _mm512_srli_epi64(found, 32));
    }
    return static_cast<std::uint64_t>(_mm512_reduce_add_epi64(sum));
  }

  TORCH_ANS_FN void block(std::uint32_t begin, std::uint32_t* out) const {
    _mm512_storeu_si512(out, weights(begin, present(begin, size_)));
  }

 private:
  static TORCH_ANS_FN __mmask16 present(std::uint32_t begin, std::uint32_t end) {
    return first_elements(static_cast<int>(end - begin));
  }

  TORCH_ANS_FN Vec weights(std::uint32_t begin, __mmask16 there) const {
    const __m512 counts = count_logits(bound_logits(load_logits(logits_ + begin, there)));
    const __m512 distance = _mm512_min_ps(_mm512_sub_ps(most_, counts),
                                          _mm512_set1_ps(static_cast<float>(kMostDistance)));
    return _mm512_maskz_mov_epi32(there,
                                  interpolate_tail(kLaplaceTail, _mm512_cvttps_epi32(distance)));
  }

  const Real* logits_;
  std::uint32_t size_;
  __m512 most_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
