#include "arithmetic.h"

#include <stdexcept>
#include <utility>

#include "arithmetic_rows.h"
#include "tiles.h"

namespace torch_ans {
namespace {

constexpr int kTileSymbols = 256;
constexpr int kSymbolsAhead = 32;

template <typename Value>
std::int64_t encode_rows(const Model& model, const IntArray& symbols, std::int64_t count,
                         std::vector<std::uint8_t>& bytes) {
  const ArithmeticRows<Value> rows(model);
  const auto low = static_cast<std::uint32_t>(model.low);
  ArithmeticEncoder encoder;
  std::int32_t tile[kTileSymbols];
  for (std::int64_t first = 0; first < count; first += kTileSymbols) {
    const auto present = static_cast<int>(smaller<std::int64_t>(kTileSymbols, count - first));
    const std::int32_t* loaded = load_tile(symbols, 0, first, present, tile);
    for (int t = 0; t < present; ++t) {
      const int later = smaller(t + kSymbolsAhead, present - 1);
      rows.prefetch_edges(first + later, static_cast<std::uint32_t>(loaded[later]) - low);
      const std::uint32_t symbol = static_cast<std::uint32_t>(loaded[t]) - low;
      if (symbol >= model.num_symbols) return first + t;
      const SymbolSlots found = rows.slots(rows.row(first + t), symbol);
      if (found.start >= found.end) return first + t;
      encoder.put(found.start, found.end);
    }
  }
  bytes = encoder.finish();
  return -1;
}

template <typename Value>
std::int64_t decode_rows(const Model& model, const std::uint8_t* bytes, std::size_t size,
                         const IntArray& symbols, std::int64_t count) {
  const ArithmeticRows<Value> rows(model);
  const auto low = static_cast<std::uint32_t>(model.low);
  const bool few =
      model.num_symbols >= RowEdges::kLeastSymbols && model.num_symbols <= RowEdges::kMostSymbols;
  RowEdges edges;
  ArithmeticDecoder decoder(bytes, size);
  std::int32_t tile[kTileSymbols];
  for (std::int64_t first = 0; first < count; first += kTileSymbols) {
    const auto present = static_cast<int>(smaller<std::int64_t>(kTileSymbols, count - first));
    for (int t = 0; t < present; ++t) {
      const Value* row = rows.row(first + t);
      rows.prefetch_behind(first + t);
      const bool counts = few && edges.load(rows.edges, row);
      const std::uint32_t slot = decoder.slot();
      const std::uint32_t symbol = counts ? edges.find(slot) : rows.search(row, slot);
      const SymbolSlots found = counts ? edges.slots(symbol) : rows.slots(row, symbol);
      if (slot < found.start || slot >= found.end) return first + t;
      decoder.advance(found.start, found.end);
      tile[t] = static_cast<std::int32_t>(symbol + low);
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
