/// The portable decoders: every family, lane count and lookup.
#include "backends.h"
#include "chain_decoder.h"
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/variants.h"

namespace torch_ans {
namespace {

template <typename Traits, int kLanes, int kRows, typename Find>
KernelChoice decoder() {
  return decoder_kernel<RansRow<Traits, kLanes>, ScalarDecoder<Traits, kLanes, kRows, Find>>();
}

template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
  constexpr int kRows = lockstep_rows(kLanes);
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
  if constexpr (kRows > 1) *get++ = decoder<Traits, kLanes, kRows, FindByBucket>();
  *get = decoder_kernel<RansRow<Traits, kLanes>, OneRowDecoder<Traits, kLanes>>();
  kernels.decode[static_cast<int>(Lookup::kBinarySearch)][0] =
      decoder<Traits, kLanes, 1, FindDirectly<BinarySearch>>();
  kernels.decode[static_cast<int>(Lookup::kAlias)][0] =
      decoder<Traits, kLanes, 1, FindDirectly<AliasTable>>();
}

}  // namespace

void add_scalar_decoders(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
