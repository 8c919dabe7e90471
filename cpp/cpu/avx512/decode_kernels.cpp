/// Decoders for AVX-512 (F, BW, CD, DQ, VL, VBMI2, VPOPCNTDQ, BITALG).
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/variants.h"
#include "decoder.h"
#include "rows_decoder.h"

namespace torch_ans {
namespace {

template <typename Traits, int kLanes, typename Backend>
void add_backend(KernelChoice* get) {
  insert(get, decoder_kernel<RansRow<Traits, kLanes>, Backend>(&accepts_near_rows));
}

template <typename Traits, int kLanes, int kVectors>
void add_vectors(KernelChoice* get) {
  add_backend<Traits, kLanes, Avx512Decoder<Traits, kLanes, kVectors>>(get);
}

/// Rows of one lane of 64 bits.
template <int kVectors>
void add_rows(KernelChoice* get) {
  insert(get,
         decoder_kernel<RansRow<Rans64, 1>, Avx512RowsDecoder<kVectors>>(&accepts_log_buckets));
}

/// Where gathers are slow.
template <typename Traits, int kLanes, int kVectors>
struct LoadingDecoder : Avx512Decoder<Traits, kLanes, kVectors, true>, AsksForSymbols {};

/// With sixteen loads in place of a gather, AVX-512 gains where rows fill vectors, or are many; of
/// those more together would gain nothing.
template <typename Traits, int kLanes>
void add_loading(KernelChoice* get) {
  if constexpr (kLanes == 1 || kLanes > kVecSize) {
    add_backend<Traits, kLanes, LoadingDecoder<Traits, kLanes, 2>>(get);
  }
  if constexpr (kLanes >= kVecSize) {
    add_backend<Traits, kLanes, LoadingDecoder<Traits, kLanes, 4>>(get);
  }
}

template <typename Traits, int kLanes>
void add_gathering(KernelChoice* get) {
  if constexpr (sizeof(typename Traits::State) == 8 && kLanes == 1) {
    add_rows<1>(get);
    add_rows<2>(get);
    add_rows<4>(get);
  } else {
    constexpr int kLeast = kLanes > kVecSize ? 2 : 1;
    add_vectors<Traits, kLanes, kLeast>(get);
    add_vectors<Traits, kLanes, 2 * kLeast>(get);
    if constexpr (kLanes >= kVecSize) add_vectors<Traits, kLanes, 4 * kLeast>(get);
  }
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
  if (gathers_are_slow()) {
    add_loading<Traits, kLanes>(get);
  } else {
    add_gathering<Traits, kLanes>(get);
  }
}

}  // namespace

void add_avx512_decoders(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    add<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
