#include "contexts.h"

#include <algorithm>
#include <atomic>

#include "context_index.h"
#include "parallel.h"
#include "recent_contexts.h"
#include "tiles.h"

namespace torch_ans {
namespace {

/// Blocks of positions are whole for any number of lanes that share a vector.
constexpr std::int64_t kAligned = 16;

std::int64_t align(std::int64_t n) { return (n + kAligned - 1) / kAligned * kAligned; }

std::int64_t count_entries(const ContextTask& contexts) {
  std::int64_t entries = std::int64_t{contexts.num_sets} * contexts.num_indexes;
  for (int k = 0; k < contexts.order; ++k) entries *= contexts.sizes[k];
  return entries;
}

/// A chain of loads from symbol to symbol: other rows fill the time that it takes.
constexpr int kTogether = 8;

using Complaint = FollowedIds::Complaint;

/// The ids of kRows rows of the same length.
template <int kRows>
Complaint find_ids(const CodingTask& task, std::int64_t first_row, const IdSpace& space) {
  constexpr int kTile = RecentContexts::kLeastStretch;
  const ContextIndex index(*task.contexts);
  const std::uint64_t direct = task.tables.bypass_coding ? 0 : 1;
  RecentContexts history(*task.contexts, kRows, space.history);
  std::int32_t scratch[kTile], symbols_tile[kRows][kTile], bases[kRows][kTile];
  const std::int32_t* symbols[kRows];
  const std::int64_t present = symbols_in_row(task, first_row);
  for (std::int64_t first = 0; first < present; first += kTile) {
    const auto count = static_cast<int>(std::min<std::int64_t>(kTile, present - first));
    for (int r = 0; r < kRows; ++r) {
      const std::int64_t row = first_row + r;
      symbols[r] = load_tile(task.symbols, row, first, count, symbols_tile[r]);
      const std::int64_t bad = index.load_bases(task.indexes, row, first, count, scratch, bases[r]);
      if (bad >= 0) return {Status::kBadIndex, row, bad};
    }
    std::uint16_t* contexts = history.append(count);
    for (int t = 0; t < count; ++t) {
      for (int r = 0; r < kRows; ++r) {
        std::uint16_t* place = contexts + t * kRows + r;
        const TableInfo& info = task.tables.info[index.find(
            bases[r][t], [&](std::int64_t offset) { return place[-offset * kRows]; })];
        const std::int64_t v = std::int64_t{symbols[r][t]} - info.offset;
        const auto distance = static_cast<std::uint64_t>(v);  // huge where v is negative
        const bool outside = distance >= info.last + direct;
        if (outside && direct != 0) return {Status::kBadSymbol, first_row + r, first + t};
        space.ids[element_of(task, first_row + r, first + t)] =
            outside ? (info.base + info.last) | kOutsideTable
                    : info.base + static_cast<std::uint32_t>(distance);
        *place = context_of(v);
      }
    }
  }
  return {Status::kOk, 0, 0};
}

bool equally_long(const CodingTask& task, std::int64_t first_row, std::int64_t rows) {
  return symbols_in_row(task, first_row + rows - 1) == symbols_in_row(task, first_row);
}

/// The rows [first_row, past), as many together as there are kernels for.
Complaint find_ids_of_rows(const CodingTask& task, const IdKernel* kernel, std::int64_t first_row,
                           std::int64_t past, IdSpace space) {
  const int most = std::max(kTogether, kernel->rows);
  const std::int64_t room = RecentContexts::size(*task.contexts, most);
  const std::unique_ptr<std::uint16_t[]> history(new std::uint16_t[static_cast<std::size_t>(room)]);
  space.history = history.get();
  for (std::int64_t row = first_row; row < past;) {
    const std::int64_t left = past - row;
    while (kernel->rows > left || (kernel->rows != 0 && !equally_long(task, row, kernel->rows))) {
      ++kernel;
    }
    if (space.columns != nullptr && kernel->rows != 0 && kernel->run(task, row, space)) {
      row += kernel->rows;
      continue;
    }
    const bool together = left >= kTogether && equally_long(task, row, kTogether);
    const Complaint complaint =
        together ? find_ids<kTogether>(task, row, space) : find_ids<1>(task, row, space);
    if (complaint.status != Status::kOk) return complaint;
    row += together ? kTogether : 1;
  }
  return {Status::kOk, 0, 0};
}

/// By entry of the contexts' tables; none where they do not fit, or are more than the symbols.
std::vector<std::uint64_t> make_id_columns(const CodingTask& task) {
  const std::int64_t entries = count_entries(*task.contexts);
  std::vector<std::uint64_t> columns;
  if (entries > task.total) return columns;
  columns.reserve(static_cast<std::size_t>(entries));
  for (std::int64_t i = 0; i < entries; ++i) {
    const TableInfo& info = task.tables.info[task.contexts->tables[i]];
    if (!IdColumns::fit(info)) return {};
    columns.push_back(IdColumns::pack(info));
  }
  return columns;
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
  // The ids of a view's only table begin at 0: those of the table that an only entry names need
  // not.
  if (entries == 1 || entries * kSymbolsPerEntry > task.total) return;
  const auto padded = static_cast<std::size_t>((entries + 63) / 64 * 64);
  info_.resize(padded);
  bases_.resize(padded);
  limits_.resize(padded);
  offsets_.resize(padded);
  if (tables.encoder_columns != nullptr) columns_.resize(padded);
  for (std::size_t i = 0; i < static_cast<std::size_t>(entries); ++i) {
    const std::int32_t table = task.contexts->tables[i];
    info_[i] = tables.info[table];
    bases_[i] = tables.bases[table];
    limits_[i] = tables.limits[table];
    offsets_[i] = tables.offsets[table];
    if (!columns_.empty()) columns_[i] = tables.encoder_columns[table];
  }
  view_ = tables;
  view_.info = info_.data();
  view_.bases = bases_.data();
  view_.limits = limits_.data();
  view_.offsets = offsets_.data();
  view_.encoder_columns = columns_.empty() ? nullptr : columns_.data();
  view_.num_tables = static_cast<std::uint32_t>(entries);
  task.entry_tables = &view_;
}

bool have_one_offset(const TablesView& tables) {
  return std::all_of(tables.offsets, tables.offsets + tables.num_tables,
                     [&](std::int32_t offset) { return offset == tables.offsets[0]; });
}

Complaint FollowedIds::find(CodingTask& task, const IdKernel* kernels, int threads) {
  ids_.reset(new std::uint32_t[static_cast<std::size_t>(task.rows * task.row_length)]);
  const std::vector<std::uint64_t> columns = make_id_columns(task);
  const IdSpace space{columns.empty() ? nullptr : columns.data(), nullptr, ids_.get()};
  // Wide kernels are faster, as long as every thread gets work.
  const IdKernel* kernel = kernels;
  while (kernel->rows != 0 && kernel->rows * (threads - 1) >= task.rows) ++kernel;
  const int together = std::max(kTogether, kernel->rows);
  const std::int64_t batches = (task.rows + together - 1) / together;
  std::vector<Complaint> complaints(static_cast<std::size_t>(batches));
  parallel_for(batches, threads, [&](std::int64_t k) {
    const std::int64_t first_row = k * together;
    complaints[static_cast<std::size_t>(k)] =
        find_ids_of_rows(task, kernel, first_row, std::min(first_row + together, task.rows), space);
  });
  task.contexts = nullptr;
  task.ids = ids_.get();
  for (const Complaint& complaint : complaints) {
    if (complaint.status != Status::kOk) return complaint;
  }
  return {Status::kOk, 0, 0};
}

}  // namespace torch_ans
