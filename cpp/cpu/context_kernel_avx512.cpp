/// Tables that follow the symbols for AVX-512: decoders, in front of those for AVX2, and what finds
/// symbols' ids for encoders.
#include "context_decoder_avx512.h"
#include "id_finder_avx512.h"
#include "kernels.h"
#include "row_decoder.h"
#include "tans_decoder_avx512.h"
#include "torch_ans/rans.h"

namespace torch_ans {
namespace {

/// Offsets between the rows of a vector are 32-bit numbers.
constexpr std::int64_t kMaxRowBytes = (std::int64_t{1} << 31) / 64;

bool accepts(const CodingTask& task) {
  return task.row_bytes < kMaxRowBytes && task.tables.log_buckets != nullptr &&
         !task.tables.has_full_freq;
}

KernelChoice* following(CodecKernels& kernels) {
  return kernels.decode[static_cast<int>(Lookup::kFollowing)];
}

template <typename Traits, int kLanes, int kVectors>
KernelChoice decoder() {
  using Backend = Avx512ContextDecoder<Traits, kLanes, kVectors>;
  return {Backend::kRows, &RowDecoder<RansRow<Traits, kLanes>, Backend>::run, &accepts};
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  constexpr int kLeast = kLanes > kVecSize ? 2 : 1;
  prepend(following(kernels), decoder<Traits, kLanes, kLeast>());
  prepend(following(kernels), decoder<Traits, kLanes, 2 * kLeast>());
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

template <int kLanes, int kVectors>
KernelChoice tans_decoder() {
  using Backend = Avx512TansContextDecoder<kLanes, kVectors>;
  return {Backend::kRows, &RowDecoder<TansRow<kLanes>, Backend>::run, &accepts_tans};
}

template <int kLanes>
void add_tans(CodecKernels& kernels) {
  prepend(following(kernels), tans_decoder<kLanes, 1>());
  if constexpr (kLanes < 2) prepend(following(kernels), tans_decoder<kLanes, 2>());
}

}  // namespace

void add_avx512_context_kernels(KernelTable& table) {
  add_family<Rans64>(table[static_cast<int>(Family::kRans64)]);
  add_family<Rans32>(table[static_cast<int>(Family::kRans32)]);
  add_family<Rans32x16>(table[static_cast<int>(Family::kRans32x16)]);
  for (const Family family : {Family::kTans32, Family::kTans16, Family::kTans8}) {
    CodecKernels* by_lanes = table[static_cast<int>(family)];
    add_tans<1>(by_lanes[0]);
    add_tans<2>(by_lanes[1]);
    add_tans<4>(by_lanes[2]);
    add_tans<8>(by_lanes[3]);
    add_tans<16>(by_lanes[4]);
    add_tans<32>(by_lanes[5]);
  }
}

void add_avx512_id_kernels(IdKernels& kernels) {
  kernels = {{{Avx512IdFinder<4>::kRows, &Avx512IdFinder<4>::run},
              {Avx512IdFinder<2>::kRows, &Avx512IdFinder<2>::run},
              {Avx512IdFinder<1>::kRows, &Avx512IdFinder<1>::run},
              {0, nullptr}}};
}

}  // namespace torch_ans
