/// Push of 64-bit states in registers: a few lanes, or rows in lockstep. What bounds it is the
/// number of instructions; states are kept doubled, as their records want it.
#pragma once

#include <type_traits>

#include "backends.h"
#include "chain_encoder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `Base` is the encoder that it is made of.
template <int kLanes, typename Base>
struct DoubledEncoder : Base {
  using State = std::uint64_t;
  using Base::kRows;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const std::uint32_t* ids, int begin, int end) {
    const auto* records = static_cast<const EncoderRecord<State>*>(tables.records);
    State twice[kRows * kLanes];
    std::uint8_t* out[kRows];
    std::int64_t words[kRows];
    // (One by one, in and out: in a vector they would go through memory with each symbol.)
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) twice[k] = opaque(2 * states[k]);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      out[r] = opaque(outs[r]);
      words[r] = 0;
    }
    Base::for_each_id(ids, begin, end, [&](int r, int lane, std::uint32_t id) {
      State& state = twice[r * kLanes + lane];
      state = put_doubled(state, records[id], out[r], words[r]);
    });
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) states[k] = opaque(twice[k] >> 1);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) outs[r] = out[r] + 4 * words[r];
  }
};

/// The encoder with records for what `Base`, a ScalarEncoder, codes.
template <typename Traits, int kLanes, typename Base>
using RecordEncoder =
    std::conditional_t<sizeof(typename Traits::State) == 4, Base,
                       std::conditional_t<kLanes * Base::kRows == 1, ChainEncoder<Base>,
                                          DoubledEncoder<kLanes, Base>>>;

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
