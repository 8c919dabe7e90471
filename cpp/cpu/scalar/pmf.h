/// Probabilities for each symbol, as fractions of 1, which are summed up to it.
#pragma once

#include "row_models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The probabilities of one symbol, in multiples of 2^-30:
///   weight(i)        one of them
///   sum(begin, end)  of some
template <typename Real_>
class PmfRow {
 public:
  using Real = Real_;

  TORCH_ANS_FN PmfRow(const Real* pmf, std::uint32_t /*size*/) : pmf_(pmf) {}

  TORCH_ANS_FN std::uint32_t weight(std::uint32_t i) const { return to_fixed(pmf_[i]); }

  TORCH_ANS_FN std::uint64_t sum(std::uint32_t begin, std::uint32_t end) const {
    std::uint64_t sum = 0;
    for (std::uint32_t i = begin; i < end; ++i) sum += weight(i);
    return sum;
  }

 protected:
  const Real* pmf_;
};

struct PmfSearch {
  template <typename Row>
  static TORCH_ANS_FN void find_edges(const Edges& limits, const Row& row, std::uint32_t symbol,
                                      std::uint32_t& start, std::uint32_t& end) {
    const std::uint64_t below = row.sum(0, symbol);
    start = edge(limits, symbol, below);
    end = edge(limits, symbol + 1, below + row.weight(symbol));
  }

  template <typename Row>
  static TORCH_ANS_FN void find_symbol(const Edges& limits, const Row& row, std::uint32_t slot,
                                       const SlotMatches& match) {
    std::uint32_t symbol = 0;
    std::uint64_t below = 0;
    for (; symbol + kRowBlock < limits.num_symbols; symbol += kRowBlock) {
      const std::uint64_t next = below + row.sum(symbol, symbol + kRowBlock);
      if (edge(limits, symbol + kRowBlock, next) > slot) break;
      below = next;
    }
    std::uint32_t start = edge(limits, symbol, below);
    below += row.weight(symbol);
    std::uint32_t end = edge(limits, symbol + 1, below);
    while (end <= slot) {
      start = end;
      below += row.weight(++symbol);
      end = edge(limits, symbol + 1, below);
    }
    *match.symbol = symbol;
    *match.start = start;
    *match.freq = end - start;
  }

 private:
  /// C(i), where the probabilities before symbol i have the sum `below`; above 1 it counts as 1.
  static TORCH_ANS_FN std::uint32_t edge(const Edges& limits, std::uint32_t i,
                                         std::uint64_t below) {
    const auto fixed = smaller(below, static_cast<std::uint64_t>(kFixedOne));
    return limits.clamp(i, limits.inner(i, static_cast<std::uint32_t>(fixed)));
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
