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

#include "task.h"
#include "tiles.h"
#include "torch_ans/bypass.h"
#include "torch_ans/lookup.h"
#include "torch_ans/stream_layout.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Backend requires:
///   kRows                  rows advanced together
///   kTileSymbols, kTileStride  as for RowEncoder
///   kInPlace               whether rows of int32 may be read and written where they are;
///                          otherwise row r is always found kTileStride elements behind row r - 1
///   int decode_groups(tables, states, in, indexes, symbols, begin, end, escaped)
///       gets groups begin .. end - 1 of every row (element group * kLanes + lane of symbols[row]
///       and indexes[row]), lanes first to last; returns where it stopped: at `end`, or, with
///       `escaped` set, behind the first group that holds a sentinel under bypass. indexes may be
///       null. Reads at most kLanes * kMaxWords words a group below in[row].
///   Match find(tables, info, slot)
template <typename Traits_, int kLanes_, typename Backend>
class RowDecoder {
 public:
  using Traits = Traits_;
  using State = typename Traits::State;
  static constexpr int kLanes = kLanes_;
  static constexpr int kRows = Backend::kRows;
  static constexpr int kHeader = header_bytes<Traits>(kLanes);
  static constexpr int kGroupBytes =
      kLanes * Traits::kMaxWords * static_cast<int>(sizeof(typename Traits::Word));
  static constexpr int kTileSymbols = Backend::kTileSymbols;
  static constexpr int kTileStride = Backend::kTileStride;
  static constexpr bool kFromModel = kCodesModels<Backend>;
  static_assert(kHeader >= kGroupBytes, "a header holds the words of a group");

  static void run(const CodingTask& task, std::int64_t first_row, RowResult* results) {
    RowDecoder decoder(task, first_row, results);
    decoder.load_rows();
    if (decoder.decode_all()) {
      decoder.finish_rows();
    }
  }

 private:
  RowDecoder(const CodingTask& task, std::int64_t first_row, RowResult* results)
      : task_(task), first_row_(first_row), results_(results) {}

  /// A malformed row is replaced by an empty one: its symbols mean nothing any more.
  void load_rows() {
    for (int r = 0; r < kRows; ++r) {
      const std::uint8_t* row = task_.stream + (first_row_ + r) * task_.row_bytes;
      results_[r] = {Status::kOk, 0, nullptr};
      base_[r] = row + kLengthBytes + kHeader;
      State* states = states_ + r * kLanes;
      if (is_well_formed<Traits, kLanes>(row, task_.row_bytes)) {
        in_[r] = row + kLengthBytes + load<std::int32_t>(row);
        std::memcpy(states, row + kLengthBytes, kHeader);
      } else {
        results_[r].status = Status::kCorrupt;
        in_[r] = base_[r];
        for (int lane = 0; lane < kLanes; ++lane) states[lane] = Traits::kLowerBound;
      }
    }
  }

  void finish_rows() {
    for (int r = 0; r < kRows; ++r) {
      const State* states = states_ + r * kLanes;
      if (task_.require_end) {
        bool at_end = in_[r] == base_[r];
        for (int lane = 0; lane < kLanes; ++lane) {
          at_end &= states[lane] == Traits::kLowerBound;
        }
        if (!at_end) results_[r].status = Status::kCorrupt;
      }
      results_[r].end = const_cast<std::uint8_t*>(in_[r]);
      std::memcpy(task_.headers + (first_row_ + r) * kHeader, states, kHeader);
    }
  }

  /// False: an index is out of range.
  bool decode_all() {
    const std::int64_t present = symbols_in_row(task_, first_row_);
    const std::int64_t grouped = smaller(task_.row_length / kLanes * kLanes, present);
    const std::int64_t whole = grouped / kLanes * kLanes;
    for (std::int64_t first = 0; first < whole; first += kTileSymbols) {
      const auto count = static_cast<int>(smaller<std::int64_t>(kTileSymbols, whole - first));
      if (!load_indexes(first, count)) return false;
      decode_tile(first, count / kLanes);
      store_rows(first, count);
    }
    if (grouped > whole && !decode_part(whole, static_cast<int>(grouped - whole))) {
      return false;
    }
    for (std::int64_t i = grouped; i < present; ++i) {
      if (!decode_part(i, 1)) return false;
    }
    return true;
  }

  bool load_indexes(std::int64_t first, int count) {
    if (task_.indexes.data == nullptr) return true;
    for (int r = 0; r < kRows; ++r) {
      std::int32_t* tile = index_tile_ + r * kTileStride;
      const std::int64_t next = first + count;
      const std::int64_t ahead =
          smaller<std::int64_t>(kTileSymbols, symbols_in_row(task_, first_row_) - next);
      prefetch_tile(task_.indexes, first_row_ + r, next, static_cast<int>(ahead));
      const std::int32_t* loaded = load_tile(task_.indexes, first_row_ + r, first, count, tile);
      if (!all_name_tables(loaded, count, task_.tables.num_tables)) {
        return reject(r, first, loaded);
      }
      if (!Backend::kInPlace && loaded != tile) {
        std::memcpy(tile, loaded, static_cast<std::size_t>(count) * sizeof(*tile));
        loaded = tile;
      }
      indexes_[r] = loaded;
    }
    return true;
  }

  bool reject(int r, std::int64_t first, const std::int32_t* indexes) {
    int t = 0;
    while (static_cast<std::uint32_t>(indexes[t]) < task_.tables.num_tables) ++t;
    results_[r].status = Status::kBadIndex;
    results_[r].position = first + t;
    return false;
  }

  const std::int32_t* const* indexes() const {
    return task_.indexes.data == nullptr ? nullptr : indexes_;
  }

