#include "coder_kernels.h"
#include "launch.h"
#include "launch_policy.h"

namespace torch_ans {
namespace gpu {
namespace {

template <typename System, int kFixedLanes>
__global__ void __launch_bounds__(kPolicy.threads,
                                  kFixedLanes == 32 ? kPolicy.wide_blocks : kPolicy.other_blocks)
    encode_global(const __grid_constant__ CoderTask task) {
  encode_kernel<System, kFixedLanes>(task);
}

template <typename System>
__global__ void __launch_bounds__(kPolicy.staged_threads, 1)
    encode_staged_global(const __grid_constant__ CoderTask task, std::uint32_t num_items) {
  encode_staged_kernel<System>(task, num_items);
}

template <typename System>
LaunchResult launch_system(const CoderLaunch& launch) {
  if (launch.task.lanes_log2 == 5) {
    return launch_cached(encode_global<System, 32>, launch, kEncoderWarpBytes<System, 32>);
  }
  return launch_cached(encode_global<System, 0>, launch, kEncoderWarpBytes<System, 0>);
}

template <typename Traits>
LaunchResult launch_rans(const CoderLaunch& launch) {
  if (launch.staged_items == 0) return launch_system<RansSystem<Traits>>(launch);
  using Tables = StagedTables<Record<typename Traits::State>>;
  return launch_staged(encode_staged_global<RansSystem<Traits>>, launch,
                       Tables::bytes(launch.task.tables.num_tables + 1, launch.staged_items));
}

}  // namespace

LaunchResult launch_encode(Family family, const CoderLaunch& launch) {
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
