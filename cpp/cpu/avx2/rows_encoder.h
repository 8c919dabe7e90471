/// Push of rows of one lane: eight rows in a vector.
#pragma once

#include "encoder.h"
#include "transpose.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The words that leave eight rows in a few steps: four elements a row.
template <typename Traits>
class RowWords {
  static constexpr int kWordBytes = Traits::kWordBits / 8;
  /// A state of rans64 that gives up a word is below 2^31 after that and 2^47 after the step, which
  /// no limit is below: so two steps share an element.
  static constexpr int kShare = sizeof(typename Traits::State) == 8 ? 2 : 1;

 public:
  static constexpr int kSteps = 4 * kShare;
  static constexpr int kStoreSlack = 16;

  TORCH_ANS_FN void clear() {
    TORCH_ANS_UNROLL
    for (int k = 0; k < 4; ++k) {
      words_[k] = _mm256_setzero_si256();
      for (auto& leaves : leaves_) leaves[k] = _mm256_setzero_si256();
    }
  }

  TORCH_ANS_FN void keep(int step, const Leaving<Traits>& leaving) {
    const int k = step / kShare;
    if (step % kShare != 0) {
      words_[k] = pick(leaving.words, words_[k], leaves_[0][k]);
      leaves_[0][k] = _mm256_or_si256(leaves_[0][k], leaving.leaves[0]);
      return;
    }
    words_[k] = leaving.words;
    TORCH_ANS_UNROLL
    for (int w = 0; w < Traits::kMaxWords; ++w) leaves_[w][k] = leaving.leaves[w];
  }

  TORCH_ANS_FN void write(std::uint8_t** out) const {
    const __m256i front[2] = {_mm256_unpacklo_epi32(words_[0], words_[1]),
                              _mm256_unpackhi_epi32(words_[0], words_[1])};
    const __m256i back[2] = {_mm256_unpacklo_epi32(words_[2], words_[3]),
                             _mm256_unpackhi_epi32(words_[2], words_[3])};
    std::uint32_t masks[Traits::kMaxWords];
    TORCH_ANS_UNROLL
    for (int w = 0; w < Traits::kMaxWords; ++w) masks[w] = mask_of(leaves_[w]);
    TORCH_ANS_UNROLL
    for (int r = 0; r < 4; ++r) {  // rows r and r + 4
      const __m256i both = r % 2 == 0 ? _mm256_unpacklo_epi64(front[r / 2], back[r / 2])
                                      : _mm256_unpackhi_epi64(front[r / 2], back[r / 2]);
      append(_mm256_castsi256_si128(both), mask_of_row(masks, r), out[r]);
      append(_mm256_extracti128_si256(both, 1), mask_of_row(masks, r + 4), out[r + 4]);
    }
  }

 private:
  /// Four bits a row: which elements.
  static TORCH_ANS_FN std::uint32_t mask_of(const __m256i* leaves) {
    const __m256i low = _mm256_packs_epi32(leaves[0], leaves[1]);
    const __m256i high = _mm256_packs_epi32(leaves[2], leaves[3]);
    const __m256i by_row = _mm256_set_epi8(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0, 15,
                                           11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
    return static_cast<std::uint32_t>(
        _mm256_movemask_epi8(_mm256_shuffle_epi8(_mm256_packs_epi16(low, high), by_row)));
  }

  static TORCH_ANS_FN std::uint32_t mask_of_row(const std::uint32_t* masks, int r) {
    const std::uint32_t first = masks[0] >> (4 * r) & 15;
    if constexpr (Traits::kMaxWords == 1) return first;
    return first | (masks[Traits::kMaxWords - 1] >> (4 * r) & 15) << 4;
  }

  static TORCH_ANS_FN void append(__m128i words, std::uint32_t mask, std::uint8_t*& out) {
    constexpr const ShuffleTable& table = kSqueezeSteps<kWordBytes, Traits::kMaxWords>;
    const auto* shuffle = reinterpret_cast<const __m128i*>(table.bytes[mask]);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out),
                     _mm_shuffle_epi8(words, _mm_load_si128(shuffle)));
    out += kWordBytes * _mm_popcnt_u32(mask);
  }

  __m256i words_[4];
  __m256i leaves_[Traits::kMaxWords][4];
};

/// Takes eight steps at a time: as many symbols of a row are a vector.
template <typename Traits, int kVectors>
struct RowsEncoder : PairsByLoads<Traits> {
  static constexpr int kRows = 8 * kVectors;
  static constexpr int kStoreSlack = RowWords<Traits>::kStoreSlack;
  using State = typename Traits::State;
  using RowsEncoder::ScalarTile::kTileStride;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const SlotPair* pairs, int begin, int end) {
    const typename Puts::Constants constants(tables.freq_precision);
    Puts x[kVectors];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v].load(states + 8 * v);
    for (; end - begin >= kBlock; end -= kBlock) {
      put_block<true>(constants, x, outs, pairs + end - kBlock, kBlock);
    }
    if (end > begin) put_block<false>(constants, x, outs, pairs + begin, end - begin);
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) x[v].store(states + 8 * v);
  }

 private:
  using Puts = EightPuts<Traits>;
  static constexpr int kBlock = 8;

  /// Groups steps - 1 .. 0 of every row.
  template <bool kWhole>
  static TORCH_ANS_FN void put_block(const typename Puts::Constants& constants, Puts* x,
                                     std::uint8_t** outs, const SlotPair* pairs, int steps) {
    constexpr int kSteps = RowWords<Traits>::kSteps;
    __m256i pair[kVectors][kBlock];
    TORCH_ANS_UNROLL
    for (int v = 0; v < kVectors; ++v) {
      __m256i rows[8];
      TORCH_ANS_UNROLL
      for (int r = 0; r < 8; ++r) rows[r] = load256(pairs + (8 * v + r) * kTileStride);
      transpose_8(rows, pair[v]);
    }
    TORCH_ANS_UNROLL
    for (int first = 0; first < kBlock; first += kSteps) {
      RowWords<Traits> words[kVectors];
      if constexpr (!kWhole) {
        for (auto& of : words) of.clear();
      }
      TORCH_ANS_UNROLL
      for (int step = 0; step < kSteps; ++step) {
        if (!kWhole && first + step >= steps) break;
        TORCH_ANS_UNROLL
        for (int v = 0; v < kVectors; ++v) {
          words[v].keep(step, x[v].put(constants, pair[v][steps - 1 - first - step]));
        }
      }
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) words[v].write(outs + 8 * v);
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