  /// Says where the symbols of a tile go.
  void place_symbols(std::int64_t first, int count) {
    for (int r = 0; r < kRows; ++r) {
      std::int32_t* place =
          Backend::kInPlace ? find_in_place(task_.symbols, first_row_ + r, first, count) : nullptr;
      symbols_[r] = place != nullptr ? place : symbol_tile_ + r * kTileStride;
    }
  }

  void decode_tile(std::int64_t first, int groups) {
    place_symbols(first, groups * kLanes);
    for (int begin = 0; begin < groups;) {
      bool escaped = false;
      const int end = begin + smaller(groups - begin, readable_groups());
      if constexpr (kFromModel) {
        decode_model_groups(first, begin, end);
        begin = end;
      } else {
        begin = Backend::decode_groups(task_.tables, states_, in_, indexes(), symbols_, begin, end,
                                       escaped);
      }
      clamp_cursors();
      if (escaped) {
        for (int r = 0; r < kRows; ++r) {
          decode_escapes(r, first, (begin - 1) * kLanes, kLanes);
        }
      }
    }
  }

  /// At least 1: every header holds the words of a group.
  int readable_groups() const {
    if constexpr (!kChecked) return kTileSymbols;
    std::int64_t bytes = in_[0] - base_[0];
    for (int r = 1; r < kRows; ++r) bytes = smaller<std::int64_t>(bytes, in_[r] - base_[r]);
    return static_cast<int>(smaller<std::int64_t>(kTileSymbols, (bytes + kHeader) / kGroupBytes));
  }

  void clamp_cursors() {
    if constexpr (!kChecked) return;
    for (int r = 0; r < kRows; ++r) {
      if (in_[r] < base_[r]) {
        in_[r] = base_[r];
        results_[r].status = Status::kCorrupt;
      }
    }
  }

  /// One incomplete group of `count` symbols from `first` on.
  bool decode_part(std::int64_t first, int count) {
    if (!load_indexes(first, count)) return false;
    place_symbols(first, count);
    const int lane0 = static_cast<int>(first % kLanes);
    for (int r = 0; r < kRows; ++r) {
      for (int k = 0; k < count; ++k) decode_one(r, first, k, lane0 + k);
    }
    clamp_cursors();
    for (int r = 0; r < kRows; ++r) {
      if (task_.tables.bypass_coding) decode_escapes(r, first, 0, count);
    }
    store_rows(first, count);
    return true;
  }

  const TableInfo& info_at(int r, int t) const {
    return task_.tables.info[indexes() == nullptr ? 0 : indexes_[r][t]];
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

  void decode_one(int r, std::int64_t first, int t, int lane) {
    const int precision = task_.tables.freq_precision;
    State& x = states_[r * kLanes + lane];
    if constexpr (kFromModel) {
      const std::int64_t element = element_of(task_, first_row_ + r, first + t);
      if (!Backend::decode_one(task_, element, x, in_[r], symbols_[r][t])) {
        results_[r].status = Status::kCorrupt;
      }
      return;
    } else {
      const TableInfo& info = info_at(r, t);
      const Match match = Backend::find(task_.tables, info, slot_of(x, precision));
      x = get<Traits>(x, match.freq, match.rank, precision, in_[r]);
      symbols_[r][t] = static_cast<std::int32_t>(match.symbol) + info.offset;
    }
  }

  /// Reads the digits of the sentinels among `count` symbols of one group, first lane first.
  void decode_escapes(int r, std::int64_t first, int begin, int count) {
    const int lane0 = static_cast<int>((first + begin) % kLanes);
    for (int k = 0; k < count; ++k) {
      const TableInfo& info = info_at(r, begin + k);
      if (symbols_[r][begin + k] == static_cast<std::int32_t>(info.last) + info.offset) {
        decode_escape(r, info, begin + k, lane0 + k);
      }
    }
  }

  void decode_escape(int r, const TableInfo& info, int t, int lane) {
    EscapeReader<Traits> reader(states_[r * kLanes + lane], in_[r], base_[r],
                                task_.bypass_precision);
    const auto v = static_cast<std::uint64_t>(unzigzag(reader.read_raw(), info.last));
    const auto symbol = static_cast<std::int64_t>(
        v + static_cast<std::uint64_t>(static_cast<std::int64_t>(info.offset)));
    states_[r * kLanes + lane] = reader.state();
    in_[r] = reader.cursor();
    if (reader.broken()) results_[r].status = Status::kCorrupt;
    escapes_[num_escapes_++] = {r, t, symbol};
    symbols_[r][t] = 0;  // fits every type
  }

  void store_rows(std::int64_t first, int count) {
    for (int r = 0; r < kRows; ++r) {
      const std::int32_t* tile = symbol_tile_ + r * kTileStride;
      if (symbols_[r] == tile &&
          !store_tile(task_.symbols, first_row_ + r, first, count, tile, task_.symbols_fit)) {
        results_[r].status = Status::kCorrupt;
      }
    }
    for (int k = 0; k < num_escapes_; ++k) {
      const Escape& escape = escapes_[k];
      if (!store_element(task_.symbols, first_row_ + escape.r, first + escape.t, escape.symbol)) {
        results_[escape.r].status = Status::kCorrupt;
      }
    }
    num_escapes_ = 0;
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
  int num_escapes_ = 0;
  const std::uint8_t* in_[kRows];
  const std::uint8_t* base_[kRows];
  alignas(64) State states_[kRows * kLanes];
  const std::int32_t* indexes_[kRows];  ///< of the tile at hand, by row
  std::int32_t* symbols_[kRows];
  alignas(64) std::int32_t index_tile_[kRows * kTileStride];
  alignas(64) std::int32_t symbol_tile_[kRows * kTileStride];
  Escape escapes_[kRows * kTileSymbols];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
