/// Which table a symbol is got with.
///
/// A choice has two steps. What is known without the symbols before it, a key, is looked up ahead
/// of the coder; `table_of` makes an index of it when those symbols are there.
#pragma once

#include "elements.h"
#include "seat.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Indexes name tables. Nothing is below an index that names none.
class IndexedChoice {
 public:
  /// Whether tables depend on the symbols before.
  static constexpr bool kFollows = false;

  template <typename Seat>
  TORCH_ANS_DEVICE IndexedChoice(const CoderTask& task, const Seat& /*seat*/) : task_(task) {}

  TORCH_ANS_DEVICE bool has_keys() const { return task_.indexes.data != nullptr; }

  TORCH_ANS_DEVICE std::int32_t key_of(std::int64_t row, std::uint32_t i) const {
    std::int32_t index[1] = {0};
    load_elements(task_.indexes, row, i, 0, [](int) { return true; }, index);
    return index[0];
  }

  TORCH_ANS_DEVICE std::uint32_t table_of(std::int32_t key, std::uint32_t /*position*/,
                                          bool /*active*/) const {
    return static_cast<std::uint32_t>(key);
  }

  TORCH_ANS_DEVICE void note(std::uint32_t /*position*/, std::int64_t /*symbol*/,
                             const TableInfo& /*info*/, bool /*active*/) {}

 private:
  const CoderTask& task_;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
