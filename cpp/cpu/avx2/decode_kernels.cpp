/// Decoders for AVX2, in front of the portable ones with shifts by any count.
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/scalar/chain_decoder.h"
#include "cpu/variants.h"
#include "decoder.h"
#include "rows_decoder.h"

namespace torch_ans {
namespace {

/// Appends the vector decoders of kVectors vectors and of fewer.
template <typename Traits, int kLanes, int kVectors>
void add_vectors(KernelChoice*& get) {
  if constexpr (8 * kVectors >= kLanes) {
    using Decoder = VectorDecoder<Traits, kLanes, kVectors>;
    *get++ = decoder_kernel<RansRow<Traits, kLanes>, Decoder>(&Decoder::accepts);
    add_vectors<Traits, kLanes, kVectors / 2>(get);
  }
}

/// Appends the vector decoder for 8 * kVectors rows of one lane.
template <typename Traits, int kVectors>
void add_rows(KernelChoice*& get) {
  using Decoder = RowsDecoder<Traits, kVectors>;
  *get++ = decoder_kernel<RansRow<Traits, 1>, Decoder>(&accepts_log_buckets);
}

template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
  if constexpr (kLanes == 1) {
    add_rows<Traits, 2>(get);
    add_rows<Traits, 1>(get);
  } else {
    add_vectors<Traits, kLanes, kLanes == 32 ? 8 : 4>(get);
  }
  constexpr int kRows = lockstep_rows(kLanes);
  if constexpr (kRows > 1) {
    using Decoder = ScalarDecoder<Traits, kLanes, kRows, FindByBucket>;
    *get++ = decoder_kernel<RansRow<Traits, kLanes>, Decoder>();
  }
  *get = decoder_kernel<RansRow<Traits, kLanes>, OneRowDecoder<Traits, kLanes>>();
}

}  // namespace

void add_avx2_decoders(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
