/// Gaussians, Laplacians and logistics for AVX-512: the integers of torch_ans/parametric.h, sixteen
/// symbols at a time.
#pragma once

#include "cpu/scalar/parametric.h"
#include "scales.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// (With a table that is known at run time only, pushes take a tenth longer.)
template <ModelKind kKind, typename Real>
class ParametricVectors {
  using Scalar = ParametricModel<Real>;
  static constexpr int kMostSteps = 8;

 public:
  TORCH_ANS_FN explicit ParametricVectors(const Model& model)
      : edges(Edges(model)),
        model_(model),
        means_(model, 0),
        scales_(model, 1),
        first_edge_(EightScales::first_edge(model.low)) {}

  TORCH_ANS_FN FoundSlots find_run(std::int64_t first, __mmask16 present, Vec symbol) const {
    const Block block = load_run(first, first + 8, present);
    return find(block, symbol);
  }

  TORCH_ANS_FN void prefetch(std::int64_t first) const {
    means_.prefetch(first);
    scales_.prefetch(first);
  }

  /// The states from number `done` on, at most kTogether vectors of them. A vector's symbols take
  /// long to find, most of it waiting: so the vectors go through the parts of that together.
  TORCH_ANS_FN bool find_states(const Elements& elements, int done, const std::uint32_t* slots,
                                const SlotMatches& matches) const {
    const int count = smaller(elements.rows * elements.lanes - done, kTogether * kVecSize);
    const int vectors = (count + kVecSize - 1) / kVecSize;
    Block block[kTogether];
    Vec symbol[kTogether];
    for (int v = 0; v < vectors; ++v) {
      const int at = v * kVecSize;
      const __mmask16 present = first_elements(count - at);
      block[v] = load_states(elements, done + at, present);
      symbol[v] = guess(block[v], _mm512_maskz_loadu_epi32(present, slots + at));
    }
    __mmask16 missed[kTogether];
    std::uint32_t any = 0;
    for (int v = 0; v < vectors; ++v) {
      const int at = v * kVecSize;
      const __mmask16 present = first_elements(count - at);
      const FoundSlots found = find(block[v], symbol[v]);
      found.store(matches + at, present);
      missed[v] = static_cast<__mmask16>(
          found.misses(_mm512_maskz_loadu_epi32(present, slots + at)) & present);
      any |= missed[v];
    }
    bool good = true;
    if (unlikely(any != 0)) {
      for (int v = 0; v < vectors; ++v) {
        const int at = v * kVecSize;
        good &= missed[v] == 0 || search(elements, done + at, first_elements(count - at), block[v],
                                         symbol[v], slots + at, matches + at);
      }
    }
    return good;
  }

  static constexpr int kTogether = 4;
  const VectorEdges edges;

 private:
  struct Block {
    EightScales low, high;
  };

  TORCH_ANS_FN Block load_run(std::int64_t low_half, std::int64_t high_half,
                              __mmask16 present) const {
    const auto low = static_cast<__mmask8>(present);
    const auto high = static_cast<__mmask8>(present >> 8);
    return {{means_.run(low_half, low), scales_.run(low_half, low), first_edge_},
            {means_.run(high_half, high), scales_.run(high_half, high), first_edge_}};
  }

  TORCH_ANS_FN static std::int64_t element_of(const Elements& elements, int state) {
    return elements.first[state / elements.lanes] + state % elements.lanes;
  }

  TORCH_ANS_FN Block load_states(const Elements& elements, int done, __mmask16 present) const {
    if (elements.lanes >= 8) {
      const int past = elements.rows * elements.lanes - 8;
      const std::int64_t low = element_of(elements, done);
      const std::int64_t high = element_of(elements, smaller(done + 8, past));
      prefetch(low + kElementsAhead);
      prefetch(high + kElementsAhead);
      return load_run(low, high, present);
    }
    alignas(64) std::int64_t element[kVecSize] = {};
    for (int k = 0; k < smaller(kVecSize, elements.rows * elements.lanes - done); ++k) {
      element[k] = element_of(elements, done + k);
    }
    const auto eight = [&](int from) -> EightScales {
      const __m512i at = _mm512_load_si512(element + from);
      const auto there = static_cast<__mmask8>(present >> from);
      return {means_.pick(at, there), scales_.pick(at, there), first_edge_};
    };
    return {eight(0), eight(8)};
  }

