/// Records in shared memory, and what is needed of their tables in 8 bytes each (a TableInfo has
/// 16): for plain encoders (plain_case.h).
#pragma once

#include "device_tables.h"
#include "table_access.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

class RecordTables {
 public:
  static constexpr bool kOne = false;  ///< whether there is one table, and SymbolRecords of it
  static constexpr bool kMayAlias = false;
  static constexpr std::uint32_t kMostCopies = 16;  ///< of names: half a warp reads at a time

  TORCH_ANS_DEVICE RecordTables(const CoderTask& task, const TablesPart& part)
      : num_tables_(task.tables.num_tables),
        stride_(held_by_each(task.table_copies * std::uint32_t{sizeof(Name)})),
        own_(shared_place((lane_index() & (task.table_copies - 1)) * std::uint32_t{sizeof(Name)})),
        records_(static_cast<std::uint32_t>(name_bytes(task))),
        end_(static_cast<std::uint32_t>(bytes(task, part))) {
    for (std::uint32_t k = thread_index(); k <= num_tables_; k += block_size()) {
      const Name name = make_name(task, k);
      const SharedArray<Name> names(k * stride_);
      for (std::uint32_t copy = 0; copy < task.table_copies; ++copy) names.set(copy, name);
    }
    const SharedArray<Line> lines(records_);
    const auto* source = reinterpret_cast<const Line*>(part.begin);
    for (std::uint32_t i = thread_index(); i < part.bytes / sizeof(Line); i += block_size()) {
      lines.copy(i, source + i);
    }
    wait_for_copies();
    sync_block();
  }

  TORCH_ANS_DEVICE std::uint32_t id_of(const TablesView& /*view*/, std::int32_t symbol,
                                       std::int32_t index) const {
    const std::uint32_t k = smaller(static_cast<std::uint32_t>(index), num_tables_);
    const Name name = load_shared<Name>(k * stride_ + own_);
    const std::uint32_t v =
        static_cast<std::uint32_t>(symbol) - static_cast<std::uint32_t>(name.offset);
    return (v < name.base_and_limit >> 16 ? v : kRareId) + (name.base_and_limit & 0xffffu);
  }

  template <typename Item>
  TORCH_ANS_DEVICE Item item(const Item* /*items*/, std::uint32_t id) const {
    return SharedArray<Item>(records_).get(id);
  }

  TORCH_ANS_DEVICE std::uint32_t shared_bytes() const { return end_; }
  static TORCH_ANS_FN std::size_t copy_bytes(const CoderTask& task) {
    return sizeof(Name) * (task.tables.num_tables + 1);
  }

  static TORCH_ANS_FN std::size_t bytes(const CoderTask& task, const TablesPart& part) {
    return name_bytes(task) + part.bytes;
  }

 private:
  struct alignas(8) Name {
    std::int32_t offset;
    std::uint32_t base_and_limit;  ///< symbols below the limit have records; 0 for no table
  };
  struct alignas(16) Line {
    std::uint32_t words[4];
  };

  static TORCH_ANS_DEVICE Name make_name(const CoderTask& task, std::uint32_t k) {
    const TableInfo info = cached_load(task.tables.info + k);
    const std::uint32_t limit = info.last + (task.tables.bypass_coding ? 0u : 1u);
    return {info.offset, k == task.tables.num_tables ? 0 : info.base | limit << 16};
  }

  static TORCH_ANS_FN std::size_t name_bytes(const CoderTask& task) {
    return whole_lines(copy_bytes(task) * task.table_copies);
  }

  std::uint32_t num_tables_;
  std::uint32_t stride_;  ///< bytes from a table's names to the next one's
  std::uint32_t own_;     ///< the place of this thread's copy of the first name
  std::uint32_t records_;
  std::uint32_t end_;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
