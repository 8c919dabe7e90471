/// Portable backends for models: the slots of a tile's symbols are found ahead of the encoder; the
/// decoder asks for the symbols of all its states together.
#pragma once

#include "backends.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

template <typename Traits, int kLanes, int kRows>
struct ModelEncoder : ScalarEncoder<Traits, kLanes, kRows, PutByPair>, CodesModels {};

template <typename Traits, int kLanes, int kRows_>
struct ModelDecoder : ScalarTile, CodesModels {
  static constexpr int kRows = kRows_;
  static constexpr int kStates = kRows * kLanes;
  using State = typename Traits::State;

  /// Gets groups [begin, end) of every row, whose tiles begin with `elements`. Sets `broken` for a
  /// row where a model has no symbol for a slot.
  static void decode_groups(const CodingTask& task, const std::int64_t* elements, State* x,
                            const std::uint8_t** in, std::int32_t* symbols, int begin, int end,
                            bool* broken) {
    const int precision = task.tables.freq_precision;
    std::uint32_t slots[kStates], symbol[kStates], start[kStates], freq[kStates];
    for (int group = begin; group < end; ++group) {
      std::int64_t first[kRows];
      for (int r = 0; r < kRows; ++r) first[r] = elements[r] + group * kLanes;
      for (int k = 0; k < kStates; ++k) slots[k] = slot_of(x[k], precision);
      if (!task.functions->find_symbols(*task.model, {first, kRows, kLanes}, slots,
                                        {symbol, start, freq})) {
        find_broken(task, first, slots, broken);
      }
      for (int r = 0; r < kRows; ++r) {
        for (int lane = 0; lane < kLanes; ++lane) {
          const int k = r * kLanes + lane;
          x[k] = get<Traits>(x[k], freq[k], slots[k] - start[k], precision, in[r]);
          symbols[r * kTileStride + group * kLanes + lane] =
              static_cast<std::int32_t>(symbol[k] + static_cast<std::uint32_t>(task.model->low));
        }
      }
    }
  }

  static bool decode_one(const CodingTask& task, std::int64_t element, State& x,
                         const std::uint8_t*& in, std::int32_t& symbol) {
    const int precision = task.tables.freq_precision;
    const std::uint32_t slot = slot_of(x, precision);
    std::uint32_t found, start, freq;
    const bool good =
        task.functions->find_symbols(*task.model, {&element, 1, 1}, &slot, {&found, &start, &freq});
    x = get<Traits>(x, freq, slot - start, precision, in);
    symbol = static_cast<std::int32_t>(found + static_cast<std::uint32_t>(task.model->low));
    return good;
  }

  /// Which of the rows a call for all of them has complained of.
  static TORCH_ANS_COLD void find_broken(const CodingTask& task, const std::int64_t* first,
                                         const std::uint32_t* slots, bool* broken) {
    std::uint32_t symbol[kLanes], start[kLanes], freq[kLanes];
    for (int r = 0; r < kRows; ++r) {
      broken[r] |= !task.functions->find_symbols(*task.model, {first + r, 1, kLanes},
                                                 slots + r * kLanes, {symbol, start, freq});
    }
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
