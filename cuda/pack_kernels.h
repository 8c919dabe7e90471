/// Rows of a stream into one byte string and back, without their launch.
///
/// Packing takes two kernels: one block lays the rows out (a prefix sum over their lengths), then
/// many blocks copy. Between them the caller learns the size and makes room for exactly that.
#pragma once

#include "block_sums.h"
#include "stream_task.h"
#include "torch_ans/stream_layout.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

TORCH_ANS_DEVICE unsigned prefix_bytes(const PackTask& task, std::int64_t row) {
  return task.bare_last && row == task.rows - 1 ? 0 : static_cast<unsigned>(task.length_bytes);
}

/// One block. Shared memory: kBlockSumBytes.
TORCH_ANS_DEVICE void plan_kernel(const PackTask& task, const std::uint32_t* failed,
                                  std::uint64_t* bad_row, PackPlan* plan) {
  const SharedArray<std::int64_t> scratch(0);
  std::int64_t start = 0;
  for (std::int64_t first = 0; first < task.rows; first += block_size()) {
    const std::int64_t row = first + thread_index();
    std::int64_t bytes = 0;
    if (row < task.rows) {
      const unsigned prefix = prefix_bytes(task, row);
      const std::int64_t length = load<std::int32_t>(task.stream + row * task.row_bytes);
      const bool fits = prefix == 0 || prefix >= 4 || length >> (8 * prefix) == 0;
      if (length < 0 || length > task.row_bytes - kLengthBytes || !fits) {
        atomic_min(bad_row, static_cast<std::uint64_t>(row));
      } else {
        bytes = prefix + length;
      }
    }
    const Sums sums = sum_over_block(scratch, bytes);
    if (row < task.rows) task.starts[row] = start + sums.before;
    start += sums.all;
  }
  if (thread_index() == 0) {
    task.starts[task.rows] = start;
    plan->bytes = start;
    plan->bad_row = static_cast<std::int64_t>(*bad_row);
    plan->failed = failed == nullptr ? 0 : *failed;
  }
}

/// Copies bytes between memory of any alignment, four at a time where the target is aligned.
/// `thread` of `threads` that share the work; the source is readable up to the next multiple of 4.
TORCH_ANS_DEVICE void copy_bytes(std::uint8_t* target, const std::uint8_t* source,
                                 std::int64_t count, unsigned thread, unsigned threads) {
  const auto address = reinterpret_cast<std::uintptr_t>(target);
  const std::int64_t head = smaller<std::int64_t>(count, (4 - address % 4) % 4);
  if (thread < head) target[thread] = source[thread];
  const std::int64_t words = (count - head) / 4;
  const std::uint8_t* from = source + head;
  const unsigned shift = 8 * static_cast<unsigned>(reinterpret_cast<std::uintptr_t>(from) % 4);
  const auto* aligned = reinterpret_cast<const std::uint32_t*>(from - shift / 8);
  auto* words_out = reinterpret_cast<std::uint32_t*>(target + head);
  for (std::int64_t n = thread; n < words; n += threads) {
    const std::uint64_t low = aligned[n];
    const std::uint64_t high = shift == 0 ? 0 : aligned[n + 1];
    words_out[n] = static_cast<std::uint32_t>((high << 32 | low) >> shift);
  }
  const std::int64_t done = head + 4 * words;
  if (thread < count - done) target[done + thread] = source[done + thread];
}

/// Bytes that one block copies at a time.
constexpr std::int64_t kCopyChunk = 1 << 14;

/// Calls `body(row, chunk of the row)` for what falls to this block.
template <typename Body>
TORCH_ANS_DEVICE void for_each_chunk(std::int64_t rows, std::int64_t row_bytes, const Body& body) {
  const std::int64_t chunks = (row_bytes + kCopyChunk - 1) / kCopyChunk;
  for (std::int64_t n = block_index(); n < rows * chunks; n += grid_size()) {
    body(n / chunks, n % chunks * kCopyChunk);
  }
}

TORCH_ANS_DEVICE void pack_kernel(const PackTask& task) {
  for_each_chunk(task.rows, task.row_bytes, [&](std::int64_t row, std::int64_t begin) {
    const unsigned prefix = prefix_bytes(task, row);
    const std::int64_t start = task.starts[row];
    const std::int64_t length = task.starts[row + 1] - start - prefix;
    const std::uint8_t* source = task.stream + row * task.row_bytes + kLengthBytes;
    std::uint8_t* target = task.packed + start;
    if (length < 0) return;  // a bad row, which the plan has told of
    if (begin == 0 && thread_index() < prefix) {
      target[thread_index()] =
          static_cast<std::uint8_t>(static_cast<std::uint64_t>(length) >> (8 * thread_index()));
    }
    if (begin < length) {
      copy_bytes(target + prefix + begin, source + begin, smaller(length - begin, kCopyChunk),
                 thread_index(), block_size());
    }
  });
}

/// The inverse: row r of `stream` becomes the bytes `packed[starts[2 r], + starts[2 r + 1])`, the
/// rest of the row zero.
TORCH_ANS_DEVICE void unpack_kernel(const PackTask& task) {
  for_each_chunk(task.rows, task.row_bytes, [&](std::int64_t row, std::int64_t begin) {
    const std::int64_t start = task.starts[2 * row];
    const std::int64_t length = task.starts[2 * row + 1];
    std::uint8_t* target = task.stream + row * task.row_bytes;
    if (begin == 0 && thread_index() == 0) {
      store(target, static_cast<std::int32_t>(length));
    }
    target += kLengthBytes;
    const std::int64_t room = task.row_bytes - kLengthBytes;
    const std::int64_t end = smaller(begin + kCopyChunk, room);
    const std::int64_t filled = larger(begin, smaller(end, length));
    copy_bytes(target + begin, task.packed + start + begin, filled - begin, thread_index(),
               block_size());
    for (std::int64_t b = filled + thread_index(); b < end; b += block_size()) target[b] = 0;
  });
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
