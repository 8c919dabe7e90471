#include "launch_family.h"

namespace torch_ans {
namespace gpu {
namespace {

template <typename System, int kFixedLanes>
constexpr ShapeOf kCachedShape =
    kFixedLanes == 0                     ? &LaunchPolicy::narrow_decoder
    : kFixedLanes == 1                   ? &LaunchPolicy::one_lane_decoder
    : std::is_same_v<System, TansSystem> ? &LaunchPolicy::wide_tans_decoder
                                         : &LaunchPolicy::wide_decoder;
template <int kFixedLanes>
constexpr ShapeOf kStagedShape =
    kFixedLanes == 32 ? &LaunchPolicy::staged : &LaunchPolicy::staged_narrow_decoder;

template <typename System, int kFixedLanes>
__global__ void __launch_bounds__((kPolicy.*kCachedShape<System, kFixedLanes>).threads,
                                  (kPolicy.*kCachedShape<System, kFixedLanes>).blocks)
    decode_cached(const __grid_constant__ CoderTask task, const TablesPart part) {
  decode_kernel<System, kFixedLanes, CachedTables>(task, part);
}

template <typename System, int kFixedLanes>
__global__ void __launch_bounds__((kPolicy.*kStagedShape<kFixedLanes>).threads, 1)
    decode_staged(const __grid_constant__ CoderTask task, const TablesPart part) {
  decode_kernel<System, kFixedLanes, StagedTables>(task, part);
}

/// Any number of lanes, tables that follow the symbols. They are many, as a rule, and their warps
/// wait for the symbols before rather than for tables: they stay in the caches.
template <typename System>
__global__ void __launch_bounds__(kPolicy.context_decoder.threads, kPolicy.context_decoder.blocks)
    decode_contexts(const __grid_constant__ CoderTask task, const TablesPart part) {
  decode_kernel<System, 0, CachedTables, ContextChoice>(task, part);
}

template <PlainKind kKind>
__global__ void __launch_bounds__(kPolicy.plain_decoder.threads, 1)
    decode_plain(const __grid_constant__ CoderTask task, const TablesPart part) {
  decode_kernel<RansSystem<Rans32x16>, 32, typename Plain<kKind>::DecoderTables, IndexedChoice,
                typename Plain<kKind>::Elements>(task, part);
}

struct Decoder {
  static constexpr bool kPush = false;
  template <PlainKind kKind>
  using PlainTables = typename Plain<kKind>::DecoderTables;
  static constexpr std::uint32_t kPlainWarpBytes = kDecoderWarpBytes<32>;

  template <PlainKind kKind>
  static CoderKernel plain() {
    return {decode_plain<kKind>, &LaunchPolicy::plain_decoder};
  }

  template <typename System, int kFixedLanes>
  static LaunchResult launch_lanes(const CoderLaunch& launch) {
    return launch_coder({decode_cached<System, kFixedLanes>, kCachedShape<System, kFixedLanes>},
                        {decode_staged<System, kFixedLanes>, kStagedShape<kFixedLanes>}, launch,
                        kDecoderWarpBytes<kFixedLanes>);
  }

  template <typename System>
  static LaunchResult launch(const CoderLaunch& launch) {
    if (launch.task.contexts.order > 0) {
      return launch_cached({decode_contexts<System>, &LaunchPolicy::context_decoder}, launch,
                           kDecoderWarpBytes<0>);
    }
    switch (launch.task.lanes_log2) {
      case 0:
        return launch_lanes<System, 1>(launch);
      case 5:
        return launch_lanes<System, 32>(launch);
      default:
        return launch_lanes<System, 0>(launch);
    }
  }
};

}  // namespace

LaunchResult launch_decode(Family family, const CoderLaunch& launch) {
  return launch_family<Decoder>(family, launch);
}

}  // namespace gpu
}  // namespace torch_ans
