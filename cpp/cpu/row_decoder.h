/// Pop: decodes the symbols of a few rows from first to last, tile by tile.
///
/// `Backend` decodes whole groups of lanes; everything rare stays here, once for all backends:
/// the tail of a row, escapes, broken streams and errors.
///
/// No byte of a row is trusted, yet groups read their words unchecked: a call decodes no more
/// groups than could read the words left plus the row's header, which lies below the words. A
/// row whose cursor ends inside its header is broken; it goes on from there, so that the rows
/// next to it are still decoded.
#pragma once

#include "context_index.h"
#include "latents.h"
#include "rans_row.h"
#include "tiles.h"
#include "torch_ans/lookup.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Backend requires:
///   kRows                  rows advanced together
///   kTileSymbols, kTileStride  as for RowEncoder
///   kInPlace               whether rows of int32 are read and written where they are, and
///                          prefetched by the backend; otherwise row r is always found
///                          kTileStride elements behind row r - 1
///   int decode_groups(tables, rows, begin, end, escaped)
///       gets groups begin .. end - 1 of every row of a TileRows, lanes first to last; returns
///       where it stopped: at `end`, or, with `escaped` set, behind the first group that holds a
///       sentinel under bypass. Takes at most Row::kGroupBytes bytes a group from below a row's
///       cursor. tANS: `escaped` means that it stopped before the group of the sentinel.
///   Match find(tables, info, slot)  rANS only
///   void narrow(symbols, count, bytes)  if it NarrowsBytes
/// Where Backend derives from FollowsSymbols, `decode_groups` takes a FollowingTile in place of the
/// tables and, in place of indexes, where the tables of each symbol begin; it keeps the history, of
/// blocks of `kHistoryBlock`, up to the last group that it decodes.
template <typename Row, typename Backend>
class RowDecoder {
 public:
  using State = typename Row::State;
  static constexpr int kLanes = Row::kLanes;
  static constexpr int kRows = Backend::kRows;
  static constexpr int kHeader = Row::kHeader;
  static constexpr int kTileSymbols = Backend::kTileSymbols;
  static constexpr int kTileStride = Backend::kTileStride;
  static constexpr bool kFromModel = kIs<Backend, CodesModels>;
  static constexpr bool kFollows = kIs<Backend, FollowsSymbols>;

  static void run(const CodingTask& task, std::int64_t first_row, RowResult* results) {
    RowDecoder decoder(task, first_row, results);
    decoder.load_rows();
    if (decoder.decode_all()) {
      decoder.finish_rows();
    }
  }

 private:
  RowDecoder(const CodingTask& task, std::int64_t first_row, RowResult* results)
      : task_(task), first_row_(first_row), results_(results), history_(task, first_row) {}

  /// A malformed row is replaced by an empty one: its symbols mean nothing any more.
  void load_rows() {
    for (int r = 0; r < kRows; ++r) {
      const std::uint8_t* row = task_.stream + (first_row_ + r) * task_.row_bytes;
      results_[r] = {Status::kOk, 0, nullptr};
      base_[r] = row + kLengthBytes + kHeader;
      if (Row::load(task_, row, row_states(r))) {
        in_[r] = row + kLengthBytes + load<std::int32_t>(row);
      } else {
        results_[r].status = Status::kCorrupt;
        in_[r] = base_[r];
        Row::clear(task_, row_states(r));
      }
    }
  }

  void finish_rows() {
    for (int r = 0; r < kRows; ++r) {
      State* states = row_states(r);
      if (task_.require_end && (in_[r] != base_[r] || !Row::is_clear(task_, states))) {
        results_[r].status = Status::kCorrupt;
      }
      Row::settle(task_, base_[r], states, in_[r]);
      results_[r].end = const_cast<std::uint8_t*>(in_[r]);
      std::memcpy(task_.headers + (first_row_ + r) * kHeader, states, kHeader);
    }
  }

  State* row_states(int r) { return states_ + r * Row::kStates; }

