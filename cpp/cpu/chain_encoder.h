/// Push of one row of one lane of rans64, which is bound by the latency of what a symbol waits for:
/// the multiplication by a reciprocal, a shift, the multiplication by the complement and an
/// addition. All else, whether a word leaves above all, is made to be known by then. The state is
/// kept doubled, as the reciprocals want it.
#pragma once

#include "backend_scalar.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `Base` is the encoder that it is made of.
template <typename Base>
struct ChainEncoder : Base {
  using State = std::uint64_t;

  static void encode_groups(const TablesView& tables, State* states, std::uint8_t** outs,
                            const std::uint32_t* ids, int begin, int end) {
    const auto* records = static_cast<const EncoderRecord<State>*>(tables.records);
    const int top_bits = 64 - tables.freq_precision;
    State twice = 2 * states[0];
    std::uint8_t* out = outs[0];
    for (int t = end - 1; t >= begin; --t) {
      const EncoderRecord<State>& record = records[ids[t]];
      store(out, static_cast<std::uint32_t>(twice >> 1));
      const State start = 2 * State{record.start};
      const State complement = opaque(2 * State{record.complement});
      // A word leaves from x = freq << (63 - precision) on.
      const State top = twice >> top_bits;
      const State freq = record.freq;
      State stays;  // -1, or 0
      const State rest =
          select_below<State>(top, freq, twice + start, 2 * (twice >> 33) + start, stays);
      const State shift = select_below<State>(top, freq, record.shift, record.shift + 32u);
      out += 4 + 4 * static_cast<std::int64_t>(stays);
      const State quotient = multiply_high(twice, record.reciprocal) >> shift;
      twice = rest + quotient * complement;
    }
    states[0] = twice >> 1;
    outs[0] = out;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
