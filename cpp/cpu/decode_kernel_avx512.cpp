/// Decoders for AVX-512 (F, BW, CD, DQ, VL, VBMI2, VPOPCNTDQ, BITALG).
#include "decoder_avx512.h"
#include "kernels.h"
#include "row_decoder.h"
#include "rows_decoder_avx512.h"
#include "torch_ans/rans.h"

namespace torch_ans {
namespace {

/// Offsets between the rows of a vector are 32-bit numbers.
constexpr std::int64_t kMaxRowBytes = (std::int64_t{1} << 31) / 64;

bool tables_fit(const CodingTask& task) {
  return task.tables.log_buckets != nullptr && !task.tables.has_full_freq;
}

bool accepts(const CodingTask& task) { return tables_fit(task) && task.row_bytes < kMaxRowBytes; }

template <typename Traits, int kLanes, int kVectors>
KernelChoice decoder() {
  using Backend = Avx512Decoder<Traits, kLanes, kVectors>;
  return {Backend::kRows, &RowDecoder<RansRow<Traits, kLanes>, Backend>::run, &accepts};
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  constexpr int kLeast = kLanes > kVecSize ? 2 : 1;
  KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
  prepend(get, decoder<Traits, kLanes, kLeast>());
  prepend(get, decoder<Traits, kLanes, 2 * kLeast>());
  if constexpr (kLanes >= kVecSize) prepend(get, decoder<Traits, kLanes, 4 * kLeast>());
}

/// Rows of one lane of 64 bits.
template <int kVectors>
void add_rows(CodecKernels& kernels) {
  using Backend = Avx512RowsDecoder<kVectors>;
  prepend(kernels.decode[static_cast<int>(Lookup::kInverseCdf)],
          {Backend::kRows, &RowDecoder<RansRow<Rans64, 1>, Backend>::run, &tables_fit});
}

template <typename Traits>
void add_one_lane(CodecKernels& kernels) {
  if constexpr (sizeof(typename Traits::State) == 8) {
    add_rows<1>(kernels);
    add_rows<2>(kernels);
    add_rows<4>(kernels);
  } else {
    add<Traits, 1>(kernels);
  }
}

template <typename Traits>
void add_family(CodecKernels* by_lanes) {
  add_one_lane<Traits>(by_lanes[0]);
  add<Traits, 2>(by_lanes[1]);
  add<Traits, 4>(by_lanes[2]);
  add<Traits, 8>(by_lanes[3]);
  add<Traits, 16>(by_lanes[4]);
  add<Traits, 32>(by_lanes[5]);
}

}  // namespace

void add_avx512_decoders(KernelTable& table) {
  add_family<Rans64>(table[static_cast<int>(Family::kRans64)]);
  add_family<Rans32>(table[static_cast<int>(Family::kRans32)]);
  add_family<Rans32x16>(table[static_cast<int>(Family::kRans32x16)]);
}

}  // namespace torch_ans
