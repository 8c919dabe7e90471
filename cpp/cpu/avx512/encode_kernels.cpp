/// Encoders for AVX-512 (F, BW, CD, DQ, VL, VBMI2, VPOPCNTDQ, BITALG).
#include "cpu/kernels.h"
#include "cpu/row_encoder.h"
#include "cpu/scalar/doubled_encoder.h"
#include "cpu/variants.h"
#include "encoder.h"
#include "half_encoder.h"

namespace torch_ans {
namespace {

template <typename Traits>
bool accepts(const CodingTask& task) {
  return task.tables.freq_precision >= least_put_precision<Traits>() && !task.tables.has_full_freq;
}

template <typename Traits, int kLanes, typename Backend>
void add_backend(KernelChoice* put) {
  insert(put, encoder_kernel<RansRow<Traits, kLanes>, Backend>(&accepts<Traits>));
}

template <typename Traits, int kLanes, int kVectors>
void add_vectors(KernelChoice* put) {
  add_backend<Traits, kLanes, Avx512Encoder<Traits, kLanes, kVectors>>(put);
}

/// The front end of vectors for states that are scalars.
template <typename Traits, int kLanes, int kRows>
struct VectorIds : ScalarEncoder<Traits, kLanes, kRows, PutByRecord>, AsksByLine {
  static TORCH_ANS_FN IdFlags make_ids(const TablesView& tables, const TileSource& source,
                                       int count, std::uint32_t* ids) {
    return torch_ans::make_ids<true>(tables, source, count, ids);
  }
};

template <typename Traits, int kLanes, int kRows>
void add_scalars(KernelChoice* put) {
  using Encoder = RecordEncoder<Traits, kLanes, VectorIds<Traits, kLanes, kRows>>;
  insert(put, encoder_kernel<RansRow<Traits, kLanes>, Encoder>());
}

/// Four vectors of 32-bit states hide each other's latencies. Where lanes are few, their many rows
/// would fill the caches.
template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  constexpr bool kWide = sizeof(typename Traits::State) == 8;
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kRecords)];
  if constexpr (kLanes <= 4) add_scalars<Traits, kLanes, 1>(put);
  if constexpr (kLanes < 4) add_scalars<Traits, kLanes, 4 / kLanes>(put);
  if constexpr (kWide && kLanes <= 8) add_backend<Traits, kLanes, HalfEncoder<kLanes>>(put);
  if constexpr (kLanes <= kVecSize) add_vectors<Traits, kLanes, 1>(put);
  add_vectors<Traits, kLanes, 2>(put);
  if constexpr (!kWide && kLanes >= 8) add_vectors<Traits, kLanes, 4>(put);
}

}  // namespace

void add_avx512_encoders(KernelTable& table) {
  for_each_rans(table, [](CodecKernels& kernels, auto traits, auto lanes) {
    add<decltype(traits), lanes>(kernels);
  });
}

}  // namespace torch_ans
