/// The front end of a push: what each symbol of a tile is to the backend, its id or its SlotPair.
#pragma once

#include "context_tables.h"
#include "latents.h"
#include "tiles.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Backend requires:
///   kRows, kTileSymbols, kTileStride  as for RowEncoder
///   IdFlags make_ids(...)          as in tiles.h, of a TileSource; or, if it TakesPairs:
///   IdFlags make_pairs(...)        the same, but with the symbols' SlotPairs instead of their ids
///   bool make_byte_pairs(tables, bytes, count, pairs)  if it TakesBytes: the same of bytes of the
///       only table. False: one is outside
///   void ids_to_pairs(tables, count, ids)  replaces ids; whole vectors
template <typename Backend>
class TileIds {
  static constexpr int kRows = Backend::kRows;
  static constexpr int kTileSymbols = Backend::kTileSymbols;
  static constexpr int kTileStride = Backend::kTileStride;
  static constexpr bool kFromModel = kIs<Backend, CodesModels>;
  static constexpr bool kPairs = kFromModel || kIs<Backend, TakesPairs>;

 protected:
  TileIds(const CodingTask& task, std::int64_t first_row, RowResult* results)
      : task_(task), first_row_(first_row), results_(results) {}

  /// Fills ids_ for `count` symbols of a row, or names the symbol that cannot be coded.
  TORCH_ANS_FN bool prepare(int r, std::int64_t first, int count) {
    if (task_.ids != nullptr) {
      take_found_ids(r, first, count);
      return true;
    }
    if (find_byte_pairs(r, first, count)) return true;
    TileSource source;
    if (!load_source(r, first, count, source)) return false;
    if constexpr (kFromModel) return find_slots(r, first, count, source.symbols);
    const IdFlags flags = look_up(source, count, ids_ + r * kTileStride);
    if constexpr (!kChecked) return true;
    outside_ |= flags.outside;
    const bool good = !flags.bad_index && (!flags.outside || task_.tables.bypass_coding);
    return good || reject(r, first, source, count);
  }

  /// The same for every row.
  bool prepare(std::int64_t first, int count) {
    outside_ = false;
    for (int r = 0; r < kRows; ++r) {
      if (!prepare(r, first, count)) return false;
    }
    return true;
  }

  /// The table of one symbol that has passed `load_source`.
  std::int64_t index_at(int r, std::int64_t position) {
    if (task_.ids != nullptr) {
      const std::int64_t element = element_of(task_, first_row_ + r, position);
      return table_of_id(task_.tables, task_.ids[element] & ~kOutsideTable);
    }
    if (task_.contexts != nullptr) {
      return context_tables_.find_one(task_, first_row_ + r, position);
    }
    return task_.indexes.data == nullptr ? 0
                                         : load_element(task_.indexes, first_row_ + r, position);
  }

  /// Under bypass only symbols outside a table take its last symbol, whose CDF ends at 2^P.
  bool is_sentinel(std::uint32_t id) const {
    if constexpr (kFromModel) return id == 0;  // the pair of all 2^16 slots
    if constexpr (kPairs) return id >> 16 == (1u << task_.tables.freq_precision & 0xffff);
    return task_.tables.cdf[id + 1] == std::uint32_t{1} << task_.tables.freq_precision;
  }

  const CodingTask& task_;
  const std::int64_t first_row_;
  RowResult* const results_;
  bool outside_ = false;  ///< the tile holds symbols outside their tables
  alignas(64) std::uint32_t ids_[kRows * kTileStride];  ///< or SlotPairs

 private:
  /// All are known to be good, but for escapes.
  TORCH_ANS_FN void take_found_ids(int r, std::int64_t first, int count) {
    std::uint32_t* ids = ids_ + r * kTileStride;
    const std::int64_t ahead = smaller<std::int64_t>(first, kTileSymbols);
    const std::uint32_t* found = task_.ids + element_of(task_, first_row_ + r, first);
    outside_ |= torch_ans::take_ids(found, ahead, count, ids).outside;
    if constexpr (kIs<Backend, TakesPairs>) Backend::ids_to_pairs(task_.tables, count, ids);
  }

