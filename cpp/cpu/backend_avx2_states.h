/// The states of eight rows of one lane, and the words that they take.
#pragma once

#include "backend_avx2_decoder.h"

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

/// Eight states of 32 bits. Words are loaded four bytes a row at a time, as many as kReadSteps
/// steps may take; where a row ends, its header and its length are still below.
template <typename Traits, bool kWide = sizeof(typename Traits::State) == 8>
class EightStates {
  static constexpr int kBits = Traits::kWordBits;
  static constexpr int kBytes = kBits / 8;

 public:
  static constexpr int kReadSteps = 4 / (kBytes * Traits::kMaxWords);

  TORCH_ANS_FN void load(const std::uint32_t* states) { x_ = load256(states); }
  TORCH_ANS_FN void store(std::uint32_t* states) const { store256(states, x_); }

  TORCH_ANS_FN __m256i slots(const StepConstants& step) const {
    return _mm256_and_si256(x_, step.full);
  }

  /// To be called before every kReadSteps calls of `advance`, or fewer. `end(r)` is one past what
  /// row r has left.
  template <typename End>
  TORCH_ANS_FN void read(const End& end) {
    const auto word = [&end](int r) { return torch_ans::load<std::int32_t>(end(r) - 4); };
    const auto four = [&word](int r) {
      const __m128i front = _mm_insert_epi32(_mm_cvtsi32_si128(word(r)), word(r + 1), 1);
      const __m128i back = _mm_insert_epi32(_mm_cvtsi32_si128(word(r + 2)), word(r + 3), 1);
      return _mm_unpacklo_epi64(front, back);
    };
    words_ = _mm256_set_m128i(four(4), four(0));
  }

  /// D(x). Subtracts from `taken`, by row, the bytes that entered.
  TORCH_ANS_FN void advance(const VectorMatch& match, const StepConstants& step, __m256i& taken) {
    const __m256i quotient = _mm256_srl_epi32(x_, step.precision);
    x_ = _mm256_add_epi32(_mm256_mullo_epi32(quotient, match.freq), match.rank);
    TORCH_ANS_UNROLL
    for (int k = 0; k < Traits::kMaxWords; ++k) {
      const __m256i need = _mm256_cmpgt_epi32(step.lower_bound, x_);
      const __m256i refilled =
          _mm256_or_si256(_mm256_slli_epi32(x_, kBits), _mm256_srli_epi32(words_, 32 - kBits));
      x_ = pick(x_, refilled, need);
      words_ = pick(words_, _mm256_slli_epi32(words_, kBits), need);
      taken = _mm256_add_epi32(taken, kBytes == 1 ? need : _mm256_slli_epi32(need, 1));
    }
  }

 private:
  __m256i x_;
  __m256i words_;  ///< the next one uppermost
};

/// Eight states of 64 bits. Two words a row are loaded at a time.
///
/// A state has at least 2^31 between two steps. One that takes a word has 2^15 or more before it
/// and 2^47 after, which the next step leaves at 2^31 or above: no row takes words in two steps
/// running.
template <typename Traits>
class EightStates<Traits, true> {
  static_assert(Traits::kMaxWords == 1 && Traits::kWordBits == 32, "rans64");

 public:
  static constexpr int kReadSteps = 4;

  TORCH_ANS_FN void load(const std::uint64_t* states) { x_.load(states); }
  TORCH_ANS_FN void store(std::uint64_t* states) const { x_.store(states); }

  TORCH_ANS_FN __m256i slots(const StepConstants& step) const {
    return _mm256_and_si256(low_halves(x_.half[0], x_.half[1]), step.full);
  }

  template <typename End>
  TORCH_ANS_FN void read(const End& end) {
    const auto two = [&end](int r) {  // (The loads of doubles want them aligned.)
      const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(end(r) - 8));
      const auto* high = reinterpret_cast<const double*>(end(r + 1) - 8);
      return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(low), high));
    };
    TORCH_ANS_UNROLL
    for (int half = 0; half < 2; ++half) {
      const __m256i four = _mm256_set_m128i(two(2 * half + 4), two(2 * half));
      words_[half] = _mm256_shuffle_epi32(four, _MM_SHUFFLE(2, 3, 0, 1));
    }
  }

  TORCH_ANS_FN void advance(const VectorMatch& match, const StepConstants& step, __m256i& taken) {
    const __m256i zero = _mm256_setzero_si256();
    const __m256i front = advance_half(0, _mm256_unpacklo_epi32(match.freq, zero),
                                       _mm256_unpacklo_epi32(match.rank, zero), step);
    const __m256i back = advance_half(1, _mm256_unpackhi_epi32(match.freq, zero),
                                      _mm256_unpackhi_epi32(match.rank, zero), step);
    taken = _mm256_add_epi32(taken, _mm256_slli_epi32(low_halves(front, back), 2));
  }

 private:
  /// Returns which states took a word.
  TORCH_ANS_FN __m256i advance_half(int half, __m256i freq, __m256i rank,
                                    const StepConstants& step) {
    __m256i& x = x_.half[half];
    __m256i& words = words_[half];
    const __m256i quotient = _mm256_srl_epi64(x, step.precision);
    const __m256i high = _mm256_mul_epu32(_mm256_srli_epi64(quotient, 32), freq);
    const __m256i low = _mm256_add_epi64(_mm256_mul_epu32(quotient, freq), rank);
    x = _mm256_add_epi64(_mm256_slli_epi64(high, 32), low);
    const __m256i need = _mm256_cmpgt_epi64(step.lower_bound, x);
    x = pick_64(x, _mm256_blend_epi32(_mm256_slli_epi64(x, 32), words, 0x55), need);
    words = pick_64(words, _mm256_srli_epi64(words, 32), need);
    return need;
  }

  EightWide x_;
  __m256i words_[2];  ///< the next one in the low half
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
