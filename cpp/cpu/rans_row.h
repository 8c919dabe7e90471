/// A row of rANS, as the drivers (row_encoder.h, row_decoder.h) see it: its header between calls,
/// and one symbol at a time. The other system has tans_row.h.
#pragma once

#include "task.h"
#include "torch_ans/bypass.h"
#include "torch_ans/coder.h"
#include "torch_ans/lookup.h"
#include "torch_ans/stream_layout.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <typename Traits_, int kLanes_>
struct RansRow {
  using Traits = Traits_;
  using State = typename Traits::State;
  static constexpr int kLanes = kLanes_;
  static constexpr int kHeader = header_bytes<Traits>(kLanes);
  /// What a row keeps between calls is its header: the states of its lanes.
  static constexpr int kStates = kLanes;
  /// Bytes that putting or getting a group may move.
  static constexpr int kGroupBytes =
      kLanes * Traits::kMaxWords * static_cast<int>(sizeof(typename Traits::Word));
  /// In a group the digits of all escapes go first (tANS: each right before its symbol).
  static constexpr bool kDigitsFirst = true;
  static_assert(kHeader >= kGroupBytes, "a header holds the words of a group");

  /// Fills `states` from a row's header. False: no encoder wrote that.
  static bool load(const CodingTask& task, const std::uint8_t* row, State* states) {
    if (!is_well_formed<Traits, kLanes>(row, task.row_bytes)) return false;
    std::memcpy(states, row + kLengthBytes, kHeader);
    return true;
  }

  static void clear(const CodingTask& /*task*/, State* states) {
    for (int lane = 0; lane < kLanes; ++lane) states[lane] = Traits::kLowerBound;
  }

  static bool is_clear(const CodingTask& /*task*/, const State* states) {
    bool clear = true;
    for (int lane = 0; lane < kLanes; ++lane) clear &= states[lane] == Traits::kLowerBound;
    return clear;
  }

  /// Makes a header of `states`, for a row whose words end at `end`.
  static void settle(const CodingTask& /*task*/, const std::uint8_t* /*base*/, State* /*states*/,
                     const std::uint8_t*& /*end*/) {}

  /// At least 1: every header holds the words of a group.
  static std::int64_t readable_groups(std::int64_t bytes) {
    return (bytes + kHeader) / kGroupBytes;
  }

  template <typename Backend>
  static void put(const TablesView& tables, State* states, int lane, std::uint32_t id,
                  std::uint8_t*& out) {
    states[lane] = Backend::put_id(tables, states[lane], id, out);
  }

  /// The symbol, counted from the table's first.
  template <typename Backend>
  static std::uint32_t get(const TablesView& tables, std::uint32_t index, State* states, int lane,
                           const std::uint8_t*& in, const std::uint8_t* /*base*/) {
    const int precision = tables.freq_precision;
    State& x = states[lane];
    const Match match = Backend::find(tables, tables.info[index], slot_of(x, precision));
    x = torch_ans::get<Traits>(x, match.freq, match.rank, precision, in);
    return match.symbol;
  }

  static void put_escape(State* states, int lane, std::uint64_t raw, int bypass_precision,
                         std::uint8_t*& out) {
    states[lane] = torch_ans::put_escape<Traits>(states[lane], raw, bypass_precision, out);
  }

  /// Sets `broken` where the row ends too early or its digits name no 64-bit value.
  static std::uint64_t get_escape(State* states, int lane, int bypass_precision,
                                  const std::uint8_t*& in, const std::uint8_t* base, bool& broken) {
    EscapeReader<Traits> reader(states[lane], in, base, bypass_precision);
    const std::uint64_t raw = reader.read_raw();
    states[lane] = reader.state();
    in = reader.cursor();
    broken |= reader.broken();
    return raw;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
