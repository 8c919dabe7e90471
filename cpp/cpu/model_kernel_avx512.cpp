/// AVX-512 kernels for models: the encoders for tables, fed with pairs of edges, and decoders.
#include "encoder_avx512.h"
#include "kernels.h"
#include "model_decoder_avx512.h"
#include "row_decoder.h"
#include "row_encoder.h"
#include "torch_ans/rans.h"

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
  return {Backend::kRows, &RowEncoder<RansRow<Traits, kLanes>, Backend>::run, &accepts<Traits>};
}

/// Offsets between the rows of a vector are 32-bit numbers.
constexpr std::int64_t kMaxRowBytes = (std::int64_t{1} << 31) / 64;

bool rows_are_near(const CodingTask& task) { return task.row_bytes < kMaxRowBytes; }

template <typename Traits, int kLanes, int kVectors>
KernelChoice decoder() {
  using Backend = Avx512ModelDecoder<Traits, kLanes, kVectors>;
  return {Backend::kRows, &RowDecoder<RansRow<Traits, kLanes>, Backend>::run, &rows_are_near};
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  constexpr int kLeast = kLanes > kVecSize ? 2 : 1;
  KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kModel)];
  prepend(put, encoder<Traits, kLanes, kLeast>());
  if constexpr (kLanes <= kVecSize) prepend(put, encoder<Traits, kLanes, 2>());
  if constexpr (kLanes >= 8) {
    KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kModel)];
    prepend(get, decoder<Traits, kLanes, 2>());
    prepend(get, decoder<Traits, kLanes, 4>());
  }
}

template <typename Traits>
void add_family(CodecKernels* by_lanes) {
  add<Traits, 1>(by_lanes[0]);
  add<Traits, 2>(by_lanes[1]);
  add<Traits, 4>(by_lanes[2]);
  add<Traits, 8>(by_lanes[3]);
  add<Traits, 16>(by_lanes[4]);
  add<Traits, 32>(by_lanes[5]);
}

}  // namespace

void add_avx512_model_kernels(KernelTable& table) {
  add_family<Rans64>(table[static_cast<int>(Family::kRans64)]);
  add_family<Rans32>(table[static_cast<int>(Family::kRans32)]);
  add_family<Rans32x16>(table[static_cast<int>(Family::kRans32x16)]);
}

}  // namespace torch_ans
