/// Sums over the threads of a warp or of a block.
#pragma once

#include "facade.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// The sum of `value` over the threads before this one, and over all.
struct Sums {
  std::int64_t before;
  std::int64_t all;
};

TORCH_ANS_DEVICE Sums sum_over_warp(std::int64_t value) {
  std::int64_t sum = value;
  for (unsigned step = 1; step < kWarpSize; step *= 2) {
    const std::int64_t other = shuffle(sum, (lane_index() - step) & 31u);
    if (lane_index() >= step) sum += other;
  }
  return {sum - value, shuffle(sum, 31)};
}

/// Shared memory of a block of at most 1024 threads.
constexpr std::size_t kBlockSumBytes = 32 * sizeof(std::int64_t);

/// `scratch` has kBlockSumBytes; the next call may use it again.
TORCH_ANS_DEVICE Sums sum_over_block(const SharedArray<std::int64_t>& scratch, std::int64_t value) {
  const Sums warp = sum_over_warp(value);
  if (lane_index() == 0) scratch.set(warp_index(), warp.all);
  sync_block();
  Sums sums{warp.before, 0};
  for (unsigned w = 0; w < block_size() / kWarpSize; ++w) {
    const std::int64_t other = scratch.get(w);
    sums.before += w < warp_index() ? other : 0;
    sums.all += other;
  }
  sync_block();
  return sums;
}

/// The smallest `value` of the block, likewise.
TORCH_ANS_DEVICE std::int64_t smallest_of_block(const SharedArray<std::int64_t>& scratch,
                                                std::int64_t value) {
  for (unsigned step = 1; step < kWarpSize; step *= 2) {
    value = smaller(value, shuffle(value, lane_index() ^ step));
  }
  if (lane_index() == 0) scratch.set(warp_index(), value);
  sync_block();
  for (unsigned w = 0; w < block_size() / kWarpSize; ++w) value = smaller(value, scratch.get(w));
  sync_block();
  return value;
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
