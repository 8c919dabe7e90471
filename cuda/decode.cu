#include "coder_kernels.h"
#include "launch.h"
#include "launch_policy.h"

namespace torch_ans {
namespace gpu {
namespace {

/// Blocks a multiprocessor: with words of 16 bits or tANS the registers of 32 lanes suffice for
/// more.
template <typename System, int kFixedLanes>
constexpr int kDecodeBlocks = kPolicy.other_blocks;
template <>
constexpr int kDecodeBlocks<TansSystem, 32> = kPolicy.wide_blocks;

template <typename System, int kFixedLanes>
__global__ void __launch_bounds__(kPolicy.threads, kDecodeBlocks<System, kFixedLanes>)
    decode_global(const __grid_constant__ CoderTask task) {
  decode_kernel<System, kFixedLanes>(task);
}

template <typename System>
__global__ void __launch_bounds__(kPolicy.staged_threads, 1)
    decode_staged_global(const __grid_constant__ CoderTask task, std::uint32_t num_items) {
  decode_staged_kernel<System>(task, num_items);
}

/// Any number of lanes, tables that follow the symbols.
template <typename System>
__global__ void __launch_bounds__(kPolicy.threads, kPolicy.context_blocks)
    decode_contexts_global(const __grid_constant__ CoderTask task) {
  decode_kernel<System, 0, ContextChoice>(task);
}

template <typename System>
LaunchResult launch_system(const CoderLaunch& launch) {
  if (launch.task.contexts.order > 0) {
    return launch_cached(decode_contexts_global<System>, launch, kDecoderWarpBytes<0>);
  }
  if (launch.task.lanes_log2 == 5) {
    return launch_cached(decode_global<System, 32>, launch, kDecoderWarpBytes<32>);
  }
  return launch_cached(decode_global<System, 0>, launch, kDecoderWarpBytes<0>);
}

template <typename Traits>
LaunchResult launch_rans(const CoderLaunch& launch) {
  if (launch.staged_items == 0) return launch_system<RansSystem<Traits>>(launch);
  return launch_staged(
      decode_staged_global<RansSystem<Traits>>, launch,
      StagedTables<Bucket>::bytes(launch.task.tables.num_tables + 1, launch.staged_items));
}

}  // namespace

LaunchResult launch_decode(Family family, const CoderLaunch& launch) {
  switch (family) {
    case Family::kRans64:
      return launch_rans<Rans64>(launch);
    case Family::kRans32:
      return launch_rans<Rans32>(launch);
    case Family::kRans32x16:
      return launch_rans<Rans32x16>(launch);
    case Family::kTans:
      break;
  }
  return launch_system<TansSystem>(launch);
}

}  // namespace gpu
}  // namespace torch_ans
