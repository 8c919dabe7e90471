/// The decoders of tables that follow the symbols, without vectors, for the translation units of
/// several instruction sets.
#pragma once

#include "context_decoder.h"
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/variants.h"
#include "tans_backends.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// More rows than registers have room for: what they wait for are loads.
constexpr int context_rows(int lanes) { return lanes >= 8 ? 1 : 8 / lanes; }

inline bool accepts_buckets(const CodingTask& task) { return task.tables.buckets != nullptr; }

template <typename Traits, int kLanes>
void fill_contexts(KernelChoice* get) {
  constexpr int kRows = context_rows(kLanes);
  if constexpr (kRows > 1) {
    using Backend = ContextDecoder<Traits, kLanes, kRows, FindByBucket>;
    *get++ = decoder_kernel<RansRow<Traits, kLanes>, Backend>(&accepts_buckets);
  }
  *get = decoder_kernel<RansRow<Traits, kLanes>, ContextDecoder<Traits, kLanes, 1, FindAnyhow>>();
}

template <int kLanes>
void fill_tans_contexts(KernelChoice* get) {
  constexpr int kRows = context_rows(kLanes);
  if constexpr (kRows > 1) {
    *get++ = decoder_kernel<TansRow<kLanes>, TansContextDecoder<kLanes, kRows>>();
  }
  *get = decoder_kernel<TansRow<kLanes>, TansContextDecoder<kLanes, 1>>();
}

inline KernelChoice* following(CodecKernels& kernels) {
  return kernels.decode[static_cast<int>(Lookup::kFollowing)];
}

inline void fill_contexts(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill_contexts<decltype(traits), lanes>(following(kernels));
  });
  for_each_tans(table, [](CodecKernels& kernels, auto lanes) {
    fill_tans_contexts<lanes>(following(kernels));
  });
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
