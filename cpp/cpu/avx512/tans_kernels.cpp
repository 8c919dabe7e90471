/// Decoders of tANS for AVX-512, in front of those for AVX2.
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/variants.h"
#include "tans_decoder.h"

namespace torch_ans {
namespace {

/// More vectors would be more streams of bytes and symbols than a core's caches follow.
template <int kLanes>
void add(CodecKernels& kernels) {
  insert(kernels.decode[0],
         decoder_kernel<TansRow<kLanes>, Avx512TansDecoder<kLanes, 1>>(&rows_are_near));
}

}  // namespace

void add_avx512_tans_kernels(KernelTable& table) {
  if (gathers_are_slow()) return;
  for_each_tans(table, [](CodecKernels& kernels, auto lanes) { add<lanes>(kernels); });
}

}  // namespace torch_ans
