/// What the translation units of the engine share: kernels' launches on a stream of the caller.
/// Nothing here synchronises or allocates.
#pragma once

#include <cuda_runtime_api.h>

#include "engine.h"
#include "launch_policy.h"
#include "pack_kernels.h"
#include "quantize_kernel.h"
#include "table_access.h"
#include "table_task.h"
#include "task.h"
#include "torch_ans/rans.h"

namespace torch_ans {
namespace gpu {

using LaunchResult = cudaError_t;

struct CoderLaunch {
  CoderTask task;
  DeviceTraits device;
  cudaStream_t stream;
  TablesPart part;  ///< what may be held in shared memory
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

inline std::int64_t warps_of(const CoderTask& task) {
  return (task.rows + task.rows_per_warp - 1) / task.rows_per_warp;
}

/// A kernel and its shape.
struct CoderKernel {
  void (*function)(CoderTask, TablesPart);
  ShapeOf shape;
};

/// The most warps of a block. (Code that was built for an architecture before this one keeps that
/// one's shapes.)
inline LaunchResult most_warps(const CoderKernel& kernel, const CoderLaunch& launch, int& warps) {
  cudaFuncAttributes attributes{};
  const LaunchResult asked = cudaFuncGetAttributes(&attributes, kernel.function);
  const int threads = (launch_policy(launch.device.arch).*kernel.shape).threads;
  warps = smaller(threads, attributes.maxThreadsPerBlock) / 32;
  return asked;
}

/// A kernel with tables in the caches: a warp for each `rows_per_warp` rows, as many as there are.
inline LaunchResult launch_cached(const CoderKernel& kernel, const CoderLaunch& launch,
                                  std::uint32_t warp_bytes) {
  int block_warps = 0;
  const LaunchResult asked = most_warps(kernel, launch, block_warps);
  if (asked != cudaSuccess) return asked;
  const std::int64_t warps = warps_of(launch.task);
  // Few warps are spread over all multiprocessors.
  while (block_warps > 1 && warps < std::int64_t{2} * block_warps * launch.device.multiprocessors) {
    block_warps /= 2;
  }
  const std::int64_t blocks = (warps + block_warps - 1) / block_warps;
  const auto grid = static_cast<unsigned>(blocks < (1 << 30) ? blocks : 1 << 30);
  const auto threads = static_cast<unsigned>(block_warps * 32);
  kernel.function<<<grid, threads, threads / 32 * warp_bytes, launch.stream>>>(launch.task,
                                                                               launch.part);
  return cudaGetLastError();
}

/// A kernel with tables in shared memory: its blocks take rows in turn.
inline LaunchResult launch_staged(const CoderKernel& kernel, const CoderLaunch& launch,
                                  const StagedGrid& grid, std::size_t shared_bytes) {
  const LaunchResult raised = cudaFuncSetAttribute(
      kernel.function, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(shared_bytes));
  if (raised != cudaSuccess) return raised;
  kernel.function<<<static_cast<unsigned>(grid.blocks),
                    static_cast<unsigned>(grid.block_warps * 32), shared_bytes, launch.stream>>>(
      launch.task, launch.part);
  return cudaGetLastError();
}

/// The launch with as many copies as plain kernels with these Tables should have of what they copy;
/// `warp_bytes` of all warps of a block.
template <typename Tables>
CoderLaunch with_table_copies(CoderLaunch launch, std::size_t warp_bytes) {
  launch.task.table_copies = 0;
  const std::size_t other_bytes = Tables::bytes(launch.task, launch.part);
  launch.task.table_copies = table_copies({Tables::kMostCopies, Tables::copy_bytes(launch.task),
                                           other_bytes, warp_bytes, launch.task.total},
                                          launch.device);
  return launch;
}

/// Whether `staged_grid` would have these tables in shared memory; then `result` is the launch's.
inline bool launched_staged(const CoderKernel& staged, const CoderLaunch& launch,
                            std::size_t table_bytes, std::uint32_t warp_bytes,
                            LaunchResult& result) {
  int most = 0;
  result = most_warps(staged, launch, most);
  if (result != cudaSuccess) return true;
  const StagedGrid grid = staged_grid(
      {warps_of(launch.task), launch.task.total, table_bytes, warp_bytes}, launch.device, most);
  if (grid.block_warps == 0) return false;
  const auto warps = static_cast<std::size_t>(grid.block_warps);
  result = launch_staged(staged, launch, grid, table_bytes + warps * warp_bytes);
  return true;
}

/// The kernel that `staged_grid` chooses.
inline LaunchResult launch_coder(const CoderKernel& cached, const CoderKernel& staged,
                                 const CoderLaunch& launch, std::uint32_t warp_bytes) {
  LaunchResult result{};
  const std::size_t table_bytes = StagedTables::bytes(launch.task.tables.num_tables, launch.part);
  if (launched_staged(staged, launch, table_bytes, warp_bytes, result)) return result;
  return launch_cached(cached, launch, warp_bytes);
}

}  // namespace gpu
}  // namespace torch_ans
