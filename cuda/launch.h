/// What the translation units of the engine share: kernels' launches on a stream of the caller.
/// Nothing here synchronises or allocates.
#pragma once

#include <cuda_runtime_api.h>

#include "engine.h"
#include "launch_policy.h"
#include "pack_kernels.h"
#include "quantize_kernel.h"
#include "table_task.h"
#include "task.h"
#include "torch_ans/rans.h"

namespace torch_ans {
namespace gpu {

using LaunchResult = cudaError_t;

/// What a launch needs to know of the device.
struct DeviceTraits {
  int arch;
  int multiprocessors;
};

struct CoderLaunch {
  CoderTask task;
  DeviceTraits device;
  cudaStream_t stream;
  std::uint32_t staged_items;  ///< records or buckets to hold in shared memory; 0: none
};

/// Fills `task.contexts.chosen`.
LaunchResult launch_resolve(const CoderLaunch& launch);
LaunchResult launch_encode(Family family, const CoderLaunch& launch);
LaunchResult launch_decode(Family family, const CoderLaunch& launch);
LaunchResult launch_commit(const CoderLaunch& launch, std::uint32_t header_words);

LaunchResult launch_init(const FreshRows& rows, cudaStream_t stream);
LaunchResult launch_plan(const PackTask& task, const std::uint32_t* failed, std::uint64_t* bad_row,
                         PackPlan* plan, cudaStream_t stream);
LaunchResult launch_pack(const PackTask& task, cudaStream_t stream);
LaunchResult launch_unpack(const PackTask& task, cudaStream_t stream);
LaunchResult launch_quantize(const QuantizeTask& task, cudaStream_t stream);
LaunchResult launch_plan_tables(const PlanTask& task, cudaStream_t stream);
LaunchResult launch_fill_tables(const FillTask& task, cudaStream_t stream);

/// A kernel with tables in the caches: a warp for each `rows_per_warp` rows, as many as there are.
template <typename Kernel>
LaunchResult launch_cached(Kernel kernel, const CoderLaunch& launch, std::size_t warp_bytes) {
  const std::int64_t warps =
      (launch.task.rows + launch.task.rows_per_warp - 1) / launch.task.rows_per_warp;
  // Few warps are spread over all multiprocessors.
  const int most = launch_policy(launch.device.arch).threads / 32;
  int block_warps = most;
  while (block_warps > 1 && warps < std::int64_t{2} * block_warps * launch.device.multiprocessors) {
    block_warps /= 2;
  }
  const std::int64_t blocks = (warps + block_warps - 1) / block_warps;
  const auto grid = static_cast<unsigned>(blocks < (1 << 30) ? blocks : 1 << 30);
  kernel<<<grid, static_cast<unsigned>(block_warps * 32),
           static_cast<std::size_t>(block_warps) * warp_bytes, launch.stream>>>(launch.task);
  return cudaGetLastError();
}

/// A kernel with tables in shared memory: one block a multiprocessor takes rows in turn.
template <typename Kernel>
LaunchResult launch_staged(Kernel kernel, const CoderLaunch& launch, std::size_t table_bytes) {
  const int threads = launch_policy(launch.device.arch).staged_threads;
  const auto bytes = static_cast<int>(table_bytes);
  const LaunchResult raised =
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes);
  if (raised != cudaSuccess) return raised;
  kernel<<<static_cast<unsigned>(launch.device.multiprocessors), static_cast<unsigned>(threads),
           table_bytes, launch.stream>>>(launch.task, launch.staged_items);
  return cudaGetLastError();
}

}  // namespace gpu
}  // namespace torch_ans
