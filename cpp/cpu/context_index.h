/// From the contexts of a symbol to its table.
#pragma once

#include "task.h"
#include "tiles.h"
#include "torch_ans/contexts.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// As load_tile; zeros where there is no array.
inline const std::int32_t* load_or_zeros(const IntArray& array, std::int64_t row,
                                         std::int64_t first, int count, std::int32_t* tile) {
  if (array.data != nullptr) return load_tile(array, row, first, count, tile);
  std::memset(tile, 0, static_cast<std::size_t>(count) * sizeof(*tile));
  return tile;
}

template <int kOrder>
class ContextIndex {
 public:
  explicit ContextIndex(const ContextTask& contexts) : contexts_(contexts) {}

  bool is_valid(std::int32_t set, std::int32_t index) const {
    return static_cast<std::uint32_t>(set) < contexts_.num_sets &&
           static_cast<std::uint32_t>(index) < contexts_.num_indexes;
  }

  /// Where the tables of (set, index) begin.
  TORCH_ANS_FN std::int32_t base(std::int32_t set, std::int32_t index) const {
    std::int32_t base = set * static_cast<std::int32_t>(contexts_.num_indexes) + index;
    for (int k = 0; k < kOrder; ++k) base *= contexts_.sizes[k];
    return base;
  }

  /// `history` points at the place of the symbol whose table is asked for.
  TORCH_ANS_FN std::int32_t operator()(std::int32_t base, const std::uint16_t* history) const {
    std::int32_t at = 0;
    TORCH_ANS_UNROLL
    for (int k = 0; k < kOrder; ++k) {
      at = add_context(at, contexts_.sizes[k], history[-contexts_.offsets[k]]);
    }
    return contexts_.tables[base + at];
  }

 private:
  const ContextTask contexts_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
