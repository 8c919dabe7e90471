/// The decoders of tables that follow the symbols, without vectors, for the translation units of
/// several instruction sets.
#pragma once

#include "backend_tans.h"
#include "context_decoder.h"
#include "kernels.h"
#include "row_decoder.h"
#include "torch_ans/rans.h"

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
    *get++ = {kRows, &RowDecoder<RansRow<Traits, kLanes>, Backend>::run, &accepts_buckets};
  }
  using Backend = ContextDecoder<Traits, kLanes, 1, FindAnyhow>;
  *get = {1, &RowDecoder<RansRow<Traits, kLanes>, Backend>::run, &accepts_all};
}

template <int kLanes>
void fill_tans_contexts(KernelChoice* get) {
  constexpr int kRows = context_rows(kLanes);
  if constexpr (kRows > 1) {
    using Backend = TansContextDecoder<kLanes, kRows>;
    *get++ = {kRows, &RowDecoder<TansRow<kLanes>, Backend>::run, &accepts_all};
  }
  using Backend = TansContextDecoder<kLanes, 1>;
  *get = {1, &RowDecoder<TansRow<kLanes>, Backend>::run, &accepts_all};
}

inline KernelChoice* following(CodecKernels& kernels) {
  return kernels.decode[static_cast<int>(Lookup::kFollowing)];
}

template <typename Traits>
void fill_context_family(CodecKernels* by_lanes) {
  fill_contexts<Traits, 1>(following(by_lanes[0]));
  fill_contexts<Traits, 2>(following(by_lanes[1]));
  fill_contexts<Traits, 4>(following(by_lanes[2]));
  fill_contexts<Traits, 8>(following(by_lanes[3]));
  fill_contexts<Traits, 16>(following(by_lanes[4]));
  fill_contexts<Traits, 32>(following(by_lanes[5]));
}

inline void fill_contexts(KernelTable& table) {
  fill_context_family<Rans64>(table[static_cast<int>(Family::kRans64)]);
  fill_context_family<Rans32>(table[static_cast<int>(Family::kRans32)]);
  fill_context_family<Rans32x16>(table[static_cast<int>(Family::kRans32x16)]);
  for (const Family family : {Family::kTans32, Family::kTans16, Family::kTans8}) {
    CodecKernels* by_lanes = table[static_cast<int>(family)];
    fill_tans_contexts<1>(following(by_lanes[0]));
    fill_tans_contexts<2>(following(by_lanes[1]));
    fill_tans_contexts<4>(following(by_lanes[2]));
    fill_tans_contexts<8>(following(by_lanes[3]));
    fill_tans_contexts<16>(following(by_lanes[4]));
    fill_tans_contexts<32>(following(by_lanes[5]));
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
