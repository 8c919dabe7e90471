/// The coder's kernels, without their launch: what each thread of a block does.
#pragma once

#include "plain_case.h"
#include "resolve_kernel.h"
#include "warp_decoder.h"
#include "warp_encoder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Calls `body(first row)` for the rows of each warp that falls to this one, number `warp` of its
/// block. Blocks take warps of rows in turn, so that all have the same number of them or one less.
template <int kFixedLanes, typename Body>
TORCH_ANS_DEVICE void for_each_warp_of_rows(const CoderTask& task, unsigned warp,
                                            const Body& body) {
  const unsigned warps_a_block = block_size() / kWarpSize;
  const std::int64_t stride = static_cast<std::int64_t>(grid_size()) * warps_a_block;
  const std::int64_t rows = kFixedLanes == 32 ? 1 : task.rows_per_warp;
  for (std::int64_t n = static_cast<std::int64_t>(warp) * grid_size() + block_index();
       n * rows < task.rows; n += stride) {
    body(n * rows);
  }
}

/// The two systems: how symbols are put and got.
template <typename Traits>
struct RansSystem {
  template <int kFixedLanes>
  using Writer = RansWriter<Traits, kFixedLanes>;
  template <int kFixedLanes>
  using Reader = RansReader<Traits, kFixedLanes>;
};

struct TansSystem {
  template <int kFixedLanes>
  using Writer = TansWriter<kFixedLanes>;
  template <int kFixedLanes>
  using Reader = TansReader<kFixedLanes>;
};

/// Bytes of shared memory that a warp takes, behind tables that are staged: with fewer than 32
/// lanes a row a tile and the skip marks behind it, then what readers and writers ask for.
template <int kFixedLanes>
constexpr std::uint32_t kTileBytes =
    kFixedLanes == 32 ? 0 : (StagingTile::kElements + StagingTile::kSteps) * sizeof(std::uint32_t);
template <typename System, int kFixedLanes>
constexpr std::uint32_t kEncoderWarpBytes =
    kTileBytes<kFixedLanes> + System::template Writer<kFixedLanes>::kWarpBytes;
template <int kFixedLanes>
constexpr std::uint32_t kDecoderWarpBytes =
    kTileBytes<kFixedLanes> + RingOf<kFixedLanes>::kWarpBytes;

/// kFixedLanes: see Seat. `part` is what StagedTables copy.
template <typename System, int kFixedLanes, typename Tables, typename Access = AnyWideElements>
TORCH_ANS_DEVICE void encode_kernel(const CoderTask& task, const TablesPart& part) {
  using Writer = typename System::template Writer<kFixedLanes>;
  const Tables tables(task, part);
  const unsigned warp = uniform_warp_index();
  const std::uint32_t start = tables.shared_bytes() + warp * kEncoderWarpBytes<System, kFixedLanes>;
  for_each_warp_of_rows<kFixedLanes>(task, warp, [&](std::int64_t first_row) {
    WarpEncoder<Writer, kFixedLanes, Tables, Access>(
        task, tables, first_row, SharedArray<std::uint32_t>(start), start + kTileBytes<kFixedLanes>)
        .run();
  });
}

template <typename System, int kFixedLanes, typename Tables, typename Choice = IndexedChoice,
          typename Access = AnyWideElements>
TORCH_ANS_DEVICE void decode_kernel(const CoderTask& task, const TablesPart& part) {
  using Reader = typename System::template Reader<kFixedLanes>;
  const Tables tables(task, part);
  const unsigned warp = uniform_warp_index();
  const std::uint32_t start = tables.shared_bytes() + warp * kDecoderWarpBytes<kFixedLanes>;
  for_each_warp_of_rows<kFixedLanes>(task, warp, [&](std::int64_t first_row) {
    WarpDecoder<Reader, kFixedLanes, Tables, Choice, Access>(
        task, tables, first_row, SharedArray<std::uint32_t>(start), start + kTileBytes<kFixedLanes>)
        .run();
  });
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

/// Fresh rows: every state at `lower_bound` (tANS: all of the header 0).
TORCH_ANS_DEVICE void init_kernel(std::uint8_t* stream, std::int64_t rows, std::int64_t row_bytes,
                                  std::uint64_t lower_bound, int header_bytes, int state_bytes) {
  const std::int64_t header_words = header_bytes / 4;
  const std::int64_t words = rows * (header_words + 1);
  for (std::int64_t n = static_cast<std::int64_t>(block_index()) * block_size() + thread_index();
       n < words; n += static_cast<std::int64_t>(grid_size()) * block_size()) {
    const std::int64_t row = n / (header_words + 1);
    const std::int64_t word = n - row * (header_words + 1);
    std::uint32_t value = static_cast<std::uint32_t>(header_bytes);
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
