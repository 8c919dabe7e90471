/// Push for AVX-512 where there are eight states of 64 bits: a vector of their own. As
/// encoder.h, where a vector holds sixteen words.
#pragma once

#include "put.h"
#include "symbols.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// 8 / kBlock vectors of 8 / kBlock blocks of 32-bit numbers: block j of vector i becomes block i
/// of vector j. Each round exchanges the blocks whose numbers differ in one bit.
template <int kBlock, int kBit = 4 / kBlock>
TORCH_ANS_FN void transpose_eight(__m256i* v) {
  if constexpr (kBit > 0) {
    constexpr int kStep = kBit * kBlock;
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    const __mmask8 upper = _mm256_test_epi32_mask(lane, _mm256_set1_epi32(kStep));
    const __m256i low = _mm256_mask_add_epi32(lane, upper, lane, _mm256_set1_epi32(8 - kStep));
    const __m256i high = _mm256_add_epi32(low, _mm256_set1_epi32(kStep));
    TORCH_ANS_UNROLL
    for (int i = 0; i < 8 / kBlock; ++i) {
      if ((i & kBit) != 0) continue;
      const __m256i first = v[i];
      v[i] = _mm256_permutex2var_epi32(first, low, v[i + kBit]);
      v[i + kBit] = _mm256_permutex2var_epi32(first, high, v[i + kBit]);
    }
    transpose_eight<kBlock, kBit / 2>(v);
  }
}

template <int kLanes>
struct HalfEncoder : VectorRows<8 / kLanes>, VectorPairs<Rans64, 8 / kLanes> {
  using HalfEncoder::VectorRows::kRows, HalfEncoder::VectorRows::kTileStride;
  static constexpr int kSteps = kRows;  ///< words leave after as many groups
  static constexpr int kStoreSlack = 32;
  using State = std::uint64_t;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const SlotPair* pairs, int begin, int end) {
    const PutEight putter(tables);
    const Vec order =
        _mm512_xor_si512(_mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7), _mm512_set1_epi64(kLanes - 1));
    Vec x = _mm512_permutexvar_epi64(order, _mm512_loadu_si512(states));
    std::uint8_t* out[kRows];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) out[r] = outs[r];
    while (end > begin) {
      const int steps = smaller(kSteps, end - begin);
      end -= steps;
      encode_block(putter, x, out, pairs + end * kLanes, steps);
    }
    _mm512_storeu_si512(states, _mm512_permutexvar_epi64(order, x));
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r];
  }

 private:
  /// Groups steps - 1 .. 0 of every row.
  static TORCH_ANS_FN void encode_block(const PutEight& putter, Vec& x, std::uint8_t** out,
                                        const SlotPair* pairs, int steps) {
    __m256i pair[kSteps];
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      pair[r] = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(pairs + r * kTileStride));
    }
    transpose_eight<kLanes>(pair);
    __m256i words[kSteps];
    std::uint8_t leaves[8] = {};
    if (steps == kSteps) {
      TORCH_ANS_UNROLL
      for (int step = 0; step < kSteps; ++step) {
        words[step] = _mm512_cvtepi64_epi32(x);
        leaves[step] = put(putter, x, pair[kSteps - 1 - step]);
      }
    } else {
      TORCH_ANS_UNROLL
      for (int step = 0; step < kSteps; ++step) words[step] = _mm256_setzero_si256();
      for (int step = 0; step < steps; ++step) {
        words[step] = _mm512_cvtepi64_epi32(x);
        leaves[step] = put(putter, x, pair[steps - 1 - step]);
      }
    }
    append(words, leaves, out);
  }

  /// `pair` has the lanes of each row in their order, `x` the highest first.
  static TORCH_ANS_FN __mmask8 put(const PutEight& putter, Vec& x, __m256i pair) {
    const __m256i order =
        _mm256_xor_si256(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32(kLanes - 1));
    const Vec wide = _mm512_cvtepu32_epi64(_mm256_permutexvar_epi32(order, pair));
    const Vec low_half = _mm512_set1_epi64(0xffff);
    const Vec start = _mm512_and_si512(wide, low_half);
    // An end of 2^16 reads 0.
    const Vec freq =
        _mm512_and_si512(_mm512_sub_epi64(_mm512_srli_epi64(wide, 16), start), low_half);
    return putter.put(x, freq, start);
  }

  /// Words leave step by step and, in a step, from the highest lane down.
  static TORCH_ANS_FN void append(__m256i* words, const std::uint8_t* leaves, std::uint8_t** out) {
    transpose_eight<kLanes>(words);
    const auto masks = load<std::uint64_t>(leaves);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      constexpr std::uint64_t kFirstRow = ((1ull << kLanes) - 1) * 0x0101010101010101ull;
      const auto mask = static_cast<__mmask8>(_pext_u64(masks, kFirstRow << (r * kLanes)));
      _mm256_storeu_si256(reinterpret_cast<__m256i*>(out[r]),
                          _mm256_maskz_compress_epi32(mask, words[r]));
      out[r] += 4 * _mm_popcnt_u32(mask);
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
