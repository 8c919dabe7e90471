/// Kernels for AVX2: the portable loops compiled for x86-64-v3, which knows shifts and
/// multiplications that leave the flags alone, behind a vector front end.
#include "backend_avx2.h"
#include "backend_scalar.h"
#include "kernels.h"
#include "row_decoder.h"
#include "row_encoder.h"
#include "torch_ans/rans.h"

namespace torch_ans {
namespace {

template <typename Traits, int kLanes, int kRows>
struct LockstepEncoder : ScalarEncoder<Traits, kLanes, kRows, PutByRecord> {
    static TORCH_ANS_FN IdFlags make_ids(const TablesView& tables, const std::int32_t* symbols,
                                         const std::int32_t* indexes, int count,
                                         std::uint32_t* ids) {
        return make_ids_avx2(tables, symbols, indexes, count, ids);
    }
};

template <typename Traits, int kLanes, int kRows>
constexpr KernelChoice encoder() {
    using Backend = LockstepEncoder<Traits, kLanes, kRows>;
    return {kRows, &RowEncoder<Traits, kLanes, Backend>::run, &accepts_all};
}

template <typename Traits, int kLanes, int kRows>
constexpr KernelChoice decoder() {
    using Backend = ScalarDecoder<Traits, kLanes, kRows, FindByBucket>;
    return {kRows, &RowDecoder<Traits, kLanes, Backend>::run, &accepts_all};
}

/// Replaces the portable entries: these do the same, faster.
template <typename Traits, int kLanes>
void fill(CodecKernels& kernels) {
    constexpr int kRows = kLanes >= 4 ? 1 : 4 / kLanes;
    KernelChoice* put = kernels.encode[static_cast<int>(EncodeModel::kRecords)];
    KernelChoice* get = kernels.decode[static_cast<int>(Lookup::kInverseCdf)];
    if constexpr (kRows > 1) {
        *put++ = encoder<Traits, kLanes, kRows>();
        *get++ = decoder<Traits, kLanes, kRows>();
    }
    *put = encoder<Traits, kLanes, 1>();
    *get = decoder<Traits, kLanes, 1>();
}

template <typename Traits>
void fill_family(CodecKernels* by_lanes) {
    fill<Traits, 1>(by_lanes[0]);
    fill<Traits, 2>(by_lanes[1]);
    fill<Traits, 4>(by_lanes[2]);
    fill<Traits, 8>(by_lanes[3]);
    fill<Traits, 16>(by_lanes[4]);
    fill<Traits, 32>(by_lanes[5]);
}

}  // namespace

void add_avx2_kernels(KernelTable& table) {
    fill_family<Rans64>(table[static_cast<int>(Family::kRans64)]);
    fill_family<Rans32>(table[static_cast<int>(Family::kRans32)]);
    fill_family<Rans32x16>(table[static_cast<int>(Family::kRans32x16)]);
}

}  // namespace torch_ans
