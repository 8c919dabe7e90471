/// Where the rows of a vector of states read, and the words that they take.
#pragma once

#include "lookups.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Where the rows of a vector read, for blocks that are narrower than the vector: one offset an
/// element, the same for all lanes of a block, from a common base.
template <typename Traits, int kBlock, bool kLoads = false>
class GatherCursor {
  static constexpr int kBytes = static_cast<int>(sizeof(typename Traits::Word));

 public:
  /// Steps that one look-up of words lasts for.
  static constexpr int kReadSteps = kBlock > 1    ? 1
                                    : kBytes == 4 ? 4
                                                  : 4 / (kBytes * Traits::kMaxWords);

  TORCH_ANS_FN void load(const std::uint8_t* base, const std::uint8_t* const* in) {
    alignas(64) std::int32_t offsets[kVecSize];
    for (int e = 0; e < kVecSize; ++e) {
      offsets[e] = static_cast<std::int32_t>(in[e / kBlock] - base);
    }
    base_ = base;
    offset_ = _mm512_load_si512(offsets);
  }

  TORCH_ANS_FN void store(const std::uint8_t** in) const {
    alignas(64) std::int32_t offsets[kVecSize];
    _mm512_store_si512(offsets, offset_);
    for (int e = 0; e < kVecSize; e += kBlock) in[e / kBlock] = base_ + offsets[e];
  }

  /// Notes where the rows stand, for `prefetch_row`.
  TORCH_ANS_FN void note() { _mm512_store_si512(noted_, offset_); }

  /// Asks for what a row reads later. The rows of a vector are more streams, each walked
  /// downwards, than a CPU's prefetchers follow.
  TORCH_ANS_FN void prefetch_row(int row) const {
    constexpr int kBytesAhead = 192;
    prefetch(base_ + noted_[row * kBlock] - kBytesAhead);
  }

  /// What `DecoderStates::refill` takes, where elements of `one` (and of `two` once more) read a
  /// word each, lower lanes nearer to the end. Moves the rows on. `step` counts the calls since a
  /// row's states were loaded.
  template <int kCount>
  TORCH_ANS_FN void read(int step, const __mmask16* one, const __mmask16* two, Vec* words) {
    static_assert(kCount == 1, "rows are no longer than a vector");
    if constexpr (kBlock == 1 && kBytes == 4) {
      words[0] = read_two_ahead(step, one[0]);
    } else if constexpr (kReadSteps > 1) {
      words[0] = read_ahead(step, one[0], two[0]);
    } else {
      const Vec bytes = read(one[0], two[0]);
      words[0] = Traits::kWordBits == 16 ? _mm512_srli_epi32(bytes, 16) : bytes;
    }
  }

 private:
  TORCH_ANS_FN Vec read_ahead(int step, __mmask16 one, __mmask16 two) {
    if (step % kReadSteps == 0) bytes_ = below(offset_);
    const Vec bytes = bytes_;
    bytes_ = _mm512_mask_slli_epi32(bytes_, one, bytes_, Traits::kWordBits);
    offset_ = _mm512_mask_sub_epi32(offset_, one, offset_, splat(kBytes));
    if constexpr (Traits::kMaxWords == 2) {
      bytes_ = _mm512_mask_slli_epi32(bytes_, two, bytes_, Traits::kWordBits);
      offset_ = _mm512_mask_sub_epi32(offset_, two, offset_, splat(kBytes));
    }
    return Traits::kWordBits == 16 ? _mm512_srli_epi32(bytes, 16) : bytes;
  }

  /// Two words last for four steps, as `WideStates` says (rows_decoder.h); and a row from
  /// which a group may be taken has as much below its words: its header and its length.
  TORCH_ANS_FN Vec read_two_ahead(int step, __mmask16 one) {
    if (step % kReadSteps == 0) {
      two_words_ = look_up_halves<kLoads, 1>(base_, _mm512_sub_epi32(offset_, splat(8)));
    }
    const Vec words = two_words_.high;
    two_words_.high = _mm512_mask_mov_epi32(words, one, two_words_.low);
    offset_ = _mm512_mask_sub_epi32(offset_, one, offset_, splat(kBytes));
    return words;
  }

