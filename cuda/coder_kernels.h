/// The coder's kernels, without their launch: what each thread of a block does.
#pragma once

#include "warp_decoder.h"
#include "warp_encoder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Shared memory of a warp with fewer than 32 lanes a row: a tile and the skip marks behind it.
constexpr std::size_t kTileBytes =
    (StagingTile::kElements + StagingTile::kSteps) * sizeof(std::uint32_t);

/// Calls `body(first row)` for the rows of each warp that falls to this one.
template <typename Body>
TORCH_ANS_DEVICE void for_each_warp_of_rows(const CoderTask& task, const Body& body) {
  const unsigned warps_a_block = block_size() / kWarpSize;
  const std::int64_t stride = static_cast<std::int64_t>(grid_size()) * warps_a_block;
  const std::int64_t rows = task.rows_per_warp;
  for (std::int64_t warp = static_cast<std::int64_t>(block_index()) * warps_a_block + warp_index();
       warp * rows < task.rows; warp += stride) {
    body(warp * rows);
  }
}

template <typename Traits, int kFixedLanes, typename Tables>
TORCH_ANS_DEVICE void encode_rows(const CoderTask& task, const Tables& tables) {
  const SharedArray<std::uint32_t> tile(kFixedLanes == 32 ? 0 : warp_index() * kTileBytes);
  for_each_warp_of_rows(task, [&](std::int64_t first_row) {
    WarpEncoder<Traits, kFixedLanes, Tables>(task, tables, first_row, tile).run();
  });
}

template <typename Traits, int kFixedLanes, typename Tables>
TORCH_ANS_DEVICE void decode_rows(const CoderTask& task, const Tables& tables) {
  const SharedArray<std::uint32_t> tile(kFixedLanes == 32 ? 0 : warp_index() * kTileBytes);
  for_each_warp_of_rows(task, [&](std::int64_t first_row) {
    WarpDecoder<Traits, kFixedLanes, Tables>(task, tables, first_row, tile).run();
  });
}

template <typename State>
using RecordTables = CachedTables<Record<State>>;
template <typename State>
using StagedRecordTables = StagedTables<Record<State>>;
using BucketTables = CachedTables<Bucket>;
using StagedBucketTables = StagedTables<Bucket>;

template <typename Traits, int kFixedLanes>
TORCH_ANS_DEVICE void encode_kernel(const CoderTask& task) {
  using State = typename Traits::State;
  const RecordTables<State> tables(task.tables.info,
                                   static_cast<const Record<State>*>(task.tables.records));
  encode_rows<Traits, kFixedLanes>(task, tables);
}

template <typename Traits>
TORCH_ANS_DEVICE void encode_staged_kernel(const CoderTask& task, std::uint32_t num_items) {
  using State = typename Traits::State;
  const StagedRecordTables<State> tables(task.tables.info, task.tables.num_tables + 1,
                                         static_cast<const Record<State>*>(task.tables.records),
                                         num_items);
  encode_rows<Traits, 32>(task, tables);
}

template <typename Traits, int kFixedLanes>
TORCH_ANS_DEVICE void decode_kernel(const CoderTask& task) {
  const BucketTables tables(task.tables.info, task.tables.buckets);
  decode_rows<Traits, kFixedLanes>(task, tables);
}

template <typename Traits>
TORCH_ANS_DEVICE void decode_staged_kernel(const CoderTask& task, std::uint32_t num_items) {
  const StagedBucketTables tables(task.tables.info, task.tables.num_tables + 1, task.tables.buckets,
                                  num_items);
  decode_rows<Traits, 32>(task, tables);
}

/// Makes the length words and states of all rows what the coder found, if no row has failed.
TORCH_ANS_DEVICE void commit_kernel(const CoderTask& task, std::uint32_t header_words) {
  if (*task.failed != 0) return;
  const std::int64_t words = task.rows * (header_words + 1);
  for (std::int64_t n = static_cast<std::int64_t>(block_index()) * block_size() + thread_index();
       n < words; n += static_cast<std::int64_t>(grid_size()) * block_size()) {
    const std::int64_t row = n / (header_words + 1);
    const std::int64_t word = n - row * (header_words + 1);
    auto* target = reinterpret_cast<std::int32_t*>(task.stream + row * task.row_bytes) + word;
    if (word == 0) {
      *target = static_cast<std::int32_t>(task.results[row].end - kLengthBytes);
    } else {
      const auto* headers = reinterpret_cast<const std::int32_t*>(task.headers);
      *target = headers[row * header_words + word - 1];
    }
  }
}

/// Fresh rows: every state at `lower_bound`.
TORCH_ANS_DEVICE void init_kernel(std::uint8_t* stream, std::int64_t rows, std::int64_t row_bytes,
                                  std::uint64_t lower_bound, int lanes, int state_bytes) {
  const std::int64_t header_words = lanes * state_bytes / 4;
  const std::int64_t words = rows * (header_words + 1);
  for (std::int64_t n = static_cast<std::int64_t>(block_index()) * block_size() + thread_index();
       n < words; n += static_cast<std::int64_t>(grid_size()) * block_size()) {
    const std::int64_t row = n / (header_words + 1);
    const std::int64_t word = n - row * (header_words + 1);
    std::uint32_t value = static_cast<std::uint32_t>(lanes * state_bytes);
    if (word > 0) {
      const bool high = state_bytes == 8 && word % 2 == 0;
      value = static_cast<std::uint32_t>(high ? lower_bound >> 32 : lower_bound);
    }
    reinterpret_cast<std::uint32_t*>(stream + row * row_bytes)[word] = value;
  }
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
