#include "contexts.h"

#include <algorithm>
#include <atomic>

#include "context_index.h"
#include "parallel.h"
#include "tiles.h"

namespace torch_ans {
namespace {

constexpr int kTile = 256;

/// Finds the indexes of one row. Returns the position of an index that names nothing, or -1.
template <int kOrder, typename Index>
std::int64_t resolve_row(const CodingTask& task, std::int64_t row, std::uint16_t* history,
                         Index* out) {
  const ContextTask& contexts = *task.contexts;
  const ContextIndex<kOrder> find(contexts);
  const std::int32_t* offsets = task.tables.offsets;
  std::int32_t symbols_tile[kTile], indexes_tile[kTile], sets_tile[kTile];
  const std::int64_t present = symbols_in_row(task, row);
  for (std::int64_t first = 0; first < present; first += kTile) {
    const auto count = static_cast<int>(std::min<std::int64_t>(kTile, present - first));
    const std::int32_t* symbols = load_tile(task.symbols, row, first, count, symbols_tile);
    const std::int32_t* indexes = load_or_zeros(task.indexes, row, first, count, indexes_tile);
    const std::int32_t* sets = load_or_zeros(contexts.sets, row, first, count, sets_tile);
    for (int t = 0; t < count; ++t) {
      if (!find.is_valid(sets[t], indexes[t])) return first + t;
    }
    for (int t = 0; t < count; ++t) {
      const std::int64_t i = first + t;
      const std::int32_t table = find(find.base(sets[t], indexes[t]), history + i);
      out[i] = static_cast<Index>(table);
      history[i] = context_of(std::int64_t{symbols[t]} - offsets[table]);
    }
  }
  return -1;
}

template <typename Index>
std::int64_t resolve_row(const CodingTask& task, std::int64_t row, std::uint16_t* history,
                         Index* out) {
  switch (task.contexts->order) {
    case 1:
      return resolve_row<1>(task, row, history, out);
    case 2:
      return resolve_row<2>(task, row, history, out);
    default:
      return resolve_row<3>(task, row, history, out);
  }
}

}  // namespace

ContextHistory::ContextHistory(const ContextTask& contexts, std::int64_t rows,
                               std::int64_t row_length)
    : padding_(*std::max_element(contexts.offsets, contexts.offsets + contexts.order)),
      stride_(padding_ + row_length),
      values_(new std::uint16_t[static_cast<std::size_t>(rows * stride_)]) {
  for (std::int64_t r = 0; r < rows; ++r)
    std::fill_n(row(r) - padding_, padding_, std::uint16_t{0});
}

bool ResolvedIndexes::resolve(CodingTask& task, int threads, std::int64_t& row,
                              std::int64_t& position) {
  if (task.contexts == nullptr) return true;
  const std::int64_t length = task.row_length;
  const auto total = static_cast<std::size_t>(task.rows * length);
  const bool narrow = task.tables.num_tables <= 1u << 16;
  if (narrow) {
    narrow_.resize(total);
  } else {
    wide_.resize(total);
  }
  std::vector<std::int64_t> bad(static_cast<std::size_t>(task.rows), -1);
  parallel_for(task.rows, threads, [&](std::int64_t r) {
    const ContextHistory history(*task.contexts, 1, length);
    bad[static_cast<std::size_t>(r)] =
        narrow ? resolve_row(task, r, history.row(0), narrow_.data() + r * length)
               : resolve_row(task, r, history.row(0), wide_.data() + r * length);
  });
  for (row = 0; row < task.rows; ++row) {
    position = bad[static_cast<std::size_t>(row)];
    if (position >= 0) return false;
  }
  task.contexts = nullptr;
  task.indexes = narrow ? IntArray{narrow_.data(), IntType::kUint16, length, 0, 1, length}
                        : IntArray{wide_.data(), IntType::kInt32, length, 0, 1, length};
  return true;
}

}  // namespace torch_ans
