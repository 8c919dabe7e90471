/// Which table a symbol is got with.
///
/// A choice has two steps. What is known without the symbols before it, a key, is looked up ahead
/// of the coder; `table_of` makes an index of it when those symbols are there.
#pragma once

#include "elements.h"
#include "seat.h"
#include "torch_ans/contexts.h"

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

  template <int kCount>
  TORCH_ANS_DEVICE void keys_of(std::int64_t first_row, const ElementPlace (&places)[kCount],
                                std::int32_t (&keys)[kCount]) const {
    load_places(task_.indexes, first_row, [&](int n) { return places[n]; }, keys);
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

/// Where the tables of a symbol's set and index begin in `contexts.tables`; -1: they name nothing.
TORCH_ANS_DEVICE std::int32_t context_key(const CoderTask& task, std::int64_t row,
                                          std::uint32_t i) {
  const DeviceContexts& contexts = task.contexts;
  const auto here = [](int) { return true; };
  std::int32_t index[1] = {0}, set[1] = {0};
  if (task.indexes.data != nullptr) load_elements(task.indexes, row, i, 0, here, index);
  if (contexts.sets.data != nullptr) load_elements(contexts.sets, row, i, 0, here, set);
  if (static_cast<std::uint32_t>(index[0]) >= contexts.num_indexes ||
      static_cast<std::uint32_t>(set[0]) >= contexts.num_sets) {
    return -1;
  }
  std::int32_t key = set[0] * static_cast<std::int32_t>(contexts.num_indexes) + index[0];
  TORCH_ANS_UNROLL
  for (int k = 0; k < 3; ++k) {
    if (k < contexts.order) key *= contexts.sizes[k];
  }
  return key;
}

/// The table behind a key, where `context(k)` is that of the k-th symbol that counts.
template <typename Context>
TORCH_ANS_DEVICE std::int32_t table_behind(const DeviceContexts& contexts, std::int32_t key,
                                           const Context& context) {
  std::int32_t number = 0;
  TORCH_ANS_UNROLL
  for (int k = 0; k < 3; ++k) {
    if (k < contexts.order) number = add_context(number, contexts.sizes[k], context(k));
  }
  return cached_load(contexts.tables + (key + number));
}

/// Tables that follow the symbols of their row. The contexts of a lane's own last three symbols
/// stay in registers; others go through memory.
class ContextChoice {
 public:
  static constexpr bool kFollows = true;

  template <typename Seat>
  TORCH_ANS_DEVICE ContextChoice(const CoderTask& task, const Seat& seat)
      : task_(task),
        lanes_log2_(seat.lanes_log2()),
        history_(task.contexts.history + seat.row() * task.row_length) {
    for (int k = 0; k < task.contexts.order; ++k) uses_memory_ |= steps_back(k) == 0;
  }

  TORCH_ANS_DEVICE bool has_keys() const { return true; }

  TORCH_ANS_DEVICE std::int32_t key_of(std::int64_t row, std::uint32_t i) const {
    return context_key(task_, row, i);
  }

  template <int kCount>
  TORCH_ANS_DEVICE void keys_of(std::int64_t first_row, const ElementPlace (&places)[kCount],
                                std::int32_t (&keys)[kCount]) const {
    for (int n = 0; n < kCount; ++n) {
      keys[n] = places[n].present ? key_of(first_row + places[n].slot, places[n].i) : 0;
    }
  }

  /// The whole warp's affair: lanes read what other lanes have noted.
  TORCH_ANS_DEVICE std::uint32_t table_of(std::int32_t key, std::uint32_t position,
                                          bool active) const {
    if (uses_memory_) sync_warp();
    if (!active || key < 0) return ~std::uint32_t{0};
    return static_cast<std::uint32_t>(
        table_behind(task_.contexts, key, [&](int k) { return context(k, position); }));
  }

  TORCH_ANS_DEVICE void note(std::uint32_t position, std::int64_t symbol, const TableInfo& info,
                             bool active) {
    if (!active) return;
    third_ = second_;
    second_ = first_;
    first_ = context_of_symbol(symbol, info.offset);
    if (uses_memory_) exchanged_store(history_ + position, first_);
  }

 private:
  /// 1 to 3: a context is that of this lane so many steps ago. 0: it is somewhere else.
  TORCH_ANS_DEVICE std::uint32_t steps_back(int k) const {
    const std::uint32_t offset = task_.contexts.offsets[k];
    const std::uint32_t steps = offset >> lanes_log2_;
    return steps << lanes_log2_ == offset && steps <= 3 ? steps : 0;
  }

  TORCH_ANS_DEVICE std::int32_t context(int k, std::uint32_t position) const {
    const std::uint32_t steps = steps_back(k);
    if (steps != 0) return steps == 1 ? first_ : steps == 2 ? second_ : third_;
    const std::uint32_t offset = task_.contexts.offsets[k];
    return position < offset ? 0 : exchanged_load(history_ + (position - offset));
  }

  const CoderTask& task_;
  const int lanes_log2_;
  std::uint16_t* const history_;
  bool uses_memory_ = false;
  std::uint16_t first_ = 0;
  std::uint16_t second_ = 0;
  std::uint16_t third_ = 0;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
