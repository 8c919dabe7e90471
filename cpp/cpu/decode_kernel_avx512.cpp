/// Decoders for AVX-512 (F, BW, CD, DQ, VL, VBMI2, VPOPCNTDQ, BITALG).
#include "decoder_avx512.h"
#include "kernels.h"
#include "row_decoder.h"
#include "rows_decoder_avx512.h"
#include "variants.h"

namespace torch_ans {
namespace {

/// Offsets between the rows of a vector are 32-bit numbers.
constexpr std::int64_t kMaxRowBytes = (std::int64_t{1} << 31) / 64;

bool tables_fit(const CodingTask& task) {
  return task.tables.log_buckets != nullptr && !task.tables.has_full_freq;
}

bool accepts(const CodingTask& task) { return tables_fit(task) && task.row_bytes < kMaxRowBytes; }

template <typename Traits, int kLanes, typename Backend>
KernelChoice choice() {
  return {Backend::kRows, &RowDecoder<RansRow<Traits, kLanes>, Backend>::run, &accepts};
}

template <typename Traits, int kLanes, int kVectors>
KernelChoice decoder() {
  return choice<Traits, kLanes, Avx512Decoder<Traits, kLanes, kVectors>>();
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
  prepend(get, decoder<Traits, kLanes, kLeast>());
  prepend(get, decoder<Traits, kLanes, 2 * kLeast>());
  if constexpr (kLanes >= kVecSize) prepend(get, decoder<Traits, kLanes, 4 * kLeast>());
  if constexpr (kLanes >= 8) {  // fewer gain little
    if (gathers_are_slow()) {
      prepend(get, choice<Traits, kLanes, LoadingDecoder<Traits, kLanes>>());
    }
  }
}

/// Rows of one lane of 64 bits.
template <int kVectors>
void add_rows(CodecKernels& kernels) {
  using Backend = Avx512RowsDecoder<kVectors>;
  prepend(kernels.decode[static_cast<int>(Lookup::kInverseCdf)],
          {Backend::kRows, &RowDecoder<RansRow<Rans64, 1>, Backend>::run, &tables_fit});
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  if constexpr (sizeof(typename Traits::State) == 8 && kLanes == 1) {
    add_rows<1>(kernels);
    add_rows<2>(kernels);
    add_rows<4>(kernels);
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
