#include "byte_strings.h"

#include <algorithm>
#include <cstring>
#include <stdexcept>
#include <string>

#include "parallel.h"
#include "torch_ans/stream_layout.h"

namespace torch_ans {
namespace {

[[noreturn]] void fail(std::int64_t row, const std::string& what) {
  throw std::invalid_argument("row " + std::to_string(row) + " " + what);
}

bool fits(std::size_t length, int length_bytes) {
  return length_bytes >= 8 || length >> (8 * length_bytes) == 0;
}

/// Calls `body(row, threads)` for each row: several rows at a time or, where they are fewer than
/// threads, one by one with all threads.
template <typename Body>
void for_rows(std::int64_t rows, int threads, const Body& body) {
  const bool few = rows < threads;
  parallel_for(rows, few ? 1 : threads, [&](std::int64_t row) { body(row, few ? threads : 1); });
}

}  // namespace

std::vector<Span> plan_rows(const std::uint8_t* stream, std::int64_t rows, std::int64_t row_bytes,
                            const ByteFormat& format) {
  std::vector<Span> spans;
  spans.reserve(static_cast<std::size_t>(rows));
  std::size_t end = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t length = load<std::int32_t>(stream + row * row_bytes);
    if (length < 0 || length > row_bytes - kLengthBytes) {
      fail(row, "of the stream has a length word of " + std::to_string(length) +
                    ", but holds at most " + std::to_string(row_bytes - kLengthBytes) + " bytes");
    }
    const auto size = static_cast<std::size_t>(length);
    if (format.has_length(row, rows)) {
      if (!fits(size, format.length_bytes)) {
        fail(row, "has " + std::to_string(size) + " bytes, too many for a length of " +
                      std::to_string(format.length_bytes) + " byte(s)");
      }
      end += static_cast<std::size_t>(format.length_bytes);
    }
    spans.push_back({end, size});
    end += size;
  }
  return spans;
}

void pack_rows(const std::uint8_t* stream, std::int64_t row_bytes, const std::vector<Span>& spans,
               const ByteFormat& format, std::uint8_t* data, int threads) {
  const auto rows = static_cast<std::int64_t>(spans.size());
  for_rows(rows, threads, [&](std::int64_t row, int row_threads) {
    const Span& span = spans[static_cast<std::size_t>(row)];
    if (format.has_length(row, rows)) {
      const auto bytes = static_cast<std::size_t>(format.length_bytes);
      const std::uint64_t length = span.length;
      std::memcpy(data + span.start - bytes, &length, bytes);
    }
    const std::uint8_t* source = stream + row * row_bytes + kLengthBytes;
    copy_bytes(source, span.length, data + span.start, row_threads);
  });
}

std::vector<Span> find_rows(const std::uint8_t* data, std::size_t size, std::int64_t rows,
                            const ByteFormat& format) {
  std::vector<Span> spans;
  std::size_t at = 0;
  for (std::int64_t row = 0; rows < 0 ? at < size : row < rows; ++row) {
    std::uint64_t length = size - at;
    if (format.has_length(row, rows)) {
      const auto bytes = static_cast<std::size_t>(format.length_bytes);
      if (size - at < bytes) {
        fail(row, "is missing: its length of " + std::to_string(bytes) +
                      " byte(s) is cut off at byte " + std::to_string(size));
      }
      length = 0;
      std::memcpy(&length, data + at, bytes);
      at += bytes;
    }
    if (length > size - at) {
      fail(row, "should have " + std::to_string(length) + " bytes, but only " +
                    std::to_string(size - at) + " are left");
    }
    spans.push_back({at, static_cast<std::size_t>(length)});
    at += static_cast<std::size_t>(length);
  }
  if (at != size) {
    throw std::invalid_argument(std::to_string(size - at) +
                                " byte(s) are left behind the last of " +
                                std::to_string(spans.size()) + " row(s)");
  }
  return spans;
}

void fill_rows(const std::uint8_t* data, const std::vector<Span>& spans, std::uint8_t* stream,
               std::int64_t row_bytes, int threads) {
  for_rows(static_cast<std::int64_t>(spans.size()), threads,
           [&](std::int64_t row, int row_threads) {
             std::uint8_t* start = stream + row * row_bytes;
             const Span& span = spans[static_cast<std::size_t>(row)];
             store(start, static_cast<std::int32_t>(span.length));
             copy_bytes(data + span.start, span.length, start + kLengthBytes, row_threads);
             std::memset(start + kLengthBytes + span.length, 0,
                         static_cast<std::size_t>(row_bytes) - kLengthBytes - span.length);
           });
}

void copy_bytes(const std::uint8_t* source, std::size_t size, std::uint8_t* target, int threads) {
  constexpr std::size_t kPiece = std::size_t{1} << 20;
  const auto pieces = static_cast<std::int64_t>((size + kPiece - 1) / kPiece);
  parallel_for(pieces, threads, [&](std::int64_t piece) {
    const std::size_t start = static_cast<std::size_t>(piece) * kPiece;
    std::memcpy(target + start, source + start, std::min(kPiece, size - start));
  });
}

}  // namespace torch_ans
