/// The models, evaluated for many symbols in lockstep: plain loops that a compiler turns into the
/// vectors of each instruction set.
#pragma once

#include <type_traits>

#include "model_task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Elements that are searched together.
constexpr int kLockstep = 16;
/// How far ahead an encoder asks for a symbol's edges.
constexpr int kAhead = 64;
/// How many tiles ahead it asks for what it reads in turn. Tiles come from last to first: the next
/// one lies before this one.
constexpr int kTilesAhead = 2;

TORCH_ANS_FN std::uint32_t integer_edge(std::int16_t value) {
  return static_cast<std::uint16_t>(value);
}
TORCH_ANS_FN std::uint32_t integer_edge(std::int32_t value) {
  return static_cast<std::uint32_t>(value);
}
TORCH_ANS_FN std::uint32_t integer_edge(std::int64_t value) {
  return static_cast<std::uint32_t>(
      smaller(larger(value, std::int64_t{0}), std::int64_t{UINT32_MAX}));
}

/// A policy answers for blocks of kCount elements:
///   Block<kCount>                        what describes them, ready for use
///   load(element, block)                 reads it
///   prefetch(element, i)                 asks for what edges i and i + 1 will read
///   edges(block, i, out)                 C(i) of an inner edge; anything for 0 and S
///   find(block, slots, symbol)           the last symbol that starts at or below a slot, where C
///                                        does not decrease
/// Loads stand in loops of their own: what is left of the others is arithmetic on whole vectors.

/// Bisects the edges of a block.
template <int kCount, typename Policy, typename Block>
TORCH_ANS_FN void bisect(const Policy& policy, const Block& block, const std::uint32_t* slots,
                         std::uint32_t* symbol) {
  std::uint32_t middle[kCount], edge[kCount];
  for (int k = 0; k < kCount; ++k) symbol[k] = 0;
  for (std::uint32_t left = policy.limits.num_symbols; left > 1;) {
    const std::uint32_t half = left / 2;
    for (int k = 0; k < kCount; ++k) middle[k] = symbol[k] + half;
    policy.template edges<kCount>(block, middle, edge);
    for (int k = 0; k < kCount; ++k) symbol[k] = edge[k] <= slots[k] ? middle[k] : symbol[k];
    left -= half;
  }
}

/// Elements that are rows of floats, or integers.
template <typename Real>
class RowModel {
 public:
  template <int kCount>
  struct Block {
    const Real* row[kCount];
  };

  TORCH_ANS_FN explicit RowModel(const Model& model)
      : limits(model),
        rows_(static_cast<const Real*>(model.values[0])),
        stride_(model.strides[0]) {}

  template <int kCount>
  TORCH_ANS_FN void load(const std::int64_t* element, Block<kCount>& block) const {
    for (int k = 0; k < kCount; ++k) block.row[k] = rows_ + element[k] * stride_;
  }

  TORCH_ANS_FN void prefetch(std::int64_t element, std::uint32_t i) const {
    torch_ans::prefetch(rows_ + element * stride_ + i);
  }

  const Edges limits;

 private:
  const Real* rows_;
  std::int64_t stride_;
};

/// A CDF for each symbol: S + 1 edges, of which the first and the last count as 0 and 1.
template <typename Real>
struct CdfModel : RowModel<Real> {
  using RowModel<Real>::RowModel, RowModel<Real>::limits;
  template <int kCount>
  using Block = typename RowModel<Real>::template Block<kCount>;

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    Real value[kCount];
    for (int k = 0; k < kCount; ++k) value[k] = block.row[k][i[k]];
    for (int k = 0; k < kCount; ++k) {
      if constexpr (std::is_integral_v<Real>) {
        out[k] = integer_edge(value[k]);
      } else {
        out[k] = limits.inner(i[k], to_fixed(value[k]));
      }
    }
  }

  template <int kCount>
  TORCH_ANS_FN void find(const Block<kCount>& block, const std::uint32_t* slots,
                         std::uint32_t* symbol) const {
    bisect<kCount>(*this, block, slots, symbol);
  }
};

/// Probabilities, which are summed up to the symbol: S of them, as fractions of 1.
template <typename Real>
class PmfModel : public RowModel<Real> {
 public:
  using RowModel<Real>::RowModel, RowModel<Real>::limits;
  template <int kCount>
  using Block = typename RowModel<Real>::template Block<kCount>;

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    for (int k = 0; k < kCount; ++k) {
      std::uint64_t sum = 0;
      const std::uint32_t count = smaller(i[k], limits.num_symbols);
      for (std::uint32_t j = 0; j < count; ++j) sum += to_fixed(block.row[k][j]);
      out[k] = edge(i[k], sum);
    }
  }

  template <int kCount>
  TORCH_ANS_FN void find(const Block<kCount>& block, const std::uint32_t* slots,
                         std::uint32_t* symbol) const {
    for (int k = 0; k < kCount; ++k) {
      std::uint64_t sum = 0;
      std::uint32_t i = 0;
      while (i + 1 < limits.num_symbols) {
        sum += to_fixed(block.row[k][i]);
        if (edge(i + 1, sum) > slots[k]) break;
        ++i;
      }
      symbol[k] = i;
    }
  }

 private:
  /// Sums above 1 count as 1.
  TORCH_ANS_FN std::uint32_t edge(std::uint32_t i, std::uint64_t sum) const {
    const auto fixed = smaller(sum, static_cast<std::uint64_t>(kFixedOne));
    return limits.inner(i, static_cast<std::uint32_t>(fixed));
  }
};

