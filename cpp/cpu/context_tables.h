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
  /// Of symbols [first, first + count) of a row, or their entries in ContextTask::tables where
  /// the task has tables by entry; null, with the position of an index that names nothing in `bad`.
  const std::int32_t* find(const CodingTask& task, std::int64_t row, std::int64_t first, int count,
                           std::int64_t& bad) {
    if (!find_entries(task, row, first, count, bad)) return nullptr;
    if (task.entry_tables != nullptr) return places_;
    look_up(task.contexts->tables, places_, count, found_);
    return found_;
  }

  /// Of one symbol whose index is known to be good.
  std::int32_t find_one(const CodingTask& task, std::int64_t row, std::int64_t position) {
    std::int64_t bad;
    find_entries(task, row, position, 1, bad);
    return task.contexts->tables[places_[0]];
  }

 private:
  bool find_entries(const CodingTask& task, std::int64_t row, std::int64_t first, int count,
                    std::int64_t& bad) {
    const ContextTask& contexts = *task.contexts;
    const ContextIndex index(contexts);
    for (int k = 0; k < contexts.order; ++k) {
      const std::int32_t* symbols = load(task, row, first - contexts.offsets[k], count);
      const Context context(task.tables.offsets[0], contexts.sizes[k]);
      if (k == 0) {
        for (int t = 0; t < count; ++t) places_[t] = context(symbols[t]);
      } else {
        for (int t = 0; t < count; ++t) {
          places_[t] = places_[t] * contexts.sizes[k] + context(symbols[t]);
        }
      }
    }
    if (index.needs_bases(task.indexes)) {
      bad = index.load_bases(task.indexes, row, first, count, symbols_, bases_);
      if (bad >= 0) return false;
      for (int t = 0; t < count; ++t) places_[t] += bases_[t];
    }
    return true;
  }

  /// From a symbol to what it adds to a place: below its table 0, and at most size - 1. Offsets lie
  /// within +-2^30, so that nothing here overflows.
  struct Context {
    std::int32_t least, most;

    TORCH_ANS_FN Context(std::int32_t offset, std::int32_t size)
        : least(offset - 1), most(least + smaller(size - 1, 0xffff)) {}

    TORCH_ANS_FN std::int32_t operator()(std::int32_t symbol) const {
      return larger(least, smaller(symbol, most)) - least;
    }
  };

  /// Symbols [from, from + count). Before the row there is none: what stands there is below every
  /// table, so that its context is 0.
  const std::int32_t* load(const CodingTask& task, std::int64_t row, std::int64_t from, int count) {
    const auto before =
        static_cast<int>(smaller<std::int64_t>(count, larger<std::int64_t>(0, -from)));
    if (before == 0) return load_tile(task.symbols, row, from, count, symbols_);
    for (int t = 0; t < before; ++t) symbols_[t] = INT32_MIN;
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

  static void look_up(const std::int32_t* TORCH_ANS_RESTRICT tables,
                      const std::int32_t* TORCH_ANS_RESTRICT places, int count,
                      std::int32_t* TORCH_ANS_RESTRICT found) {
    for (int t = 0; t < count; ++t) found[t] = tables[places[t]];
  }

  alignas(64) std::int32_t symbols_[kTile];
  alignas(64) std::int32_t bases_[kTile];
  alignas(64) std::int32_t places_[kTile];
  alignas(64) std::int32_t found_[kTile];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
