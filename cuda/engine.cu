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
    int major = 0, minor = 0, multiprocessors = 0, shared_bytes = 0;
    for (const auto& [value, attribute] :
         {std::pair<int*, cudaDeviceAttr>{&major, cudaDevAttrComputeCapabilityMajor},
          {&minor, cudaDevAttrComputeCapabilityMinor},
          {&multiprocessors, cudaDevAttrMultiProcessorCount},
          {&shared_bytes, cudaDevAttrMaxSharedMemoryPerBlockOptin}}) {
      const cudaError_t error = cudaDeviceGetAttribute(value, attribute, queue.device);
      if (error != cudaSuccess) return error;
    }
    known[number] = {10 * major + minor, multiprocessors, static_cast<std::size_t>(shared_bytes)};
  }
  traits = known[number];
  return cudaSuccess;
}

cudaError_t enter(const Queue& queue) {
  DeviceTraits traits{};
  return enter(queue, traits);
}

/// Few rows are spread over more warps, two to four a scheduler: a warp's rows wait for the slowest
/// of them, and fewer fill a tile sooner.
void spread_rows(CoderLaunch& launch) {
  const std::int64_t warps = 8 * std::int64_t{launch.device.multiprocessors};
  int& rows = launch.task.rows_per_warp;
  while (rows > 1 && launch.task.rows < rows * warps) rows /= 2;
}

using Coder = LaunchResult (*)(Family, const CoderLaunch&);

const char* run(Coder coder, Family family, CoderLaunch& launch, const HostTask& host) {
  spread_rows(launch);
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
  CoderLaunch launch{make_task(task), {}, native(queue), part_to_stage(task)};
  const cudaError_t error = enter(queue, launch.device);
  if (error != cudaSuccess) return message(error);
  if (task.contexts.order > 0 && task.rows > 0) {
    const cudaError_t resolved = launch_resolve(launch);
    if (resolved != cudaSuccess) return message(resolved);
    launch.task = with_chosen_tables(launch.task);
  }
  return run(launch_encode, family, launch, task);
}

const char* decode(Family family, const HostTask& task, const Queue& queue) {
  CoderLaunch launch{make_task(task), {}, native(queue), part_to_stage(task)};
  const cudaError_t error = enter(queue, launch.device);
  if (error != cudaSuccess) return message(error);
  return run(launch_decode, family, launch, task);
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
