/// Push of 64-bit states in registers: a few lanes, or rows in lockstep. What bounds it is the
/// number of instructions; states are kept doubled, as their records want it.
#pragma once

#include <type_traits>

#include "backend_scalar.h"
#include "chain_encoder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `Base` is the encoder that it is made of.
template <int kLanes, typename Base>
struct DoubledEncoder : Base {
  using State = std::uint64_t;
  using Base::kRows;
  using Base::kTileStride;
  using Base::kUnrolled;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const std::uint32_t* ids, int begin, int end) {
    const auto* records = static_cast<const EncoderRecord<State>*>(tables.records);
    State twice[kRows * kLanes];
    std::uint8_t* out[kRows];
    std::int64_t words[kRows];
    TORCH_ANS_UNROLL
    for (int k = 0; k < kRows * kLanes; ++k) twice[k] = opaque(2 * states[k]);
    TORCH_ANS_UNROLL
    for (int r = 0; r < kRows; ++r) {
      out[r] = outs[r];
      words[r] = 0;
    }
    for (int group = end - 1; group >= begin; --group) {
      const std::uint32_t* group_ids = ids + group * kLanes;
      for (int first = kLanes - kUnrolled; first >= 0; first -= kUnrolled) {
        TORCH_ANS_UNROLL
        for (int lane = first + kUnrolled - 1; lane >= first; --lane) {
          TORCH_ANS_UNROLL
          for (int r = 0; r < kRows; ++r) {
            State& state = twice[r * kLanes + lane];
            state =
                put_doubled(state, records[group_ids[r * kTileStride + lane]], out[r], words[r]);
          }
        }
      }
    }
    // (One by one: gathered into a vector they would go through memory with each symbol.)
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
