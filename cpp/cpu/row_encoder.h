/// Push: codes the symbols of a few rows from last to first, tile by tile.
///
/// `Backend` codes whole groups of lanes; everything rare stays here, once for all backends:
/// the tail of a row, escapes, checks and errors.
#pragma once

#include "rans_row.h"
#include "tile_ids.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Backend requires:
///   kRows                          rows advanced together
///   kTileSymbols, kTileStride      symbols of a row in flight at once, and elements from one row
///                                  of a tile to the next
///   kStoreSlack                    bytes it may store past what it reports as written
///   what TileIds requires
///   State put_id(tables, x, id, out)  rANS only (`id` may be a SlotPair)
///   void encode_groups(tables, states, out, ids, begin, end)
///       puts groups end - 1 .. begin of every row (ids[row * kTileStride + group * kLanes +
///       lane]), lanes last to first; `states` is (kRows, Row::kStates); writes at most
///       Row::kGroupBytes bytes a group and kStoreSlack bytes more at out[row].
/// and, if it CodesAhead:
///   std::int64_t encode_ahead(...)  as in scalar/chain_encoder.h
template <typename Row, typename Backend>
class RowEncoder : TileIds<Backend> {
  using Ids = TileIds<Backend>;
  using Ids::prepare, Ids::index_at, Ids::is_sentinel;
  using Ids::task_, Ids::first_row_, Ids::results_, Ids::ids_, Ids::outside_;

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
      : Ids(task, first_row, results) {}

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

  bool has_escape_[kTileGroups];
  std::uint8_t* out_[kRows] = {};
  alignas(64) State states_[kRows * Row::kStates] = {};
};

/// The kernel of a backend, for the tasks that it accepts.
template <typename Row, typename Backend>
constexpr KernelChoice encoder_kernel(bool (*accepts)(const CodingTask&) = &accepts_all) {
  return {Backend::kRows, &RowEncoder<Row, Backend>::run, accepts};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
