/// Decoders of tANS for AVX-512, in front of those for AVX2.
#include "kernels.h"
#include "row_decoder.h"
#include "tans_decoder_avx512.h"

namespace torch_ans {
namespace {

/// More vectors would be more streams of bytes and symbols than a core's caches follow.
template <int kLanes>
void add(CodecKernels& kernels) {
  using Backend = Avx512TansDecoder<kLanes, 1>;
  prepend(kernels.decode[0],
          {Backend::kRows, &RowDecoder<TansRow<kLanes>, Backend>::run, &accepts_tans});
}

}  // namespace

void add_avx512_tans_kernels(KernelTable& table) {
  for (const Family family : {Family::kTans32, Family::kTans16, Family::kTans8}) {
    CodecKernels* by_lanes = table[static_cast<int>(family)];
    add<1>(by_lanes[0]);
    add<2>(by_lanes[1]);
    add<4>(by_lanes[2]);
    add<8>(by_lanes[3]);
    add<16>(by_lanes[4]);
    add<32>(by_lanes[5]);
  }
}

}  // namespace torch_ans
