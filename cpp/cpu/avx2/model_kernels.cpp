/// AVX2 kernels for models: the encoders for tables, fed with pairs of edges.
#include "cpu/kernels.h"
#include "cpu/row_encoder.h"
#include "cpu/variants.h"
#include "rows_encoder.h"

namespace torch_ans {
namespace {

template <typename Encoder>
struct EncodesModels : Encoder, CodesModels {};

template <typename Traits, int kLanes, typename Encoder>
void add_encoder(CodecKernels& kernels) {
  insert(kernels.encode[static_cast<int>(EncodeModel::kModel)],
         encoder_kernel<RansRow<Traits, kLanes>, EncodesModels<Encoder>>(&Encoder::accepts));
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  if constexpr (kLanes >= 8) {
    add_encoder<Traits, kLanes, VectorEncoder<Traits, kLanes, 1>>(kernels);
    if constexpr (kLanes < 32) {
      add_encoder<Traits, kLanes, VectorEncoder<Traits, kLanes, 32 / kLanes>>(kernels);
    }
  } else if constexpr (kLanes == 1) {
    add_encoder<Traits, kLanes, RowsEncoder<Traits, 1>>(kernels);
    add_encoder<Traits, kLanes, RowsEncoder<Traits, 2>>(kernels);
  }
}

}  // namespace

void add_avx2_model_kernels(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    add<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
