/// The symbol of a slot that its bucket leaves open.
#pragma once

#include "table_access.h"
#include "torch_ans/lookup.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// The match of a slot whose symbol is one of `count` from `low` on. A round of loads takes as long
/// as the second level cache, where CDFs are as a rule, and a warp waits for its slowest thread:
/// kPivots edges are looked at in a round, and the symbol's own two in the last.
TORCH_ANS_DEVICE_COLD inline Match search_symbols(const std::uint32_t* cdf, std::uint32_t low,
                                                  std::uint32_t count, std::uint32_t slot) {
  constexpr std::uint32_t kPivots = 4;
  TORCH_ANS_KEEP_LOOP
  while (count > kPivots) {
    const std::uint32_t part = count / (kPivots + 1);
    std::uint32_t past = 0;
    TORCH_ANS_UNROLL
    for (std::uint32_t j = 1; j <= kPivots; ++j) {
      past += cached_load(cdf + (low + j * part)) <= slot ? part : 0;
    }
    low += past;
    count = past == kPivots * part ? count - past : part;
  }
  std::uint32_t edges[kPivots + 1];
  TORCH_ANS_UNROLL
  for (std::uint32_t j = 0; j <= kPivots; ++j) {
    edges[j] = cached_load(cdf + (low + smaller(j, count)));
  }
  Match match{low, edges[1] - edges[0], slot - edges[0]};
  TORCH_ANS_UNROLL
  for (std::uint32_t j = 1; j < kPivots; ++j) {
    if (j < count && edges[j] <= slot) match = {low + j, edges[j + 1] - edges[j], slot - edges[j]};
  }
  return match;
}

/// What InverseCdf::find_slowly finds.
template <typename Tables>
TORCH_ANS_DEVICE Match search_bucket(const Tables& tables, const TablesView& view,
                                     const TableInfo& info, std::uint32_t slot) {
  const auto symbol_at = [&](const Bucket* bucket) {
    return static_cast<std::uint32_t>(tables.load(bucket) >> 48);
  };
  const std::uint32_t number = slot >> info.shift;
  const Bucket* bucket = view.buckets + (info.bucket + number);
  const bool is_last = ((number + 1) << info.shift) >> view.freq_precision != 0;
  const std::uint32_t low = symbol_at(bucket);
  const std::uint32_t high = is_last ? info.last : symbol_at(bucket + 1);
  return search_symbols(view.cdf + info.base, low, high - low + 1, slot);
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
