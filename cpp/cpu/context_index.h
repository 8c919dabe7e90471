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

class ContextIndex {
 public:
  explicit ContextIndex(const ContextTask& contexts) : contexts_(contexts) {
    std::int64_t product = 1;
    for (int k = 0; k < contexts.order; ++k) product *= contexts.sizes[k];
    tables_of_index_ = static_cast<std::int32_t>(product);
  }

  const ContextTask& task() const { return contexts_; }

  /// Fills `bases` with where the tables of symbols [first, first + count) of a row begin, which
  /// `scratch` of as many elements helps with. Returns -1, or the position of an index that names
  /// nothing.
  std::int64_t load_bases(const IntArray& indexes, std::int64_t row, std::int64_t first, int count,
                          std::int32_t* scratch, std::int32_t* bases) const {
    const std::int32_t* set = load_or_zeros(contexts_.sets, row, first, count, scratch);
    const std::int32_t* index = load_or_zeros(indexes, row, first, count, bases);
    std::uint32_t bad = 0;
    for (int t = 0; t < count; ++t) bad |= static_cast<std::uint32_t>(!is_valid(set[t], index[t]));
    if (bad != 0) {
      int t = 0;
      while (is_valid(set[t], index[t])) ++t;
      return first + t;
    }
    const auto num_indexes = static_cast<std::int32_t>(contexts_.num_indexes);
    for (int t = 0; t < count; ++t) {
      bases[t] = (set[t] * num_indexes + index[t]) * tables_of_index_;
    }
    return -1;
  }

  /// Without indexes and sets all bases are 0.
  bool needs_bases(const IntArray& indexes) const {
    return indexes.data != nullptr || contexts_.sets.data != nullptr;
  }

  /// `before(offset)`: the context of the symbol that many before the one that a table is asked
  /// for.
  template <typename Before>
  TORCH_ANS_FN std::int32_t find(std::int32_t base, const Before& before) const {
    std::int32_t at = 0;
    for (int k = 0; k < contexts_.order; ++k) {
      at = add_context(at, contexts_.sizes[k], before(contexts_.offsets[k]));
    }
    return contexts_.tables[base + at];
  }

 private:
  bool is_valid(std::int32_t set, std::int32_t index) const {
    return static_cast<std::uint32_t>(set) < contexts_.num_sets &&
           static_cast<std::uint32_t>(index) < contexts_.num_indexes;
  }

  ContextTask contexts_;
  std::int32_t tables_of_index_;
};

/// A backend that derives from this decodes symbols whose tables follow from those before.
struct FollowsSymbols {};

/// The contexts of kRows rows that are decoded together. Blocks of kBlock positions, 16-bit each:
/// a block of the first row, the same block of the next rows, then the blocks that follow. So a
/// vector of the states of several rows, kBlock lanes each, finds its contexts side by side.
template <int kRows, int kBlock>
class BatchHistory {
 public:
  BatchHistory(const CodingTask& task, std::int64_t first_row)
      : index_(*task.contexts),
        padding_(task.history_padding),
        values_(task.history + first_row * task.history_stride) {
    std::memset(values_, 0, static_cast<std::size_t>(padding_) * kRows * sizeof(*values_));
  }

  const ContextIndex& index() const { return index_; }

  TORCH_ANS_FN std::uint16_t* at(int r, std::int64_t position) const {
    const auto padded = static_cast<std::uint64_t>(position + padding_);
    const std::uint64_t block = padded / kBlock * kRows + static_cast<std::uint32_t>(r);
    return values_ + block * kBlock + padded % kBlock;
  }

  std::uint32_t find(std::int32_t base, int r, std::int64_t position) const {
    return static_cast<std::uint32_t>(
        index_.find(base, [&](std::int64_t offset) { return *at(r, position - offset); }));
  }

 private:
  ContextIndex index_;
  std::int64_t padding_;
  std::uint16_t* values_;
};

/// Where in a BatchHistory the contexts of the symbols lie that stand `offset` before a block: they
/// are the end of one block and the beginning of the next. In elements before the block.
template <int kRows, int kBlock>
struct BlocksBefore {
  BlocksBefore() = default;
  explicit BlocksBefore(std::int64_t offset)
      : rest(static_cast<int>(offset % kBlock)),
        near_block(offset / kBlock * kRows * kBlock),
        far_block(near_block + (rest == 0 ? 0 : kRows * kBlock)) {}

  int rest;  ///< how many lanes of each row find theirs in the far block
  std::int64_t near_block;
  std::int64_t far_block;
};

/// A tile of a batch, as the loops see it.
template <int kRows, int kBlock>
struct FollowingTile {
  const TablesView& tables;
  const BatchHistory<kRows, kBlock>& history;
  std::int64_t first;                   ///< position of the tile's first symbol
  bool one_offset;                      ///< all tables have the offset of the first
  const std::uint32_t* context_shifts;  ///< as in CodingTask
};

/// What a RowDecoder keeps for its backend: nothing, where that follows no symbols.
template <typename Backend, bool = kIs<Backend, FollowsSymbols>>
struct HistoryOf {
  HistoryOf(const CodingTask& /*task*/, std::int64_t /*first_row*/) {}
};
template <typename Backend>
struct HistoryOf<Backend, true> : BatchHistory<Backend::kRows, Backend::kHistoryBlock> {
  using BatchHistory<Backend::kRows, Backend::kHistoryBlock>::BatchHistory;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
