/// The words that enter eight states, lanes of one row or of several.
#pragma once

#include "shuffles.h"
#include "states.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The kBytes below each of the kRows cursors from `in[first]` on, side by side.
template <int kBytes, int kRows = 16 / kBytes, typename Cursors>
TORCH_ANS_FN __m128i load_below(const Cursors& in, int first) {
  if constexpr (kBytes == 16) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(in[first] - 16));
  } else if constexpr (kBytes == 8) {  // (The loads of doubles want them aligned.)
    const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(in[first] - 8));
    if constexpr (kRows == 1) return low;
    const auto* high = reinterpret_cast<const double*>(in[first + kRows - 1] - 8);
    return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(low), high));
  } else if constexpr (kRows == 2) {
    const __m128i low = _mm_cvtsi32_si128(load<std::int32_t>(in[first] - 4));
    return _mm_insert_epi32(low, load<std::int32_t>(in[first + 1] - 4), 1);
  } else {
    const __m128i low = load_below<4, 2>(in, first);
    return _mm_unpacklo_epi64(low, load_below<4, 2>(in, first + 2));
  }
}

/// The same for twice as many cursors, the first half of them in the low half of the vector.
template <int kBytes, typename Cursors>
TORCH_ANS_FN __m256i load_twice_below(const Cursors& in) {
  const __m128i low = load_below<kBytes>(in, 0);
  return _mm256_set_m128i(load_below<kBytes>(in, 16 / kBytes), low);
}

/// Moves a cursor below the words of a row of kBits of `mask`, from the lowest bit.
template <int kBits, int kWordBytes>
TORCH_ANS_FN void pass_words(std::uint32_t mask, const std::uint8_t*& in) {
  in -= kWordBytes * _mm_popcnt_u32(mask & ((1u << kBits) - 1));
}

TORCH_ANS_FN std::uint32_t mask_of(__m256i chosen) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(chosen)));
}

/// Spreads the words below the cursors of rows of kBlock lanes to those lanes that `mask` has.
template <typename Traits, int kBlock>
TORCH_ANS_FN __m256i spread_words(std::uint32_t mask, const std::uint8_t* const* in) {
  if constexpr (Traits::kWordBits == 16) {
    const auto* shuffle = reinterpret_cast<const __m128i*>(kSpreadWords<kBlock>.bytes[mask]);
    return _mm256_cvtepu16_epi32(
        _mm_shuffle_epi8(load_below<2 * kBlock>(in, 0), _mm_load_si128(shuffle)));
  } else {
    const __m256i order = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64(reinterpret_cast<const __m128i*>(kSpreadOrder<kBlock>.lanes[mask])));
    if constexpr (kBlock == 8) {
      return _mm256_permutevar8x32_epi32(load256(in[0] - 32), order);
    } else {
      const __m256i words = load_twice_below<4 * kBlock>(in);
      return _mm256_castps_si256(_mm256_permutevar_ps(_mm256_castsi256_ps(words), order));
    }
  }
}

/// A word enters each state that lacks one, of each row's lanes the lowest first. Rows of kBlock
/// lanes; reads no more below a cursor than all of them could take.
template <int kBlock, typename Traits>
TORCH_ANS_FN void absorb_words(const StepConstants& step, EightStates<Traits>& x,
                               const std::uint8_t** in) {
  const std::uint32_t mask = mask_of(x.lacks(step));
  x.refill(step, spread_words<Traits, kBlock>(mask, in));
  TORCH_ANS_UNROLL
  for (int r = 0; r < 8 / kBlock; ++r) {
    pass_words<kBlock, Traits::kWordBits / 8>(mask >> (r * kBlock), in[r]);
  }
}

