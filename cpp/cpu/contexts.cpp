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

std::int64_t count_entries(const ContextTask& contexts) {
  std::int64_t entries = std::int64_t{contexts.num_sets} * contexts.num_indexes;
  for (int k = 0; k < contexts.order; ++k) entries *= contexts.sizes[k];
  return entries;
}

/// A chain of loads from symbol to symbol: other rows fill the time that it takes.
constexpr int kTogether = 8;

/// Finds the indexes of kRows rows of the same length. Returns -1, or the position of an index that
/// names nothing and, in `bad_row`, its row.
template <int kRows, typename Index>
std::int64_t resolve_rows(const CodingTask& task, std::int64_t first_row, Index* out,
                          std::int64_t& bad_row) {
  const ContextIndex index(*task.contexts);
  const std::int32_t* offsets = task.tables.offsets;
  const std::int64_t padding = furthest(*task.contexts);
  const std::int64_t stride = padding + task.row_length;
  std::vector<std::uint16_t> history(static_cast<std::size_t>(kRows * stride));
  std::int32_t scratch[kTile], symbols_tile[kRows][kTile], bases[kRows][kTile];
  const std::int32_t* symbols[kRows];
  const std::int64_t present = symbols_in_row(task, first_row);
  for (std::int64_t first = 0; first < present; first += kTile) {
    const auto count = static_cast<int>(std::min<std::int64_t>(kTile, present - first));
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t row = first_row + r;
      symbols[r] = load_tile(task.symbols, row, first, count, symbols_tile[r]);
      const std::int64_t bad = index.load_bases(task.indexes, row, first, count, scratch, bases[r]);
      if (bad >= 0) {
        bad_row = row;
        return bad;
      }
    }
    for (int t = 0; t < count; ++t) {
      for (int r = 0; r < kRows; ++r) {
        std::uint16_t* place = history.data() + r * stride + padding + first + t;
        const std::int32_t table =
            index.find(bases[r][t], [&](std::int64_t offset) { return place[-offset]; });
        out[(first_row + r) * task.row_length + first + t] = static_cast<Index>(table);
        *place = context_of(std::int64_t{symbols[r][t]} - offsets[table]);
      }
    }
  }
  return -1;
}

/// The rows [first_row, past), as many together as are equally long.
template <typename Index>
std::int64_t resolve_some(const CodingTask& task, std::int64_t first_row, std::int64_t past,
                          Index* out, std::int64_t& bad_row) {
  const bool whole = symbols_in_row(task, past - 1) == symbols_in_row(task, first_row);
  if (past - first_row == kTogether && whole) {
    return resolve_rows<kTogether>(task, first_row, out, bad_row);
  }
  std::int64_t bad = -1;
  for (std::int64_t row = first_row; row < past && bad < 0; ++row) {
    bad = resolve_rows<1>(task, row, out, bad_row);
  }
  return bad;
}

}  // namespace

ContextHistory::ContextHistory(CodingTask& task) {
  if (task.contexts == nullptr) return;
  task.history_padding = align(furthest(*task.contexts));
  task.history_stride = task.history_padding + align(task.row_length);
  values_.reset(new std::uint16_t[static_cast<std::size_t>(task.rows * task.history_stride)]);
  task.history = values_.get();
  const std::int64_t entries = count_entries(*task.contexts);
  if (task.tables.log_buckets == nullptr || entries > task.total) return;
  for (std::int64_t i = 0; i < entries; ++i) {
    shifts_.push_back(task.tables.log_bucket_shifts[task.contexts->tables[i]]);
  }
  task.context_shifts = shifts_.data();
}

EntryTables::EntryTables(CodingTask& task) {
  if (task.contexts == nullptr) return;
  const TablesView& tables = task.tables;
  const std::int64_t entries = count_entries(*task.contexts);
  constexpr std::int64_t kSymbolsPerEntry = 8;
  if (entries * kSymbolsPerEntry > task.total) return;
  const auto padded = static_cast<std::size_t>((entries + 63) / 64 * 64);
  info_.resize(padded);
  bases_.resize(padded);
  limits_.resize(padded);
  offsets_.resize(padded);
  for (std::size_t i = 0; i < static_cast<std::size_t>(entries); ++i) {
    const std::int32_t table = task.contexts->tables[i];
    info_[i] = tables.info[table];
    bases_[i] = tables.bases[table];
    limits_[i] = tables.limits[table];
    offsets_[i] = tables.offsets[table];
  }
  view_ = tables;
  view_.info = info_.data();
  view_.bases = bases_.data();
  view_.limits = limits_.data();
  view_.offsets = offsets_.data();
  view_.num_tables = static_cast<std::uint32_t>(entries);
  task.entry_tables = &view_;
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
  struct Bad {
    std::int64_t row, position;
  };
  const std::int64_t batches = (task.rows + kTogether - 1) / kTogether;
  std::vector<Bad> bad(static_cast<std::size_t>(batches));
  parallel_for(batches, threads, [&](std::int64_t k) {
    const std::int64_t first_row = k * kTogether;
    const std::int64_t past = std::min(first_row + kTogether, task.rows);
    Bad& found = bad[static_cast<std::size_t>(k)];
    found.position = narrow ? resolve_some(task, first_row, past, narrow_.data(), found.row)
                            : resolve_some(task, first_row, past, wide_.data(), found.row);
  });
  for (const Bad& found : bad) {
    row = found.row;
    position = found.position;
    if (position >= 0) return false;
  }
  task.contexts = nullptr;
  task.indexes = narrow ? IntArray{narrow_.data(), IntType::kUint16, length, 0, 1, length}
                        : IntArray{wide_.data(), IntType::kInt32, length, 0, 1, length};
  return true;
}

}  // namespace torch_ans