  /// False: an index is out of range.
  bool decode_all() {
    // The last row may be shorter than the others.
    const std::int64_t shared = symbols_in_row(task_, first_row_ + kRows - 1);
    const std::int64_t whole = shared / kLanes * kLanes;
    for (std::int64_t first = 0; first < whole; first += kTileSymbols) {
      const auto count = static_cast<int>(smaller<std::int64_t>(kTileSymbols, whole - first));
      for (int r = 0; r < kRows; ++r) {
        if (!load_indexes(r, first, count)) return false;
      }
      decode_tile(first, count / kLanes);
      for (int r = 0; r < kRows; ++r) store_row(r, first, count);
      store_escapes(first);
    }
    for (int r = 0; r < kRows; ++r) {
      if (!decode_rest(r, whole)) return false;
    }
    return true;
  }

  /// What a row has from `whole` on: groups, a part of one that a short row ends in, and past the
  /// last whole group of a full row symbols that are each on their own.
  bool decode_rest(int r, std::int64_t whole) {
    const std::int64_t present = symbols_in_row(task_, first_row_ + r);
    const std::int64_t grouped = smaller(task_.row_length / kLanes * kLanes, present);
    for (std::int64_t first = whole; first < present; first += kTileSymbols) {
      const auto count = static_cast<int>(smaller<std::int64_t>(kTileSymbols, present - first));
      if (!load_indexes(r, first, count)) return false;
      place_symbols(r, first, count);
      for (int begin = 0; begin < count;) {
        const std::int64_t left = larger<std::int64_t>(grouped - first - begin, 1);
        const auto part = static_cast<int>(smaller<std::int64_t>(left, kLanes));
        decode_carefully(r, first, begin, part);
        begin += part;
      }
      store_row(r, first, count);
      store_escapes(first);
    }
    return true;
  }

  bool load_indexes(int r, std::int64_t first, int count) {
    if constexpr (kFollows) return load_bases(r, first, count);
    if (task_.indexes.data == nullptr) return true;
    std::int32_t* tile = index_tile_ + r * kTileStride;
    const std::int32_t* loaded = load_tile(task_.indexes, first_row_ + r, first, count, tile);
    if (!Backend::kInPlace || loaded == tile) prefetch_next(task_.indexes, r, first + count);
    if (!all_name_tables(loaded, count, task_.tables.num_tables)) return reject(r, first, loaded);
    if (!Backend::kInPlace && loaded != tile) {
      std::memcpy(tile, loaded, static_cast<std::size_t>(count) * sizeof(*tile));
      loaded = tile;
    }
    indexes_[r] = loaded;
    return true;
  }

  /// Asks for a row's next tile. A backend that works in place asks for it line by line. Inline, as
  /// GCC leaves out calls of functions that do nothing but ask.
  TORCH_ANS_FN void prefetch_next(const IntArray& array, int r, std::int64_t first) {
    const std::int64_t left = symbols_in_row(task_, first_row_) - first;
    prefetch_tile<prefetch>(array, first_row_ + r, first,
                            static_cast<int>(smaller<std::int64_t>(kTileSymbols, left)));
  }

  bool reject(int r, std::int64_t first, const std::int32_t* indexes) {
    int t = 0;
    while (static_cast<std::uint32_t>(indexes[t]) < task_.tables.num_tables) ++t;
    results_[r].status = Status::kBadIndex;
    results_[r].position = first + t;
    return false;
  }

  const std::int32_t* const* indexes() const {
    if constexpr (kFollows) {
      return history_.index().needs_bases(task_.indexes) ? indexes_ : nullptr;
    }
    return task_.indexes.data == nullptr ? nullptr : indexes_;
  }

  /// Says where the symbols of a row's tile go.
  void place_symbols(int r, std::int64_t first, int count) {
    std::int32_t* place =
        Backend::kInPlace ? find_in_place(task_.symbols, first_row_ + r, first, count) : nullptr;
    symbols_[r] = place != nullptr ? place : symbol_tile_ + r * kTileStride;
  }

