/// Streams to byte strings and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace torch_ans {

/// How rows are joined: each behind its length in `length_bytes` (0, 1, 2, 4 or 8) bytes, little
/// endian; with `bare_last` the last row stands without one.
struct ByteFormat {
  int length_bytes;
  bool bare_last;

  bool has_length(std::int64_t row, std::int64_t rows) const {
    return length_bytes > 0 && !(bare_last && row == rows - 1);
  }
};

/// Where a row's bytes stand in a byte string.
struct Span {
  std::size_t start;
  std::size_t length;
};

/// The spans that the rows of a stream take in their byte string, one behind the other.
/// Throws std::invalid_argument where a length word exceeds its row or the format.
std::vector<Span> plan_rows(const std::uint8_t* stream, std::int64_t rows, std::int64_t row_bytes,
                            const ByteFormat& format);

/// Writes lengths and bytes at the planned places.
void pack_rows(const std::uint8_t* stream, std::int64_t row_bytes, const std::vector<Span>& spans,
               const ByteFormat& format, std::uint8_t* data, int threads);

/// The rows of a byte string: `rows` of them, or as many as there are (rows < 0, every row with
/// its length). Throws std::invalid_argument where a row or a length is cut off or bytes are left.
std::vector<Span> find_rows(const std::uint8_t* data, std::size_t size, std::int64_t rows,
                            const ByteFormat& format);

/// Fills a stream whose rows are wide enough for the spans; the rest of each row is zero.
void fill_rows(const std::uint8_t* data, const std::vector<Span>& spans, std::uint8_t* stream,
               std::int64_t row_bytes, int threads);

/// Copies by several threads, where that is worth it.
void copy_bytes(const std::uint8_t* source, std::size_t size, std::uint8_t* target, int threads);

}  // namespace torch_ans
