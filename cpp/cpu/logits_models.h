/// Logits for each symbol. An edge takes the sum of a whole row, so rows are not searched in blocks
/// as those of other models: each is read once.
#pragma once

#include "models.h"
#include "torch_ans/logits.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Weights that are summed up together.
constexpr int kLogitBlock = 16;
constexpr int kMostLogitBlocks = (1 << 16) / kLogitBlock;

/// The weights of one symbol's logits:
///   weight(i)              of logit i
///   sum(begin, end)        of some
///   block(begin, out)      kLogitBlock of them; 0 behind the last
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
    for (std::uint32_t k = 0; k < kLogitBlock; ++k) {
      out[k] = begin + k < size_ ? weight(begin + k) : 0;
    }
  }

 private:
  const Real* logits_;
  std::uint32_t size_;
  Count most_ = -kMostLogit * kLogitUnits;
};

/// The slots of a symbol: from `start` to `end`.
template <typename Row>
TORCH_ANS_FN void find_slots_of(const Edges& limits, const Row& row, std::uint32_t symbol,
                                std::uint32_t& start, std::uint32_t& end) {
  const std::uint32_t size = limits.num_symbols;
  const std::uint32_t begin = symbol / kLogitBlock * kLogitBlock;
  std::uint32_t weights[kLogitBlock];
  row.block(begin, weights);
  std::uint64_t below = 0, rest = 0;
  for (std::uint32_t k = 0; k < kLogitBlock; ++k) {
    below += begin + k < symbol ? weights[k] : 0;
    rest += begin + k < symbol ? 0 : weights[k];
  }
  below += row.sum(0, begin);
  if (begin + kLogitBlock < size) rest += row.sum(begin + kLogitBlock, size);
  const LogitEdges edges(limits, below + rest);
  start = edges.at(symbol, below);
  end = edges.at(symbol + 1, below + weights[symbol - begin]);
}

template <typename Row>
SlotFlags find_logit_slots(const Model& model, std::int64_t first, int count,
                           const std::int32_t* symbols, SlotPair* pairs) {
  const Edges limits(model);
  const auto* logits = static_cast<const typename Row::Real*>(model.values[0]);
  std::uint32_t full = 0;
  for (int t = 0; t < count; ++t) {
    const std::uint32_t symbol =
        static_cast<std::uint32_t>(symbols[t]) - static_cast<std::uint32_t>(model.low);
    if (symbol >= limits.num_symbols) return {t, false};
    const Row row(logits + (first + t) * model.strides[0], limits.num_symbols);
    std::uint32_t start, end;
    find_slots_of(limits, row, symbol, start, end);
    if (start >= end) return {t, false};
    full |= (end - start) >> 16;
    pairs[t] = start | end << 16;
  }
  return {-1, full != 0};
}

/// Whose a slot is.
template <typename Row>
TORCH_ANS_FN void find_logit(const Edges& limits, const Row& row, std::uint32_t slot,
                             const SlotMatches& match) {
  const std::uint32_t size = limits.num_symbols;
  std::uint64_t below[kMostLogitBlocks];  // the block
  std::uint64_t sum = 0;
  std::uint32_t blocks = 0;
  for (std::uint32_t i = 0; i < size; i += kLogitBlock) {
    below[blocks++] = sum;
    sum += row.sum(i, smaller(i + kLogitBlock, size));
  }
  const LogitEdges edges(limits, sum);
  std::uint32_t block = 0;
  for (std::uint32_t left = blocks; left > 1;) {
    const std::uint32_t half = left / 2;
    const std::uint32_t middle = block + half;
    block = edges.starts_by(middle * kLogitBlock, below[middle], slot) ? middle : block;
    left -= half;
  }
  const std::uint32_t begin = block * kLogitBlock;
  std::uint32_t weights[kLogitBlock];
  std::uint64_t before[kLogitBlock];
  row.block(begin, weights);
  before[0] = below[block];
  for (std::uint32_t k = 1; k < kLogitBlock; ++k) before[k] = before[k - 1] + weights[k - 1];
  std::uint32_t passed = 0;
  for (std::uint32_t k = 1; k < kLogitBlock; ++k) {
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

template <typename Row>
bool find_logit_symbols(const Model& model, const Elements& elements, const std::uint32_t* slots,
                        const SlotMatches& matches) {
  const Edges limits(model);
  const auto* logits = static_cast<const typename Row::Real*>(model.values[0]);
  int done = 0;
  for (int r = 0; r < elements.rows; ++r) {
    for (int lane = 0; lane < elements.lanes; ++lane, ++done) {
      const std::int64_t element = elements.first[r] + lane;
      const Row row(logits + element * model.strides[0], limits.num_symbols);
      find_logit(limits, row, slots[done],
                 {matches.symbol + done, matches.start + done, matches.freq + done});
    }
  }
  return true;
}

template <typename Row>
void add_logits(ModelTable& table, RealType type) {
  table[static_cast<int>(ModelKind::kLogits)][static_cast<int>(type)] = {&find_logit_slots<Row>,
                                                                         &find_logit_symbols<Row>};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