  void decode_tile(std::int64_t first, int groups) {
    for (int r = 0; r < kRows; ++r) place_symbols(r, first, groups * kLanes);
    const TileRows<State> rows{states_, in_, indexes(), symbols_};
    for (int begin = 0; begin < groups;) {
      bool escaped = false;
      const int end = begin + smaller(groups - begin, readable_groups());
      if constexpr (kFromModel) {
        decode_model_groups(first, begin, end);
        begin = end;
      } else if constexpr (kFollows) {
        const FollowingTile<kRows, Backend::kHistoryBlock> tile{
            task_.tables, history_, first, task_.one_offset, task_.context_shifts};
        begin = Backend::decode_groups(tile, rows, begin, end, escaped);
      } else {
        begin = Backend::decode_groups(task_.tables, rows, begin, end, escaped);
      }
      for (int r = 0; r < kRows; ++r) {
        clamp_cursor(r);
        if (!escaped) continue;
        if (Row::kDigitsFirst) {
          decode_escapes(r, first, (begin - 1) * kLanes, kLanes);
        } else {
          decode_carefully(r, first, begin * kLanes, kLanes);
        }
      }
      if (escaped && !Row::kDigitsFirst) ++begin;
    }
  }

  int readable_groups() const {
    if constexpr (!kChecked) return kTileSymbols;
    std::int64_t bytes = in_[0] - base_[0];
    for (int r = 1; r < kRows; ++r) bytes = smaller<std::int64_t>(bytes, in_[r] - base_[r]);
    return static_cast<int>(smaller<std::int64_t>(kTileSymbols, Row::readable_groups(bytes)));
  }

  void clamp_cursor(int r) {
    if constexpr (!kChecked) return;
    if (in_[r] < base_[r]) {
      in_[r] = base_[r];
      results_[r].status = Status::kCorrupt;
    }
  }

  /// A group, or part of one, of one row: `count` symbols from tile position `begin` on.
  void decode_carefully(int r, std::int64_t first, int begin, int count) {
    const int lane0 = static_cast<int>((first + begin) % kLanes);
    for (int k = 0; k < count; ++k) {
      decode_one(r, first, begin + k, lane0 + k);
      if (!Row::kDigitsFirst) {
        clamp_cursor(r);
        decode_escapes(r, first, begin + k, 1);
      }
    }
    clamp_cursor(r);
    if (Row::kDigitsFirst) decode_escapes(r, first, begin, count);
  }

  /// The table of the symbol at `t` of the tile that starts at symbol `first`.
  std::uint32_t index_at(int r, [[maybe_unused]] std::int64_t first, int t) const {
    const std::int32_t index = indexes() == nullptr ? 0 : indexes_[r][t];
    if constexpr (kFollows) return history_.find(index, r, first + t);
    return static_cast<std::uint32_t>(index);
  }

  void decode_model_groups(std::int64_t first, int begin, int end) {
    std::int64_t elements[kRows];
    bool broken[kRows] = {};
    for (int r = 0; r < kRows; ++r) elements[r] = element_of(task_, first_row_ + r, first);
    Backend::decode_groups(task_, elements, states_, in_, symbols_[0], begin, end, broken);
    for (int r = 0; r < kRows; ++r) {
      if (broken[r]) results_[r].status = Status::kCorrupt;
    }
  }

  /// Fills an indexes' tile with where the tables of each symbol begin (`ContextIndex`).
  bool load_bases(int r, std::int64_t first, int count) {
    if (indexes() == nullptr) return true;
    std::int32_t* tile = index_tile_ + r * kTileStride;
    const std::int64_t bad = history_.index().load_bases(
        task_.indexes, first_row_ + r, first, count, symbol_tile_ + r * kTileStride, tile);
    if (bad >= 0) {
      results_[r].status = Status::kBadIndex;
      results_[r].position = bad;
      return false;
    }
    indexes_[r] = tile;
    return true;
  }

  void decode_one(int r, std::int64_t first, int t, int lane) {
    State* states = row_states(r);
    std::int32_t& symbol = symbols_[r][t];
    if constexpr (kFromModel) {
      const std::int64_t element = element_of(task_, first_row_ + r, first + t);
      if (!Backend::decode_one(task_, element, states[lane], in_[r], symbol)) {
        results_[r].status = Status::kCorrupt;
      }
    } else {
      const std::uint32_t index = index_at(r, first, t);
      const std::uint32_t found =
          Row::template get<Backend>(task_.tables, index, states, lane, in_[r], base_[r]);
      if constexpr (kFollows) *history_.at(r, first + t) = context_of(found);
      symbol = static_cast<std::int32_t>(found) + task_.tables.info[index].offset;
    }
  }

