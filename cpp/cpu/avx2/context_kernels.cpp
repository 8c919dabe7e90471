/// The kernels of tables that follow the symbols for AVX2 machines: vectors of rows or of lanes, in
/// front of the portable ones with shifts by any count.
#include "cpu/scalar/context_kernels.h"

#include "context_decoder.h"
#include "tans_decoder.h"

namespace torch_ans {
namespace {

template <typename Traits, int kVectors>
KernelChoice rows_decoder() {
  using Decoder = RowsContextDecoder<Traits, kVectors>;
  return decoder_kernel<RansRow<Traits, 1>, Decoder>(&accepts_log_buckets);
}

template <typename Traits, int kLanes, int kVectors>
KernelChoice decoder() {
  using Decoder = VectorContextDecoder<Traits, kLanes, kVectors>;
  return decoder_kernel<RansRow<Traits, kLanes>, Decoder>(&accepts_log_buckets);
}

/// Adds the decoders of kVectors vectors of lanes and of fewer.
template <typename Traits, int kLanes, int kVectors>
void add(CodecKernels& kernels) {
  if constexpr (8 * kVectors >= kLanes) {
    add<Traits, kLanes, kVectors / 2>(kernels);
    insert(following(kernels), decoder<Traits, kLanes, kVectors>());
  }
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
      insert(following(kernels), rows_decoder<decltype(traits), 1>());
      insert(following(kernels), rows_decoder<decltype(traits), 2>());
    } else {
      add<decltype(traits), lanes, lanes == 32 ? 8 : 4>(kernels);
    }
  });
  for_each_tans(table, [](CodecKernels& kernels, auto lanes) { add_tans<lanes>(kernels); });
}

}  // namespace torch_ans
