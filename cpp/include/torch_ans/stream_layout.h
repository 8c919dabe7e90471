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

/// Whether a row's length word and states can have been written by an encoder: `row` points at
/// the length word, `row_bytes` counts it in. Nothing else of the row is looked at.
template <typename Traits, int kLanes>
TORCH_ANS_FN bool is_well_formed(const std::uint8_t* row, std::int64_t row_bytes) {
    constexpr int kHeader = header_bytes<Traits>(kLanes);
    const std::int64_t length = load<std::int32_t>(row);
    if (row_bytes < kLengthBytes + kHeader || length < kHeader ||
        length > row_bytes - kLengthBytes ||
        (length - kHeader) % static_cast<int>(sizeof(typename Traits::Word)) != 0) {
        return false;
    }
    bool in_range = true;
    for (int lane = 0; lane < kLanes; ++lane) {
        using State = typename Traits::State;
        const auto x =
            load<State>(row + kLengthBytes + lane * static_cast<int>(sizeof(State)));
        in_range &= (x >> Traits::kLowerBits) != 0 && (x >> Traits::kUsedBits) == 0;
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
