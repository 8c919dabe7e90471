/// Tables that follow the symbols, found for a push: it knows all symbols. Without its launch.
#pragma once

#include "table_choice.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Symbols of a row that one warp takes, where rows need not be walked from their start.
constexpr std::uint32_t kResolveChunk = 1024;

/// How the symbols of a row are shared out: chunks that stand alone, in each `width` at a time.
struct ResolveSteps {
  std::uint32_t chunk;
  std::uint32_t chunks;
  std::uint32_t width;
};

/// Where tables differ in their offsets a context depends on the table of its symbol: then a row
/// is one chunk, and as many symbols are found together as lie before the nearest context.
TORCH_ANS_DEVICE ResolveSteps resolve_steps(const CoderTask& task) {
  const DeviceContexts& contexts = task.contexts;
  if (contexts.has_one_offset) {
    return {kResolveChunk, (task.row_length + kResolveChunk - 1) / kResolveChunk, kWarpSize};
  }
  std::uint32_t width = kWarpSize;
  for (int k = 0; k < contexts.order; ++k) width = smaller(width, contexts.offsets[k]);
  return {task.row_length, 1, width};
}

TORCH_ANS_DEVICE std::int32_t load_symbol(const CoderTask& task, std::int64_t row,
                                          std::uint32_t i) {
  std::int32_t symbol[1] = {0};
  load_elements(task.symbols, row, i, 0, [](int) { return true; }, symbol);
  return symbol[0];
}

TORCH_ANS_DEVICE void resolve_symbol(const CoderTask& task, std::int64_t row, std::uint32_t i) {
  const DeviceContexts& contexts = task.contexts;
  const std::int64_t place = row * task.row_length + i;
  const std::int32_t key = context_key(task, row, i);
  std::int32_t table = -1;
  if (key >= 0) {
    table = table_behind(contexts, key, [&](int k) -> std::int32_t {
      const std::uint32_t offset = contexts.offsets[k];
      if (i < offset) return 0;
      if (!contexts.has_one_offset) return exchanged_load(contexts.history + (place - offset));
      return context_of_symbol(load_symbol(task, row, i - offset), contexts.table_offset);
    });
  }
  contexts.chosen[place] = table;
  if (contexts.has_one_offset) return;
  // Nothing is coded of a row in which some symbol has no table.
  std::uint16_t context = 0;
  if (table >= 0) {
    const std::int32_t offset = cached_load(task.tables.info + table).offset;
    context = context_of_symbol(load_symbol(task, row, i), offset);
  }
  exchanged_store(contexts.history + place, context);
}

/// Fills `contexts.chosen`.
TORCH_ANS_DEVICE void resolve_kernel(const CoderTask& task) {
  const ResolveSteps steps = resolve_steps(task);
  const unsigned warps_a_block = block_size() / kWarpSize;
  const std::int64_t stride = static_cast<std::int64_t>(grid_size()) * warps_a_block;
  for (std::int64_t n = static_cast<std::int64_t>(block_index()) * warps_a_block + warp_index();
       n < task.rows * steps.chunks; n += stride) {
    const std::int64_t row = n / steps.chunks;
    const auto first = static_cast<std::uint32_t>(n % steps.chunks) * steps.chunk;
    const std::uint32_t end = smaller(first + steps.chunk, symbols_in_row(task, row));
    for (std::uint32_t at = first; at < end; at += steps.width) {
      const std::uint32_t i = at + lane_index();
      if (lane_index() < steps.width && i < end) resolve_symbol(task, row, i);
      sync_warp();
    }
  }
}

/// The task that is left once tables are found: indexes name them.
inline CoderTask with_chosen_tables(CoderTask task) {
  Elements chosen{};
  chosen.data = task.contexts.chosen;
  chosen.type = IntType::kInt32;
  chosen.flat = true;
  chosen.row_stride = task.row_length;
  chosen.inner_stride = 1;
  task.indexes = chosen;
  task.contexts = DeviceContexts{};
  return task;
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
