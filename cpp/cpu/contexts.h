/// Tables that follow the symbols: finite-state autoregressive coding (Zhang et al., "Finite-State
/// Autoregressive Entropy Coding for Efficient Learned Lossless Compression", ICLR 2024).
#pragma once

#include <memory>
#include <vector>

#include "task.h"

namespace torch_ans {

/// Room for the contexts of all symbols of a pop (`BatchHistory`), and a step less from contexts to
/// buckets.
class ContextHistory {
 public:
  /// Nothing where the task has no contexts.
  explicit ContextHistory(CodingTask& task);

 private:
  std::unique_ptr<std::uint16_t[]> values_;
  std::vector<std::uint32_t> shifts_;
};

/// The tables of a push by the entries of the contexts' tables: from contexts to what an encoder
/// needs of a table in one step.
class EntryTables {
 public:
  /// Nothing where the task has no contexts, or too many entries for its symbols.
  explicit EntryTables(CodingTask& task);

 private:
  TablesView view_;
  std::vector<TableInfo> info_;
  std::vector<std::uint32_t> bases_;
  std::vector<std::uint32_t> limits_;
  std::vector<std::int32_t> offsets_;
  std::vector<std::uint64_t> columns_;
};

/// Whether all tables have the offset of the first, so that contexts follow from symbols alone.
bool have_one_offset(const TablesView& tables);

/// Finds `task.ids` from the first symbol of each row to its last, in place of `task.contexts`:
/// where tables have offsets of their own, the context of a symbol depends on its table.
class FollowedIds {
 public:
  /// What is wrong with the symbol at `position` of `row`.
  struct Complaint {
    Status status;
    std::int64_t row;
    std::int64_t position;
  };

  /// `kernels` for many rows together, the widest first.
  Complaint find(CodingTask& task, const IdKernel* kernels, int threads);

 private:
  std::unique_ptr<std::uint32_t[]> ids_;
};

}  // namespace torch_ans
