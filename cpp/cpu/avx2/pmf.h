/// Probabilities for AVX2, which AVX-512 takes, too: the sums of scalar/pmf.h, eight at a time.
#pragma once

#include "cpu/scalar/pmf.h"
#include "models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <typename Real>
class PmfVectors : public PmfRow<Real> {
 public:
  using PmfRow<Real>::PmfRow;

  TORCH_ANS_FN std::uint64_t sum(std::uint32_t begin, std::uint32_t end) const {
    __m256i sums = _mm256_setzero_si256();
    for_each_eight(this->pmf_, begin, end, [&](__m256 eight, __m256i present) {
      sums = _mm256_add_epi64(sums, sum_pairs(_mm256_and_si256(to_fixed(eight), present)));
    });
    return sum_of_four(sums);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
