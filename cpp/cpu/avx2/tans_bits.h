/// The bits of eight rows of tANS.
#pragma once

#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The bit buffers (`BitBuffer`) of eight rows, the next bit of each uppermost: 64 bits behind a
/// refill, 32 of them at hand.
template <int kStates>
class EightBuffers {
 public:
  TORCH_ANS_FN void load(const std::uint32_t* states, const std::uint8_t* base,
                         const std::uint8_t* const* in) {
    alignas(32) std::uint32_t bits[8], counts[8];
    alignas(32) std::int32_t offsets[8];
    for (int r = 0; r < 8; ++r) {
      bits[r] = states[r * kStates + kStates - 2];
      counts[r] = states[r * kStates + kStates - 1];
      offsets[r] = static_cast<std::int32_t>(in[r] - base);
    }
    base_ = base;
    offset_ = load256(offsets);
    count_ = load256(counts);
    bits_ = _mm256_sllv_epi32(load256(bits), but(count_));
    rest_ = taken_ = _mm256_setzero_si256();
  }

  TORCH_ANS_FN void store(std::uint32_t* states, const std::uint8_t** in) {
    top_up();
    pass_bytes();
    alignas(32) std::uint32_t bits[8], counts[8];
    const Cursors cursor = cursors();
    store256(bits, _mm256_srlv_epi32(bits_, but(count_)));
    store256(counts, count_);
    for (int r = 0; r < 8; ++r) {
      states[r * kStates + kStates - 2] = bits[r];
      states[r * kStates + kStates - 1] = counts[r];
      in[r] = cursor(r);
    }
  }

  /// By row.
  struct Cursors {
    const std::uint8_t* base;
    alignas(32) std::int32_t offsets[8];

    TORCH_ANS_FN const std::uint8_t* operator()(int r) const { return base + offsets[r]; }
  };

  /// As the last refill left them.
  TORCH_ANS_FN Cursors cursors() const {
    Cursors cursors;
    cursors.base = base_;
    store256(cursors.offsets, offset_);
    return cursors;
  }

  /// Comes behind a `top_up`. Loads 8 bytes below each row's cursor.
  TORCH_ANS_FN void refill() {
    pass_bytes();
    const Cursors cursor = cursors();
    const auto two = [&cursor](int r) {  // (The loads of doubles want them aligned.)
      const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(cursor(r) - 8));
      const auto* high = reinterpret_cast<const double*>(cursor(r + 1) - 8);
      return _mm_castpd_si128(_mm_loadh_pd(_mm_castsi128_pd(low), high));
    };
    const __m256i front = _mm256_set_m128i(two(4), two(0));
    const __m256i back = _mm256_set_m128i(two(6), two(2));
    const __m256i high = high_halves(front, back);
    // What is in `bits_` below the bits that count is the same as what comes there now.
    bits_ = _mm256_or_si256(bits_, _mm256_srlv_epi32(high, count_));
    rest_ = _mm256_or_si256(_mm256_sllv_epi32(high, but(count_)),
                            _mm256_srlv_epi32(low_halves(front, back), count_));
    taken_ = _mm256_setzero_si256();
  }

  /// The next n bits, with `others` = 32 - n; no more than 32 between two calls of `top_up`.
  TORCH_ANS_FN __m256i take(__m256i n, __m256i others) {
    const __m256i value = _mm256_srlv_epi32(bits_, others);
    bits_ = _mm256_sllv_epi32(bits_, n);
    taken_ = _mm256_add_epi32(taken_, n);
    return value;
  }

  TORCH_ANS_FN void top_up() {
    bits_ = _mm256_or_si256(bits_, _mm256_srlv_epi32(rest_, but(taken_)));
    rest_ = _mm256_sllv_epi32(rest_, taken_);
    count_ = _mm256_sub_epi32(count_, taken_);
    taken_ = _mm256_setzero_si256();
  }

 private:
  /// Counts bits of memory, where those before it are used up, and moves the cursors past them.
  TORCH_ANS_FN void pass_bytes() {
    const __m256i missing = _mm256_sub_epi32(_mm256_set1_epi32(7), count_);
    const __m256i bytes = _mm256_max_epi32(_mm256_srai_epi32(missing, 3), _mm256_setzero_si256());
    count_ = _mm256_add_epi32(count_, _mm256_slli_epi32(bytes, 3));
    offset_ = _mm256_sub_epi32(offset_, bytes);
  }

  /// 32 - n. (A shift by 32 leaves 0.)
  static TORCH_ANS_FN __m256i but(__m256i n) { return _mm256_sub_epi32(_mm256_set1_epi32(32), n); }

  const std::uint8_t* base_;
  __m256i offset_;  ///< of the rows' cursors from `base_`
  __m256i count_;   ///< bits above the cursor less those taken since; 0 to 31 behind `pass_bytes`
  __m256i bits_;
  __m256i rest_;   ///< what follows them
  __m256i taken_;  ///< since the last `top_up`
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
