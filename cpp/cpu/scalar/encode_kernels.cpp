/// The portable encoders: every family, lane count and encoder model.
#include "backends.h"
#include "cpu/kernels.h"
#include "cpu/row_encoder.h"
#include "cpu/variants.h"
#include "doubled_encoder.h"

namespace torch_ans {
namespace {

template <typename Traits, int kLanes, typename Put>
KernelChoice encoder() {
  return encoder_kernel<RansRow<Traits, kLanes>, ScalarEncoder<Traits, kLanes, 1, Put>>();
}

template <typename Traits, int kLanes, int kRows>
KernelChoice record_encoder() {
  using Scalar = ScalarEncoder<Traits, kLanes, kRows, PutByRecord>;
  return encoder_kernel<RansRow<Traits, kLanes>, RecordEncoder<Traits, kLanes, Scalar>>();
}

template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
  constexpr int kRows = lockstep_rows(kLanes);
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kRecords)];
  if constexpr (kRows > 1) *put++ = record_encoder<Traits, kLanes, kRows>();
  *put = record_encoder<Traits, kLanes, 1>();
  kernels.encode[static_cast<int>(EncodeModel::kDivision)][0] =
      encoder<Traits, kLanes, PutByDivision>();
  kernels.encode[static_cast<int>(EncodeModel::kAlias)][0] = encoder<Traits, kLanes, PutByAlias>();
}

}  // namespace

void add_scalar_encoders(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