  /// The four bytes below what each element has to read.
  TORCH_ANS_FN Vec read(__mmask16 one, __mmask16 two) {
    const Vec lane = _mm512_and_si512(iota(), splat(kBlock - 1));
    const Vec first = _mm512_sub_epi32(iota(), lane);
    const Vec block = _mm512_sllv_epi32(splat((1u << kBlock) - 1u), first);
    const Vec lower =
        _mm512_and_si512(block, _mm512_sub_epi32(_mm512_sllv_epi32(splat(1), iota()), splat(1)));
    Vec taken = count(one, lower);
    Vec total = count(one, block);
    if constexpr (Traits::kMaxWords == 2) {
      taken = _mm512_add_epi32(taken, count(two, lower));
      total = _mm512_add_epi32(total, count(two, block));
    }
    constexpr int kLog = kBytes == 4 ? 2 : kBytes - 1;
    const Vec bytes = below(_mm512_sub_epi32(offset_, _mm512_slli_epi32(taken, kLog)));
    offset_ = _mm512_sub_epi32(offset_, _mm512_slli_epi32(total, kLog));
    return bytes;
  }

  TORCH_ANS_FN Vec below(Vec offset) const {
    return look_up<kLoads, 1>(base_, _mm512_sub_epi32(offset, splat(4)));
  }

  static TORCH_ANS_FN Vec count(__mmask16 mask, Vec among) {
    return _mm512_popcnt_epi32(_mm512_and_si512(splat(mask), among));
  }

  const std::uint8_t* base_;
  Vec offset_;
  Vec bytes_;
  Halves two_words_;
  alignas(64) std::int32_t noted_[kVecSize];
};

/// The same for vectors whose elements are lanes of one row: one load, spread by expansion.
template <typename Traits>
class ExpandCursor {
 public:
  static constexpr int kReadSteps = 1;

  TORCH_ANS_FN void load(const std::uint8_t* in) { in_ = in; }
  TORCH_ANS_FN const std::uint8_t* in() const { return in_; }

  /// Asks for what the row reads later.
  TORCH_ANS_FN void prefetch_row() const {
    constexpr int kBytesAhead = 256;
    prefetch(in_ - kBytesAhead);
  }

  /// As GatherCursor::read, for kCount vectors of the row, lower lanes first.
  template <int kCount>
  TORCH_ANS_FN void read(int /*step*/, const __mmask16* one, const __mmask16* two, Vec* words) {
    if constexpr (Traits::kWordBits == 16 && kCount == 2) {
      const __mmask32 both = _mm512_kunpackw(one[1], one[0]);
      const Vec turn = _mm512_sub_epi16(
          _mm512_set1_epi32(0x001e001f),
          _mm512_slli_epi32(_mm512_or_si512(iota(), _mm512_slli_epi32(iota(), 16)), 1));
      const Vec turned = _mm512_permutexvar_epi16(turn, _mm512_loadu_si512(in_ - 64));
      in_ -= 2 * _mm_popcnt_u32(both);
      const Vec spread = _mm512_maskz_expand_epi16(both, turned);
      words[0] = _mm512_cvtepu16_epi32(_mm512_castsi512_si256(spread));
      words[1] = _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(spread, 1));
    } else {
      TORCH_ANS_UNROLL
      for (int i = 0; i < kCount; ++i) words[i] = read(one[i], two[i]);
    }
  }

 private:
  TORCH_ANS_FN Vec read(__mmask16 one, __mmask16 two) {
    if constexpr (Traits::kWordBits == 32) {
      const Vec words = _mm512_permutexvar_epi32(_mm512_sub_epi32(splat(15), iota()),
                                                 _mm512_loadu_si512(in_ - 64));
      in_ -= 4 * _mm_popcnt_u32(one);
      return _mm512_maskz_expand_epi32(one, words);
    } else if constexpr (Traits::kWordBits == 16) {
      const __m256i order = _mm512_cvtepi32_epi16(_mm512_sub_epi32(splat(15), iota()));
      const __m256i words = _mm256_permutexvar_epi16(
          order, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(in_ - 32)));
      in_ -= 2 * _mm_popcnt_u32(one);
      return _mm512_cvtepu16_epi32(_mm256_maskz_expand_epi16(one, words));
    } else {
      const __m128i turn = _mm_setr_epi8(15, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0);
      const auto* end = reinterpret_cast<const __m128i*>(in_);
      const __m256i bytes = _mm256_setr_m128i(_mm_shuffle_epi8(_mm_loadu_si128(end - 1), turn),
                                              _mm_shuffle_epi8(_mm_loadu_si128(end - 2), turn));
      const std::uint32_t mask = _pdep_u32(one, 0x55555555u) | _pdep_u32(two, 0xaaaaaaaau);
      in_ -= _mm_popcnt_u32(mask);
      // The first byte of an element goes to its top.
      const Vec pairs = _mm512_cvtepu16_epi32(_mm256_maskz_expand_epi8(mask, bytes));
      return _mm512_or_si512(_mm512_slli_epi32(pairs, 24),
                             _mm512_slli_epi32(_mm512_srli_epi32(pairs, 8), 16));
    }
  }

  const std::uint8_t* in_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
