/// How kernels are launched, for each architecture.
#pragma once

#include <cstddef>
#include <cstdint>

#include "torch_ans/config.h"

namespace torch_ans {
namespace gpu {

/// The threads of a block at most, and how many such blocks a multiprocessor must have registers
/// for.
struct BlockShape {
  int threads;
  int blocks;
};

/// As many warps as the registers of a kernel allow without a spill: 5 to 8 a scheduler, which hide
/// the latency of a coder's step. Wide: 32 lanes. Staged: tables in shared memory, one block a
/// multiprocessor. Plain: see plain_case.h.
struct LaunchPolicy {
  BlockShape wide_encoder{256, 4};
  BlockShape narrow_encoder{256, 3};
  BlockShape wide_decoder{256, 3};
  BlockShape wide_tans_decoder{256, 4};
  BlockShape narrow_decoder{256, 3};
  BlockShape one_lane_decoder{256, 3};
  BlockShape context_decoder{256, 3};
  BlockShape staged{768, 1};
  BlockShape staged_narrow_decoder{768, 1};
  BlockShape plain_encoder{1024, 1};
  BlockShape plain_decoder{1024, 1};
};

/// `arch` is major * 10 + minor.
constexpr LaunchPolicy launch_policy(int arch) {
  LaunchPolicy policy;
  switch (arch) {
    case 75:  // 1024 threads, 64 KB of shared memory
      policy.staged = policy.staged_narrow_decoder = {512, 1};
      policy.wide_tans_decoder = {128, 7};
      break;
    case 80:
      policy.wide_tans_decoder = {128, 7};
      break;
    case 86:
    case 89:
      policy.wide_tans_decoder = {128, 7};
      policy.context_decoder = {128, 5};
      policy.plain_decoder = {768, 1};
      break;
    case 100:
      policy.one_lane_decoder = {128, 5};
      break;
    case 120:
      policy.wide_encoder = policy.wide_tans_decoder = {256, 3};
      policy.narrow_decoder = {128, 5};
      policy.context_decoder = policy.one_lane_decoder = {128, 4};
      policy.staged_narrow_decoder = {640, 1};
      break;
    default:
      break;
  }
  return policy;
}

/// One of a policy's shapes, on whatever architecture.
using ShapeOf = BlockShape LaunchPolicy::*;

#if defined(__CUDA_ARCH__)
constexpr LaunchPolicy kPolicy = launch_policy(__CUDA_ARCH__ / 10);
#else
constexpr LaunchPolicy kPolicy = launch_policy(90);  // on the host only a declaration needs it
#endif

/// What a launch needs to know of the device.
struct DeviceTraits {
  int arch;
  int multiprocessors;
  std::size_t block_shared_bytes;  ///< the most that a block may ask for
};

/// A launch that might stage its tables.
struct StagingCase {
  std::int64_t warps;    ///< that have rows; at least one
  std::int64_t symbols;  ///< of all rows
  std::size_t table_bytes;
  std::size_t warp_bytes;  ///< of shared memory, beside the tables
};

/// One block a multiprocessor, as far as there are rows; 0 warps: leave tables in the caches.
struct StagedGrid {
  int blocks;
  int block_warps;
};

/// A block's symbols must be this many times the words of 8 bytes that it copies. Copies then take
/// a fortieth of the time at most: symbols take a cycle of a multiprocessor each, 8 bytes a quarter
/// of one.
constexpr std::int64_t kStagingPays = 10;

/// Fewer warps than this on a multiprocessor do not hide the latency of a step: tables that leave
/// no room for more stay where they are, unless there are no more.
constexpr std::int64_t kStagedWarps = 12;

/// One table whose entries blocks may copy in shared memory.
struct CopyCase {
  std::uint32_t most;  ///< copies
  std::size_t copy_bytes;
  std::size_t other_bytes;  ///< of shared memory, beside copies and what warps take
  std::size_t warp_bytes;   ///< of all warps that a block may have
  std::int64_t symbols;     ///< of all rows
};

/// How many copies they make, so that lanes that read at the same time do not wait for each other:
/// as far as they leave room for all warps, or take a quarter of what there is for both, and the
/// symbols of a multiprocessor pay for half of what copying as much would take.
constexpr std::uint32_t table_copies(const CopyCase& what, const DeviceTraits& device) {
  if (what.other_bytes > device.block_shared_bytes) return 1;
  const std::size_t rest = device.block_shared_bytes - what.other_bytes;
  const std::size_t room = larger(rest / 4, rest - smaller(rest, what.warp_bytes));
  const auto paid =
      static_cast<std::size_t>(what.symbols / device.multiprocessors / kStagingPays * 8);
  std::uint32_t copies = what.most;
  while (copies > 1 && copies * what.copy_bytes > smaller(room, paid / 2)) copies /= 2;
  return copies;
}

/// Look-ups in shared memory cost a warp bank conflicts, 4 to 10 cycles; the first level cache
/// takes one for each of up to 32 lines, and the second 200. Copies and lost occupancy are the
/// price: what counts is how many symbols share a copy, and how many warps fit beside it.
/// `most_warps`: of a block.
constexpr StagedGrid staged_grid(const StagingCase& what, const DeviceTraits& device,
                                 int most_warps) {
  constexpr StagedGrid kCached{0, 0};
  if (what.table_bytes + what.warp_bytes > device.block_shared_bytes) return kCached;
  const std::int64_t units = device.multiprocessors;
  const std::int64_t blocks = what.warps < units ? what.warps : units;
  const auto words = static_cast<std::int64_t>(what.table_bytes / 8);
  if (what.symbols / blocks < kStagingPays * words) return kCached;
  const std::int64_t shared_out = (what.warps + blocks - 1) / blocks;
  const std::int64_t wanted = shared_out < most_warps ? shared_out : most_warps;
  std::int64_t fit = wanted;
  while (what.table_bytes + static_cast<std::size_t>(fit) * what.warp_bytes >
         device.block_shared_bytes) {
    --fit;
  }
  if (fit < wanted && fit < kStagedWarps) return kCached;
  return {static_cast<int>(blocks), static_cast<int>(fit)};
}

}  // namespace gpu
}  // namespace torch_ans
