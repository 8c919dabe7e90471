/// The portable kernels for models: every family and lane count.
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/row_encoder.h"
#include "cpu/variants.h"
#include "model_backends.h"

namespace torch_ans {
namespace {

template <typename Traits, int kLanes, int kRows>
void append_decoder(KernelChoice*& get) {
  *get++ = decoder_kernel<RansRow<Traits, kLanes>, ModelDecoder<Traits, kLanes, kRows>>();
}

template <typename Traits, int kLanes, int kRows>
void append(KernelChoice*& put, KernelChoice*& get) {
  *put++ = encoder_kernel<RansRow<Traits, kLanes>, ModelEncoder<Traits, kLanes, kRows>>();
  append_decoder<Traits, kLanes, kRows>(get);
}

/// A model evaluates sixteen symbols at a time: as many rows are coded together. A decoder has
/// something else to do while it waits for one sixteen where it is given two, and even a quarter of
/// one is found sooner together than one by one.
template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kModel)];
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kModel)];
  if constexpr (kLanes == 8 || kLanes == 16) append_decoder<Traits, kLanes, 32 / kLanes>(get);
  if constexpr (kLanes < 16) append<Traits, kLanes, 16 / kLanes>(put, get);
  if constexpr (kLanes < 8) append_decoder<Traits, kLanes, 8 / kLanes>(get);
  if constexpr (kLanes < 4) append_decoder<Traits, kLanes, 4 / kLanes>(get);
  append<Traits, kLanes, 1>(put, get);
}

}  // namespace

void add_scalar_model_kernels(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
