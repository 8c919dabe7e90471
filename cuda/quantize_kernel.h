/// From probabilities to quantised CDFs on the device: a warp a row, the same integers as
/// torch_ans/quantize.h.
///
/// That repairs symbols without a slot by draining donors in the order (freq, position). A warp
/// finds the same result without sorting: with S(t) = what all donors of at most t can lend, all
/// donors below the smallest t with S(t) >= wanting are drained, those of exactly t one after the
/// other until nothing is wanting.
#pragma once

#include <cmath>

#include "facade.h"
#include "stream_task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

TORCH_ANS_DEVICE std::uint64_t sum_all(std::uint64_t value) {
  for (unsigned step = 1; step < kWarpSize; step *= 2) {
    value += shuffle(value, lane_index() ^ step);
  }
  return value;
}

TORCH_ANS_DEVICE std::uint64_t sum_before(std::uint64_t value) {
  std::uint64_t sum = value;
  for (unsigned step = 1; step < kWarpSize; step *= 2) {
    const std::uint64_t other = shuffle(sum, (lane_index() - step) & 31u);
    if (lane_index() >= step) sum += other;
  }
  return sum - value;
}

/// One row; `cdf[1 + i]` holds the freq of symbol i until the last pass.
class RowQuantizer {
 public:
  TORCH_ANS_DEVICE RowQuantizer(const QuantizeTask& task, std::int64_t row)
      : task_(task),
        row_(row),
        length_(task.lengths == nullptr ? task.length : task.lengths[row]),
        cdf_(task.cdfs + row * (task.length + 1)),
        slots_(std::uint64_t{1} << task.freq_precision) {}

  TORCH_ANS_DEVICE void run() {
    const RowStatus status =
        length_ < 1 || length_ > task_.length ? RowStatus::kBadLength : quantize();
    if (lane_index() == 0) task_.statuses[row_] = static_cast<std::int32_t>(status);
  }

 private:
  /// Calls `body(i, i < length)` for all symbols, 32 at a time, ascending.
  template <typename Body>
  TORCH_ANS_DEVICE void for_each_symbol(const Body& body) const {
    for (std::int64_t first = 0; first < length_; first += kWarpSize) {
      const std::int64_t i = first + lane_index();
      body(i, i < length_);
    }
  }

  TORCH_ANS_DEVICE RowStatus count_of(std::int64_t i, std::uint64_t& count) const {
    const std::int64_t at = row_ * task_.length + i;
    if (!task_.is_float) {
      const std::int64_t weight = static_cast<const std::int64_t*>(task_.pmf)[at];
      if (weight < 0) return RowStatus::kNegative;
      if (weight > (std::int64_t{1} << 47)) return RowStatus::kTooLarge;
      count = static_cast<std::uint64_t>(weight);
      return RowStatus::kOk;
    }
    const float p = static_cast<const float*>(task_.pmf)[at];
    if (!(p - p == 0.0f)) return RowStatus::kNotFinite;
    if (p < 0) return RowStatus::kNegative;
    if (p > 2147483648.0f) return RowStatus::kTooLarge;
    count = static_cast<std::uint64_t>(round(static_cast<double>(p) * static_cast<double>(slots_)));
    return RowStatus::kOk;
  }

  TORCH_ANS_DEVICE RowStatus quantize() {
    std::uint64_t total = 0;
    // The status of the first symbol that has one, above it its position.
    std::uint64_t worst = ~std::uint64_t{0};
    for_each_symbol([&](std::int64_t i, bool present) {
      std::uint64_t count = 0;
      if (!present) return;
      const RowStatus status = count_of(i, count);
      if (status != RowStatus::kOk) {
        worst =
            smaller(worst, static_cast<std::uint64_t>(i) << 8 | static_cast<std::uint64_t>(status));
      }
      total += count;
    });
    for (unsigned step = 1; step < kWarpSize; step *= 2) {
      worst = smaller(worst, shuffle(worst, lane_index() ^ step));
    }
    if (worst != ~std::uint64_t{0}) return static_cast<RowStatus>(worst & 0xff);
    total = sum_all(total);
    if (total == 0) return RowStatus::kZeroSum;
    if (static_cast<std::uint64_t>(length_) > slots_) return RowStatus::kTooManySymbols;
    const std::uint64_t wanting = share_slots(total);
    if (wanting > 0) lend_slots(wanting);
    accumulate();
    return RowStatus::kOk;
  }

