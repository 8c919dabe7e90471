/// The kernels of tables that follow the symbols for AVX2 machines: rows of one lane, and rows of
/// tANS, in vectors, in front of the portable ones with shifts by any count.
#include "cpu/scalar/context_kernels.h"

#include "context_decoder.h"
#include "tans_decoder.h"

namespace torch_ans {
namespace {

template <typename Traits, int kVectors>
KernelChoice decoder() {
  using Decoder = RowsContextDecoder<Traits, kVectors>;
  return decoder_kernel<RansRow<Traits, 1>, Decoder>(&accepts_log_buckets);
}

template <int kLanes, int kVectors>
KernelChoice tans_decoder() {
  using Decoder = VectorTansContextDecoder<kLanes, kVectors>;
  return decoder_kernel<TansRow<kLanes>, Decoder>(&Decoder::accepts);
}

template <int kLanes>
void add_tans(CodecKernels& kernels) {
  insert(following(kernels), tans_decoder<kLanes, 1>());
  if constexpr (kLanes == 1) insert(following(kernels), tans_decoder<kLanes, 2>());
}

}  // namespace

void add_avx2_context_kernels(KernelTable& table) {
  fill_contexts(table);
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    if constexpr (lanes == 1) {
      insert(following(kernels), decoder<decltype(traits), 1>());
      insert(following(kernels), decoder<decltype(traits), 2>());
    }
  });
  for_each_tans(table, [](CodecKernels& kernels, auto lanes) { add_tans<lanes>(kernels); });
}

}  // namespace torch_ans
