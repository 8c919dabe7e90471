/// Logits for each symbol. An edge takes the sum of a whole row.
#pragma once

#include "row_models.h"
#include "torch_ans/logits.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

constexpr int kMostLogitBlocks = (1 << 16) / kRowBlock;

/// The weights of one symbol's logits:
///   weight(i)              of logit i
///   sum(begin, end)        of some
///   block(begin, out)      kRowBlock of them; 0 behind the last
template <typename Real_>
class LogitRow {
 public:
  using Real = Real_;
  using Count = decltype(logit_count(Real{}));

  TORCH_ANS_FN LogitRow(const Real* logits, std::uint32_t size) : logits_(logits), size_(size) {
    for (std::uint32_t i = 0; i < size; ++i) most_ = larger(most_, logit_count(logits[i]));
  }

  TORCH_ANS_FN std::uint32_t weight(std::uint32_t i) const { return weight(most_, logits_[i]); }

  /// Of any logit, given the largest count.
  static TORCH_ANS_FN std::uint32_t weight(Count most, Real logit) {
    return logit_weight(logit_distance(most, logit_count(logit)));
  }

  TORCH_ANS_FN std::uint64_t sum(std::uint32_t begin, std::uint32_t end) const {
    std::uint64_t sum = 0;
    for (std::uint32_t i = begin; i < end; ++i) sum += weight(i);
    return sum;
  }

  TORCH_ANS_FN void block(std::uint32_t begin, std::uint32_t* out) const {
    for (std::uint32_t k = 0; k < kRowBlock; ++k) {
      out[k] = begin + k < size_ ? weight(begin + k) : 0;
    }
  }

 private:
  const Real* logits_;
  std::uint32_t size_;
  Count most_ = -kMostLogit * kLogitUnits;
};

struct LogitSearch {
  template <typename Row>
  static TORCH_ANS_FN void find_edges(const Edges& limits, const Row& row, std::uint32_t symbol,
                                      std::uint32_t& start, std::uint32_t& end) {
    const std::uint32_t size = limits.num_symbols;
    const std::uint32_t begin = symbol / kRowBlock * kRowBlock;
    std::uint32_t weights[kRowBlock];
    row.block(begin, weights);
    std::uint64_t below = 0, rest = 0;
    for (std::uint32_t k = 0; k < kRowBlock; ++k) {
      below += begin + k < symbol ? weights[k] : 0;
      rest += begin + k < symbol ? 0 : weights[k];
    }
    below += row.sum(0, begin);
    if (begin + kRowBlock < size) rest += row.sum(begin + kRowBlock, size);
    const LogitEdges edges(limits, below + rest);
    start = edges.at(symbol, below);
    end = edges.at(symbol + 1, below + weights[symbol - begin]);
  }

  template <typename Row>
  static TORCH_ANS_FN void find_symbol(const Edges& limits, const Row& row, std::uint32_t slot,
                                       const SlotMatches& match) {
    const std::uint32_t size = limits.num_symbols;
    std::uint64_t below[kMostLogitBlocks];  // the block
    std::uint64_t sum = 0;
    std::uint32_t blocks = 0;
    for (std::uint32_t i = 0; i < size; i += kRowBlock) {
      below[blocks++] = sum;
      sum += row.sum(i, smaller(i + kRowBlock, size));
    }
    const LogitEdges edges(limits, sum);
    std::uint32_t block = 0;
    for (std::uint32_t left = blocks; left > 1;) {
      const std::uint32_t half = left / 2;
      const std::uint32_t middle = block + half;
      block = edges.starts_by(middle * kRowBlock, below[middle], slot) ? middle : block;
      left -= half;
    }
    const std::uint32_t begin = block * kRowBlock;
    std::uint32_t weights[kRowBlock];
    std::uint64_t before[kRowBlock];
    row.block(begin, weights);
    before[0] = below[block];
    for (std::uint32_t k = 1; k < kRowBlock; ++k) before[k] = before[k - 1] + weights[k - 1];
    std::uint32_t passed = 0;
    for (std::uint32_t k = 1; k < kRowBlock; ++k) {
      passed += edges.starts_by(begin + k, before[k], slot) ? 1 : 0;
    }
    std::uint32_t symbol = begin + passed;
    std::uint64_t at = before[passed];
    std::uint32_t start = edges.at(symbol, at);
    std::uint32_t end = edges.at(symbol + 1, at + weights[passed]);
    while (unlikely(slot >= end)) {
      at += row.weight(symbol++);
      start = end;
      end = edges.at(symbol + 1, at + row.weight(symbol));
    }
    *match.symbol = symbol;
    *match.start = start;
    *match.freq = end - start;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
