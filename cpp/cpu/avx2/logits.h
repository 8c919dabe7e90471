/// Logits for AVX2: the weights of torch_ans/logits.h, eight at a time.
#pragma once

#include "cpu/scalar/logits.h"
#include "models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `clamp_to` of eight: the least where a logit is NaN, as the first operand then loses.
TORCH_ANS_FN __m256 bound_logits(__m256 logits) {
  const __m256 above = _mm256_max_ps(logits, _mm256_set1_ps(-kMostLogit));
  return _mm256_min_ps(above, _mm256_set1_ps(kMostLogit));
}

TORCH_ANS_FN __m256 count_logits(__m256 bounded) {
  return _mm256_round_ps(_mm256_mul_ps(bounded, _mm256_set1_ps(kLogitUnits)),
                         _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

/// As LogitRow.
template <typename Real_>
class LogitVectors {
 public:
  using Real = Real_;

  TORCH_ANS_FN LogitVectors(const Real* logits, std::uint32_t size) : logits_(logits), size_(size) {
    __m256 most = _mm256_set1_ps(-kMostLogit);
    for_each_eight(logits, 0, size, [&](__m256 eight, __m256i /*present*/) {
      most = _mm256_max_ps(bound_logits(eight), most);
    });
    __m128 four = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    four = _mm_max_ps(four, _mm_movehl_ps(four, four));
    four = _mm_max_ps(four, _mm_movehdup_ps(four));
    most_ = count_logits(_mm256_broadcastss_ps(four));
  }

  TORCH_ANS_FN std::uint32_t weight(std::uint32_t i) const {
    return LogitRow<Real>::weight(_mm256_cvtss_f32(most_), logits_[i]);
  }

  TORCH_ANS_FN std::uint64_t sum(std::uint32_t begin, std::uint32_t end) const {
    __m256i sums = _mm256_setzero_si256();
    for_each_eight(logits_, begin, end, [&](__m256 eight, __m256i present) {
      sums = _mm256_add_epi64(sums, sum_pairs(weights(eight, present)));
    });
    return sum_of_four(sums);
  }

  TORCH_ANS_FN void block(std::uint32_t begin, std::uint32_t* out) const {
    const std::uint32_t end = smaller(begin + kRowBlock, size_);
    for (std::uint32_t k = 0; k < kRowBlock; k += 8) {
      store256(out + k, _mm256_setzero_si256());
    }
    for_each_eight(logits_, begin, end, [&](__m256 eight, __m256i present) {
      store256(out, weights(eight, present));
      out += 8;
    });
  }

 private:
  TORCH_ANS_FN __m256i weights(__m256 eight, __m256i present) const {
    const __m256 counts = count_logits(bound_logits(eight));
    const __m256 distance = _mm256_min_ps(_mm256_sub_ps(most_, counts),
                                          _mm256_set1_ps(static_cast<float>(kMostDistance)));
    const __m256i tail = interpolate_tail(kLaplaceTail, _mm256_cvttps_epi32(distance));
    return _mm256_and_si256(tail, present);
  }

  const Real* logits_;
  std::uint32_t size_;
  __m256 most_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
