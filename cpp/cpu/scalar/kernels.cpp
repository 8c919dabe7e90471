/// The portable kernels: every family, lane count, encoder model and lookup.
#include "cpu/kernels.h"

#include "backends.h"
#include "chain_decoder.h"
#include "cpu/row_decoder.h"
#include "cpu/row_encoder.h"
#include "cpu/variants.h"
#include "doubled_encoder.h"

namespace torch_ans {
namespace {

/// Independent states that keep a core busy without spilling its registers: rows in lockstep.
constexpr int lockstep_rows(int lanes) { return lanes >= 4 ? 1 : 4 / lanes; }

template <typename Traits, int kLanes, typename Put>
constexpr KernelChoice encoder() {
  return encoder_kernel<RansRow<Traits, kLanes>, ScalarEncoder<Traits, kLanes, 1, Put>>();
}

template <typename Traits, int kLanes, int kRows>
constexpr KernelChoice record_encoder() {
  using Scalar = ScalarEncoder<Traits, kLanes, kRows, PutByRecord>;
  return encoder_kernel<RansRow<Traits, kLanes>, RecordEncoder<Traits, kLanes, Scalar>>();
}

template <typename Traits, int kLanes, int kRows, typename Find>
constexpr KernelChoice decoder() {
  return decoder_kernel<RansRow<Traits, kLanes>, ScalarDecoder<Traits, kLanes, kRows, Find>>();
}

template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
  constexpr int kRows = lockstep_rows(kLanes);
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kRecords)];
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
  if constexpr (kRows > 1) {
    *put++ = record_encoder<Traits, kLanes, kRows>();
    *get++ = decoder<Traits, kLanes, kRows, FindByBucket>();
  }
  *put = record_encoder<Traits, kLanes, 1>();
  *get = decoder_kernel<RansRow<Traits, kLanes>, OneRowDecoder<Traits, kLanes>>();
  kernels.encode[static_cast<int>(EncodeModel::kDivision)][0] =
      encoder<Traits, kLanes, PutByDivision>();
  kernels.encode[static_cast<int>(EncodeModel::kAlias)][0] = encoder<Traits, kLanes, PutByAlias>();
  kernels.decode[static_cast<int>(Lookup::kBinarySearch)][0] =
      decoder<Traits, kLanes, 1, FindDirectly<BinarySearch>>();
  kernels.decode[static_cast<int>(Lookup::kAlias)][0] =
      decoder<Traits, kLanes, 1, FindDirectly<AliasTable>>();
}

}  // namespace

void add_scalar_kernels(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    fill<decltype(traits), lanes>(kernels);
  });
  add_scalar_tans_kernels(table);
  add_scalar_context_kernels(table);
}

}  // namespace torch_ans
