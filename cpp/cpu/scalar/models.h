/// The models, evaluated for many symbols in lockstep: plain loops that a compiler turns into the
/// vectors of each instruction set.
#pragma once

#include <type_traits>

#include "cpu/model_task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Elements that are searched together.
constexpr int kLockstep = 16;
/// How far ahead an encoder asks for a symbol's edges.
constexpr int kAhead = 64;
/// How many tiles ahead it asks for what it reads in turn. Tiles come from last to first: the next
/// one lies before this one.
constexpr int kTilesAhead = 2;
/// How far ahead a decoder asks for what describes distributions.
constexpr int kElementsAhead = 512;

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
///   load(places, block)                  reads it, for elements places[k]
///   prefetch(element, i)                 asks for what edges i and i + 1 will read
///   edges(block, i, out)                 C(i) of an inner edge; anything for 0 and S
///   find(block, slots, symbol)           the last symbol that starts at or below a slot, where C
///                                        does not decrease; and, if it Guesses:
///   guess(block, slots, symbol)          mostly the same; then `find` is for blocks of one
///   prefetch_run(element)                asks for what describes this and following elements
///   prefetch_group(first, count)         asks for what groups behind these elements will read
/// Loads stand in loops of their own: what is left of the others is arithmetic on whole vectors.

struct Guesses {
  static constexpr int kTogether = kLockstep;  ///< elements of a block in a decoder
};

template <typename Policy>
constexpr int together() {
  if constexpr (std::is_base_of_v<Guesses, Policy>) {
    return Policy::kTogether;
  } else {
    return kLockstep;
  }
}

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

