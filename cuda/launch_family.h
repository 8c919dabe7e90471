/// Which kernels code the tasks of a family, for push and pop alike.
#pragma once

#include "coder_kernels.h"
#include "launch.h"
#include "plain_case.h"

namespace torch_ans {
namespace gpu {

/// Coder requires:
///   kPush                 whether symbols are put
///   PlainTables<kKind>    tables of its plain kernels
///   kPlainWarpBytes       shared memory that their warps take behind tables
///   plain<kKind>()        the CoderKernel
///   launch<System>(...)   launches what is not plain
///
/// True: a plain kernel has been launched, with this result.
template <typename Coder, PlainKind kKind>
bool launched_plain(const CoderLaunch& given, LaunchResult& result) {
  using Tables = typename Coder::template PlainTables<kKind>;
  const CoderKernel kernel = Coder::template plain<kKind>();
  int warps = 0;  // of a block
  result = most_warps(kernel, given, warps);
  if (result != cudaSuccess) return true;
  const auto warp_bytes = static_cast<std::size_t>(warps) * Coder::kPlainWarpBytes;
  const CoderLaunch launch = with_table_copies<Tables>(given, warp_bytes);
  return launched_staged(kernel, launch, Tables::bytes(launch.task, launch.part),
                         Coder::kPlainWarpBytes, result);
}

template <typename Coder>
LaunchResult launch_family(Family family, const CoderLaunch& launch) {
  switch (family) {
    case Family::kRans64:
      return Coder::template launch<RansSystem<Rans64>>(launch);
    case Family::kRans32:
      return Coder::template launch<RansSystem<Rans32>>(launch);
    case Family::kRans32x16: {
      LaunchResult result{};
      const bool launched = with_plain_kind(plain_kind(launch.task, Coder::kPush), [&](auto kind) {
        return launched_plain<Coder, kind>(launch, result);
      });
      return launched ? result : Coder::template launch<RansSystem<Rans32x16>>(launch);
    }
    case Family::kTans:
      break;
  }
  return Coder::template launch<TansSystem>(launch);
}

}  // namespace gpu
}  // namespace torch_ans
