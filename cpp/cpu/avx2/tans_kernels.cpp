/// The kernels of tANS for AVX2 machines. Eight rows or more are decoded in vectors; all else are
/// the portable loops, with shifts by any count and bits counted by one instruction.
#include "cpu/scalar/tans_kernels.h"

#include "tans_decoder.h"

namespace torch_ans {
namespace {

template <int kLanes, int kVectors>
KernelChoice decoder() {
  using Decoder = VectorTansDecoder<kLanes, kVectors>;
  return decoder_kernel<TansRow<kLanes>, Decoder>(&Decoder::accepts);
}

/// Two vectors for one lane, whose states wait for one chain of loads; lanes are work enough.
template <int kLanes>
void add(CodecKernels& kernels) {
  insert(kernels.decode[0], decoder<kLanes, 1>());
  if constexpr (kLanes == 1) insert(kernels.decode[0], decoder<kLanes, 2>());
}

}  // namespace

void add_avx2_tans_kernels(KernelTable& table) {
  fill_tans(table);
  for_each_tans(table, [](CodecKernels& kernels, auto lanes) { add<lanes>(kernels); });
}

}  // namespace torch_ans
