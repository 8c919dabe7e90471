#include "messages.h"

#include <algorithm>
#include <cstring>

#include "torch_ans/stream_layout.h"

namespace torch_ans {
namespace {

/// The longest row whose length fits the length word, in whole 32-bit columns.
constexpr std::int64_t kMaxRowBytes = kLengthBytes + (std::int64_t{1} << 31) - 4;

MessageOutcome encode_parts(const Codec& codec, const std::vector<MessagePart>& parts,
                            const Rows& rows, int threads) {
  init_stream(codec, rows.data(), rows.rows(), rows.row_bytes());
  for (std::size_t part = parts.size(); part-- > 0;) {
    CodingTask task = parts[part].task;
    task.stream = rows.data();
    task.row_bytes = rows.row_bytes();
    Outcome outcome = encode(codec, task, threads);
    if (outcome.status != Status::kOk) return {std::move(outcome), part};
  }
  return {{Status::kOk, -1, -1, {}}, 0};
}

}  // namespace

Rows::Rows(std::int64_t rows, std::int64_t row_bytes)
    : bytes_(new std::uint8_t[static_cast<std::size_t>(rows * row_bytes)]),
      rows_(rows),
      row_bytes_(row_bytes) {}

std::size_t Rows::length(std::int64_t r) const {
  return static_cast<std::size_t>(load<std::int32_t>(row(r)));
}

MessageOutcome encode_messages(const Codec& codec, const std::vector<MessagePart>& parts,
                               std::int64_t rows, int threads, Rows& out) {
  std::int64_t row_bytes = kLengthBytes + codec.header_bytes();
  for (const MessagePart& part : parts) {
    row_bytes += max_appended_bytes(part.task.row_length, part.freq_precision, codec.lanes);
  }
  out = Rows(rows, std::min(row_bytes, kMaxRowBytes));
  MessageOutcome outcome = encode_parts(codec, parts, out, threads);
  if (outcome.outcome.status != Status::kNoSpace) return outcome;
  for (const MessagePart& part : parts) row_bytes += max_escape_bytes(part.task);
  out = Rows(rows, std::min(row_bytes, kMaxRowBytes));
  return encode_parts(codec, parts, out, threads);
}

void reverse_words(const Codec& codec, const std::uint8_t* source, std::size_t length,
                   std::uint8_t* target) {
  const std::size_t header = std::min(length, static_cast<std::size_t>(codec.header_bytes()));
  const auto word = static_cast<std::size_t>(codec.word_bytes);
  if (header != 0) std::memcpy(target, source, header);  // nothing may be copied to nowhere
  std::size_t at = header;
  for (; length - at >= word; at += word) {
    std::memcpy(target + at, source + length - (at - header) - word, word);
  }
}

}  // namespace torch_ans
