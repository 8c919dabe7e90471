/// Push: codes the symbols of a few rows from last to first, tile by tile.
///
/// `Backend` codes whole groups of lanes; everything rare stays here, once for all backends:
/// the tail of a row, escapes, checks and errors.
#pragma once

#include "context_tables.h"
#include "latents.h"
#include "rans_row.h"
#include "tiles.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Backend requires:
///   kRows                          rows advanced together
///   kTileSymbols, kTileStride      symbols of a row in flight at once, and elements from one row
///                                  of a tile to the next
///   kStoreSlack                    bytes it may store past what it reports as written
///   IdFlags make_ids(...)          as in tiles.h, of a TileSource; or, if it TakesPairs:
///   IdFlags make_pairs(...)        the same, but with the symbols' SlotPairs instead of their ids
///   bool make_byte_pairs(tables, bytes, count, pairs)  if it TakesBytes: the same of bytes of the
///       only table. False: one is outside
///   void ids_to_pairs(tables, count, ids)  replaces ids; whole vectors
///   State put_id(tables, x, id, out)  rANS only (`id` may be a SlotPair)
///   void encode_groups(tables, states, out, ids, begin, end)
///       puts groups end - 1 .. begin of every row (ids[row * kTileStride + group * kLanes +
///       lane]), lanes last to first; `states` is (kRows, Row::kStates); writes at most
///       Row::kGroupBytes bytes a group and kStoreSlack bytes more at out[row].
/// and, if it CodesAhead:
///   std::int64_t encode_ahead(...)  as in scalar/chain_encoder.h
template <typename Row, typename Backend>
class RowEncoder {
 public:
  using State = typename Row::State;
  static constexpr int kLanes = Row::kLanes;
  static constexpr int kRows = Backend::kRows;
  static constexpr int kHeader = Row::kHeader;
  static constexpr int kGroupBytes = Row::kGroupBytes;
  static constexpr int kTileSymbols = Backend::kTileSymbols;
  static constexpr int kTileStride = Backend::kTileStride;
  static constexpr int kTileGroups = kTileSymbols / kLanes;
  static constexpr bool kFromModel = kIs<Backend, CodesModels>;
  static constexpr bool kPairs = kFromModel || kIs<Backend, TakesPairs>;
  /// Once the digits of its escapes are put, a group is like any other. (With few lanes, vectors
  /// hold many groups and are slow to put one.)
  static constexpr bool kOnlyDigits = Row::kDigitsFirst && !kFromModel && kLanes >= 4;
  static_assert(kTileSymbols % kLanes == 0, "tiles hold whole groups");

  static void run(const CodingTask& task, std::int64_t first_row, RowResult* results) {
    RowEncoder encoder(task, first_row, results);
    if (encoder.load_rows()) {
      encoder.encode_all();
    }
    encoder.finish_rows();
  }

 private:
  RowEncoder(const CodingTask& task, std::int64_t first_row, RowResult* results)
      : task_(task), first_row_(first_row), results_(results) {}

  std::uint8_t* row_start(int r) const { return task_.stream + (first_row_ + r) * task_.row_bytes; }

  bool load_rows() {
    bool well_formed = true;
    for (int r = 0; r < kRows; ++r) {
      const std::uint8_t* row = row_start(r);
      results_[r] = {Status::kOk, 0, nullptr};
      if (!Row::load(task_, row, row_states(r))) {
        results_[r].status = Status::kCorrupt;
        well_formed = false;
        continue;
      }
      out_[r] = row_start(r) + kLengthBytes + load<std::int32_t>(row);
    }
    return well_formed;
  }

  void finish_rows() {
    for (int r = 0; r < kRows; ++r) {
      if (out_[r] == nullptr) continue;
      const std::uint8_t* end = out_[r];
      Row::settle(task_, row_start(r) + kLengthBytes + kHeader, row_states(r), end);
      results_[r].end = const_cast<std::uint8_t*>(end);
      std::memcpy(task_.headers + (first_row_ + r) * kHeader, row_states(r), kHeader);
    }
  }

  State* row_states(int r) { return states_ + r * Row::kStates; }

