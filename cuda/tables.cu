#include "launch.h"
#include "table_kernels.h"

namespace torch_ans {
namespace gpu {
namespace {

constexpr int kThreads = 256;
constexpr int kPlaceThreads = 1024;

__global__ void __launch_bounds__(kThreads)
    count_tables_global(const __grid_constant__ PlanTask task) {
  count_tables_kernel(task);
}

__global__ void __launch_bounds__(kPlaceThreads)
    place_tables_global(const __grid_constant__ PlanTask task) {
  place_tables_kernel(task);
}

__global__ void __launch_bounds__(kThreads)
    fill_tables_global(const __grid_constant__ FillTask task) {
  fill_tables_kernel(task);
}

/// A block a table; the kernels loop over the rest.
unsigned grid_for(std::int64_t num_tables) {
  return static_cast<unsigned>(num_tables < 1 ? 1 : num_tables > 65535 ? 65535 : num_tables);
}

}  // namespace

LaunchResult launch_plan_tables(const PlanTask& task, cudaStream_t stream) {
  count_tables_global<<<grid_for(task.source.num_tables), kThreads, kBlockSumBytes, stream>>>(task);
  place_tables_global<<<1, kPlaceThreads, kBlockSumBytes, stream>>>(task);
  return cudaGetLastError();
}

LaunchResult launch_fill_tables(const FillTask& task, cudaStream_t stream) {
  const LaunchResult cleared = cudaMemsetAsync(task.image, 0, task.layout.end, stream);
  if (cleared != cudaSuccess) return cleared;
  fill_tables_global<<<grid_for(task.num_tables), kThreads, 0, stream>>>(task);
  return cudaGetLastError();
}

}  // namespace gpu
}  // namespace torch_ans
