/// How kernels are launched, for each architecture.
#pragma once

#include <cstddef>

namespace torch_ans {
namespace gpu {

/// Blocks are sized so that the registers of `min_blocks` of them fit a multiprocessor; 4 to 12
/// warps a scheduler hide the latency of a coder's step.
struct LaunchPolicy {
  int threads;               ///< of a block that reads tables through the cache
  int wide_blocks;           ///< such blocks a multiprocessor that code with 32 lanes
  int other_blocks;          ///< and that do anything else: they need more registers
  int context_blocks;        ///< and that decode with tables that follow the symbols
  int staged_threads;        ///< of a block with tables in shared memory, one a multiprocessor
  std::size_t staged_bytes;  ///< the most tables that are staged
};

/// `arch` is major * 10 + minor.
constexpr LaunchPolicy launch_policy(int arch) {
  switch (arch) {
    case 75:
      return {256, 4, 3, 3, 512, 60 * 1024};
    case 86:
    case 89:
      return {256, 4, 3, 2, 768, 96 * 1024};
    case 120:
      return {256, 3, 3, 2, 768, 96 * 1024};
    case 80:
      return {256, 4, 3, 3, 768, 160 * 1024};
    default:
      return {256, 4, 3, 3, 768, 220 * 1024};
  }
}

#if defined(__CUDA_ARCH__)
constexpr LaunchPolicy kPolicy = launch_policy(__CUDA_ARCH__ / 10);
#else
constexpr LaunchPolicy kPolicy = launch_policy(90);  // on the host only a declaration needs it
#endif

/// Tables are copied to shared memory where a multiprocessor's share of the symbols is at least
/// this many times the entries to copy.
constexpr long kStagingPays = 10;

}  // namespace gpu
}  // namespace torch_ans
