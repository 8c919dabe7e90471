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
  prepend(get, decoder_kernel<RansRow<Traits, kLanes>, Backend>(&accepts_near_rows));
}

template <typename Traits, int kLanes, int kVectors>
void add_vectors(KernelChoice* get) {
  add_backend<Traits, kLanes, Avx512Decoder<Traits, kLanes, kVectors>>(get);
}

/// More rows together would gain nothing.
template <int kLanes>
constexpr int kLoadingVectors = kLanes < kVecSize ? 2 : 4;

/// Where gathers are slow.
template <typename Traits, int kLanes>
struct LoadingDecoder : Avx512Decoder<Traits, kLanes, kLoadingVectors<kLanes>, true>,
                        AsksForSymbols {};

template <typename Traits, int kLanes>
void add_lanes(CodecKernels& kernels) {
  constexpr int kLeast = kLanes > kVecSize ? 2 : 1;
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
  add_vectors<Traits, kLanes, kLeast>(get);
  add_vectors<Traits, kLanes, 2 * kLeast>(get);
  if constexpr (kLanes >= kVecSize) add_vectors<Traits, kLanes, 4 * kLeast>(get);
  if constexpr (kLanes >= 8) {  // fewer gain little
    if (gathers_are_slow()) add_backend<Traits, kLanes, LoadingDecoder<Traits, kLanes>>(get);
  }
}

/// Rows of one lane of 64 bits.
template <int kVectors>
void add_rows(CodecKernels& kernels) {
  prepend(kernels.decode[static_cast<int>(Lookup::kInverseCdf)],
          decoder_kernel<RansRow<Rans64, 1>, Avx512RowsDecoder<kVectors>>(&accepts_log_buckets));
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  if constexpr (sizeof(typename Traits::State) == 8 && kLanes == 1) {
    add_rows<1>(kernels);
    add_rows<2>(kernels);
    add_rows<4>(kernels);
    if (gathers_are_slow()) {
      add_backend<Traits, kLanes, LoadingDecoder<Traits, kLanes>>(
          kernels.decode[static_cast<int>(Lookup::kInverseCdf)]);
    }
  } else {
    add_lanes<Traits, kLanes>(kernels);
  }
}

}  // namespace

void add_avx512_decoders(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    add<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
