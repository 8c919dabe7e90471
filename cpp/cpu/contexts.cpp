#include "contexts.h"

#include <algorithm>
#include <atomic>

#include "context_index.h"
#include "parallel.h"
#include "tiles.h"

namespace torch_ans {
namespace {

constexpr int kTile = 256;

/// Blocks of positions are whole for any number of lanes that share a vector.
constexpr std::int64_t kAligned = 16;

std::int64_t align(std::int64_t n) { return (n + kAligned - 1) / kAligned * kAligned; }

std::int64_t furthest(const ContextTask& contexts) {
  return *std::max_element(contexts.offsets, contexts.offsets + contexts.order);
}

/// Finds the indexes of one row; `history` has its contexts, zeros before. Returns the position of
/// an index that names nothing, or -1.
template <typename Index>
std::int64_t resolve_row(const CodingTask& task, std::int64_t row, std::uint16_t* history,
                         Index* out) {
  const ContextIndex index(*task.contexts);
  const std::int32_t* offsets = task.tables.offsets;
  std::int32_t scratch[kTile], symbols_tile[kTile], bases[kTile];
  const std::int64_t present = symbols_in_row(task, row);
  for (std::int64_t first = 0; first < present; first += kTile) {
    const auto count = static_cast<int>(std::min<std::int64_t>(kTile, present - first));
    const std::int32_t* symbols = load_tile(task.symbols, row, first, count, symbols_tile);
    const std::int64_t bad = index.load_bases(task.indexes, row, first, count, scratch, bases);
    if (bad >= 0) return bad;
    for (int t = 0; t < count; ++t) {
      std::uint16_t* place = history + first + t;
      const std::int32_t table =
          index.find(bases[t], [&](std::int64_t offset) { return place[-offset]; });
      out[first + t] = static_cast<Index>(table);
      *place = context_of(std::int64_t{symbols[t]} - offsets[table]);
    }
  }
  return -1;
}

}  // namespace

ContextHistory::ContextHistory(CodingTask& task) {
  if (task.contexts == nullptr) return;
  task.history_padding = align(furthest(*task.contexts));
  task.history_stride = task.history_padding + align(task.row_length);
  values_.reset(new std::uint16_t[static_cast<std::size_t>(task.rows * task.history_stride)]);
  task.history = values_.get();
}

bool have_one_offset(const TablesView& tables) {
  return std::all_of(tables.offsets, tables.offsets + tables.num_tables,
                     [&](std::int32_t offset) { return offset == tables.offsets[0]; });
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
  const std::int64_t padding = furthest(*task.contexts);
  parallel_for(task.rows, threads, [&](std::int64_t r) {
    const std::unique_ptr<std::uint16_t[]> values(
        new std::uint16_t[static_cast<std::size_t>(padding + length)]);
    std::fill_n(values.get(), padding, std::uint16_t{0});
    std::uint16_t* history = values.get() + padding;
    bad[static_cast<std::size_t>(r)] =
        narrow ? resolve_row(task, r, history, narrow_.data() + r * length)
               : resolve_row(task, r, history, wide_.data() + r * length);
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
