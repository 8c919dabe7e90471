#include <mutex>
#include <vector>

#include "engine.h"
#include "launch.h"
#include "resolve_kernel.h"

namespace torch_ans {
namespace gpu {
namespace {

const char* message(cudaError_t error) {
  return error == cudaSuccess ? nullptr : cudaGetErrorString(error);
}

cudaStream_t native(const Queue& queue) { return static_cast<cudaStream_t>(queue.stream); }

/// Makes the queue's device current and says what it is like. The answer is kept: asking costs
/// microseconds.
cudaError_t enter(const Queue& queue, DeviceTraits& traits) {
  static std::mutex mutex;
  static std::vector<DeviceTraits> known;
  const cudaError_t entered = cudaSetDevice(queue.device);
  if (entered != cudaSuccess) return entered;
  const std::lock_guard<std::mutex> lock(mutex);
  const auto number = static_cast<std::size_t>(queue.device);
  if (number >= known.size()) known.resize(number + 1);
  if (known[number].arch == 0) {
    int major = 0, minor = 0, multiprocessors = 0;
    for (const auto& [value, attribute] :
         {std::pair<int*, cudaDeviceAttr>{&major, cudaDevAttrComputeCapabilityMajor},
          {&minor, cudaDevAttrComputeCapabilityMinor},
          {&multiprocessors, cudaDevAttrMultiProcessorCount}}) {
      const cudaError_t error = cudaDeviceGetAttribute(value, attribute, queue.device);
      if (error != cudaSuccess) return error;
    }
    known[number] = {10 * major + minor, multiprocessors};
  }
  traits = known[number];
  return cudaSuccess;
}

cudaError_t enter(const Queue& queue) {
  DeviceTraits traits{};
  return enter(queue, traits);
}

/// Few rows are spread over more warps, as long as that fills more schedulers.
void spread_rows(CoderLaunch& launch) {
  const std::int64_t schedulers = 4 * std::int64_t{launch.device.multiprocessors};
  int& rows = launch.task.rows_per_warp;
  while (rows > 1 && launch.task.rows < rows * schedulers) rows /= 2;
}

/// How many items to hold in shared memory, each of `item_bytes`; 0: leave the tables where they
/// are, because there are too many of them or too few symbols to pay for the copies.
std::uint32_t items_to_stage(const CoderLaunch& launch, std::size_t items, std::size_t item_bytes) {
  const LaunchPolicy policy = launch_policy(launch.device.arch);
  const std::size_t infos = launch.task.tables.num_tables + std::size_t{1};
  const std::size_t bytes = infos * sizeof(TableInfo) + items * item_bytes;
  if (launch.task.lanes_log2 != 5 || items == 0 || bytes > policy.staged_bytes) return 0;
  const std::int64_t warps = policy.staged_threads / 32;
  if (launch.task.rows < warps * launch.device.multiprocessors) return 0;
  const std::int64_t share = launch.task.total / launch.device.multiprocessors;
  return share < kStagingPays * static_cast<std::int64_t>(items)
             ? 0
             : static_cast<std::uint32_t>(items);
}

using Coder = LaunchResult (*)(Family, const CoderLaunch&);

const char* run(Coder coder, Family family, CoderLaunch& launch, std::size_t items,
                const HostTask& host) {
  spread_rows(launch);
  launch.staged_items =
      items_to_stage(launch, items,
                     coder == launch_encode ? 2 * static_cast<std::size_t>(host.kind.state_bytes)
                                            : sizeof(Bucket));
  if (launch.task.rows == 0) return nullptr;
  const LaunchResult coded = coder(family, launch);
  if (coded != cudaSuccess) return message(coded);
  return message(launch_commit(launch, static_cast<std::uint32_t>(host.header_bytes / 4)));
}

}  // namespace

std::string unavailable_because() {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess) return cudaGetErrorString(error);
  return devices > 0 ? "" : "no CUDA device was found";
}

const char* built_for() { return TORCH_ANS_BUILT_FOR; }

const char* encode(Family family, const HostTask& task, const Queue& queue) {
  CoderLaunch launch{make_task(task), {}, native(queue), 0};
  const cudaError_t error = enter(queue, launch.device);
  if (error != cudaSuccess) return message(error);
  if (task.contexts.order > 0 && task.rows > 0) {
    const cudaError_t resolved = launch_resolve(launch);
    if (resolved != cudaSuccess) return message(resolved);
    launch.task = with_chosen_tables(launch.task);
  }
  const ImageLayout layout = image_layout(*task.tables, task.kind);
  // Symbols of alias tables look their slots up beside the records.
  const bool stages = !task.kind.tans && !task.tables->options.alias;
  const std::size_t items = stages ? layout.num_entries + 1 : 0;
  return run(launch_encode, family, launch, items, task);
}

const char* decode(Family family, const HostTask& task, const Queue& queue) {
  CoderLaunch launch{make_task(task), {}, native(queue), 0};
  const cudaError_t error = enter(queue, launch.device);
  if (error != cudaSuccess) return message(error);
  const ImageLayout layout = image_layout(*task.tables, task.kind);
  const bool buckets = launch.task.tables.buckets != nullptr && task.contexts.order == 0;
  return run(launch_decode, family, launch, buckets ? layout.num_buckets + 1 : 0, task);
}

const char* init_stream(const FreshRows& rows, const Queue& queue) {
  const cudaError_t error = enter(queue);
  if (error != cudaSuccess || rows.rows == 0) return message(error);
  return message(launch_init(rows, native(queue)));
}

const char* plan_pack(const PackTask& task, const std::uint32_t* failed, std::uint64_t* bad_row,
                      PackPlan* plan, const Queue& queue) {
  const cudaError_t error = enter(queue);
  if (error != cudaSuccess) return message(error);
  return message(launch_plan(task, failed, bad_row, plan, native(queue)));
}

const char* pack(const PackTask& task, const Queue& queue) {
  const cudaError_t error = enter(queue);
  if (error != cudaSuccess || task.rows == 0) return message(error);
  return message(launch_pack(task, native(queue)));
}

const char* unpack(const PackTask& task, const Queue& queue) {
  const cudaError_t error = enter(queue);
  if (error != cudaSuccess || task.rows == 0) return message(error);
  return message(launch_unpack(task, native(queue)));
}

const char* quantize(const QuantizeTask& task, const Queue& queue) {
  const cudaError_t error = enter(queue);
  if (error != cudaSuccess || task.rows == 0) return message(error);
  return message(launch_quantize(task, native(queue)));
}

const char* plan_tables(const PlanTask& task, const Queue& queue) {
  const cudaError_t error = enter(queue);
  if (error != cudaSuccess) return message(error);
  return message(launch_plan_tables(task, native(queue)));
}

const char* fill_tables(const FillTask& task, const Queue& queue) {
  const cudaError_t error = enter(queue);
  if (error != cudaSuccess) return message(error);
  return message(launch_fill_tables(task, native(queue)));
}

}  // namespace gpu
}  // namespace torch_ans
