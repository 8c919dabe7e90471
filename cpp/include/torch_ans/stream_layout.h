/// A row of the stream: an int32 length word, then `length` bytes: the lanes' states, lane 0
/// first, then the words in the order in which they were emitted. See cpp/FORMAT.md.
#pragma once

#include "torch_ans/rans.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

constexpr int kLengthBytes = 4;

template <typename Traits>
constexpr int header_bytes(int lanes) {
  return lanes * static_cast<int>(sizeof(typename Traits::State));
}

/// Whether a row of `row_bytes` (its length word counted in) can be `length` bytes long.
template <typename Traits>
TORCH_ANS_FN bool is_length(std::int64_t length, std::int64_t row_bytes, int lanes) {
  const std::int64_t header = lanes * static_cast<int>(sizeof(typename Traits::State));
  return length >= header && length <= row_bytes - kLengthBytes &&
         (length - header) % static_cast<int>(sizeof(typename Traits::Word)) == 0;
}

/// Whether a lane can be in this state between two operations.
template <typename Traits>
TORCH_ANS_FN bool is_state(typename Traits::State x) {
  return (x >> Traits::kLowerBits) != 0 && (x >> Traits::kUsedBits) == 0;
}

/// Whether a row's length word and states can have been written by an encoder: `row` points at
/// the length word. Nothing else of the row is looked at.
template <typename Traits, int kLanes>
TORCH_ANS_FN bool is_well_formed(const std::uint8_t* row, std::int64_t row_bytes) {
  if (row_bytes < kLengthBytes + header_bytes<Traits>(kLanes) ||
      !is_length<Traits>(load<std::int32_t>(row), row_bytes, kLanes)) {
    return false;
  }
  bool in_range = true;
  for (int lane = 0; lane < kLanes; ++lane) {
    using State = typename Traits::State;
    in_range &=
        is_state<Traits>(load<State>(row + kLengthBytes + lane * static_cast<int>(sizeof(State))));
  }
  return in_range;
}

/// Bytes that putting `count` symbols without escapes can append to a row. A put multiplies the
/// state by less than 2^(precision + 1) / freq; the slack covers what the states held before and
/// the stores that reach past the end.
constexpr std::int64_t max_appended_bytes(std::int64_t count, int precision, int lanes) {
  return (count * (precision + 1) + 7) / 8 + 8 * lanes + 64;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
