/// Kernels for AVX2. Eight states or more, of one row or of several: vectors. All others: the
/// portable loops compiled for x86-64-v3, whose shifts and multiplications leave the flags alone.
#include "cpu/kernels.h"

#include "cpu/row_decoder.h"
#include "cpu/row_encoder.h"
#include "cpu/scalar/backends.h"
#include "cpu/scalar/chain_decoder.h"
#include "cpu/scalar/doubled_encoder.h"
#include "cpu/variants.h"
#include "decoder.h"
#include "encoder.h"
#include "rows_decoder.h"
#include "rows_encoder.h"
#include "vectors.h"

namespace torch_ans {
namespace {

/// Appends the vector decoders of kVectors vectors and of fewer.
template <typename Traits, int kLanes, int kVectors>
void add_vector_decoders(KernelChoice*& get) {
  if constexpr (8 * kVectors >= kLanes) {
    using Decoder = VectorDecoder<Traits, kLanes, kVectors>;
    *get++ = decoder_kernel<RansRow<Traits, kLanes>, Decoder>(&Decoder::accepts);
    add_vector_decoders<Traits, kLanes, kVectors / 2>(get);
  }
}

/// Appends the vector encoder for kRows rows.
template <typename Traits, int kLanes, int kRows>
void add_vector_encoder(KernelChoice*& put) {
  using Encoder = VectorEncoder<Traits, kLanes, kRows>;
  *put++ = encoder_kernel<RansRow<Traits, kLanes>, Encoder>(&Encoder::accepts);
}

/// Appends the vector kernels for 8 * kVectors rows of one lane.
template <typename Traits, int kVectors>
void add_rows(KernelChoice*& put, KernelChoice*& get) {
  using Encoder = RowsEncoder<Traits, kVectors>;
  using Decoder = RowsDecoder<Traits, kVectors>;
  *put++ = encoder_kernel<RansRow<Traits, 1>, Encoder>(&Encoder::accepts);
  *get++ = decoder_kernel<RansRow<Traits, 1>, Decoder>(&accepts_log_buckets);
}

/// Appends the portable kernels for kRows rows.
template <typename Traits, int kLanes, int kRows>
void add_lockstep(KernelChoice*& put, KernelChoice*& get) {
  using Encoder = RecordEncoder<Traits, kLanes, LockstepEncoder<Traits, kLanes, kRows>>;
  using Decoder = std::conditional_t<kRows == 1, OneRowDecoder<Traits, kLanes>,
                                     ScalarDecoder<Traits, kLanes, kRows, FindByBucket>>;
  *put++ = encoder_kernel<RansRow<Traits, kLanes>, Encoder>();
  *get++ = decoder_kernel<RansRow<Traits, kLanes>, Decoder>();
}

/// Replaces the portable entries. Four vectors, or four lanes, keep a core busy: one row's, or
/// those of rows in lockstep.
template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kRecords)];
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
  if constexpr (kLanes > 1) add_vector_decoders<Traits, kLanes, kLanes == 32 ? 8 : 4>(get);
  if constexpr (kLanes > 1) {
    // (Cursors of more rows than that do not stay in registers.)
    constexpr int kVectors = sizeof(typename Traits::State) == 8 || kLanes < 8 ? 2 : 4;
    if constexpr (8 * kVectors > kLanes) {
      add_vector_encoder<Traits, kLanes, 8 * kVectors / kLanes>(put);
    }
    add_vector_encoder<Traits, kLanes, larger(1, 8 / kLanes)>(put);
  }
  if constexpr (kLanes == 1) {
    add_rows<Traits, 2>(put, get);
    add_rows<Traits, 1>(put, get);
  }
  if constexpr (kLanes < 4) add_lockstep<Traits, kLanes, 4 / kLanes>(put, get);
  add_lockstep<Traits, kLanes, 1>(put, get);
}

}  // namespace

void add_avx2_kernels(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill<decltype(traits), lanes>(kernels);
  });
  add_avx2_tans_kernels(table);
  add_avx2_context_kernels(table);
}

}  // namespace torch_ans
