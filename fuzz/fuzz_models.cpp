/// Coding without tables, where the distribution of each symbol is the caller's and may be
/// anything: NaN, infinite, falling. Coders must come back and stay inside their memory; what is
/// refused leaves the stream as it was; what is decoded is in range; and with distributions that
/// are some, as probabilities and parameters always are, it comes back. torchac's format is one of
/// the coders.
#include <algorithm>

#include "cpu/arithmetic.h"
#include "input.h"

using torch_ans::ModelKind;
using torch_ans::RealType;
using torch_ans::Status;

namespace {

constexpr std::size_t kSizes[torch_ans::kRealTypes] = {4, 8, 2, 2, 2, 4, 8};

/// What describes the distributions, in memory of exactly the size that it needs.
struct Values {
  RealType type;
  std::size_t width;  ///< of one symbol
  std::vector<std::uint8_t> bytes;

  Values(RealType of, std::int64_t count, std::size_t values_of_a_symbol)
      : type(of),
        width(values_of_a_symbol),
        bytes(static_cast<std::size_t>(count) * width * kSizes[static_cast<int>(of)]) {}

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

  /// CDFs.
  void fill(fuzz::Input& input, std::int64_t count, std::uint32_t slots) {
    for (std::int64_t e = 0; e < count; ++e) {
      const auto spare = slots - static_cast<std::uint32_t>(width - 1);
      std::vector<std::uint32_t> cuts(width);
      for (std::uint32_t& cut : cuts)
        cut = static_cast<std::uint32_t>(input.random() % (spare + 1));
      std::sort(cuts.begin(), cuts.end());
      cuts.back() = spare;
      cuts.front() = 0;
      for (std::size_t i = 0; i < width; ++i) {  // each symbol has a slot at least
        set(static_cast<std::size_t>(e) * width + i, cuts[i] + static_cast<std::uint32_t>(i),
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

/// Probabilities or parameters: numbers up to `most`, a few of them negative.
void draw(fuzz::Input& input, float most, Values& values) {
  const std::size_t size = kSizes[static_cast<int>(values.type)];
  for (std::size_t i = 0; i < values.bytes.size() / size; ++i) {
    values.set(i, static_cast<std::uint32_t>(input.random() % 4096), 4096);
    if (values.type > RealType::kFloat64) continue;
    const float sign = input.random() % 16 == 0 ? -most : most;
    std::uint8_t* target = values.bytes.data() + i * size;
    if (values.type == RealType::kFloat32) {
      torch_ans::store(target, torch_ans::load<float>(target) * sign);
    } else {
      torch_ans::store(target, torch_ans::load<double>(target) * double{sign});
    }
  }
}

/// Distributions of any kind for `count` symbols.
struct Distributions {
  torch_ans::Model model{};
  std::vector<Values> values;
  bool sound = true;

  Distributions(fuzz::Input& input, int most_precision, std::int64_t count) {
    model.kind = static_cast<ModelKind>(input.chance(2) ? 0 : input.below(torch_ans::kModelKinds));
    const bool explicit_cdf = model.kind == ModelKind::kCdf;
    const bool logits = model.kind == ModelKind::kLogits;
    const bool a_symbol = logits || model.kind == ModelKind::kPmf;  // one value for each
    const std::uint32_t types = explicit_cdf ? torch_ans::kRealTypes : a_symbol ? 4 : 2;
    model.type = static_cast<RealType>(input.below(types));
    model.freq_precision = 1 + static_cast<int>(input.below(16)) % most_precision;
    const std::uint32_t slots = std::uint32_t{1} << model.freq_precision;
    model.num_symbols = 1 + input.below(input.chance(8) ? 300 : 20) % slots;
    model.low = input.pick({0, 0, -3, 100, INT32_MAX - 400, INT32_MIN});
    model.leaks = input.chance(2);
    model.components = 1;
    if (explicit_cdf) {
      add(count, model.num_symbols + 1).fill(input, count, slots);
    } else if (a_symbol) {
      draw(input, logits ? 30.0f : 1.0f, add(count, model.num_symbols));
    } else {
      const bool mixture = model.kind == ModelKind::kLogisticMixture;
      if (mixture) model.components = 1 + static_cast<std::int32_t>(input.below(6));
      const auto width = static_cast<std::size_t>(model.components);
      const float most = input.pick({1.0f, 20.0f, 1e6f, 1e30f});
      draw(input, most, add(count, width));
      draw(input, most, add(count, width));
      if (mixture) draw(input, 1, add(count, width));
    }
    if (input.chance(2)) {
      for (Values& spoilt : values) spoilt.spoil(input);
      sound = !explicit_cdf;
    }
    for (std::size_t v = 0; v < values.size(); ++v) {
      model.values[v] = values[v].bytes.data();
      model.strides[v] = static_cast<std::int64_t>(values[v].width);
    }
  }

 private:
  Values& add(std::int64_t count, std::size_t width) {
    values.emplace_back(model.type, count, width);
    return values.back();
  }
};

bool has_arithmetic(const torch_ans::Model& model) {
  return model.kind == ModelKind::kCdf &&
         (model.type == RealType::kFloat32 || model.type == RealType::kFloat64 ||
          model.type == RealType::kInt16);
}

/// torchac's format takes these CDFs, too: forged bytes, then the symbols there and back.
void check_arithmetic(fuzz::Input& input, const Distributions& given, std::int64_t count,
                      const fuzz::Integers& symbols) {
  std::vector<std::uint8_t> bytes(input.below(60));
  for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(input.random() >> 20);
  fuzz::Integers decoded(torch_ans::IntType::kInt32, 1, count);
  torch_ans::decode_arithmetic(given.model, bytes.data(), bytes.size(), decoded.array(), count);
  bytes.clear();
  if (torch_ans::encode_arithmetic(given.model, symbols.array(), count, bytes) >= 0) return;
  const std::int64_t bad =
      torch_ans::decode_arithmetic(given.model, bytes.data(), bytes.size(), decoded.array(), count);
  if (!given.sound) return;
  fuzz::require(bad < 0);
  for (std::int64_t i = 0; i < count; ++i) {
    fuzz::require(decoded.get(0, i) == symbols.get(0, i));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  const torch_ans::Codec codec = fuzz::any_rans_codec(input);
  const fuzz::Shape shape = fuzz::Shape::any(input);
  const std::int64_t count = shape.total;
  const Distributions given(input, codec.max_freq_precision, count);
  const torch_ans::Model& model = given.model;
  const bool sound = given.sound;

  fuzz::Integers symbols(torch_ans::IntType::kInt32, shape.rows, shape.row_length);
  for (std::int64_t i = 0; i < count; ++i) {
    symbols.set(i, model.low + static_cast<std::int64_t>(input.random() % model.num_symbols));
  }
  if (count > 0 && input.chance(8)) symbols.set(0, input.take<std::int32_t>());
  if (has_arithmetic(model) && input.chance(4)) {
    check_arithmetic(input, given, count, symbols);
    return 0;
  }
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
    stream.forge(input, model.freq_precision);
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
