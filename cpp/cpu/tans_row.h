/// A row of tANS, as the drivers (row_encoder.h, row_decoder.h) see it: as rans_row.h.
#pragma once

#include "task.h"
#include "torch_ans/bypass.h"
#include "torch_ans/stream_layout.h"
#include "torch_ans/tans.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The families differ in their words alone (`task.word_bytes`), that is in how many bits the
/// header keeps. Between calls it is whole bytes that move, so all of them share these kernels.
template <int kLanes_>
struct TansRow {
  using State = std::uint32_t;
  static constexpr int kLanes = kLanes_;
  /// The states of the lanes, then the bits that fill no word and their number.
  static constexpr int kStates = kLanes + 2;
  static constexpr int kHeader = kStates * static_cast<int>(sizeof(State));
  static constexpr int kGroupBytes = 2 * kLanes;
  static constexpr bool kDigitsFirst = false;

  static bool load(const CodingTask& task, const std::uint8_t* row, State* states) {
    if (task.row_bytes < kLengthBytes + kHeader) return false;
    const auto length = load_length(row);
    if (length < kHeader || length > task.row_bytes - kLengthBytes ||
        (length - kHeader) % task.word_bytes != 0) {
      return false;
    }
    std::memcpy(states, row + kLengthBytes, kHeader);
    const State size = first_state(task);
    bool in_range = states[kLanes + 1] < static_cast<State>(8 * task.word_bytes);
    for (int lane = 0; lane < kLanes; ++lane) {
      if (states[lane] == 0) states[lane] = size;  // a fresh row knows no precision
      in_range &= states[lane] >> task.tables.freq_precision == 1;
    }
    // torch-ans leaves what was popped above the bits.
    if (in_range) states[kLanes] &= (State{1} << states[kLanes + 1]) - 1;
    return in_range;
  }

  static void clear(const CodingTask& task, State* states) {
    for (int lane = 0; lane < kLanes; ++lane) states[lane] = first_state(task);
    states[kLanes] = states[kLanes + 1] = 0;
  }

  static bool is_clear(const CodingTask& task, const State* states) {
    bool clear = states[kLanes + 1] == 0;
    for (int lane = 0; lane < kLanes; ++lane) clear &= states[lane] == first_state(task);
    return clear;
  }

  /// Takes the bytes of an unfinished word back into the header.
  static void settle(const CodingTask& task, const std::uint8_t* base, State* states,
                     const std::uint8_t*& end) {
    if ((end - base) % task.word_bytes == 0) return;
    --end;
    states[kLanes] = states[kLanes] << 8 | *end;
    states[kLanes + 1] += 8;
  }

  /// A lane reads up to 15 bytes below its next bit, a group takes up to 2 bytes a lane, and the
  /// last starts at the header's end or above: nothing is read below the row's length word.
  static std::int64_t readable_groups(std::int64_t bytes) { return 1 + bytes / kGroupBytes; }

  template <typename Backend>
  static void put(const TablesView& tables, State* states, int lane, std::uint32_t id,
                  std::uint8_t*& out) {
    BitBuffer buffer = load_buffer(states);
    buffer.flush(out);
    states[lane] = tans_put(tables, states[lane], id, buffer);
    buffer.flush(out);
    store_buffer(states, buffer);
  }

  template <typename Backend>
  static std::uint32_t get(const TablesView& tables, std::uint32_t index, State* states, int lane,
                           const std::uint8_t*& in, const std::uint8_t* base) {
    const int precision = tables.freq_precision;
    const std::uint32_t* slots = tables.tans_slots + (std::size_t{index} << precision);
    const std::uint32_t entry = slots[states[lane] - (State{1} << precision)];
    states[lane] = (entry >> 16) << tans_bits(entry, precision) |
                   take(states, tans_bits(entry, precision), in, base);
    return entry & (kTansSentinel - 1);
  }

  static void put_escape(State* states, int /*lane*/, std::uint64_t raw, int bypass_precision,
                         std::uint8_t*& out) {
    BitBuffer buffer = load_buffer(states);
    put_digits(raw, bypass_precision, [&](std::uint32_t digit) {
      buffer.append(digit, static_cast<std::uint32_t>(bypass_precision));
      buffer.flush(out);
    });
    store_buffer(states, buffer);
  }

  static std::uint64_t get_escape(State* states, int /*lane*/, int bypass_precision,
                                  const std::uint8_t*& in, const std::uint8_t* base, bool& broken) {
    const std::uint64_t raw = read_digits(bypass_precision, broken, [&] {
      return take(states, static_cast<std::uint32_t>(bypass_precision), in, base);
    });
    broken |= in < base;
    return raw;
  }

  static BitBuffer load_buffer(const State* states) { return {states[kLanes], states[kLanes + 1]}; }

  static void store_buffer(State* states, const BitBuffer& buffer) {
    states[kLanes] = static_cast<State>(buffer.bits);
    states[kLanes + 1] = buffer.count;
  }

 private:
  static std::int64_t load_length(const std::uint8_t* row) {
    return torch_ans::load<std::int32_t>(row);
  }

  static State first_state(const CodingTask& task) {
    return State{1} << task.tables.freq_precision;
  }

  /// The `n` highest bits. Below `base` there are zeros; `in` counts them, unread.
  static std::uint32_t take(State* states, std::uint32_t n, const std::uint8_t*& in,
                            const std::uint8_t* base) {
    BitBuffer buffer = load_buffer(states);
    while (buffer.count < n) {
      --in;
      buffer.bits = buffer.bits << 8 | (in >= base ? *in : 0);
      buffer.count += 8;
    }
    const std::uint32_t value = buffer.take(n);
    buffer.bits &= (std::uint64_t{1} << buffer.count) - 1;
    store_buffer(states, buffer);
    return value;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
