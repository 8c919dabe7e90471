/// AVX-512 kernels for models: the encoders for tables, fed with pairs of edges, and decoders.
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/row_encoder.h"
#include "cpu/variants.h"
#include "encoder.h"
#include "model_decoder.h"

namespace torch_ans {
namespace {

template <typename Traits, int kLanes, int kVectors>
struct Avx512ModelEncoder : Avx512Encoder<Traits, kLanes, kVectors>, CodesModels {};

template <typename Traits>
bool accepts(const CodingTask& task) {
  return task.tables.freq_precision >= least_put_precision<Traits>();
}

template <typename Traits, int kLanes, int kVectors>
KernelChoice encoder() {
  using Backend = Avx512ModelEncoder<Traits, kLanes, kVectors>;
  return encoder_kernel<RansRow<Traits, kLanes>, Backend>(&accepts<Traits>);
}

template <typename Traits, int kLanes, int kVectors>
KernelChoice decoder() {
  using Backend = Avx512ModelDecoder<Traits, kLanes, kVectors>;
  return decoder_kernel<RansRow<Traits, kLanes>, Backend>(&rows_are_near);
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  constexpr int kLeast = kLanes > kVecSize ? 2 : 1;
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kModel)];
  insert(put, encoder<Traits, kLanes, kLeast>());
  if constexpr (kLanes <= kVecSize) insert(put, encoder<Traits, kLanes, 2>());
  if constexpr (kLanes >= 8) {
    KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kModel)];
    insert(get, decoder<Traits, kLanes, 2>());
    insert(get, decoder<Traits, kLanes, 4>());
  }
}

}  // namespace

void add_avx512_model_kernels(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    add<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
