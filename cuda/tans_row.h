/// A row of tANS in device memory, between two calls.
#pragma once

#include "seat.h"
#include "torch_ans/stream_layout.h"
#include "torch_ans/tans.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// The bits of a row: words of 32 bits in memory, then `tail_bits` (below 32) more, which are the
/// bytes behind them and what the header holds. Rows start at multiples of 4 bytes.
struct TansRowStart {
  bool good;  ///< an encoder can have written it; otherwise it counts as empty
  std::uint32_t x;
  std::uint32_t words;
  std::uint32_t tail;
  std::uint32_t tail_bits;
};

/// Words of a row before those of its bits: the length, the states, the last bits, their number.
template <typename Seat>
TORCH_ANS_DEVICE unsigned tans_first_word(const Seat& seat) {
  return seat.lanes() + 3;
}

template <typename Seat>
TORCH_ANS_DEVICE std::uint32_t* tans_words(const CoderTask& task, const Seat& seat) {
  return reinterpret_cast<std::uint32_t*>(task.stream + seat.row() * task.row_bytes);
}

/// As the seat's thread sees it: `x` is the state of its lane.
template <typename Seat>
TORCH_ANS_DEVICE TansRowStart load_tans_row(const CoderTask& task, const Seat& seat) {
  const int precision = task.tables.freq_precision;
  TansRowStart start{false, std::uint32_t{1} << precision, 0, 0, 0};
  if (!seat.has_row()) return start;
  const std::uint32_t* row = tans_words(task, seat);
  const unsigned first_word = tans_first_word(seat);
  const auto bytes = static_cast<std::int64_t>(static_cast<std::int32_t>(row[0])) + kLengthBytes -
                     std::int64_t{4} * first_word;
  const std::uint32_t x = row[1 + seat.lane()];
  const std::uint32_t last_bits = row[first_word - 2], count = row[first_word - 1];
  if (bytes < 0 || bytes > task.row_bytes - std::int64_t{4} * first_word ||
      bytes % task.word_bytes != 0 || count >= static_cast<std::uint32_t>(8 * task.word_bytes) ||
      (x != 0 && x >> precision != 1)) {
    return start;
  }
  start.good = true;
  if (x != 0) start.x = x;  // a fresh row knows no precision
  start.words = static_cast<std::uint32_t>(bytes / 4);
  const auto shift = static_cast<std::uint32_t>(8 * (bytes % 4));
  if (shift != 0) start.tail = row[first_word + start.words] & ((1u << shift) - 1);
  // torch-ans leaves what was popped above the bits.
  start.tail |= (last_bits & ((1u << count) - 1)) << shift;
  start.tail_bits = shift + count;
  return start;
}

/// Notes the row's header: its states and, of `bits` in all, those that fill no word, the lowest
/// bits of `last`. Returns the bytes of the row, its length word included.
template <typename Seat>
TORCH_ANS_DEVICE std::int64_t finish_tans_row(const CoderTask& task, const Seat& seat,
                                              std::uint32_t x, std::int64_t bits,
                                              std::uint32_t last) {
  const unsigned first_word = tans_first_word(seat);
  auto* header = reinterpret_cast<std::uint32_t*>(task.headers) + seat.row() * (first_word - 1);
  header[seat.lane()] = x;
  const int word_bits = 8 * task.word_bytes;
  const auto count = static_cast<std::uint32_t>(bits % word_bits);
  if (seat.lane() == 0) {
    header[seat.lanes()] = last & ((1u << count) - 1);
    header[seat.lanes() + 1] = count;
  }
  return std::int64_t{4} * first_word + bits / word_bits * task.word_bytes;
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