  /// False: some row has failed.
  bool encode_all() {
    // The last row may be shorter than the others.
    const std::int64_t shared = symbols_in_row(task_, first_row_ + kRows - 1);
    const std::int64_t whole = shared / kLanes * kLanes;
    for (int r = 0; r < kRows; ++r) {
      if (!encode_rest(r, whole)) return false;
    }
    for (std::int64_t last = encode_ahead(whole); last > 0; last = encode_ahead(last)) {
      const std::int64_t first = last > kTileSymbols ? last - kTileSymbols : 0;
      if (!prepare(first, static_cast<int>(last - first)) ||
          !encode_tile(first, static_cast<int>(last - first) / kLanes)) {
        return false;
      }
      last = first;
    }
    return true;
  }

  /// Leaves what it can to the backend. Returns one past the last symbol that is not coded yet.
  std::int64_t encode_ahead(std::int64_t last) {
    if constexpr (kIs<Backend, CodesAhead>) {
      if (task_.ids == nullptr && task_.contexts == nullptr) {
        const std::uint8_t* row_end = row_start(0) + task_.row_bytes;
        return Backend::encode_ahead(task_, first_row_, last, row_end, states_, out_);
      }
    }
    return last;
  }

  /// What a row has from `whole` on: groups, a part of one that a short row ends in, and past the
  /// last whole group of a full row symbols that are each on their own.
  bool encode_rest(int r, std::int64_t whole) {
    const std::int64_t present = symbols_in_row(task_, first_row_ + r);
    const std::int64_t grouped = smaller(task_.row_length / kLanes * kLanes, present);
    for (std::int64_t past = present; past > whole;) {
      const std::int64_t first = past - ((past - whole - 1) % kTileSymbols + 1);
      if (!prepare(r, first, static_cast<int>(past - first))) return false;
      while (past > first) {
        const auto part = static_cast<int>(past > grouped ? 1 : (past - 1) % kLanes + 1);
        past -= part;
        if (!encode_carefully(r, first, static_cast<int>(past - first), part)) return false;
      }
    }
    return true;
  }

  bool prepare(std::int64_t first, int count) {
    outside_ = false;
    for (int r = 0; r < kRows; ++r) {
      if (!prepare(r, first, count)) return false;
    }
    return true;
  }

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

  /// Under a model the symbols that vectors leave to `encode_carefully` are those that own all
  /// 2^16 slots.
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

  bool encode_tile(std::int64_t first, int groups) {
    if (outside_) find_escapes(groups);
    for (int end = groups; end > 0;) {
      if (outside_ && has_escape_[end - 1]) {
        if constexpr (kOnlyDigits) {
          if (!encode_digits(first, end - 1)) return false;
        } else {
          --end;
          for (int r = 0; r < kRows; ++r) {
            if (!encode_carefully(r, first, end * kLanes, kLanes)) return false;
          }
          continue;
        }
      }
      int begin = end - smaller(end, groups_with_room());
      if (begin == end) return false;
      if (outside_) begin = larger(begin, end_of_escapes(end - 1));
      Backend::encode_groups(task_.tables, states_, out_, ids_, begin, end);
      end = begin;
    }
    return true;
  }

