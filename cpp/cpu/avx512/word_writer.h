/// Collects the words of a few steps and appends them to their rows.
///
/// A step gives a vector of words, of which a mask says which ones leave. Per row, words leave step
/// by step and, in a step, lane by lane. So the vectors of kSteps steps are transposed until each
/// holds what one row has to write, and compressed.
#pragma once

#include "torch_ans/rans.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Words of 32 bits: sixteen a row.
template <typename Traits, typename Shape>
class WordWriter {
  static constexpr int kVectors = Shape::kVectors;
  static constexpr int kBlock = Shape::kBlock;
  static constexpr int kChunk = Shape::kChunk;
  static constexpr int kMasks = Traits::kMaxWords;
  static constexpr bool kNarrow = sizeof(typename Traits::State) == 4;
  /// A 64-bit state that gives up a word is below 2^31 after that and below 2^47 after the step,
  /// which no limit is below: so in rows of one lane two steps share an element.
  static constexpr int kShare = !kNarrow && kBlock == 1 ? 2 : 1;

 public:
  /// Words of 16 bits (or pairs of 8): two steps share a vector, or the two vectors of a row.
  static constexpr int kSteps = kNarrow && Shape::kRowVectors == 1 ? 2 * kChunk : kShare * kChunk;

  /// Before fewer than kSteps steps are kept.
  TORCH_ANS_FN void clear() { std::memset(masks_, 0, sizeof(masks_)); }

  TORCH_ANS_FN void keep(int v, int step, Vec words, const __mmask16* leaves) {
    const int place = step / kShare;
    if (step % kShare != 0) {
      words_[v][place] = _mm512_mask_mov_epi32(words_[v][place], leaves[0], words);
      masks_[0][v][place] = static_cast<std::uint16_t>(masks_[0][v][place] | leaves[0]);
      return;
    }
    words_[v][place] = words;
    TORCH_ANS_UNROLL
    for (int w = 0; w < kMasks; ++w) masks_[w][v][place] = leaves[w];
  }

  TORCH_ANS_FN void write(std::uint8_t** out) {
    if constexpr (!kNarrow) {
      write_wide(out);
    } else if constexpr (Shape::kRowVectors == 2) {
      write_long_rows(out);
    } else {
      write_narrow(out);
    }
  }

 private:
  TORCH_ANS_FN void write_wide(std::uint8_t** out) {
    TORCH_ANS_UNROLL
    for (int i = 0; i < kVectors; ++i) {
      const int v = kVectors - 1 - i;  // a row's upper lanes first
      transpose_blocks<kBlock>(words_[v]);
      TORCH_ANS_UNROLL
      for (int b = 0; b < kChunk; ++b) {
        append(words_[v][b], row_mask(0, v, b), 0, out[Shape::row(v, b)]);
      }
    }
  }

  TORCH_ANS_FN void write_narrow(std::uint8_t** out) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      Vec pairs[kChunk];
      TORCH_ANS_UNROLL
      for (int i = 0; i < kChunk; ++i) {
        pairs[i] = pack(words_[v][2 * i], words_[v][2 * i + 1]);
      }
      transpose_blocks<kBlock>(pairs);
      TORCH_ANS_UNROLL
      for (int b = 0; b < kChunk; ++b) {
        append(unpair(pairs[b]), row_mask(0, v, b), kMasks == 2 ? row_mask(1, v, b) : 0,
               out[Shape::row(v, b)]);
      }
    }
  }

  TORCH_ANS_FN void write_long_rows(std::uint8_t** out) {
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; v += 2) {
      const Vec words = unpair(pack(words_[v + 1][0], words_[v][0]));
      append(words, both_masks(0, v), kMasks == 2 ? both_masks(1, v) : 0, out[v / 2]);
    }
  }

  TORCH_ANS_FN std::uint32_t both_masks(int w, int v) const {
    return static_cast<std::uint32_t>(masks_[w][v + 1][0]) |
           static_cast<std::uint32_t>(masks_[w][v][0]) << 16;
  }

  /// The low halves of `first`, and of `second` above them.
  static TORCH_ANS_FN Vec pack(Vec first, Vec second) {
    return _mm512_mask_blend_epi16(0xaaaaaaaa, first, _mm512_slli_epi32(second, 16));
  }

  /// In blocks of kBlock pairs: all the first ones, then all the second ones.
  static TORCH_ANS_FN Vec unpair(Vec pairs) {
    if constexpr (kBlock == 1) {
      return pairs;
    } else {
      alignas(64) constexpr auto kOrder = make_order();
      return _mm512_permutexvar_epi16(_mm512_load_si512(kOrder.from), pairs);
    }
  }

  struct Order {
    std::uint16_t from[32];
  };
  static constexpr Order make_order() {
    Order order{};
    for (int i = 0; i < 32; ++i) {
      const int block = i / (2 * kBlock);
      const int half = i / kBlock % 2;
      order.from[i] = static_cast<std::uint16_t>(block * 2 * kBlock + i % kBlock * 2 + half);
    }
    return order;
  }

  /// What row `block` of vector v has to write: kBlock bits a step.
  TORCH_ANS_FN std::uint32_t row_mask(int w, int v, int block) const {
    const std::uint16_t* masks = masks_[w][v];
    if constexpr (kBlock == 1) {
      const Vec bit = _mm512_set1_epi16(static_cast<std::int16_t>(1u << block));
      if constexpr (kSteps / kShare == 32) {
        return _mm512_test_epi16_mask(_mm512_loadu_si512(masks), bit);
      } else {
        return _mm256_test_epi16_mask(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(masks)),
                                      _mm512_castsi512_si256(bit));
      }
    } else if constexpr (kSteps == 1) {
      return masks[0];
    } else if constexpr (kSteps == 2) {
      const auto both = load<std::uint32_t>(masks);
      return kBlock == kVecSize ? both : _pext_u32(both, lane_bits(block) & 0xffffffffu);
    } else {
      std::uint32_t mask = 0;
      TORCH_ANS_UNROLL
      for (int part = 0; part < kSteps; part += 4) {
        const auto bits = _pext_u64(load<std::uint64_t>(masks + part), lane_bits(block));
        mask |= static_cast<std::uint32_t>(bits) << (part * kBlock % 32);
      }
      return mask;
    }
  }

  static constexpr std::uint64_t lane_bits(int block) {
    return (((1ull << kBlock) - 1) << (block * kBlock % kVecSize)) * 0x0001000100010001ull;
  }

  static TORCH_ANS_FN void append(Vec words, std::uint32_t mask, std::uint32_t second,
                                  std::uint8_t*& out) {
    if constexpr (!kNarrow) {
      const auto mask16 = static_cast<__mmask16>(mask);
      _mm512_storeu_si512(out, _mm512_maskz_compress_epi32(mask16, words));
      out += 4 * _mm_popcnt_u32(mask);
    } else if constexpr (kMasks == 1) {
      _mm512_storeu_si512(out, _mm512_maskz_compress_epi16(mask, words));
      out += 2 * _mm_popcnt_u32(mask);
    } else {
      const std::uint64_t bytes =
          _pdep_u64(mask, 0x5555555555555555ull) | _pdep_u64(second, 0xaaaaaaaaaaaaaaaaull);
      _mm512_storeu_si512(out, _mm512_maskz_compress_epi8(bytes, words));
      out += _mm_popcnt_u64(bytes);
    }
  }

  Vec words_[kVectors][kSteps / kShare];
  alignas(64) std::uint16_t masks_[kMasks][kVectors][kSteps / kShare];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
