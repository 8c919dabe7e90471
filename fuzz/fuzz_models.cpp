/// Coding without tables, where a CDF for each symbol is the caller's and may be anything: NaN,
/// infinite, falling. Coders must come back and stay inside their memory; what is refused leaves
/// the stream as it was; what is decoded is in range; and with CDFs that are some, it comes back.
#include <algorithm>

#include "input.h"

using torch_ans::RealType;
using torch_ans::Status;

namespace {

constexpr std::size_t kSizes[torch_ans::kRealTypes] = {4, 8, 2, 2, 2, 4, 8};

/// CDFs in memory of exactly the size that they need.
struct Cdfs {
  RealType type;
  std::size_t edges;
  std::vector<std::uint8_t> bytes;

  Cdfs(RealType of, std::int64_t count, std::uint32_t num_symbols)
      : type(of),
        edges(num_symbols + 1),
        bytes(static_cast<std::size_t>(count) * edges * kSizes[static_cast<int>(of)]) {}

  /// `part` of `whole`, as F or, for integers, as slots.
  void set(std::size_t i, std::uint32_t part, std::uint32_t whole) {
    const std::size_t size = kSizes[static_cast<int>(type)];
    std::uint8_t* target = bytes.data() + i * size;
    const float real = static_cast<float>(part) / static_cast<float>(whole);
    std::uint32_t bits;
    std::memcpy(&bits, &real, sizeof(bits));
    if (type == RealType::kFloat64) {
      torch_ans::store(target, static_cast<double>(real));
    } else if (type == RealType::kFloat32) {
      torch_ans::store(target, real);
    } else if (type == RealType::kBFloat16) {
      torch_ans::store(target, static_cast<std::uint16_t>(bits >> 16));
    } else if (type == RealType::kFloat16) {  // rounded down; what is tiny becomes 0
      const bool tiny = bits < 0x38800000u;
      torch_ans::store(target, static_cast<std::uint16_t>(tiny ? 0 : (bits - 0x38000000u) >> 13));
    } else {
      const auto slots = static_cast<std::int64_t>(part);
      std::memcpy(target, &slots, size);
    }
  }

  void fill(fuzz::Input& input, std::int64_t count, std::uint32_t slots) {
    for (std::int64_t e = 0; e < count; ++e) {
      const auto spare = slots - static_cast<std::uint32_t>(edges - 1);
      std::vector<std::uint32_t> cuts(edges);
      for (std::uint32_t& cut : cuts)
        cut = static_cast<std::uint32_t>(input.random() % (spare + 1));
      std::sort(cuts.begin(), cuts.end());
      cuts.back() = spare;
      cuts.front() = 0;
      for (std::size_t i = 0; i < edges; ++i) {  // each symbol has a slot at least
        set(static_cast<std::size_t>(e) * edges + i, cuts[i] + static_cast<std::uint32_t>(i),
            slots);
      }
    }
  }

  void spoil(fuzz::Input& input) {
    const std::uint32_t one_in = input.pick({1u, 8u, 200u});
    for (std::uint8_t& byte : bytes) {
      if (input.random() % one_in == 0) byte = static_cast<std::uint8_t>(input.random() >> 20);
    }
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const torch_ans::Codec codec = fuzz::any_codec(input);
  const fuzz::Shape shape = fuzz::Shape::any(input);
  torch_ans::Model model{};
  model.type = static_cast<RealType>(input.below(torch_ans::kRealTypes));
  model.freq_precision = 1 + static_cast<int>(input.below(16)) % codec.max_freq_precision;
  const std::uint32_t slots = std::uint32_t{1} << model.freq_precision;
  model.num_symbols = 1 + input.below(input.chance(8) ? 300 : 20) % slots;
  model.low = input.pick({0, 0, -3, 100, INT32_MAX - 400, INT32_MIN});
  model.leaks = input.chance(2);
  const std::int64_t count = shape.total;
  Cdfs cdfs(model.type, count, model.num_symbols);
  cdfs.fill(input, count, slots);
  const bool sound = !input.chance(2);
  if (!sound) cdfs.spoil(input);
  model.values[0] = cdfs.bytes.data();
  model.strides[0] = static_cast<std::int64_t>(cdfs.edges);

  fuzz::Integers symbols(torch_ans::IntType::kInt32, shape.rows, shape.row_length);
  for (std::int64_t i = 0; i < count; ++i) {
    symbols.set(i, model.low + static_cast<std::int64_t>(input.random() % model.num_symbols));
  }
  if (count > 0 && input.chance(8)) symbols.set(0, input.take<std::int32_t>());
  const std::int64_t room =
      codec.header_bytes() +
      torch_ans::max_appended_bytes(shape.row_length, model.freq_precision, codec.lanes);
  const bool forged = input.chance(2);
  const std::int64_t row_bytes = forged ? 4 * (1 + static_cast<std::int64_t>(input.below(200)))
                                        : (torch_ans::kLengthBytes + room + 3) / 4 * 4;
  fuzz::Stream stream(codec, shape.rows, row_bytes);
  torch_ans::CodingTask task{};
  task.model = &model;
  task.stream = stream.bytes().data();
  task.row_bytes = row_bytes;
  task.rows = shape.rows;
  task.row_length = shape.row_length;
  task.total = shape.total;
  task.symbols = symbols.array();
  task.require_end = !forged;
  if (forged) {
    stream.forge(input);
  } else {
    torch_ans::init_stream(codec, task.stream, shape.rows, row_bytes);
  }

  std::vector<std::uint8_t> before = stream.bytes();
  torch_ans::Outcome outcome = torch_ans::encode(codec, task, 1);
  if (outcome.status != Status::kOk) {
    fuzz::require(forged || outcome.status != Status::kNoSpace);
    fuzz::require(fuzz::same_rows(before, stream.bytes(), row_bytes));
    if (!forged) return 0;
  }
  const bool encoded = outcome.status == Status::kOk;
  fuzz::Integers decoded(torch_ans::IntType::kInt32, shape.rows, shape.row_length);
  task.symbols = decoded.array();
  before = stream.bytes();
  outcome = torch_ans::decode(codec, task, 1);
  if (outcome.status != Status::kOk) {
    fuzz::require(!(encoded && sound));
    fuzz::require(stream.bytes() == before);
    return 0;
  }
  for (std::int64_t i = 0; i < count; ++i) {
    const std::int64_t row = i / shape.row_length, position = i % shape.row_length;
    const std::int64_t symbol = decoded.get(row, position);
    fuzz::require(symbol >= model.low && symbol < model.low + std::int64_t{model.num_symbols});
    if (encoded && sound) fuzz::require(symbol == symbols.get(row, position));
  }
  return 0;
}
