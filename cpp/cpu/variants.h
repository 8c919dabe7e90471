/// Every variant that kernels are compiled for. To add a family, add its line here.
#pragma once

#include <type_traits>

#include "task.h"
#include "torch_ans/rans.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <int kLanes>
using Lanes = std::integral_constant<int, kLanes>;

/// Calls `add(kernels, Lanes<n>())` for each number of lanes of one family.
template <typename Add>
void for_each_lanes(CodecKernels* by_lanes, Add add) {
  add(by_lanes[0], Lanes<1>());
  add(by_lanes[1], Lanes<2>());
  add(by_lanes[2], Lanes<4>());
  add(by_lanes[3], Lanes<8>());
  add(by_lanes[4], Lanes<16>());
  add(by_lanes[5], Lanes<32>());
}

/// Calls `add(kernels, Traits(), Lanes<n>())` for each family of rANS and number of lanes.
template <typename Add>
void for_each_rans(KernelTable& table, Add add) {
  const auto add_family = [&](Family family, auto traits) {
    for_each_lanes(table[static_cast<int>(family)],
                   [&](CodecKernels& kernels, auto lanes) { add(kernels, traits, lanes); });
  };
  add_family(Family::kRans64, Rans64());
  add_family(Family::kRans32, Rans32());
  add_family(Family::kRans32x16, Rans32x16());
}

/// Calls `add(kernels, Lanes<n>())` for each family of tANS and number of lanes.
template <typename Add>
void for_each_tans(KernelTable& table, Add add) {
  for (const Family family : {Family::kTans32, Family::kTans16, Family::kTans8}) {
    for_each_lanes(table[static_cast<int>(family)], add);
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
