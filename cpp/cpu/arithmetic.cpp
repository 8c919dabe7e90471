#include "arithmetic.h"

#include <stdexcept>
#include <utility>

#include "tiles.h"
#include "torch_ans/arithmetic.h"

namespace torch_ans {
namespace {

constexpr int kTileSymbols = 256;

template <typename Value>
class Rows {
 public:
  explicit Rows(const Model& model)
      : edges{model.num_symbols, model.leaks ? 1u : 0u},
        rows_(static_cast<const Value*>(model.values[0])),
        stride_(model.strides[0]) {}

  const Value* row(std::int64_t i) const { return rows_ + i * stride_; }

  /// The last symbol that starts at or below a slot.
  std::uint32_t find(const Value* row, std::uint32_t slot) const {
    std::uint32_t low = 0;
    for (std::uint32_t left = edges.num_symbols; left > 1;) {
      const std::uint32_t half = left / 2;
      low = select_below(slot, edges.inner(low + half, row[low + half]), low, low + half);
      left -= half;
    }
    return low;
  }

  const ArithmeticEdges edges;

 private:
  const Value* rows_;
  std::int64_t stride_;
};

template <typename Value>
std::int64_t encode_rows(const Model& model, const IntArray& symbols, std::int64_t count,
                         std::vector<std::uint8_t>& bytes) {
  const Rows<Value> rows(model);
  ArithmeticEncoder encoder;
  std::int32_t tile[kTileSymbols];
  for (std::int64_t first = 0; first < count; first += kTileSymbols) {
    const auto present = static_cast<int>(smaller<std::int64_t>(kTileSymbols, count - first));
    const std::int32_t* loaded = load_tile(symbols, 0, first, present, tile);
    for (int t = 0; t < present; ++t) {
      const std::uint32_t symbol =
          static_cast<std::uint32_t>(loaded[t]) - static_cast<std::uint32_t>(model.low);
      if (symbol >= model.num_symbols) return first + t;
      const Value* row = rows.row(first + t);
      const std::uint32_t start = rows.edges.at(row, symbol);
      const std::uint32_t end = rows.edges.at(row, symbol + 1);
      if (start >= end) return first + t;
      encoder.put(start, end);
    }
  }
  bytes = encoder.finish();
  return -1;
}

template <typename Value>
std::int64_t decode_rows(const Model& model, const std::uint8_t* bytes, std::size_t size,
                         const IntArray& symbols, std::int64_t count) {
  const Rows<Value> rows(model);
  ArithmeticDecoder decoder(bytes, size);
  std::int32_t tile[kTileSymbols];
  for (std::int64_t first = 0; first < count; first += kTileSymbols) {
    const auto present = static_cast<int>(smaller<std::int64_t>(kTileSymbols, count - first));
    for (int t = 0; t < present; ++t) {
      const Value* row = rows.row(first + t);
      const std::uint32_t slot = decoder.slot();
      const std::uint32_t symbol = rows.find(row, slot);
      const std::uint32_t start = rows.edges.at(row, symbol);
      const std::uint32_t end = rows.edges.at(row, symbol + 1);
      if (slot < start || slot >= end) return first + t;
      decoder.advance(start, end);
      tile[t] = static_cast<std::int32_t>(symbol + static_cast<std::uint32_t>(model.low));
    }
    store_tile(symbols, 0, first, present, tile, true);
  }
  return -1;
}

}  // namespace

std::int64_t encode_arithmetic(const Model& model, const IntArray& symbols, std::int64_t count,
                               std::vector<std::uint8_t>& bytes) {
  switch (model.type) {
    case RealType::kFloat32:
      return encode_rows<float>(model, symbols, count, bytes);
    case RealType::kFloat64:
      return encode_rows<double>(model, symbols, count, bytes);
    case RealType::kInt16:
      return encode_rows<std::int16_t>(model, symbols, count, bytes);
    default:
      throw std::invalid_argument("cdf must be float32, float64 or int16");
  }
}

std::int64_t decode_arithmetic(const Model& model, const std::uint8_t* bytes, std::size_t size,
                               const IntArray& symbols, std::int64_t count) {
  switch (model.type) {
    case RealType::kFloat32:
      return decode_rows<float>(model, bytes, size, symbols, count);
    case RealType::kFloat64:
      return decode_rows<double>(model, bytes, size, symbols, count);
    case RealType::kInt16:
      return decode_rows<std::int16_t>(model, bytes, size, symbols, count);
    default:
      throw std::invalid_argument("cdf must be float32, float64 or int16");
  }
}

}  // namespace torch_ans
