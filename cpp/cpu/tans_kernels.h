/// The kernels of tANS without vectors, for the translation units of several instruction sets.
#pragma once

#include "backend_tans.h"
#include "kernels.h"
#include "row_decoder.h"
#include "row_encoder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// As many rows in lockstep as keep their states, buffers and cursors in registers.
constexpr int tans_lockstep_rows(int lanes) { return lanes >= 4 ? 1 : 4 / lanes; }

template <int kLanes, int kRows>
constexpr KernelChoice tans_encoder() {
  return {kRows, &RowEncoder<TansRow<kLanes>, TansEncoder<kLanes, kRows>>::run, &accepts_all};
}

template <int kLanes, int kRows>
constexpr KernelChoice tans_decoder() {
  return {kRows, &RowDecoder<TansRow<kLanes>, TansDecoder<kLanes, kRows>>::run, &accepts_all};
}

template <int kLanes>
void fill_tans(CodecKernels& kernels) {
  constexpr int kRows = tans_lockstep_rows(kLanes);
  // tANS has one way to put and to get: the first of the lists.
  KernelChoice* put = kernels.encode[0];
  KernelChoice* get = kernels.decode[0];
  if constexpr (kRows > 1) {
    *put++ = tans_encoder<kLanes, kRows>();
    *get++ = tans_decoder<kLanes, kRows>();
  }
  *put = tans_encoder<kLanes, 1>();
  *get = tans_decoder<kLanes, 1>();
}

inline void fill_tans(KernelTable& table) {
  for (const Family family : {Family::kTans32, Family::kTans16, Family::kTans8}) {
    CodecKernels* by_lanes = table[static_cast<int>(family)];
    fill_tans<1>(by_lanes[0]);
    fill_tans<2>(by_lanes[1]);
    fill_tans<4>(by_lanes[2]);
    fill_tans<8>(by_lanes[3]);
    fill_tans<16>(by_lanes[4]);
    fill_tans<32>(by_lanes[5]);
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