  /// F at eight edges, in the lower halves of 64 bits. A distance that is cut off to 0 has no sign
  /// any more, and half of 2^30 on either side.
  TORCH_ANS_FN static Vec probability(const EightScales& scales, __m512d difference) {
    const Vec distance = scales.distance(difference);
    // An entry and the one behind it.
    const Vec entries = _mm512_i64gather_epi64(_mm512_srli_epi64(distance, kFractionBits),
                                               tail_of(kKind), sizeof(std::uint32_t));
    const Vec fraction = _mm512_and_si512(distance, _mm512_set1_epi64((1 << kFractionBits) - 1));
    const Vec drop = _mm512_sub_epi32(entries, _mm512_shuffle_epi32(entries, _MM_PERM_DDBB));
    const Vec tail = _mm512_sub_epi32(
        entries, _mm512_srli_epi64(_mm512_mul_epu32(drop, fraction), kFractionBits));
    const __mmask8 above = _mm512_cmp_pd_mask(difference, _mm512_setzero_pd(), _CMP_GE_OQ);
    return _mm512_mask_sub_epi64(tail, above, _mm512_set1_epi64(kFixedOne), tail);
  }

  /// C(i) and C(i + 1).
  TORCH_ANS_FN FoundSlots find(const Block& block, Vec symbol) const {
    const __m512d low = block.low.difference(_mm512_castsi512_si256(symbol));
    const __m512d high = block.high.difference(_mm512_extracti64x4_epi64(symbol, 1));
    const __m512d one = _mm512_set1_pd(EightScales::kSymbol);
    return {symbol, edges.start(symbol, probability(block.low, low), probability(block.high, high)),
            edges.end(symbol, probability(block.low, _mm512_add_pd(low, one)),
                      probability(block.high, _mm512_add_pd(high, one)))};
  }

  /// Goes on from symbols of which some are wrong.
  TORCH_ANS_NOINLINE bool search(const Elements& elements, int done, __mmask16 present,
                                 const Block& block, Vec symbol, const std::uint32_t* slots,
                                 const SlotMatches& matches) const {
    const Vec slot = _mm512_maskz_loadu_epi32(present, slots);
    FoundSlots found = find(block, symbol);
    auto missed = static_cast<__mmask16>(found.misses(slot) & present);
    for (int turn = 0; turn < kMostSteps && missed != 0; ++turn) {
      found = find(block, step(slot, missed, found));
      missed = static_cast<__mmask16>(found.misses(slot) & present);
    }
    found.store(matches, present);
    return missed == 0 || find_slowly(elements, done, missed, slots, matches);
  }

