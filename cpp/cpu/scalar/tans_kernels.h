/// The kernels of tANS without vectors, for the translation units of several instruction sets.
#pragma once

#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/row_encoder.h"
#include "cpu/variants.h"
#include "tans_backends.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Appends the kernels for kRows rows.
template <int kLanes, int kRows>
void add_tans(KernelChoice*& put, KernelChoice*& get) {
  *put++ = encoder_kernel<TansRow<kLanes>, TansEncoder<kLanes, kRows>>();
  *get++ = decoder_kernel<TansRow<kLanes>, TansDecoder<kLanes, kRows>>();
}

template <int kLanes>
void fill_tans(CodecKernels& kernels) {
  constexpr int kRows = lockstep_rows(kLanes);
  // tANS has one way to put and to get: the first of the lists.
  KernelChoice* put = kernels.encode[0];
  KernelChoice* get = kernels.decode[0];
  if constexpr (kRows > 1) add_tans<kLanes, kRows>(put, get);
  add_tans<kLanes, 1>(put, get);
}

inline void fill_tans(KernelTable& table) {
  for_each_tans(table, [](CodecKernels& kernels, auto lanes) { fill_tans<lanes>(kernels); });
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