/// The symbol of a slot, from a guess outwards in growing steps, then by halves.
template <typename Policy, typename Block>
TORCH_ANS_FN std::uint32_t search_around(const Policy& policy, const Block& block,
                                         std::uint32_t slot, std::uint32_t guess) {
  std::uint32_t symbol = 0;
  std::uint32_t past = policy.limits.num_symbols;
  std::uint32_t probe = smaller(larger(guess, 1u), past - 1);
  for (std::uint32_t step = 1; past - symbol > 1; step *= 2) {
    std::uint32_t edge;
    policy.template edges<1>(block, &probe, &edge);
    const bool above = edge <= slot;
    (above ? symbol : past) = probe;
    const std::uint32_t stride = smaller(step, (past - symbol) / 2);
    probe = above ? symbol + stride : past - stride;
  }
  return symbol;
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

  template <int kCount, typename Places>
  TORCH_ANS_FN void load(const Places& element, Block<kCount>& block) const {
    for (int k = 0; k < kCount; ++k) block.row[k] = rows_ + element[k] * stride_;
  }

  TORCH_ANS_FN void prefetch(std::int64_t element, std::uint32_t i) const {
    torch_ans::prefetch(rows_ + element * stride_ + i);
  }

  const Edges limits;

 protected:
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

/// The places of elements that follow each other.
struct PlacesInTurn {
  std::int64_t first;

  TORCH_ANS_FN std::int64_t operator[](int k) const { return first + k; }
};

/// The slots of kCount symbols. Not 0: one of them has none.
template <int kCount, typename Policy>
TORCH_ANS_FN std::uint32_t find_block_slots(const Policy& policy, std::uint32_t low,
                                            std::int64_t first, const std::int32_t* symbols,
                                            SlotPair* pairs, std::uint32_t& full) {
  const Edges limits = policy.limits;
  std::uint32_t symbol[kCount], start[kCount], end[kCount];
  std::uint32_t bad = 0;
  for (int k = 0; k < kCount; ++k) {
    const std::uint32_t given = static_cast<std::uint32_t>(symbols[k]) - low;
    symbol[k] = smaller(given, limits.num_symbols - 1);
    bad |= given ^ symbol[k];
  }
  typename Policy::template Block<kCount> block;
  policy.template load<kCount>(PlacesInTurn{first}, block);
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
    if constexpr (std::is_base_of_v<Guesses, Policy>) {
      policy.prefetch_run(first + t - kTilesAhead * count);
    }
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

/// Fills `matches` for symbols. Not 0: a slot is not its symbol's.
template <int kCount, typename Policy, typename Block>
TORCH_ANS_FN std::uint32_t match_slots(const Policy& policy, const Block& block,
                                       const std::uint32_t* slots, const std::uint32_t* symbol,
                                       const SlotMatches& matches) {
  std::uint32_t start[kCount], end[kCount];
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

TORCH_ANS_FN SlotMatches operator+(const SlotMatches& matches, int count) {
  return {matches.symbol + count, matches.start + count, matches.freq + count};
}

/// Whose slot an element has. Not 0: it is nobody's.
template <typename Policy>
TORCH_ANS_FN std::uint32_t find_symbol(const Policy& policy, std::int64_t element,
                                       const std::uint32_t* slot, const SlotMatches& match) {
  std::uint32_t symbol;
  typename Policy::template Block<1> block;
  policy.template load<1>(PlacesInTurn{element}, block);
  policy.template find<1>(block, slot, &symbol);
  return match_slots<1>(policy, block, slot, &symbol, match);
}

/// Goes on from guesses of which some are wrong: `match_slots` has left slots of one there.
template <int kCount, typename Policy>
TORCH_ANS_NOINLINE std::uint32_t find_missed(const Policy& policy, const std::int64_t* element,
                                             const std::uint32_t* slots,
                                             const SlotMatches& matches) {
  std::uint32_t bad = 0;
  for (int k = 0; k < kCount; ++k) {
    if (matches.start[k] != slots[k] || matches.freq[k] != 1) continue;
    bad |= find_symbol(policy, element[k], slots + k, matches + k);
  }
  return bad;
}

/// Whose slots kCount elements have. Not 0: one of them is nobody's.
template <int kCount, typename Policy>
TORCH_ANS_FN std::uint32_t find_block_symbols(const Policy& policy, const std::int64_t* element,
                                              const std::uint32_t* slots,
                                              const SlotMatches& matches) {
  std::uint32_t symbol[kCount];
  typename Policy::template Block<kCount> block;
  policy.template load<kCount>(element, block);
  if constexpr (std::is_base_of_v<Guesses, Policy>) {
    policy.template guess<kCount>(block, slots, symbol);
    if (match_slots<kCount>(policy, block, slots, symbol, matches) == 0) return 0;
    return find_missed<kCount>(policy, element, slots, matches);
  } else {
    policy.template find<kCount>(block, slots, symbol);
    return match_slots<kCount>(policy, block, slots, symbol, matches);
  }
}

/// The same for fewer than kCount elements: the last one fills the block.
template <int kCount, typename Policy>
TORCH_ANS_FN std::uint32_t find_some_symbols(const Policy& policy, const std::int64_t* element,
                                             int count, const std::uint32_t* slots,
                                             const SlotMatches& matches) {
  std::int64_t elements[kCount];
  std::uint32_t slot[kCount], symbol[kCount], start[kCount], freq[kCount];
  for (int k = 0; k < kCount; ++k) {
    elements[k] = element[smaller(k, count - 1)];
    slot[k] = slots[smaller(k, count - 1)];
  }
  const std::uint32_t bad =
      find_block_symbols<kCount>(policy, elements, slot, {symbol, start, freq});
  for (int k = 0; k < count; ++k) {
    matches.symbol[k] = symbol[k];
    matches.start[k] = start[k];
    matches.freq[k] = freq[k];
  }
  return bad;
}

template <typename Policy>
bool find_symbols(const Model& model, const Elements& elements, const std::uint32_t* slots,
                  const SlotMatches& matches) {
  constexpr int kTogether = together<Policy>();
  // From so many elements on a block is worth it.
  constexpr int kLeast = std::is_base_of_v<Guesses, Policy> ? kLockstep / 4 : kLockstep;
  const Policy policy(model);
  std::int64_t element[kTogether];
  std::uint32_t bad = 0;
  int filled = 0;
  int done = 0;
  for (int r = 0; r < elements.rows; ++r) {
    if constexpr (std::is_base_of_v<Guesses, Policy>) {
      policy.prefetch_group(elements.first[r], elements.lanes);
    }
    for (int lane = 0; lane < elements.lanes; ++lane) {
      element[filled++] = elements.first[r] + lane;
      if (filled < kTogether) continue;
      bad |= find_block_symbols<kTogether>(policy, element, slots + done, matches + done);
      done += filled;
      filled = 0;
    }
  }
  for (int k = 0; k < filled;) {
    const int count = filled - k < kLeast ? 1 : smaller(filled - k, kLockstep);
    bad |= count == 1 ? find_symbol(policy, element[k], slots + done, matches + done)
                      : find_some_symbols<kLockstep>(policy, element + k, count, slots + done,
                                                     matches + done);
    k += count;
    done += count;
  }
  return bad == 0;
}

template <typename Policy>
constexpr ModelFunctions functions_of() {
  return {&find_slots<Policy>, &find_symbols<Policy>};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