/// The same for up to two words of 8 bits a lane.
template <int kBlock, typename Traits>
TORCH_ANS_FN void absorb_bytes(const StepConstants& step, EightStates<Traits>& x,
                               const std::uint8_t** in) {
  constexpr int kPart = smaller(kBlock, 4);
  const __m256i pairs = _mm256_blend_epi16(x.lacks(step), x.lacks(step, 1), 0xaa);
  const auto masks =
      static_cast<std::uint32_t>(_mm256_movemask_epi8(_mm256_packs_epi16(pairs, pairs)));
  __m128i bytes[2];
  TORCH_ANS_UNROLL
  for (int half = 0; half < 2; ++half) {
    const std::uint32_t mask = masks >> (16 * half) & 0xff;
    const std::uint8_t** const row = in + 4 * half / kBlock;
    const auto* shuffle = reinterpret_cast<const __m128i*>(kSpreadBytes<kPart>.bytes[mask]);
    bytes[half] =
        _mm_shuffle_epi8(load_below<2 * kPart, 4 / kPart>(row, 0), _mm_load_si128(shuffle));
    TORCH_ANS_UNROLL
    for (int r = 0; r < 4 / kPart; ++r) pass_words<2 * kPart, 1>(mask >> (2 * r * kPart), row[r]);
  }
  x.refill_twice(step, _mm256_set_m128i(bytes[1], bytes[0]));
}

template <int kBlock, typename Traits>
TORCH_ANS_FN void absorb(const StepConstants& step, EightStates<Traits>& x,
                         const std::uint8_t** in) {
  if constexpr (Traits::kMaxWords == 1) {
    absorb_words<kBlock>(step, x, in);
  } else {
    absorb_bytes<kBlock>(step, x, in);
  }
}

/// Where eight rows of one lane read: `taken` bytes, below 0, from where `in` says.
struct EightCursors {
  const std::uint8_t* const* in;
  const std::int32_t* taken;

  TORCH_ANS_FN const std::uint8_t* operator[](int r) const { return in[r] + taken[r]; }
};

/// Their words, four bytes a row at a time. Where a row ends, its header and its length are still
/// below.
template <typename Traits, bool kWide = sizeof(typename Traits::State) == 8>
class WordsAhead {
  static constexpr int kBits = Traits::kWordBits;

 public:
  /// Calls of `absorb` that what is read lasts for.
  static constexpr int kSteps = 32 / (kBits * Traits::kMaxWords);

  TORCH_ANS_FN void read(const EightCursors& in) { words_ = load_twice_below<4>(in); }
  TORCH_ANS_FN __m256i next() const { return _mm256_srli_epi32(words_, 32 - kBits); }
  TORCH_ANS_FN void pass(__m256i taken) {
    words_ = pick(words_, _mm256_slli_epi32(words_, kBits), taken);
  }

 private:
  __m256i words_;  ///< the next one uppermost
};

/// Words of 32 bits, two a row at a time.
///
/// A state has at least 2^31 between two steps. One that takes a word has 2^15 or more before it
/// and 2^47 after, which the next step leaves at 2^31 or above: no row takes words in two steps
/// running.
template <typename Traits>
class WordsAhead<Traits, true> {
 public:
  static constexpr int kSteps = 4;

  TORCH_ANS_FN void read(const EightCursors& in) {
    const __m128i front_low = load_below<8>(in, 0), back_low = load_below<8>(in, 2);
    const __m256i front = _mm256_set_m128i(load_below<8>(in, 4), front_low);
    const __m256i back = _mm256_set_m128i(load_below<8>(in, 6), back_low);
    next_ = high_halves(front, back);
    after_ = low_halves(front, back);
  }
  TORCH_ANS_FN __m256i next() const { return next_; }
  TORCH_ANS_FN void pass(__m256i taken) { next_ = pick(next_, after_, taken); }

 private:
  __m256i next_;
  __m256i after_;
};

/// Words enter the states of eight rows of one lane. Subtracts from `taken`, by row, their bytes.
template <typename Traits>
TORCH_ANS_FN void absorb(const StepConstants& step, EightStates<Traits>& x,
                         WordsAhead<Traits>& words, std::int32_t* taken) {
  constexpr int kLogBytes = Traits::kWordBits == 32 ? 2 : Traits::kWordBits / 16;
  __m256i bytes = load256(taken);
  TORCH_ANS_UNROLL
  for (int k = 0; k < Traits::kMaxWords; ++k) {
    const __m256i lacks = x.lacks(step);
    x.refill(step, words.next());
    words.pass(lacks);
    bytes = _mm256_add_epi32(bytes, _mm256_slli_epi32(lacks, kLogBytes));
  }
  store256(taken, bytes);
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
