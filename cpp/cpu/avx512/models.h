/// What the models for AVX-512 share: edges of sixteen symbols at a time, in the integers of
/// model.h.
#pragma once

#include "cpu/scalar/models.h"
#include "torch_ans/parametric.h"
#include "vectors.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The first `count` of sixteen (of eight: cut off).
TORCH_ANS_FN __mmask16 first_elements(int count) {
  return static_cast<__mmask16>(count >= kVecSize ? 0xffffu : (1u << count) - 1u);
}

/// `Edges` of sixteen symbols.
class VectorEdges {
 public:
  TORCH_ANS_FN explicit VectorEdges(const Edges& limits)
      : num_symbols(splat(limits.num_symbols)),
        slots(splat(limits.slots)),
        spread_(splat(limits.spread)),
        leak_(splat(limits.leak)) {}

  /// C(i) of an inner edge; leak is 0 or 1.
  TORCH_ANS_FN Vec inner(Vec i, Vec fixed) const {
    const Vec even = _mm512_srli_epi64(_mm512_mul_epu32(fixed, spread_), kFixedBits);
    const Vec product = _mm512_mul_epu32(_mm512_srli_epi64(fixed, 32), spread_);
    const Vec odd = _mm512_slli_epi64(product, 32 - kFixedBits);
    return _mm512_add_epi32(_mm512_and_si512(i, _mm512_sub_epi32(_mm512_setzero_si512(), leak_)),
                            _mm512_mask_mov_epi32(even, 0xaaaa, odd));
  }

  /// Both edges of sixteen symbols, where the lower and the upper eight F come apart, in 64 bits
  /// each, whose upper halves do not count.
  TORCH_ANS_FN Vec start(Vec symbol, Vec low, Vec high) const {
    return leaked(symbol, _mm512_test_epi32_mask(symbol, symbol), low, high);
  }
  TORCH_ANS_FN Vec end(Vec symbol, Vec low, Vec high) const {
    const Vec next = _mm512_add_epi32(symbol, splat(1));
    const Vec inner_edge = leaked(next, 0xffff, low, high);
    return _mm512_mask_mov_epi32(inner_edge, _mm512_cmpge_epu32_mask(next, num_symbols), slots);
  }

  TORCH_ANS_FN Vec clamp(Vec i, Vec inner_edge) const {
    const Vec above = _mm512_maskz_mov_epi32(_mm512_test_epi32_mask(i, i), inner_edge);
    return _mm512_mask_mov_epi32(above, _mm512_cmpge_epu32_mask(i, num_symbols), slots);
  }

  const Vec num_symbols;
  const Vec slots;

 private:
  /// C(i) where `above` 0. 2^2 F * spread is 2^32 times what F gives.
  TORCH_ANS_FN Vec leaked(Vec i, __mmask16 above, Vec low, Vec high) const {
    static_assert(kFixedBits == 30, "the upper halves of products are shares");
    const Vec factor = _mm512_slli_epi32(spread_, 2);
    const Vec odd = _mm512_add_epi32(_mm512_slli_epi32(iota(), 1), splat(1));
    const Vec share = _mm512_maskz_permutex2var_epi32(above, _mm512_mul_epu32(low, factor), odd,
                                                      _mm512_mul_epu32(high, factor));
    return _mm512_add_epi32(_mm512_and_si512(i, _mm512_sub_epi32(_mm512_setzero_si512(), leak_)),
                            share);
  }

  const Vec spread_;
  const Vec leak_;
};

/// table[at] and table[at + 1] for sixteen places: two gathers of eight pairs. (Plain loads would
/// need the places one by one; a compiler takes them out of the vector, which costs more.)
TORCH_ANS_FN void load_neighbours(const void* table, Vec at, Vec& first, Vec& second) {
  const Vec low = _mm512_i32gather_epi64(_mm512_castsi512_si256(at), table, 4);
  const Vec high = _mm512_i32gather_epi64(_mm512_extracti64x4_epi64(at, 1), table, 4);
  const Vec even = _mm512_slli_epi32(iota(), 1);
  first = _mm512_permutex2var_epi32(low, even, high);
  second = _mm512_permutex2var_epi32(low, _mm512_add_epi32(even, splat(1)), high);
}

/// `tail_between` of sixteen distances without their signs.
TORCH_ANS_FN Vec interpolate_tail(const std::uint32_t* tail, Vec size) {
  Vec entry, next;
  load_neighbours(tail, _mm512_srli_epi32(size, kFractionBits), entry, next);
  const Vec fraction = _mm512_and_si512(size, splat((1u << kFractionBits) - 1));
  const Vec product = _mm512_mullo_epi32(_mm512_sub_epi32(entry, next), fraction);
  return _mm512_sub_epi32(entry, _mm512_srli_epi32(product, kFractionBits));
}

/// Sixteen symbols with their slots.
struct FoundSlots {
  Vec symbol, start, end;

  /// Those whose slot is not among them.
  TORCH_ANS_FN __mmask16 misses(Vec slots) const {
    return static_cast<__mmask16>(_mm512_cmplt_epu32_mask(slots, start) |
                                  _mm512_cmpge_epu32_mask(slots, end));
  }

  TORCH_ANS_FN void store(const SlotMatches& matches, __mmask16 present) const {
    _mm512_mask_storeu_epi32(matches.symbol, present, symbol);
    _mm512_mask_storeu_epi32(matches.start, present, start);
    _mm512_mask_storeu_epi32(matches.freq, present, _mm512_sub_epi32(end, start));
  }
};

/// The slots of a tile's symbols, by `vectors`, which has
///   find_run(first, present, symbol)   FoundSlots of elements that follow each other
///   prefetch(first)                    asks for what these read
template <typename Vectors>
TORCH_ANS_FN SlotFlags find_tile_slots(const Vectors& vectors, const Model& model,
                                       std::int64_t first, int count, const std::int32_t* symbols,
                                       SlotPair* pairs) {
  const VectorEdges& edges = vectors.edges;
  const Vec low = splat(static_cast<std::uint32_t>(model.low));
  const Vec last = splat(model.num_symbols - 1);
  __mmask16 full = 0;
  for (int t = 0; t < count; t += kVecSize) {
    const __mmask16 present = first_elements(count - t);
    const Vec given = _mm512_sub_epi32(_mm512_maskz_loadu_epi32(present, symbols + t), low);
    const Vec symbol = _mm512_min_epu32(given, last);
    vectors.prefetch(first + t - kTilesAhead * count);
    torch_ans::prefetch(symbols + t - kTilesAhead * count);
    const FoundSlots found = vectors.find_run(first + t, present, symbol);
    const auto bad = static_cast<__mmask16>(_mm512_cmpneq_epu32_mask(given, symbol) |
                                            _mm512_cmpge_epu32_mask(found.start, found.end) |
                                            _mm512_cmpgt_epu32_mask(found.end, edges.slots));
    if (unlikely((bad & present) != 0)) {
      return {t + static_cast<int>(_tzcnt_u32(bad & present)), false};
    }
    const Vec freq = _mm512_sub_epi32(found.end, found.start);
    full |= _mm512_mask_cmpge_epu32_mask(present, freq, splat(1u << 16));
    _mm512_mask_storeu_epi32(pairs + t, present,
                             _mm512_or_si512(found.start, _mm512_slli_epi32(found.end, 16)));
  }
  return {-1, full != 0};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
