#include "launch_family.h"

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

struct Encoder {
  static constexpr bool kPush = true;
  template <PlainKind kKind>
  using PlainTables = typename Plain<kKind>::EncoderTables;
  static constexpr std::uint32_t kPlainWarpBytes = kEncoderWarpBytes<RansSystem<Rans32x16>, 32>;

  template <PlainKind kKind>
  static CoderKernel plain() {
    constexpr bool kPacked = kKind == PlainKind::kPackedBytes;  // decoders only
    return {encode_plain < kPacked ? PlainKind::kBytes : kKind >, &LaunchPolicy::plain_encoder};
  }

  template <typename System, int kFixedLanes>
  static LaunchResult launch_lanes(const CoderLaunch& launch) {
    return launch_coder({encode_cached<System, kFixedLanes>, kCachedShape<kFixedLanes>},
                        {encode_staged<System, kFixedLanes>, &LaunchPolicy::staged}, launch,
                        kEncoderWarpBytes<System, kFixedLanes>);
  }

  template <typename System>
  static LaunchResult launch(const CoderLaunch& launch) {
    return launch.task.lanes_log2 == 5 ? launch_lanes<System, 32>(launch)
                                       : launch_lanes<System, 0>(launch);
  }
};

}  // namespace

LaunchResult launch_encode(Family family, const CoderLaunch& launch) {
  return launch_family<Encoder>(family, launch);
}

}  // namespace gpu
}  // namespace torch_ans
