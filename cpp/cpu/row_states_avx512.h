/// The states of the rows that a decoder advances together, sixteen a vector, lanes and rows in
/// their natural order.
#pragma once

#include <type_traits>

#include "vectors_avx512.h"
#include "word_cursors_avx512.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Sixteen matches; `unresolved` marks those that the bucket could not tell.
struct Matches {
  Vec symbol;
  Vec freq;
  Vec rank;
  __mmask16 unresolved;
};

/// D(x) of sixteen states.
template <typename Traits>
class DecoderStates {
  static constexpr bool kWide = sizeof(typename Traits::State) == 8;

 public:
  using State = typename Traits::State;

  TORCH_ANS_FN void load(const State* states) { std::memcpy(x_, states, sizeof(x_)); }
  TORCH_ANS_FN void store(State* states) const { std::memcpy(states, x_, sizeof(x_)); }

  TORCH_ANS_FN Vec slots(int precision) const {
    const Vec low =
        kWide ? join(_mm512_cvtepi64_epi32(x_[0]), _mm512_cvtepi64_epi32(x_[kWide ? 1 : 0]))
              : x_[0];
    return _mm512_and_si512(low, splat((1u << precision) - 1u));
  }

  /// All but the words that the states then lack: a first (`one`), and a second one (`two`).
  TORCH_ANS_FN void advance(const Matches& matches, int precision, __mmask16& one, __mmask16& two) {
    const __m128i shift = _mm_cvtsi32_si128(precision);
    if constexpr (kWide) {
      one = join_masks(advance_half<0>(matches, shift), advance_half<1>(matches, shift));
    } else {
      Vec& x = x_[0];
      x = _mm512_add_epi32(_mm512_mullo_epi32(matches.freq, _mm512_srl_epi32(x, shift)),
                           matches.rank);
      one = _mm512_cmplt_epu32_mask(x, splat(Traits::kLowerBound));
      if constexpr (Traits::kMaxWords == 2) {
        two = _mm512_mask_cmplt_epu32_mask(one, x, splat(Traits::kLowerBound >> 8));
      }
    }
  }

  /// The word of each element, or its two bytes in the upper half, the first one uppermost.
  TORCH_ANS_FN void refill(Vec words, __mmask16 one, __mmask16 two) {
    if constexpr (kWide) {
      refill_half<0>(words, static_cast<__mmask8>(one));
      refill_half<1>(words, static_cast<__mmask8>(one >> 8));
    } else {
      constexpr int kBits = Traits::kWordBits;
      Vec& x = x_[0];
      const Vec first = kBits == 8 ? _mm512_srli_epi32(words, 24) : words;
      x = _mm512_mask_or_epi32(x, one, _mm512_slli_epi32(x, kBits), first);
      if constexpr (Traits::kMaxWords == 2) {
        const Vec second = _mm512_and_si512(_mm512_srli_epi32(words, 16), splat(0xff));
        x = _mm512_mask_or_epi32(x, two, _mm512_slli_epi32(x, kBits), second);
      }
    }
  }

 private:
  template <int kHalf>
  TORCH_ANS_FN __mmask8 advance_half(const Matches& matches, __m128i shift) {
    Vec& x = x_[kHalf];
    const Vec freq = widen<kHalf>(matches.freq);
    const Vec high = _mm512_srl_epi64(x, shift);
    const Vec product = _mm512_add_epi64(
        _mm512_mul_epu32(high, freq),
        _mm512_slli_epi64(_mm512_mul_epu32(_mm512_srli_epi64(high, 32), freq), 32));
    x = _mm512_add_epi64(product, widen<kHalf>(matches.rank));
    return _mm512_cmplt_epu64_mask(x,
                                   _mm512_set1_epi64(static_cast<long long>(Traits::kLowerBound)));
  }

  template <int kHalf>
  TORCH_ANS_FN void refill_half(Vec words, __mmask8 need) {
    Vec& x = x_[kHalf];
    x = _mm512_mask_or_epi64(x, need, _mm512_slli_epi64(x, 32), widen<kHalf>(words));
  }

  Vec x_[kWide ? 2 : 1];
};

/// All rows of a kernel, and where they read. A cursor has the rows of a vector, or a row of
/// several.
template <typename Traits, typename Shape, bool kLoads = false>
class RowStates {
  static constexpr int kVectors = Shape::kVectors;
  static constexpr int kRowVectors = Shape::kRowVectors;
  static constexpr bool kShareVectors = Shape::kBlock < kVecSize;

 public:
  using State = typename Traits::State;
  static constexpr int kCursors = kVectors / kRowVectors;

  TORCH_ANS_FN void load(const State* states, const std::uint8_t* const* in) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x_[v].load(states + v * kVecSize);
    TORCH_ANS_UNROLL
    for (int c = 0; c < kCursors; ++c) {
      if constexpr (kShareVectors) {
        cursor_[c].load(in[0], in + c * Shape::kChunk);
      } else {
        cursor_[c].load(in[c]);
      }
    }
  }

  TORCH_ANS_FN void store(State* states, const std::uint8_t** in) const {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x_[v].store(states + v * kVecSize);
    TORCH_ANS_UNROLL
    for (int c = 0; c < kCursors; ++c) {
      if constexpr (kShareVectors) {
        cursor_[c].store(in + c * Shape::kChunk);
      } else {
        in[c] = cursor_[c].in();
      }
    }
  }

  TORCH_ANS_FN Vec slots(int v, int precision) const { return x_[v].slots(precision); }

  /// D(x) for the rows of a cursor. `step` counts calls since `load`, modulo the groups of a chunk.
  TORCH_ANS_FN void advance(int c, int step, const Matches (&matches)[kRowVectors], int precision) {
    DecoderStates<Traits>* const x = x_ + c * kRowVectors;
    __mmask16 one[kRowVectors] = {};
    __mmask16 two[kRowVectors] = {};
    Vec words[kRowVectors];
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) x[i].advance(matches[i], precision, one[i], two[i]);
    cursor_[c].template read<kRowVectors>(step, one, two, words);
    TORCH_ANS_UNROLL
    for (int i = 0; i < kRowVectors; ++i) x[i].refill(words[i], one[i], two[i]);
  }

  /// Notes where the rows stand, for `prefetch_row`.
  TORCH_ANS_FN void note() {
    if constexpr (kShareVectors) {
      TORCH_ANS_UNROLL
      for (int c = 0; c < kCursors; ++c) cursor_[c].note();
    }
  }

  /// Asks for what a row of vector v reads later, one of those that share it.
  TORCH_ANS_FN void prefetch_row(int v, int row) const {
    if constexpr (kShareVectors) {
      cursor_[v].prefetch_row(row);
    } else if (v % kRowVectors == 0) {
      cursor_[v / kRowVectors].prefetch_row();
    }
  }

 private:
  using Cursor = std::conditional_t<kShareVectors, GatherCursor<Traits, Shape::kBlock, kLoads>,
                                    ExpandCursor<Traits>>;

  DecoderStates<Traits> x_[kVectors];
  Cursor cursor_[kCursors];
};

inline bool accepts_near_rows(const CodingTask& task) {
  return rows_are_near(task) && accepts_log_buckets(task);
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