  /// freqs = floor(count * slots / total), the last one takes what is left. Returns how many
  /// symbols have none.
  TORCH_ANS_DEVICE std::uint64_t share_slots(std::uint64_t total) {
    std::uint64_t used = 0;
    for_each_symbol([&](std::int64_t i, bool present) {
      std::uint64_t count = 0;
      if (!present) return;
      count_of(i, count);
      const std::uint64_t freq = slots_ * count / total;
      used += freq;
      cdf_[1 + i] = static_cast<std::int32_t>(freq);
    });
    used = sum_all(used);
    std::uint64_t wanting = 0;
    for_each_symbol([&](std::int64_t i, bool present) {
      if (!present) return;
      if (i == length_ - 1) cdf_[1 + i] += static_cast<std::int32_t>(slots_ - used);
      wanting += cdf_[1 + i] == 0;
    });
    return sum_all(wanting);
  }

  /// What the donors of at most `limit` can lend.
  TORCH_ANS_DEVICE std::uint64_t lendable(std::uint64_t limit) const {
    std::uint64_t sum = 0;
    for_each_symbol([&](std::int64_t i, bool present) {
      const auto freq = present ? static_cast<std::uint64_t>(cdf_[1 + i]) : 0;
      if (freq > 1 && freq <= limit) sum += freq - 1;
    });
    return sum_all(sum);
  }

  TORCH_ANS_DEVICE void lend_slots(std::uint64_t wanting) {
    std::uint64_t low = 1, high = slots_;  // lendable(low) < wanting <= lendable(high)
    while (high - low > 1) {
      const std::uint64_t middle = (low + high) / 2;
      if (lendable(middle) < wanting) {
        low = middle;
      } else {
        high = middle;
      }
    }
    const std::uint64_t left = wanting - lendable(low);
    std::uint64_t donors = 0;  // of exactly `high` slots, before these 32 symbols
    for_each_symbol([&](std::int64_t i, bool present) {
      std::uint64_t freq = present ? static_cast<std::uint64_t>(cdf_[1 + i]) : 1;
      const unsigned same = ballot(freq == high);
      if (freq == high) {
        const std::uint64_t lent =
            (donors + static_cast<unsigned>(count_bits(same & lanes_below()))) * (high - 1);
        freq -= lent >= left ? 0 : smaller(left - lent, high - 1);
      } else if (freq < high) {
        freq = 1;
      }
      donors += static_cast<unsigned>(count_bits(same));
      if (present) cdf_[1 + i] = static_cast<std::int32_t>(freq);
    });
  }

  TORCH_ANS_DEVICE void accumulate() {
    std::uint64_t start = 0;
    for_each_symbol([&](std::int64_t i, bool present) {
      const auto freq = present ? static_cast<std::uint64_t>(cdf_[1 + i]) : 0;
      const std::uint64_t end = start + sum_before(freq) + freq;
      if (present) cdf_[1 + i] = static_cast<std::int32_t>(end);
      start += sum_all(freq);
    });
    if (lane_index() == 0) cdf_[0] = 0;
    for (std::int64_t i = length_ + 1 + lane_index(); i <= task_.length; i += kWarpSize) {
      cdf_[i] = static_cast<std::int32_t>(slots_);
    }
  }

  const QuantizeTask& task_;
  const std::int64_t row_;
  const std::int64_t length_;
  std::int32_t* const cdf_;
  const std::uint64_t slots_;
};

TORCH_ANS_DEVICE void quantize_kernel(const QuantizeTask& task) {
  const unsigned warps = block_size() / kWarpSize;
  for (std::int64_t row = static_cast<std::int64_t>(block_index()) * warps + warp_index();
       row < task.rows; row += static_cast<std::int64_t>(grid_size()) * warps) {
    RowQuantizer(task, row).run();
  }
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
