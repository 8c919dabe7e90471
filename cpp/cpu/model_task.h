/// What the coder asks of a model, for many symbols at once.
#pragma once

#include "torch_ans/model.h"

namespace torch_ans {

/// `start | end << 16` of a symbol's slots; an end of 2^16 reads 0.
using SlotPair = std::uint32_t;

/// What `find_slots` met among the symbols of a tile.
struct SlotFlags {
  std::int32_t bad;  ///< the first symbol that owns no slots, or -1
  bool full;         ///< a symbol owns all 2^16 slots
};

/// Distributions of states that advance together: lane l of row r decodes element
/// `first[r] + l`; states are numbered r * lanes + l.
struct Elements {
  const std::int64_t* first;
  std::int32_t rows;
  std::int32_t lanes;
};

struct SlotMatches {
  std::uint32_t* symbol;  ///< counted from 0
  std::uint32_t* start;
  std::uint32_t* freq;  ///< never 0
};

struct ModelFunctions {
  /// The slots of `count` symbols, whose distributions are elements `first` and following.
  SlotFlags (*find_slots)(const Model& model, std::int64_t first, int count,
                          const std::int32_t* symbols, SlotPair* pairs);
  /// Whose slots these are. False: an element's C decreases somewhere, so that it is nobody's.
  bool (*find_symbols)(const Model& model, const Elements& elements, const std::uint32_t* slots,
                       const SlotMatches& matches);
};

using ModelTable = ModelFunctions[kModelKinds][kRealTypes];

/// Each fills the entries it has and leaves the rest alone.
void add_scalar_models(ModelTable& table);
void add_avx2_models(ModelTable& table);
void add_avx512_models(ModelTable& table);

}  // namespace torch_ans
