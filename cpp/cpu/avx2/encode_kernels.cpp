/// Encoders for AVX2, in front of the portable ones with shifts by any count. Eight states or more,
/// of one row or of several: vectors.
#include "cpu/kernels.h"
#include "cpu/row_encoder.h"
#include "cpu/scalar/doubled_encoder.h"
#include "cpu/variants.h"
#include "rows_encoder.h"

namespace torch_ans {
namespace {

/// Appends the vector encoder for kRows rows.
template <typename Traits, int kLanes, int kRows>
void add_vectors(KernelChoice*& put) {
  using Encoder = VectorEncoder<Traits, kLanes, kRows>;
  *put++ = encoder_kernel<RansRow<Traits, kLanes>, Encoder>(&Encoder::accepts);
}

/// Appends the vector encoder for 8 * kVectors rows of one lane.
template <typename Traits, int kVectors>
void add_rows(KernelChoice*& put) {
  using Encoder = RowsEncoder<Traits, kVectors>;
  *put++ = encoder_kernel<RansRow<Traits, 1>, Encoder>(&Encoder::accepts);
}

/// Appends the portable encoder for kRows rows.
template <typename Traits, int kLanes, int kRows>
void add_lockstep(KernelChoice*& put) {
  using Encoder = RecordEncoder<Traits, kLanes, LockstepEncoder<Traits, kLanes, kRows>>;
  *put++ = encoder_kernel<RansRow<Traits, kLanes>, Encoder>();
}

/// Four vectors, two of 64 bits, keep a core busy: one row's, or those of rows in lockstep.
/// (Cursors of more rows than that do not stay in registers.)
template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kRecords)];
  if constexpr (kLanes == 1) {
    add_rows<Traits, 2>(put);
    add_rows<Traits, 1>(put);
  } else {
    constexpr int kVectors = sizeof(typename Traits::State) == 8 || kLanes < 8 ? 2 : 4;
    if constexpr (8 * kVectors > kLanes) add_vectors<Traits, kLanes, 8 * kVectors / kLanes>(put);
    add_vectors<Traits, kLanes, larger(1, 8 / kLanes)>(put);
  }
  constexpr int kRows = lockstep_rows(kLanes);
  if constexpr (kRows > 1) add_lockstep<Traits, kLanes, kRows>(put);
  add_lockstep<Traits, kLanes, 1>(put);
}

}  // namespace

void add_avx2_encoders(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
