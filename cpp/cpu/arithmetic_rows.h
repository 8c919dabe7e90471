/// The rows of CDFs that torchac's format is coded with, and the edges of one.
#pragma once

#if defined(__SSE2__) || defined(_M_X64)
#include <emmintrin.h>
#endif

#include "task.h"
#include "torch_ans/arithmetic.h"
#include "torch_ans/select.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Slots from `start` to `end`.
struct SymbolSlots {
  std::uint32_t start;
  std::uint32_t end;
};

template <typename Value>
class ArithmeticRows {
 public:
  explicit ArithmeticRows(const Model& model)
      : edges{model.num_symbols, model.leaks ? 1u : 0u},
        rows_(static_cast<const Value*>(model.values[0])),
        stride_(model.strides[0]),
        bytes_((std::int64_t{model.num_symbols} + 1) * static_cast<std::int64_t>(sizeof(Value))),
        ahead_(larger<std::int64_t>(1, kAheadBytes / bytes_)) {}

  TORCH_ANS_FN const Value* row(std::int64_t i) const { return rows_ + i * stride_; }

  /// Asks for a row that follows some symbols behind row i; of long rows for some lines, as many as
  /// a search begins with.
  TORCH_ANS_FN void prefetch_behind(std::int64_t i) const {
    const auto* begin = reinterpret_cast<const std::uint8_t*>(row(i + ahead_));
    const std::int64_t step = larger<std::int64_t>(kLine, bytes_ / kMostLines);
    for (std::int64_t byte = 0; byte < bytes_; byte += step) prefetch(begin + byte);
  }

  /// Asks for the edges of a symbol.
  TORCH_ANS_FN void prefetch_edges(std::int64_t i, std::uint32_t symbol) const {
    prefetch(row(i) + smaller(symbol, edges.num_symbols));
  }

  TORCH_ANS_FN SymbolSlots slots(const Value* row, std::uint32_t symbol) const {
    return {edges.at(row, symbol), edges.at(row, symbol + 1)};
  }

  /// The last symbol that starts at or below a slot, by halves.
  TORCH_ANS_FN std::uint32_t search(const Value* row, std::uint32_t slot) const {
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
  static constexpr std::int64_t kAheadBytes = 2048;
  static constexpr std::int64_t kLine = 64;
  static constexpr std::int64_t kMostLines = 32;

  const Value* rows_;
  std::int64_t stride_;
  std::int64_t bytes_;
  std::int64_t ahead_;
};

/// All edges of one row. They do not depend on the symbols before, so that a CPU finds them while
/// it waits for those; a search would find some of them, one after the other, when it is asked.
class RowEdges {
 public:
  static constexpr std::uint32_t kLeastSymbols = 4;
  static constexpr std::uint32_t kMostSymbols = 64;

  /// False: they do not ascend, and what `find` says is not what a search finds.
  template <typename Value>
  TORCH_ANS_FN bool load(const ArithmeticEdges& edges, const Value* row) {
    size_ = edges.num_symbols;
    for (std::uint32_t i = load_fours(edges, row); i < size_; ++i) {
      at_[i] = static_cast<std::int32_t>(edges.inner(i, row[i]));
    }
    at_[size_] = 1 << kArithmeticPrecision;
    std::int32_t falls = 0;
    for (std::uint32_t i = 1; i < size_; ++i) falls |= at_[i + 1] - at_[i];
    return falls >= 0;
  }

  TORCH_ANS_FN std::uint32_t find(std::uint32_t slot) const {
    std::int32_t symbol = 0;
    for (std::uint32_t i = 1; i < size_; ++i) {
      symbol += at_[i] <= static_cast<std::int32_t>(slot) ? 1 : 0;
    }
    return static_cast<std::uint32_t>(symbol);
  }

  TORCH_ANS_FN SymbolSlots slots(std::uint32_t symbol) const {
    return {static_cast<std::uint32_t>(at_[symbol]), static_cast<std::uint32_t>(at_[symbol + 1])};
  }

 private:
  /// Loads edges four at a time, where there are vectors for it; returns how many.
  template <typename Value>
  TORCH_ANS_FN std::uint32_t load_fours(const ArithmeticEdges& /*edges*/, const Value* /*row*/) {
    return 0;
  }

#if defined(__SSE2__) || defined(_M_X64)
  /// As ArithmeticEdges::inner. (Compilers make no vectors of choices between floats.)
  TORCH_ANS_FN std::uint32_t load_fours(const ArithmeticEdges& edges, const float* row) {
    const auto leak = static_cast<int>(edges.leak);
    const __m128 spread = _mm_set1_ps(edges.spread<float>());
    const __m128 push = _mm_set1_ps(ArithmeticEdges::kPush<float>);
    __m128i leaked = _mm_setr_epi32(0, leak, 2 * leak, 3 * leak);
    std::uint32_t i = 0;
    for (; i + 4 <= size_; i += 4) {
      const __m128 scaled = _mm_mul_ps(_mm_loadu_ps(row + i), spread);
      const __m128 above = _mm_max_ps(scaled, _mm_setzero_ps());  // 0 where it is no number
      const __m128 clamped = _mm_min_ps(above, _mm_set1_ps(65536.0f));
      const __m128i whole = _mm_cvttps_epi32(_mm_sub_ps(_mm_add_ps(clamped, push), push));
      _mm_storeu_si128(reinterpret_cast<__m128i*>(at_ + i),
                       _mm_and_si128(_mm_add_epi32(whole, leaked), _mm_set1_epi32(0xffff)));
      leaked = _mm_add_epi32(leaked, _mm_set1_epi32(4 * leak));
    }
    return i;
  }
#endif

  std::uint32_t size_;
  std::int32_t at_[kMostSymbols + 1];
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
