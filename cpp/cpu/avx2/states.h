/// Eight states that symbols are got from.
#pragma once

#include "find.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// What every step of a decoder needs.
struct StepConstants {
  __m128i precision;
  __m256i full;         ///< the last slot
  __m256i lower_bound;  ///< of the states
};

template <typename Traits>
TORCH_ANS_FN StepConstants step_constants(int precision) {
  constexpr auto kLowerBound = static_cast<long long>(Traits::kLowerBound);
  return {_mm_cvtsi32_si128(precision), _mm256_set1_epi32((1 << precision) - 1),
          hidden(sizeof(typename Traits::State) == 8
                     ? _mm256_set1_epi64x(kLowerBound)
                     : _mm256_set1_epi32(static_cast<int>(kLowerBound)))};
}

/// Eight states of 32 bits.
template <typename Traits, bool kWide = sizeof(typename Traits::State) == 8>
class EightStates {
 public:
  TORCH_ANS_FN void load(const std::uint32_t* states) { x_ = load256(states); }
  TORCH_ANS_FN void store(std::uint32_t* states) const { store256(states, x_); }

  TORCH_ANS_FN __m256i slots(const StepConstants& step) const {
    return _mm256_and_si256(x_, step.full);
  }

  /// D(x) but for the words that the states then lack.
  TORCH_ANS_FN void advance(const VectorMatch& match, const StepConstants& step) {
    const __m256i quotient = _mm256_srl_epi32(x_, step.precision);
    x_ = _mm256_add_epi32(_mm256_mullo_epi32(quotient, match.freq), match.rank);
  }

  /// All ones where a state lacks a word, or, with k = 1, a second one.
  TORCH_ANS_FN __m256i lacks(const StepConstants& step, int k = 0) const {
    return _mm256_cmpgt_epi32(_mm256_srli_epi32(step.lower_bound, k * Traits::kWordBits), x_);
  }

  /// A word enters each state that lacks one.
  TORCH_ANS_FN void refill(const StepConstants& step, __m256i words) {
    x_ = pick(x_, _mm256_or_si256(_mm256_slli_epi32(x_, Traits::kWordBits), words), lacks(step));
  }

  /// The same for up to two words, the first one in the higher bits; other states find zeros.
  TORCH_ANS_FN void refill_twice(const StepConstants& step, __m256i words) {
    const __m256i bits = _mm256_set1_epi32(Traits::kWordBits);
    const __m256i shift = _mm256_add_epi32(_mm256_and_si256(lacks(step), bits),
                                           _mm256_and_si256(lacks(step, 1), bits));
    x_ = _mm256_or_si256(_mm256_sllv_epi32(x_, shift), words);
  }

 private:
  __m256i x_;
};

/// Eight states of 64 bits.
template <typename Traits>
class EightStates<Traits, true> {
  static_assert(Traits::kMaxWords == 1 && Traits::kWordBits == 32, "rans64");

 public:
  TORCH_ANS_FN void load(const std::uint64_t* states) { x_.load(states); }
  TORCH_ANS_FN void store(std::uint64_t* states) const { x_.store(states); }

  TORCH_ANS_FN __m256i slots(const StepConstants& step) const {
    return _mm256_and_si256(low_halves(x_.half[0], x_.half[1]), step.full);
  }

  TORCH_ANS_FN void advance(const VectorMatch& match, const StepConstants& step) {
    const __m256i zero = _mm256_setzero_si256();
    advance(x_.half[0], _mm256_unpacklo_epi32(match.freq, zero),
            _mm256_unpacklo_epi32(match.rank, zero), step);
    advance(x_.half[1], _mm256_unpackhi_epi32(match.freq, zero),
            _mm256_unpackhi_epi32(match.rank, zero), step);
  }

  TORCH_ANS_FN __m256i lacks(const StepConstants& step) const {
    return low_halves(half_lacks(step, 0), half_lacks(step, 1));
  }

  TORCH_ANS_FN void refill(const StepConstants& step, __m256i words) {
    const __m256i lows = low_halves(x_.half[0], x_.half[1]);
    x_ = {{pick_64(x_.half[0], _mm256_unpacklo_epi32(words, lows), half_lacks(step, 0)),
           pick_64(x_.half[1], _mm256_unpackhi_epi32(words, lows), half_lacks(step, 1))}};
  }

 private:
  static TORCH_ANS_FN void advance(__m256i& x, __m256i freq, __m256i rank,
                                   const StepConstants& step) {
    const __m256i quotient = _mm256_srl_epi64(x, step.precision);
    const __m256i high = _mm256_mul_epu32(_mm256_srli_epi64(quotient, 32), freq);
    const __m256i low = _mm256_add_epi64(_mm256_mul_epu32(quotient, freq), rank);
    x = _mm256_add_epi64(_mm256_slli_epi64(high, 32), low);
  }

  TORCH_ANS_FN __m256i half_lacks(const StepConstants& step, int half) const {
    return _mm256_cmpgt_epi64(step.lower_bound, x_.half[half]);
  }

  EightWide x_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