/// Both edges of a block's symbols.
template <int kCount, typename Policy, typename Block>
TORCH_ANS_FN void find_edges(const Policy& policy, const Block& block, const std::uint32_t* symbol,
                             std::uint32_t* start, std::uint32_t* end) {
  const Edges limits = policy.limits;
  std::uint32_t next[kCount];
  for (int k = 0; k < kCount; ++k) next[k] = symbol[k] + 1;
  policy.template edges<kCount>(block, symbol, start);
  policy.template edges<kCount>(block, next, end);
  for (int k = 0; k < kCount; ++k) {
    start[k] = limits.clamp(symbol[k], start[k]);
    end[k] = limits.clamp(next[k], end[k]);
  }
}

/// The slots of kCount symbols. Not 0: one of them has none.
template <int kCount, typename Policy>
TORCH_ANS_FN std::uint32_t find_block_slots(const Policy& policy, std::uint32_t low,
                                            std::int64_t first, const std::int32_t* symbols,
                                            SlotPair* pairs, std::uint32_t& full) {
  const Edges limits = policy.limits;
  std::int64_t element[kCount];
  std::uint32_t symbol[kCount], start[kCount], end[kCount];
  std::uint32_t bad = 0;
  for (int k = 0; k < kCount; ++k) {
    element[k] = first + k;
    const std::uint32_t given = static_cast<std::uint32_t>(symbols[k]) - low;
    symbol[k] = smaller(given, limits.num_symbols - 1);
    bad |= given ^ symbol[k];
  }
  typename Policy::template Block<kCount> block;
  policy.template load<kCount>(element, block);
  find_edges<kCount>(policy, block, symbol, start, end);
  for (int k = 0; k < kCount; ++k) {
    bad |= static_cast<std::uint32_t>(start[k] >= end[k]) |
           static_cast<std::uint32_t>(end[k] > limits.slots);
    full |= (end[k] - start[k]) >> 16;
    pairs[k] = start[k] | end[k] << 16;
  }
  return bad;
}

template <typename Policy>
SlotFlags find_slots(const Model& model, std::int64_t first, int count, const std::int32_t* symbols,
                     SlotPair* pairs) {
  const Policy policy(model);
  const auto low = static_cast<std::uint32_t>(model.low);
  std::uint32_t full = 0;
  int t = 0;
  for (; t + kLockstep <= count; t += kLockstep) {
    prefetch(symbols + t - kTilesAhead * count);
    for (int k = t + kAhead; k < smaller(count, t + kAhead + kLockstep); ++k) {
      policy.prefetch(first + k, smaller(static_cast<std::uint32_t>(symbols[k]) - low,
                                         policy.limits.num_symbols - 1));
    }
    if (find_block_slots<kLockstep>(policy, low, first + t, symbols + t, pairs + t, full) != 0) {
      break;
    }
  }
  for (; t < count; ++t) {
    if (find_block_slots<1>(policy, low, first + t, symbols + t, pairs + t, full) != 0) {
      return {t, false};
    }
  }
  return {-1, full != 0};
}

/// Whose slots kCount elements have. Not 0: one of them is nobody's.
template <int kCount, typename Policy>
TORCH_ANS_FN std::uint32_t find_block_symbols(const Policy& policy, const std::int64_t* element,
                                              const std::uint32_t* slots,
                                              const SlotMatches& matches) {
  std::uint32_t symbol[kCount], start[kCount], end[kCount];
  typename Policy::template Block<kCount> block;
  policy.template load<kCount>(element, block);
  policy.template find<kCount>(block, slots, symbol);
  find_edges<kCount>(policy, block, symbol, start, end);
  std::uint32_t bad = 0;
  for (int k = 0; k < kCount; ++k) {
    const std::uint32_t outside = static_cast<std::uint32_t>(slots[k] < start[k]) |
                                  static_cast<std::uint32_t>(slots[k] >= end[k]) |
                                  static_cast<std::uint32_t>(end[k] > policy.limits.slots);
    bad |= outside;
    matches.symbol[k] = symbol[k];
    matches.start[k] = outside != 0 ? slots[k] : start[k];
    matches.freq[k] = outside != 0 ? 1 : end[k] - start[k];
  }
  return bad;
}

template <typename Policy>
bool find_symbols(const Model& model, const Elements& elements, const std::uint32_t* slots,
                  const SlotMatches& matches) {
  const Policy policy(model);
  std::int64_t element[kLockstep];
  std::uint32_t bad = 0;
  int filled = 0;
  int done = 0;
  for (int r = 0; r < elements.rows; ++r) {
    for (int lane = 0; lane < elements.lanes; ++lane) {
      element[filled++] = elements.first[r] + lane;
      if (filled < kLockstep) continue;
      bad |= find_block_symbols<kLockstep>(
          policy, element, slots + done,
          {matches.symbol + done, matches.start + done, matches.freq + done});
      done += filled;
      filled = 0;
    }
  }
  for (int k = 0; k < filled; ++k, ++done) {
    bad |=
        find_block_symbols<1>(policy, element + k, slots + done,
                              {matches.symbol + done, matches.start + done, matches.freq + done});
  }
  return bad == 0;
}

template <typename Policy>
constexpr ModelFunctions functions_of() {
  return {&find_slots<Policy>, &find_symbols<Policy>};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
