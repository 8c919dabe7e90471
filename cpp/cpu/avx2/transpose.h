/// Eight vectors of eight elements turned over.
#pragma once

#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

TORCH_ANS_FN void transpose_8(const __m256i* rows, __m256i* columns) {
  __m256i pairs[8], quads[8];
  TORCH_ANS_UNROLL
  for (int k = 0; k < 4; ++k) {
    pairs[2 * k] = _mm256_unpacklo_epi32(rows[2 * k], rows[2 * k + 1]);
    pairs[2 * k + 1] = _mm256_unpackhi_epi32(rows[2 * k], rows[2 * k + 1]);
  }
  TORCH_ANS_UNROLL
  for (int k = 0; k < 8; k += 4) {
    quads[k] = _mm256_unpacklo_epi64(pairs[k], pairs[k + 2]);
    quads[k + 1] = _mm256_unpackhi_epi64(pairs[k], pairs[k + 2]);
    quads[k + 2] = _mm256_unpacklo_epi64(pairs[k + 1], pairs[k + 3]);
    quads[k + 3] = _mm256_unpackhi_epi64(pairs[k + 1], pairs[k + 3]);
  }
  TORCH_ANS_UNROLL
  for (int k = 0; k < 4; ++k) {
    columns[k] = _mm256_permute2x128_si256(quads[k], quads[k + 4], 0x20);
    columns[k + 4] = _mm256_permute2x128_si256(quads[k], quads[k + 4], 0x31);
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
