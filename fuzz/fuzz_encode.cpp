/// Encoders on hostile symbols and indexes, in rows with too little or enough room, fresh or
/// forged. What is accepted must come back from the decoder; what is refused must leave the
/// stream as it was; and the room that the library computes must always do.
#include "input.h"

using torch_ans::Status;

namespace {

std::uint32_t nonzero(std::uint32_t limit) { return limit == 0 ? 1 : limit; }

/// Where tables follow the symbols, which ones they will be is not known here.
void fill_symbols(fuzz::Input& input, const fuzz::Call& call, const torch_ans::TablesView& tables,
                  fuzz::Integers& symbols) {
  const std::uint32_t escapes = input.pick({0u, 0u, 1u, 8u, 64u, 256u});
  const fuzz::Integers* indexes = call.contexts == nullptr ? call.indexes.get() : nullptr;
  for (std::int64_t i = 0; i < call.shape.total; ++i) {
    std::int64_t table =
        indexes == nullptr ? 0 : indexes->get(i / call.shape.row_length, i % call.shape.row_length);
    if (table < 0 || table >= tables.num_tables) table = 0;
    const torch_ans::TableInfo& info = tables.info[table];
    const std::uint64_t random = input.random();
    auto value = static_cast<std::int64_t>(random >> (random % 61)) * (random & 64 ? 1 : -1);
    if (random % 256 >= escapes) {
      value =
          info.offset + static_cast<std::int64_t>((random >> 8) % nonzero(tables.limits[table]));
    }
    symbols.set(i, value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const fuzz::Call call(input);
  if (call.tables == nullptr) return 0;
  const torch_ans::Codec& codec = call.codec;
  const fuzz::Shape& shape = call.shape;
  fuzz::Integers symbols(fuzz::any_type(input), shape.rows, shape.row_length);
  torch_ans::CodingTask task = call.task(symbols);
  fill_symbols(input, call, task.tables, symbols);

  const std::int64_t enough =
      torch_ans::kLengthBytes + codec.header_bytes() +
      torch_ans::max_appended_bytes(shape.row_length, task.tables.freq_precision, codec.lanes) +
      torch_ans::max_escape_bytes(task);
  const bool roomy = !input.chance(3);
  const std::int64_t row_bytes = roomy ? (enough + 3) / 4 * 4 : 4 * (1 + input.below(400));
  const bool fresh = roomy || !input.chance(3);
  fuzz::Stream stream(codec, shape.rows, row_bytes);
  if (!fresh) stream.forge(input, task.tables.freq_precision);
  if (fresh && row_bytes >= torch_ans::kLengthBytes + codec.header_bytes()) {
    torch_ans::init_stream(codec, stream.bytes().data(), shape.rows, row_bytes);
  }
  task.stream = stream.bytes().data();
  task.row_bytes = row_bytes;
  const std::vector<std::uint8_t> before = stream.bytes();
  const std::vector<std::uint8_t> settled = stream.settled(task.tables.freq_precision);
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
  fuzz::require(fuzz::same_rows(settled, stream.bytes(), row_bytes));
  for (std::int64_t i = 0; i < shape.total; ++i) {
    const std::int64_t row = i / shape.row_length;
    const std::int64_t position = i % shape.row_length;
    fuzz::require(decoded.get(row, position) == symbols.get(row, position));
  }
  return 0;
}
