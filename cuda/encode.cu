#include "coder_kernels.h"
#include "launch.h"
#include "launch_policy.h"

namespace torch_ans {
namespace gpu {
namespace {

template <int kFixedLanes>
constexpr ShapeOf kCachedShape =
    kFixedLanes == 32 ? &LaunchPolicy::wide_encoder : &LaunchPolicy::narrow_encoder;

template <typename System, int kFixedLanes>
__global__ void __launch_bounds__((kPolicy.*kCachedShape<kFixedLanes>).threads,
                                  (kPolicy.*kCachedShape<kFixedLanes>).blocks)
    encode_cached(const __grid_constant__ CoderTask task, const TablesPart part) {
  encode_kernel<System, kFixedLanes, CachedTables>(task, part);
}

template <typename System, int kFixedLanes>
__global__ void __launch_bounds__(kPolicy.staged.threads, 1)
    encode_staged(const __grid_constant__ CoderTask task, const TablesPart part) {
  encode_kernel<System, kFixedLanes, StagedTables>(task, part);
}

template <PlainKind kKind>
__global__ void __launch_bounds__(kPolicy.plain_encoder.threads, 1)
    encode_plain(const __grid_constant__ CoderTask task, const TablesPart part) {
  encode_kernel<RansSystem<Rans32x16>, 32, typename Plain<kKind>::EncoderTables,
                typename Plain<kKind>::Elements>(task, part);
}

/// True: it has been launched, with this result.
template <PlainKind kKind>
bool launched_plain(const CoderLaunch& given, LaunchResult& result) {
  using Tables = typename Plain<kKind>::EncoderTables;
  const CoderLaunch launch = with_table_copies<Tables>(given);
  const std::size_t table_bytes = Tables::bytes(launch.task, launch.part);
  return launched_staged({encode_plain<kKind>, &LaunchPolicy::plain_encoder}, launch, table_bytes,
                         kEncoderWarpBytes<RansSystem<Rans32x16>, 32>, result);
}

bool launched_plain(const CoderLaunch& launch, LaunchResult& result) {
  return with_plain_kind(plain_kind(launch.task, true),
                         [&](auto kind) { return launched_plain<kind>(launch, result); });
}

template <typename System, int kFixedLanes>
LaunchResult launch_lanes(const CoderLaunch& launch) {
  return launch_coder({encode_cached<System, kFixedLanes>, kCachedShape<kFixedLanes>},
                      {encode_staged<System, kFixedLanes>, &LaunchPolicy::staged}, launch,
                      kEncoderWarpBytes<System, kFixedLanes>);
}

template <typename System>
LaunchResult launch_system(const CoderLaunch& launch) {
  return launch.task.lanes_log2 == 5 ? launch_lanes<System, 32>(launch)
                                     : launch_lanes<System, 0>(launch);
}

}  // namespace

LaunchResult launch_encode(Family family, const CoderLaunch& launch) {
  switch (family) {
    case Family::kRans64:
      return launch_system<RansSystem<Rans64>>(launch);
    case Family::kRans32:
      return launch_system<RansSystem<Rans32>>(launch);
    case Family::kRans32x16: {
      LaunchResult result{};
      if (launched_plain(launch, result)) return result;
      return launch_system<RansSystem<Rans32x16>>(launch);
    }
    case Family::kTans:
      break;
  }
  return launch_system<TansSystem>(launch);
}

}  // namespace gpu
}  // namespace torch_ans