  /// Fills a tile of ids_ with SlotPairs straight from bytes. False: that takes more.
  TORCH_ANS_FN bool find_byte_pairs([[maybe_unused]] int r, [[maybe_unused]] std::int64_t first,
                                    [[maybe_unused]] int count) {
    if constexpr (kIs<Backend, TakesBytes> && !kFromModel) {
      const bool one_table = task_.indexes.data == nullptr && task_.contexts == nullptr;
      if (!one_table || task_.latents.values != nullptr) return false;
      const std::int64_t row = first_row_ + r;
      const std::uint8_t* bytes = find_bytes(task_.symbols, row, first, count);
      if (bytes == nullptr) return false;
      const std::int64_t ahead = smaller<std::int64_t>(first, kTileSymbols);
      prefetch_symbols(task_, row, first - ahead, static_cast<int>(ahead));
      return Backend::make_byte_pairs(task_.tables, bytes, count, ids_ + r * kTileStride);
    }
    return false;
  }

  /// Asks for the next tile, unless that is left to the backend or to the model, which look at it
  /// line by line. False: an index names nothing.
  /// (Without contexts the backend looks.)
  TORCH_ANS_FN bool load_source(int r, std::int64_t first, int count, TileSource& source) {
    const std::int64_t row = first_row_ + r;
    const auto ahead = static_cast<int>(smaller<std::int64_t>(first, kTileSymbols));
    source = {};
    source.symbols = load_symbols(task_, row, first, count, symbols_tile_);
    if (task_.contexts != nullptr) {
      source.indexes = context_tables_.find(task_, row, first, count, results_[r].position);
      if (source.indexes == nullptr) results_[r].status = Status::kBadIndex;
    } else if (task_.indexes.data != nullptr) {
      source.indexes = load_tile(task_.indexes, row, first, count, indexes_tile_);
    }
    // Where tables follow the symbols, `indexes` are found and no caller's.
    const bool in_place = source.symbols != symbols_tile_ && source.indexes != indexes_tile_;
    if ((kIs<Backend, AsksByLine> || kFromModel) && in_place) {
      source.ahead = ahead;
    } else {
      prefetch_symbols(task_, row, first - ahead, ahead);
    }
    if (source.ahead == 0 || task_.contexts != nullptr) {
      prefetch_tile<prefetch_l2>(task_.indexes, row, first - ahead, ahead);
    }
    return results_[r].status == Status::kOk;
  }

  /// What the indexes of a TileSource name.
  TORCH_ANS_FN const TablesView& named_tables() const {
    return task_.entry_tables == nullptr ? task_.tables : *task_.entry_tables;
  }

  TORCH_ANS_FN IdFlags look_up(const TileSource& source, int count, std::uint32_t* ids) const {
    if constexpr (kIs<Backend, TakesPairs>) {
      return Backend::make_pairs(named_tables(), source, count, ids);
    } else {
      return Backend::make_ids(named_tables(), source, count, ids);
    }
  }

  /// Under a model the symbols that need care are those that own all 2^16 slots.
  bool find_slots(int r, std::int64_t first, int count, const std::int32_t* symbols) {
    const SlotFlags flags =
        task_.functions->find_slots(*task_.model, element_of(task_, first_row_ + r, first), count,
                                    symbols, ids_ + r * kTileStride);
    outside_ |= flags.full;
    if (flags.bad < 0) return true;
    results_[r].status = Status::kBadSymbol;
    results_[r].position = first + flags.bad;
    return false;
  }

  bool reject(int r, std::int64_t first, const TileSource& source, int count) {
    for (int t = 0; t < count; ++t) {
      std::uint32_t id;
      const IdFlags flags =
          make_ids(named_tables(), source.symbols + t,
                   source.indexes == nullptr ? nullptr : source.indexes + t, 1, &id);
      if (flags.bad_index || (flags.outside && !task_.tables.bypass_coding)) {
        results_[r].status = flags.bad_index ? Status::kBadIndex : Status::kBadSymbol;
        results_[r].position = first + t;
        return false;
      }
    }
    return false;
  }

  ContextTables<kTileSymbols> context_tables_;
  alignas(64) std::int32_t symbols_tile_[kTileSymbols];
  alignas(64) std::int32_t indexes_tile_[kTileSymbols];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
