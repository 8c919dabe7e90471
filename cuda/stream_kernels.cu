#include "coder_kernels.h"
#include "launch.h"

namespace torch_ans {
namespace gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kPlanThreads = 1024;

__global__ void resolve_global(const __grid_constant__ CoderTask task) { resolve_kernel(task); }

__global__ void commit_global(const __grid_constant__ CoderTask task, std::uint32_t header_words) {
  commit_kernel(task, header_words);
}

__global__ void init_global(std::uint8_t* stream, std::int64_t rows, std::int64_t row_bytes,
                            std::uint64_t lower_bound, int header_bytes, int state_bytes) {
  init_kernel(stream, rows, row_bytes, lower_bound, header_bytes, state_bytes);
}

__global__ void plan_global(const __grid_constant__ PackTask task, const std::uint32_t* failed,
                            std::uint64_t* bad_row, PackPlan* plan) {
  plan_kernel(task, failed, bad_row, plan);
}

__global__ void pack_global(const __grid_constant__ PackTask task) { pack_kernel(task); }
__global__ void unpack_global(const __grid_constant__ PackTask task) { unpack_kernel(task); }
__global__ void quantize_global(const __grid_constant__ QuantizeTask task) {
  quantize_kernel(task);
}

/// Blocks for `items` that a block takes `per_block` of at a time; the kernels loop over the rest.
unsigned grid_for(std::int64_t items, std::int64_t per_block) {
  const std::int64_t blocks = (items + per_block - 1) / per_block;
  return static_cast<unsigned>(blocks < 1 ? 1 : blocks > 65535 ? 65535 : blocks);
}

unsigned grid_for_copy(const PackTask& task) {
  return grid_for(task.rows * ((task.row_bytes + kCopyChunk - 1) / kCopyChunk), 1);
}

}  // namespace

LaunchResult launch_resolve(const CoderLaunch& launch) {
  const std::int64_t chunks = (launch.task.row_length + kResolveChunk - 1) / kResolveChunk;
  resolve_global<<<grid_for(launch.task.rows * chunks, kThreads / 32), kThreads, 0,
                   launch.stream>>>(launch.task);
  return cudaGetLastError();
}

LaunchResult launch_commit(const CoderLaunch& launch, std::uint32_t header_words) {
  const std::int64_t words = launch.task.rows * (header_words + 1);
  commit_global<<<grid_for(words, kThreads), kThreads, 0, launch.stream>>>(launch.task,
                                                                           header_words);
  return cudaGetLastError();
}

LaunchResult launch_init(const FreshRows& fresh, cudaStream_t stream) {
  const std::int64_t words = fresh.rows * (fresh.header_bytes / 4 + 1);
  init_global<<<grid_for(words, kThreads), kThreads, 0, stream>>>(
      fresh.stream, fresh.rows, fresh.row_bytes, fresh.lower_bound, fresh.header_bytes,
      fresh.state_bytes);
  return cudaGetLastError();
}

LaunchResult launch_plan(const PackTask& task, const std::uint32_t* failed, std::uint64_t* bad_row,
                         PackPlan* plan, cudaStream_t stream) {
  const LaunchResult cleared = cudaMemsetAsync(bad_row, 0xff, sizeof(*bad_row), stream);
  if (cleared != cudaSuccess) return cleared;
  plan_global<<<1, kPlanThreads, kBlockSumBytes, stream>>>(task, failed, bad_row, plan);
  return cudaGetLastError();
}

LaunchResult launch_pack(const PackTask& task, cudaStream_t stream) {
  pack_global<<<grid_for_copy(task), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

LaunchResult launch_unpack(const PackTask& task, cudaStream_t stream) {
  unpack_global<<<grid_for_copy(task), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

LaunchResult launch_quantize(const QuantizeTask& task, cudaStream_t stream) {
  quantize_global<<<grid_for(task.rows, kThreads / 32), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

}  // namespace gpu
}  // namespace torch_ans
