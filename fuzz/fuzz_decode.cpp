/// Decoders of every family, lane count and lookup on forged streams, some of them with tables that
/// follow the symbols. A decoder may say anything
/// about them, but it must come back, stay inside its memory, and leave a stream that it refuses
/// as it was; what it accepts must be in range.
#include "input.h"

using torch_ans::Status;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const fuzz::Call call(input);
  if (call.tables == nullptr) return 0;
  const torch_ans::Codec& codec = call.codec;
  const fuzz::Shape& shape = call.shape;
  const std::int64_t row_bytes =
      4 * (1 + static_cast<std::int64_t>(input.below(input.chance(8) ? 300 : 50)));
  fuzz::Stream stream(codec, shape.rows, row_bytes);
  fuzz::Integers out(fuzz::any_type(input), shape.rows, shape.row_length);
  torch_ans::CodingTask task = call.task(out);
  stream.forge(input, task.tables.freq_precision);
  task.stream = stream.bytes().data();
  task.row_bytes = row_bytes;
  task.require_end = input.chance(2);

  const std::vector<std::uint8_t> before = stream.bytes();
  const torch_ans::Outcome outcome = torch_ans::decode(codec, task, 1);
  if (outcome.status != Status::kOk) {
    fuzz::require(stream.bytes() == before);
    fuzz::require(outcome.status != Status::kCorrupt || !outcome.broken_rows.empty());
    return 0;
  }
  for (std::int64_t r = 0; r < shape.rows; ++r) {
    const std::int64_t length = torch_ans::load<std::int32_t>(stream.row(r));
    fuzz::require(length >= codec.header_bytes());
    fuzz::require(length <= torch_ans::load<std::int32_t>(before.data() + r * row_bytes));
    fuzz::require(!task.require_end || length == codec.header_bytes());
  }
  if (task.tables.bypass_coding || call.contexts != nullptr) return 0;
  for (std::int64_t i = 0; i < shape.total; ++i) {
    const std::int64_t row = i / shape.row_length;
    const std::int64_t position = i % shape.row_length;
    const std::int64_t table = call.indexes == nullptr ? 0 : call.indexes->get(row, position);
    const std::int64_t v = out.get(row, position) - task.tables.info[table].offset;
    fuzz::require(v >= 0 && v <= task.tables.info[table].last);
  }
  return 0;
}
