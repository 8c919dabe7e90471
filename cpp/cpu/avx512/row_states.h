/// The states of the rows that a decoder advances together, sixteen a vector, lanes and rows in
/// their natural order.
#pragma once

#include <type_traits>

#include "vectors.h"
#include "word_cursors.h"

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
 public:
  using State = typename Traits::State;

  TORCH_ANS_FN void load(const State* states) { x_ = _mm512_loadu_si512(states); }
  TORCH_ANS_FN void store(State* states) const { _mm512_storeu_si512(states, x_); }

  TORCH_ANS_FN Vec slots(int precision) const {
    return _mm512_and_si512(x_, splat((1u << precision) - 1u));
  }

  /// All but the words that the states then lack: a first (`one`), and a second one (`two`).
  TORCH_ANS_FN void advance(const Matches& matches, int precision, __mmask16& one, __mmask16& two) {
    const Vec high = _mm512_srl_epi32(x_, _mm_cvtsi32_si128(precision));
    x_ = _mm512_add_epi32(_mm512_mullo_epi32(matches.freq, high), matches.rank);
    one = _mm512_cmplt_epu32_mask(x_, splat(Traits::kLowerBound));
    if constexpr (Traits::kMaxWords == 2) {
      two = _mm512_mask_cmplt_epu32_mask(one, x_, splat(Traits::kLowerBound >> 8));
    }
  }

  /// The word of each element, or its two bytes in the upper half, the first one uppermost.
  TORCH_ANS_FN void refill(Vec words, __mmask16 one, __mmask16 two) {
    constexpr int kBits = Traits::kWordBits;
    const Vec first = kBits == 8 ? _mm512_srli_epi32(words, 24) : words;
    x_ = _mm512_mask_or_epi32(x_, one, _mm512_slli_epi32(x_, kBits), first);
    if constexpr (Traits::kMaxWords == 2) {
      const Vec second = _mm512_and_si512(_mm512_srli_epi32(words, 16), splat(0xff));
      x_ = _mm512_mask_or_epi32(x_, two, _mm512_slli_epi32(x_, kBits), second);
    }
  }

 private:
  Vec x_;
};

/// The same for states of 64 bits, whose halves are two vectors.
template <>
class DecoderStates<Rans64> {
 public:
  TORCH_ANS_FN void load(const std::uint64_t* states) { x_ = load_halves(states); }
  TORCH_ANS_FN void store(std::uint64_t* states) const { store_halves(states, x_.low, x_.high); }

  TORCH_ANS_FN Vec slots(int precision) const {
    return _mm512_and_si512(x_.low, splat((1u << precision) - 1u));
  }

  TORCH_ANS_FN void advance(const Matches& matches, int precision, __mmask16& one,
                            __mmask16& /*two*/) {
    const Vec freq = matches.freq;
    const Vec low =
        _mm512_shrdv_epi32(x_.low, x_.high, splat(static_cast<std::uint32_t>(precision)));
    const Vec high = _mm512_srl_epi32(x_.high, _mm_cvtsi32_si128(precision));
    const Vec even = _mm512_mul_epu32(low, freq);
    const Vec odd = _mm512_mul_epu32(_mm512_srli_epi64(low, 32), _mm512_srli_epi64(freq, 32));
    x_.low = _mm512_add_epi32(join_lower(even, odd), matches.rank);
    x_.high = _mm512_add_epi32(join_upper(even, odd), _mm512_mullo_epi32(high, freq));
    const __mmask16 carry = _mm512_cmplt_epu32_mask(x_.low, matches.rank);
    x_.high = _mm512_mask_add_epi32(x_.high, carry, x_.high, splat(1));
    // At least 2^31: the upper half, or the uppermost bit of the lower one, is not 0.
    static_assert(Rans64::kLowerBound == std::uint64_t{1} << 31, "");
    const Vec tops = _mm512_ternarylogic_epi32(x_.high, x_.low, splat(1u << 31), 0xf8);
    one = _mm512_testn_epi32_mask(tops, tops);
  }

  TORCH_ANS_FN void refill(Vec words, __mmask16 one, __mmask16 /*two*/) {
    x_.high = _mm512_mask_mov_epi32(x_.high, one, x_.low);
    x_.low = _mm512_mask_mov_epi32(x_.low, one, words);
  }

 private:
  Halves x_;
};

/// All rows of a kernel, and where they read. A cursor has the rows of a vector, or a row of
/// several.
template <typename Traits, typename Shape, bool kLoads = false>
class RowStates {
  static constexpr int kVectors = Shape::kVectors;
  static constexpr int kRowVectors = Shape::kRowVectors;
  static constexpr bool kShareVectors = Shape::kBlock < kVecSize;
  using Cursor = std::conditional_t<kShareVectors, GatherCursor<Traits, Shape::kBlock, kLoads>,
                                    ExpandCursor<Traits>>;

 public:
  using State = typename Traits::State;
  static constexpr int kReadSteps = Cursor::kReadSteps;
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
  DecoderStates<Traits> x_[kVectors];
  Cursor cursor_[kCursors];
};

inline bool accepts_near_rows(const CodingTask& task) {
  return rows_are_near(task) && accepts_log_buckets(task);
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