  /// Reads the digits of the sentinels among `count` symbols of one group, first lane first.
  void decode_escapes(int r, std::int64_t first, int begin, int count) {
    if (!task_.tables.bypass_coding) return;
    const int lane0 = static_cast<int>((first + begin) % kLanes);
    for (int k = 0; k < count; ++k) {
      const TableInfo& info = task_.tables.info[index_at(r, first, begin + k)];
      if (symbols_[r][begin + k] == static_cast<std::int32_t>(info.last) + info.offset) {
        decode_escape(r, info, first, begin + k, lane0 + k);
      }
    }
  }

  void decode_escape(int r, const TableInfo& info, [[maybe_unused]] std::int64_t first, int t,
                     int lane) {
    bool broken = false;
    const std::uint64_t raw =
        Row::get_escape(row_states(r), lane, task_.bypass_precision, in_[r], base_[r], broken);
    if (broken) results_[r].status = Status::kCorrupt;
    clamp_cursor(r);
    const auto v = static_cast<std::uint64_t>(unzigzag(raw, info.last));
    const auto symbol = static_cast<std::int64_t>(
        v + static_cast<std::uint64_t>(static_cast<std::int64_t>(info.offset)));
    escapes_[num_escapes_++] = {r, t, symbol};
    if constexpr (kFollows) *history_.at(r, first + t) = context_of_symbol(symbol, info.offset);
    symbols_[r][t] = 0;  // fits every type
  }

  void store_row(int r, std::int64_t first, int count) {
    const std::int32_t* tile = symbol_tile_ + r * kTileStride;
    if (symbols_[r] != tile) return;
    if (kIs<Backend, AsksForSymbols>) prefetch_next(task_.symbols, r, first + count);
    if (!store_tile_of(first_row_ + r, first, count, tile)) results_[r].status = Status::kCorrupt;
  }

  void store_escapes(std::int64_t first) {
    for (int k = 0; k < num_escapes_; ++k) {
      const Escape& escape = escapes_[k];
      if (!store_symbol(task_, first_row_ + escape.r, first + escape.t, escape.symbol)) {
        results_[escape.r].status = Status::kCorrupt;
      }
    }
    num_escapes_ = 0;
  }

  /// As `store_symbols`.
  TORCH_ANS_FN bool store_tile_of(std::int64_t row, std::int64_t first, int count,
                                  const std::int32_t* tile) {
    if constexpr (kIs<Backend, NarrowsBytes>) {
      std::uint8_t* bytes = find_bytes(task_.symbols, row, first, count);
      if (bytes != nullptr && task_.symbols_fit && task_.latents.values == nullptr) {
        Backend::narrow(tile, count, bytes);
        return true;
      }
    }
    return store_symbols(task_, row, first, count, tile);
  }

  /// An escaped symbol of the tile, `t` symbols behind its start: it may need 64 bits.
  struct Escape {
    int r;
    int t;
    std::int64_t symbol;
  };

  const CodingTask& task_;
  const std::int64_t first_row_;
  RowResult* const results_;
  const HistoryOf<Backend> history_;
  int num_escapes_ = 0;
  const std::uint8_t* in_[kRows];
  const std::uint8_t* base_[kRows];
  alignas(64) State states_[kRows * Row::kStates];
  const std::int32_t* indexes_[kRows];  ///< of the tile at hand, by row
  std::int32_t* symbols_[kRows];
  alignas(64) std::int32_t index_tile_[kRows * kTileStride];
  alignas(64) std::int32_t symbol_tile_[kRows * kTileStride];
  Escape escapes_[kRows * kTileSymbols];
};

/// The kernel of a backend, for the tasks that it accepts.
template <typename Row, typename Backend>
constexpr KernelChoice decoder_kernel(bool (*accepts)(const CodingTask&) = &accepts_all) {
  return {Backend::kRows, &RowDecoder<Row, Backend>::run, accepts};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
