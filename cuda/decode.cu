#include "coder_kernels.h"
#include "launch.h"
#include "launch_policy.h"

namespace torch_ans {
namespace gpu {
namespace {

template <typename Traits, int kFixedLanes>
__global__ void __launch_bounds__(kPolicy.threads, kPolicy.other_blocks)
    decode_global(const __grid_constant__ CoderTask task) {
  decode_kernel<Traits, kFixedLanes>(task);
}

template <typename Traits>
__global__ void __launch_bounds__(kPolicy.staged_threads, 1)
    decode_staged_global(const __grid_constant__ CoderTask task, std::uint32_t num_items) {
  decode_staged_kernel<Traits>(task, num_items);
}

template <typename Traits>
LaunchResult launch_family(const CoderLaunch& launch) {
  if (launch.staged_items > 0) {
    return launch_staged(
        decode_staged_global<Traits>, launch,
        StagedBucketTables::bytes(launch.task.tables.num_tables + 1, launch.staged_items));
  }
  return launch.task.lanes_log2 == 5 ? launch_cached(decode_global<Traits, 32>, launch, 0)
                                     : launch_cached(decode_global<Traits, 0>, launch, kTileBytes);
}

}  // namespace

LaunchResult launch_decode(Family family, const CoderLaunch& launch) {
  switch (family) {
    case Family::kRans64:
      return launch_family<Rans64>(launch);
    case Family::kRans32:
      return launch_family<Rans32>(launch);
    default:
      return launch_family<Rans32x16>(launch);
  }
}

}  // namespace gpu
}  // namespace torch_ans
