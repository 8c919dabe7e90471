/// Encoders on hostile symbols and indexes, in rows with too little or enough room, fresh or
/// forged. What is accepted must come back from the decoder; what is refused must leave the
/// stream as it was; and the room that the library computes must always do.
#include "input.h"

using torch_ans::Status;

namespace {

std::uint32_t nonzero(std::uint32_t limit) { return limit == 0 ? 1 : limit; }

void fill_symbols(fuzz::Input& input, const fuzz::Shape& shape, const torch_ans::CodingTask& task,
                  const fuzz::Integers* indexes, fuzz::Integers& symbols) {
  const std::uint32_t escapes = input.pick({0u, 0u, 1u, 8u, 64u, 256u});
  for (std::int64_t i = 0; i < shape.total; ++i) {
    std::int64_t table =
        indexes == nullptr ? 0 : indexes->get(i / shape.row_length, i % shape.row_length);
    if (table < 0 || table >= task.tables.num_tables) table = 0;
    const torch_ans::TableInfo& info = task.tables.info[table];
    const std::uint64_t random = input.random();
    auto value = static_cast<std::int64_t>(random >> (random % 61)) * (random & 64 ? 1 : -1);
    if (random % 256 >= escapes) {
      value = info.offset +
              static_cast<std::int64_t>((random >> 8) % nonzero(task.tables.limits[table]));
    }
    symbols.set(i, value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const torch_ans::Codec codec = fuzz::any_codec(input);
  const auto tables = fuzz::any_tables(input, codec.max_freq_precision);
  if (tables == nullptr) return 0;
  const fuzz::Shape shape = fuzz::Shape::any(input);
  torch_ans::CodingTask task = fuzz::make_task(codec, *tables, shape, input);
  const auto indexes =
      fuzz::any_indexes(input, shape, static_cast<std::uint32_t>(tables->num_tables()));
  fuzz::Integers symbols(fuzz::any_type(input), shape.rows, shape.row_length);
  fill_symbols(input, shape, task, indexes.get(), symbols);
  task.symbols = symbols.array();
  if (indexes != nullptr) task.indexes = indexes->array();

  const std::int64_t enough =
      torch_ans::kLengthBytes + codec.header_bytes() +
      torch_ans::max_appended_bytes(shape.row_length, task.tables.freq_precision, codec.lanes) +
      torch_ans::max_escape_bytes(task);
  const bool roomy = !input.chance(3);
  const std::int64_t row_bytes = roomy ? (enough + 3) / 4 * 4 : 4 * (1 + input.below(400));
  const bool fresh = roomy || !input.chance(3);
  fuzz::Stream stream(codec, shape.rows, row_bytes);
  if (!fresh) stream.forge(input);
  if (fresh && row_bytes >= torch_ans::kLengthBytes + codec.header_bytes()) {
    torch_ans::init_stream(codec, stream.bytes().data(), shape.rows, row_bytes);
  }
  task.stream = stream.bytes().data();
  task.row_bytes = row_bytes;
  const std::vector<std::uint8_t> before = stream.bytes();
  torch_ans::Outcome outcome = torch_ans::encode(codec, task, 1);
  if (outcome.status != Status::kOk) {
    fuzz::require(!roomy || outcome.status != Status::kNoSpace);
    fuzz::require(fuzz::same_rows(before, stream.bytes(), row_bytes));
    return 0;
  }
  fuzz::Integers decoded(symbols.array().type, shape.rows, shape.row_length);
  task.symbols = decoded.array();
  task.require_end = fresh;
  outcome = torch_ans::decode(codec, task, 1);
  fuzz::require(outcome.status == Status::kOk);
  fuzz::require(fuzz::same_rows(before, stream.bytes(), row_bytes));
  for (std::int64_t i = 0; i < shape.total; ++i) {
    const std::int64_t row = i / shape.row_length;
    const std::int64_t position = i % shape.row_length;
    fuzz::require(decoded.get(row, position) == symbols.get(row, position));
  }
  return 0;
}
