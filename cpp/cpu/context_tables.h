/// Push with tables that follow the symbols. The encoder knows all symbols: where all tables have
/// one offset, the table of each follows from symbols alone, without a chain.
#pragma once

#include "context_index.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The tables of a tile of up to kTile symbols, in loops that compilers turn into vectors.
template <int kTile>
class ContextTables {
 public:
  /// Those of symbols [first, first + count) of a row; null, with the position of an index that
  /// names nothing in `bad`.
  const std::int32_t* find(const CodingTask& task, std::int64_t row, std::int64_t first, int count,
                           std::int64_t& bad) {
    const ContextTask& contexts = *task.contexts;
    const ContextIndex index(contexts);
    std::memset(places_, 0, static_cast<std::size_t>(count) * sizeof(*places_));
    for (int k = 0; k < contexts.order; ++k) {
      const std::int64_t from = first - contexts.offsets[k];
      append(load(task, row, from, count), task.tables.offsets[0], contexts.sizes[k], count);
      // Before the row there is no symbol: context 0.
      for (std::int64_t t = 0; t < smaller<std::int64_t>(-from, count); ++t) places_[t] -= last_[t];
    }
    if (index.needs_bases(task.indexes)) {
      bad = index.load_bases(task.indexes, row, first, count, symbols_, bases_);
      if (bad >= 0) return nullptr;
      for (int t = 0; t < count; ++t) places_[t] += bases_[t];
    }
    look_up(contexts.tables, places_, count, found_);
    return found_;
  }

 private:
  /// Symbols [from, from + count); zeros before the row.
  const std::int32_t* load(const CodingTask& task, std::int64_t row, std::int64_t from, int count) {
    const auto before =
        static_cast<int>(smaller<std::int64_t>(count, larger<std::int64_t>(0, -from)));
    if (before == 0) return load_tile(task.symbols, row, from, count, symbols_);
    std::memset(symbols_, 0, static_cast<std::size_t>(before) * sizeof(*symbols_));
    if (before < count) {
      const std::int32_t* found =
          load_tile(task.symbols, row, 0, count - before, symbols_ + before);
      if (found != symbols_ + before) {
        std::memcpy(symbols_ + before, found,
                    static_cast<std::size_t>(count - before) * sizeof(*found));
      }
    }
    return symbols_;
  }

  /// Another context, of symbols: below their tables 0, and at most size - 1. Offsets lie within
  /// +-2^30, so that nothing here overflows.
  void append(const std::int32_t* symbols, std::int32_t offset, std::int32_t size, int count) {
    const std::int32_t least = offset - 1;
    const std::int32_t most = least + smaller(size - 1, 0xffff);
    for (int t = 0; t < count; ++t) {
      last_[t] = larger(least, smaller(symbols[t], most)) - least;
      places_[t] = places_[t] * size + last_[t];
    }
  }

  static void look_up(const std::int32_t* TORCH_ANS_RESTRICT tables,
                      const std::int32_t* TORCH_ANS_RESTRICT places, int count,
                      std::int32_t* TORCH_ANS_RESTRICT found) {
    for (int t = 0; t < count; ++t) found[t] = tables[places[t]];
  }

  alignas(64) std::int32_t symbols_[kTile];
  alignas(64) std::int32_t bases_[kTile];
  alignas(64) std::int32_t places_[kTile];
  alignas(64) std::int32_t last_[kTile];
  alignas(64) std::int32_t found_[kTile];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