  /// Where those that missed would be if all symbols between had as many slots.
  TORCH_ANS_FN Vec step(Vec slot, __mmask16 missed, const FoundSlots& found) const {
    const __m512 away = _mm512_cvtepi32_ps(_mm512_sub_epi32(slot, found.start));
    const __m512 freq = _mm512_cvtepi32_ps(_mm512_sub_epi32(found.end, found.start));
    const Vec symbols = _mm512_cvt_roundps_epi32(_mm512_div_ps(away, freq),
                                                 _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
    const Vec symbol = _mm512_mask_add_epi32(found.symbol, missed, found.symbol, symbols);
    const Vec last = _mm512_sub_epi32(edges.num_symbols, splat(1));
    return _mm512_min_epi32(_mm512_max_epi32(symbol, _mm512_setzero_si512()), last);
  }

  /// Nearly always the right symbol: x with leak * x + spread * F(x) = slot, by Newton's method. As
  /// in ParametricModel::guess, F's inverse says where it leads. It is steep in the tails, so that
  /// the mean is no good start for a symbol there: what x leaves of the slot may be nothing. The
  /// first step need not be exact.
  TORCH_ANS_FN Vec guess(const Block& block, Vec slots) const {
    const Edges limits(model_);
    const Quantiles& table = quantiles_of(kKind);
    const __m512 zero = _mm512_setzero_ps();
    const __m512 most = _mm512_set1_ps(static_cast<float>(limits.num_symbols - 1));
    const __m512 per_slot = _mm512_set1_ps(1.0f / static_cast<float>(larger(limits.spread, 1u)));
    const __m512 slot = _mm512_add_ps(_mm512_cvtepi32_ps(slots), _mm512_set1_ps(0.5f));
    Newton newton;
    newton.leak = _mm512_mul_ps(per_slot, _mm512_set1_ps(static_cast<float>(limits.leak)));
    newton.share = _mm512_mul_ps(slot, per_slot);
    newton.scale = scaled(block.low.divisor, block.high.divisor, 1.0 / kScaleUnits);
    newton.mean = scaled(block.low.position, block.high.position, 1.0 / EightScales::kSymbol);
    // Each symbol before the right one has a slot at least, each one behind it too.
    newton.first =
        _mm512_max_ps(_mm512_sub_ps(slot, _mm512_set1_ps(static_cast<float>(limits.spread))), zero);
    newton.last = _mm512_min_ps(slot, most);
    const __m512 aside = _mm512_mul_ps(newton.scale, _mm512_set1_ps(table.of_powers()[kStart]));
    const __mmask16 lower =
        _mm512_cmp_ps_mask(newton.probability(newton.mean), _mm512_set1_ps(0.5f), _CMP_LT_OQ);
    const __m512 above = _mm512_add_ps(newton.mean, aside);
    __m512 x = newton.clamp(_mm512_mask_sub_ps(above, lower, newton.mean, aside));
    x = newton.step(x, quantile<23>(table.of_powers(), newton.probability(x)));
    x = newton.step(x, quantile<Quantiles::kShift>(table.of(), newton.probability(x)));
    return _mm512_cvttps_epi32(x);
  }

  /// Where the guess starts: at the quantile of kLeast * 2^kStart or of 1 less that.
  static constexpr int kStart = 8;

  struct Quantile {
    __m512 z;      ///< in scales from the mean
    __m512 slope;  ///< how z grows with the probability
  };

  struct Newton {
    __m512 leak, share, mean, scale, first, last;

    /// F if x is the symbol.
    TORCH_ANS_FN __m512 probability(__m512 x) const { return _mm512_fnmadd_ps(x, leak, share); }

    TORCH_ANS_FN __m512 clamp(__m512 x) const {
      return _mm512_min_ps(_mm512_max_ps(x, first), last);
    }

    TORCH_ANS_FN __m512 step(__m512 x, const Quantile& found) const {
      const __m512 miss = _mm512_sub_ps(_mm512_fmadd_ps(found.z, scale, mean), x);
      const __m512 slope =
          _mm512_fmadd_ps(_mm512_mul_ps(found.slope, scale), leak, _mm512_set1_ps(1.0f));
      return clamp(_mm512_fmadd_ps(miss, _mm512_rcp14_ps(slope), x));
    }
  };

  /// From a table with an entry for each 2^kShift floats; 23: for each octave.
  template <int kShift>
  static TORCH_ANS_FN Quantile quantile(const float* table, __m512 p) {
    const __m512 least = _mm512_set1_ps(Quantiles::kLeast);
    const __m512 other = _mm512_sub_ps(_mm512_set1_ps(1.0f), p);
    const __m512 lesser = _mm512_min_ps(p, other);
    const __m512 tail = _mm512_max_ps(lesser, least);
    const Vec bits = _mm512_castps_si512(tail);
    const Vec place = _mm512_srli_epi32(_mm512_sub_epi32(bits, _mm512_castps_si512(least)), kShift);
    Vec here, next;
    if constexpr (kShift == 23) {
      const Vec low = _mm512_loadu_si512(table);
      const Vec high = _mm512_loadu_si512(table + kVecSize);
      here = _mm512_permutex2var_epi32(low, place, high);
      next = _mm512_permutex2var_epi32(low, _mm512_add_epi32(place, splat(1)), high);
    } else {
      load_neighbours(table, place, here, next);
    }
    const Vec rest = _mm512_and_si512(bits, splat((1u << kShift) - 1));
    const __m512 fraction =
        _mm512_mul_ps(_mm512_cvtepi32_ps(rest), _mm512_set1_ps(1.0f / (1 << kShift)));
    const __m512 z = _mm512_castsi512_ps(here);
    const __m512 drop = _mm512_sub_ps(z, _mm512_castsi512_ps(next));
    // 2^-e of a probability that is 2^e or more
    const Vec exponent = _mm512_and_si512(bits, splat(0x7f800000));
    const __m512 inverse = _mm512_castsi512_ps(_mm512_sub_epi32(splat(254u << 23), exponent));
    const __m512 steps = _mm512_set1_ps(static_cast<float>(1 << (23 - kShift)));
    const __m512 above = _mm512_fnmadd_ps(drop, fraction, z);
    const __mmask16 lower = _mm512_cmp_ps_mask(p, other, _CMP_LT_OQ);
    // What is further out than the table is taken for its end.
    const __mmask16 inside = _mm512_cmp_ps_mask(lesser, least, _CMP_GT_OQ);
    return {_mm512_mask_sub_ps(above, lower, _mm512_setzero_ps(), above),
            _mm512_maskz_mul_ps(inside, _mm512_mul_ps(drop, steps), inverse)};
  }

  static TORCH_ANS_FN __m512 scaled(__m512d low, __m512d high, double by) {
    const __m256 first = _mm512_cvtpd_ps(_mm512_mul_pd(low, _mm512_set1_pd(by)));
    const __m256 second = _mm512_cvtpd_ps(_mm512_mul_pd(high, _mm512_set1_pd(by)));
    return _mm512_insertf32x8(_mm512_castps256_ps512(first), second, 1);
  }

  /// States that a few steps have not found.
  TORCH_ANS_COLD bool find_slowly(const Elements& elements, int done, __mmask16 missed,
                                  const std::uint32_t* slots, const SlotMatches& matches) const {
    const Scalar model(model_);
    std::uint32_t bad = 0;
    for (std::uint32_t left = missed; left != 0; left = _blsr_u32(left)) {
      const auto k = static_cast<int>(_tzcnt_u32(left));
      const std::int64_t element = element_of(elements, done + k);
      bad |= find_symbol(model, element, slots + k, matches + k);
    }
    return bad == 0;
  }

  const Model& model_;
  const Column<Real> means_;
  const Column<Real> scales_;
  const __m512d first_edge_;
};

template <typename Vectors>
SlotFlags find_slots_by(const Model& model, std::int64_t first, int count,
                        const std::int32_t* symbols, SlotPair* pairs) {
  return find_tile_slots(Vectors(model), model, first, count, symbols, pairs);
}

template <typename Vectors>
bool find_symbols_by(const Model& model, const Elements& elements, const std::uint32_t* slots,
                     const SlotMatches& matches) {
  const Vectors vectors(model);
  const int states = elements.rows * elements.lanes;
  bool good = true;
  for (int done = 0; done < states; done += Vectors::kTogether * kVecSize) {
    good &= vectors.find_states(elements, done, slots + done, matches + done);
  }
  return good;
}

template <ModelKind kKind>
void add_parametric_vectors(ModelTable& table) {
  ModelFunctions* kind = table[static_cast<int>(kKind)];
  using Floats = ParametricVectors<kKind, float>;
  using Doubles = ParametricVectors<kKind, double>;
  kind[static_cast<int>(RealType::kFloat32)] = {&find_slots_by<Floats>, &find_symbols_by<Floats>};
  kind[static_cast<int>(RealType::kFloat64)] = {&find_slots_by<Doubles>, &find_symbols_by<Doubles>};
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
