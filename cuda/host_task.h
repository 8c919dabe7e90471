/// From what a caller has to what kernels want.
#pragma once

#include <limits>
#include <utility>

#include "device_tables.h"
#include "task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Tables that follow the symbols. Pointers name device memory.
struct HostContexts {
  const std::int32_t* tables;  ///< (num_sets, num_indexes, sizes[0], ..)
  std::uint32_t num_sets;
  std::uint32_t num_indexes;
  std::int32_t order;  ///< 0: none
  std::int32_t sizes[3];
  std::int64_t offsets[3];  ///< at least the lanes
  IntArray sets;            ///< data == nullptr: 0
  /// Room for `context_scratch_bytes`, aligned to 4.
  std::uint8_t* scratch;
};

/// A push keeps tables, either may keep contexts.
inline std::int64_t context_scratch_bytes(std::int64_t rows, std::int64_t row_length, bool push) {
  return rows * row_length * (push ? 6 : 2);
}

/// A push or a pop as the bindings describe it. Pointers but `tables` name device memory.
struct HostTask {
  const DeviceTables* tables;
  const std::uint8_t* image;  ///< of `tables`, of this kind; aligned to 16
  ImageKind kind;
  int lanes;
  int word_bytes;
  int header_bytes;
  std::uint8_t* stream;
  std::int64_t row_bytes;
  IntArray symbols;
  IntArray indexes;
  HostContexts contexts;
  std::int64_t rows;
  std::int64_t row_length;
  std::int64_t total;
  int bypass_precision;
  bool is_push;
  bool require_end;
  std::uint8_t* headers;
  RowResult* results;
  std::uint32_t* failed;
};

/// The longest row that a push or a pop can code.
constexpr std::int64_t kMaxRowLength = std::numeric_limits<std::int32_t>::max();

inline std::pair<std::int64_t, std::int64_t> range_of(IntType type) {
  switch (type) {
    case IntType::kUint8:
      return {0, UINT8_MAX};
    case IntType::kInt8:
      return {INT8_MIN, INT8_MAX};
    case IntType::kUint16:
      return {0, UINT16_MAX};
    case IntType::kInt16:
      return {INT16_MIN, INT16_MAX};
    case IntType::kInt32:
      return {INT32_MIN, INT32_MAX};
    case IntType::kInt64:
      break;
  }
  return {INT64_MIN, INT64_MAX};
}

inline Elements make_elements(const IntArray& array, std::int64_t row_length) {
  Elements elements{};
  elements.data = array.data;
  elements.type = array.type;
  elements.row_stride = array.row_stride;
  elements.outer_stride = array.outer_stride;
  elements.inner_stride = array.inner_stride;
  elements.flat = array.data == nullptr || row_length <= array.inner_size || array.inner_size <= 1;
  if (array.inner_size == 1 && row_length > 1) elements.inner_stride = array.outer_stride;
  if (!elements.flat) {
    const auto size = static_cast<std::uint32_t>(array.inner_size);
    elements.inner_size = size;
    elements.shift = static_cast<std::uint32_t>(bit_width(size - 1) - 1);
    const std::uint64_t top = std::uint64_t{1} << (32 + elements.shift);
    elements.reciprocal = static_cast<std::uint32_t>((top + size - 1) / size);
  }
  return elements;
}

inline DeviceContexts make_contexts(const HostTask& host) {
  const HostContexts& given = host.contexts;
  DeviceContexts contexts{};
  if (given.order == 0) return contexts;
  contexts.tables = given.tables;
  contexts.num_sets = given.num_sets;
  contexts.num_indexes = given.num_indexes;
  contexts.order = given.order;
  for (int k = 0; k < given.order; ++k) {
    contexts.sizes[k] = given.sizes[k];
    contexts.offsets[k] = static_cast<std::uint32_t>(smaller(given.offsets[k], kMaxRowLength));
  }
  contexts.sets = make_elements(given.sets, host.row_length);
  contexts.has_one_offset = host.tables->has_one_offset();
  contexts.table_offset = static_cast<std::int32_t>(host.tables->summary.lowest_offset);
  // A pop needs no room for tables: then both stand at the start.
  contexts.chosen = reinterpret_cast<std::int32_t*>(given.scratch);
  contexts.history = reinterpret_cast<std::uint16_t*>(
      given.scratch + (host.is_push ? 4 * host.rows * host.row_length : 0));
  return contexts;
}

/// `rows_per_warp` is the most that fits; launches may lower it.
inline CoderTask make_task(const HostTask& host) {
  const DeviceTables& tables = *host.tables;
  CoderTask task{};
  task.tables = image_view(tables, host.kind, host.image);
  const ImageLayout layout = image_layout(tables, host.kind);
  task.slot_starts = reinterpret_cast<const std::uint32_t*>(host.image + layout.slot_starts);
  task.stream = host.stream;
  task.row_bytes = host.row_bytes;
  task.symbols = make_elements(host.symbols, host.row_length);
  task.indexes = make_elements(host.indexes, host.row_length);
  task.contexts = make_contexts(host);
  task.rows = host.rows;
  task.total = host.total;
  task.row_length = static_cast<std::uint32_t>(host.row_length);
  task.lanes_log2 = bit_width(static_cast<std::uint64_t>(host.lanes)) - 1;
  task.rows_per_warp = 32 / host.lanes;
  task.bypass_precision = host.bypass_precision;
  task.word_bytes = host.word_bytes;
  task.require_end = host.require_end;
  const auto range = range_of(host.symbols.type);
  task.lowest_symbol = range.first;
  task.highest_symbol = range.second;
  task.lowest_value = static_cast<std::int32_t>(larger<std::int64_t>(range.first, INT32_MIN));
  task.value_span = static_cast<std::uint32_t>(smaller<std::int64_t>(range.second, INT32_MAX)) -
                    static_cast<std::uint32_t>(task.lowest_value);
  task.symbols_fit =
      tables.summary.lowest_offset >= range.first && tables.summary.highest_symbol <= range.second;
  task.headers = host.headers;
  task.results = host.results;
  task.failed = host.failed;
  return task;
}

/// What a push or a pop looks up at every step, in `host.image`.
inline TablesPart part_to_stage(const HostTask& host) {
  const ImageLayout at = image_layout(*host.tables, host.kind);
  const TablesOptions& options = host.tables->options;
  std::size_t begin = at.records, end = at.tans_next;  // rANS, push
  if (host.kind.tans) {
    begin = host.is_push ? at.records : at.tans_slots;
    end = host.is_push ? at.tans_slots : at.end;
  } else if (options.alias) {
    begin = host.is_push ? at.alias_slots : at.buckets;
    end = host.is_push ? at.tans_next : at.alias_slots;
  } else if (!host.is_push) {
    begin = at.num_buckets > 0 ? at.buckets : at.cdf;
    end = at.num_buckets > 0 ? at.cdf : at.alias_slots;
  }
  const auto bytes = smaller<std::size_t>(end - begin, UINT32_MAX / 16 * 16);
  return {host.image + begin, static_cast<std::uint32_t>(bytes)};
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
