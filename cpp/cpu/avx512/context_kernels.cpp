/// Tables that follow the symbols for AVX-512: decoders, in front of those for AVX2, and what finds
/// symbols' ids for encoders.
#include "context_decoder.h"
#include "cpu/kernels.h"
#include "cpu/row_decoder.h"
#include "cpu/variants.h"
#include "id_finder.h"
#include "tans_decoder.h"

namespace torch_ans {
namespace {

KernelChoice* following(CodecKernels& kernels) {
  return kernels.decode[static_cast<int>(Lookup::kFollowing)];
}

template <typename Traits, int kLanes, int kVectors>
KernelChoice decoder() {
  using Backend = Avx512ContextDecoder<Traits, kLanes, kVectors>;
  return decoder_kernel<RansRow<Traits, kLanes>, Backend>(&accepts_near_rows);
}

template <typename Traits, int kLanes>
void add(CodecKernels& kernels) {
  constexpr int kLeast = kLanes > kVecSize ? 2 : 1;
  insert(following(kernels), decoder<Traits, kLanes, kLeast>());
  insert(following(kernels), decoder<Traits, kLanes, 2 * kLeast>());
}

template <int kLanes, int kVectors>
KernelChoice tans_decoder() {
  using Backend = Avx512TansContextDecoder<kLanes, kVectors>;
  return decoder_kernel<TansRow<kLanes>, Backend>(&rows_are_near);
}

template <int kLanes>
void add_tans(CodecKernels& kernels) {
  insert(following(kernels), tans_decoder<kLanes, 1>());
  if constexpr (kLanes < 2) insert(following(kernels), tans_decoder<kLanes, 2>());
}

}  // namespace

void add_avx512_context_kernels(KernelTable& table) {
  const bool slow = gathers_are_slow();
  for_each_rans(table, [=](CodecKernels& kernels, auto traits, auto lanes) {
    if (!slow) add<decltype(traits), lanes>(kernels);
  });
  for_each_tans(table, [=](CodecKernels& kernels, auto lanes) {
    if (!slow || lanes <= 2) add_tans<lanes>(kernels);
  });
}

void add_avx512_id_kernels(IdKernels& kernels) {
  kernels = {{{Avx512IdFinder<4>::kRows, &Avx512IdFinder<4>::run},
              {Avx512IdFinder<2>::kRows, &Avx512IdFinder<2>::run},
              {Avx512IdFinder<1>::kRows, &Avx512IdFinder<1>::run},
              {0, nullptr}}};
}

}  // namespace torch_ans
