/// The tables of sixteen symbols at once, where they follow from those before them.
#pragma once

#include "cpu/context_index.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// One context of each of sixteen symbols: rows of kBlock lanes each.
template <int kRows, int kBlock>
class VectorContext {
 public:
  VectorContext() = default;

  VectorContext(std::int64_t offset, std::int32_t size)
      : before_(offset), most_(splat(static_cast<std::uint32_t>(size - 1))) {
    const auto rest = static_cast<std::uint32_t>(before_.rest);
    // Elements from 16 on are those of the far block.
    const Vec lane = _mm512_and_si512(iota(), splat(kBlock - 1));
    const __mmask16 crosses = _mm512_cmplt_epu32_mask(lane, splat(rest));
    const Vec back = _mm512_sub_epi32(iota(), splat(rest));
    turn_ = _mm512_mask_add_epi32(back, crosses, back, splat(kVecSize + kBlock));
  }

  /// Of the sixteen symbols whose own contexts will stand at `place`.
  TORCH_ANS_FN Vec find(const std::uint16_t* place) const {
    Vec found = load(place - before_.near_block);
    if constexpr (kBlock > 1) {
      found = _mm512_permutex2var_epi32(found, turn_, load(place - before_.far_block));
    }
    return _mm512_min_epu32(found, most_);
  }

 private:
  static TORCH_ANS_FN Vec load(const std::uint16_t* place) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(place)));
  }

  BlocksBefore<kRows, kBlock> before_;
  Vec most_;
  Vec turn_;
};

template <int kRows, int kBlock>
class VectorContexts {
 public:
  explicit VectorContexts(const ContextTask& task) : order_(task.order), tables_(task.tables) {
    for (int k = 0; k < order_; ++k) {
      contexts_[k] = VectorContext<kRows, kBlock>(task.offsets[k], task.sizes[k]);
      sizes_[k] = static_cast<std::uint32_t>(task.sizes[k]);
    }
  }

  /// Where in `ContextTask::tables` the tables stand; `base` as in ContextIndex.
  TORCH_ANS_FN Vec entries(Vec base, const std::uint16_t* place) const {
    Vec at = contexts_[0].find(place);
    if (order_ > 1) at = append(at, 1, place);
    if (order_ > 2) at = append(at, 2, place);
    return _mm512_add_epi32(base, at);
  }

  TORCH_ANS_FN Vec tables(Vec entries) const { return _mm512_i32gather_epi32(entries, tables_, 4); }

  /// `symbols` count from their tables' first.
  static TORCH_ANS_FN void found(std::uint16_t* place, Vec symbols) {
    const Vec next = _mm512_add_epi32(symbols, splat(1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(place), _mm512_cvtusepi32_epi16(next));
  }

 private:
  TORCH_ANS_FN Vec append(Vec at, int k, const std::uint16_t* place) const {
    return _mm512_add_epi32(_mm512_mullo_epi32(at, splat(sizes_[k])), contexts_[k].find(place));
  }

  std::int32_t order_;
  const std::int32_t* tables_;
  std::uint32_t sizes_[3];
  VectorContext<kRows, kBlock> contexts_[3];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