  /// How many groups every row is sure to have room for; none: a row is full.
  int groups_with_room() {
    if constexpr (!kChecked) return kTileGroups;
    std::int64_t groups = kTileGroups;
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t row_groups = (room(r) - Backend::kStoreSlack) / kGroupBytes;
      if (row_groups < 1) results_[r].status = Status::kNoSpace;
      groups = smaller(groups, larger<std::int64_t>(row_groups, 0));
    }
    return static_cast<int>(groups);
  }

  std::int64_t room(int r) const { return row_start(r) + task_.row_bytes - out_[r]; }

  /// One past the last group below `end` that holds an escape; 0: none does.
  int end_of_escapes(int end) const {
    while (end > 0 && !has_escape_[end - 1]) --end;
    return end;
  }

  void find_escapes(int groups) {
    for (int group = 0; group < groups; ++group) has_escape_[group] = false;
    for (int r = 0; r < kRows; ++r) {
      const std::uint32_t* ids = ids_ + r * kTileStride;
      for (int group = 0; group < groups; ++group) {
        for (int lane = 0; lane < kLanes; ++lane) {
          has_escape_[group] |= is_sentinel(ids[group * kLanes + lane]);
        }
      }
    }
  }

  /// Under bypass only symbols outside a table take its last symbol, whose CDF ends at 2^P.
  bool is_sentinel(std::uint32_t id) const {
    if constexpr (kFromModel) return id == 0;  // the pair of all 2^16 slots
    if constexpr (kPairs) return id >> 16 == (1u << task_.tables.freq_precision & 0xffff);
    return task_.tables.cdf[id + 1] == std::uint32_t{1} << task_.tables.freq_precision;
  }

  /// A group, or part of one, of one row: `count` symbols from tile position `begin` of the tile
  /// that starts at symbol `first`.
  bool encode_carefully(int r, std::int64_t first, int begin, int count) {
    const std::uint32_t* ids = ids_ + r * kTileStride + begin;
    const int lane0 = static_cast<int>((first + begin) % kLanes);
    State* states = row_states(r);
    if (Row::kDigitsFirst) {
      for (int k = count - 1; k >= 0; --k) {
        if (!encode_escape(r, ids[k], first + begin + k, states, lane0 + k)) return false;
      }
    }
    for (int k = count - 1; k >= 0; --k) {
      if (!Row::kDigitsFirst && !encode_escape(r, ids[k], first + begin + k, states, lane0 + k)) {
        return false;
      }
      if (room(r) < kGroupBytes + Backend::kStoreSlack) {
        results_[r].status = Status::kNoSpace;
        return false;
      }
      Row::template put<Backend>(task_.tables, states, lane0 + k, ids[k], out_[r]);
    }
    return true;
  }

  /// The digits of a group, whose symbols are left to the backend.
  bool encode_digits(std::int64_t first, int group) {
    for (int r = 0; r < kRows; ++r) {
      for (int lane = kLanes - 1; lane >= 0; --lane) {
        const int t = group * kLanes + lane;
        if (!encode_escape(r, ids_[r * kTileStride + t], first + t, row_states(r), lane)) {
          return false;
        }
      }
    }
    return true;
  }

  /// The digits behind a sentinel; nothing for other symbols.
  bool encode_escape(int r, std::uint32_t id, std::int64_t position, State* states, int lane) {
    if (kFromModel || !task_.tables.bypass_coding || !is_sentinel(id)) return true;
    if (room(r) < kMaxEscapeBytes) {
      results_[r].status = Status::kNoSpace;
      return false;
    }
    const std::int64_t row = first_row_ + r;
    const TableInfo& info = task_.tables.info[index_at(r, position)];
    const auto v = static_cast<std::uint64_t>(load_symbol(task_, row, position)) -
                   static_cast<std::uint64_t>(static_cast<std::int64_t>(info.offset));
    Row::put_escape(states, lane, zigzag(static_cast<std::int64_t>(v), info.last),
                    task_.bypass_precision, out_[r]);
    return true;
  }

  const CodingTask& task_;
  const std::int64_t first_row_;
  RowResult* const results_;
  bool outside_ = false;  ///< the tile holds symbols outside their tables
  bool has_escape_[kTileGroups];
  std::uint8_t* out_[kRows] = {};
  alignas(64) State states_[kRows * Row::kStates] = {};
  alignas(64) std::uint32_t ids_[kRows * kTileStride];  ///< or SlotPairs
  ContextTables<kTileSymbols> context_tables_;
  alignas(64) std::int32_t symbols_tile_[kTileSymbols];
  alignas(64) std::int32_t indexes_tile_[kTileSymbols];
};

/// The kernel of a backend, for the tasks that it accepts.
template <typename Row, typename Backend>
constexpr KernelChoice encoder_kernel(bool (*accepts)(const CodingTask&) = &accepts_all) {
  return {Backend::kRows, &RowEncoder<Row, Backend>::run, accepts};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
