/// Gaussians, Laplacians and logistics for AVX-512: the integers of parametric.h, sixteen symbols
/// at a time.
#pragma once

#include "models_avx512.h"
#include "parametric_models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// One of the values that describe distributions, eight elements at a time, as doubles.
template <typename Real>
class Column {
 public:
  TORCH_ANS_FN Column(const Model& model, int which)
      : values_(static_cast<const Real*>(model.values[which])), stride_(model.strides[which]) {}

  /// Elements that follow each other; 0 for those that are not present.
  TORCH_ANS_FN __m512d run(std::int64_t first, __mmask8 present) const {
    if (stride_ == 1) return load_run(values_ + first, present);
    if (stride_ == 0) return _mm512_set1_pd(static_cast<double>(*values_));
    const __m512i steps = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    return pick(_mm512_add_epi64(_mm512_set1_epi64(first), steps), present);
  }

  TORCH_ANS_FN void prefetch(std::int64_t first) const {
    torch_ans::prefetch(values_ + first * stride_);
  }

  /// Any elements.
  TORCH_ANS_FN __m512d pick(__m512i element, __mmask8 present) const {
    const __m512i place = _mm512_mullo_epi64(element, _mm512_set1_epi64(stride_));
    if constexpr (sizeof(Real) == 4) {
      return _mm512_cvtps_pd(
          _mm512_mask_i64gather_ps(_mm256_setzero_ps(), present, place, values_, 4));
    } else {
      return _mm512_mask_i64gather_pd(_mm512_setzero_pd(), present, place, values_, 8);
    }
  }

 private:
  static TORCH_ANS_FN __m512d load_run(const float* values, __mmask8 present) {
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(present, values));
  }
  static TORCH_ANS_FN __m512d load_run(const double* values, __mmask8 present) {
    return _mm512_maskz_loadu_pd(present, values);
  }

  const Real* values_;
  std::int64_t stride_;
};

/// `clamp_to` of eight: the bound where `value` is NaN, as the first operand then loses.
TORCH_ANS_FN __m512d clamp_to(__m512d value, double low, double high) {
  return _mm512_min_pd(_mm512_max_pd(value, _mm512_set1_pd(low)), _mm512_set1_pd(high));
}

TORCH_ANS_FN __m512d cut_off(__m512d value) {
  return _mm512_roundscale_pd(value, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

TORCH_ANS_FN __m512d position_of(__m512d mean, std::int32_t low) {
  constexpr double kFar = 70368744177664.0;  // 2^46
  constexpr double kMost = 1073741823.0;     // 2^30 - 1
  const __m512d whole =
      cut_off(clamp_to(_mm512_mul_pd(mean, _mm512_set1_pd(kPositionUnits)), -kFar, kFar));
  const std::int64_t edge = std::int64_t{low} * (1 << 14) - (1 << 13);
  const __m512d from_edge = _mm512_sub_pd(whole, _mm512_set1_pd(static_cast<double>(edge)));
  return clamp_to(from_edge, -kMost, 2 * kMost);
}

TORCH_ANS_FN __m512d divisor_of(__m512d scale) {
  return cut_off(clamp_to(_mm512_mul_pd(scale, _mm512_set1_pd(kScaleUnits)), 1.0, 4294967296.0));
}

TORCH_ANS_FN __m256i distance_to(__m256i i, __m512d position, __m512d divisor) {
  constexpr double kUnits = kScaleUnits / kPositionUnits * (1 << kDistanceBits);
  const __m512d place = _mm512_mul_pd(_mm512_cvtepi32_pd(i), _mm512_set1_pd(kPositionUnits));
  const __m512d difference = _mm512_mul_pd(_mm512_sub_pd(place, position), _mm512_set1_pd(kUnits));
  return _mm512_cvttpd_epi32(
      clamp_to(_mm512_div_pd(difference, divisor), -kMostDistance, kMostDistance));
}

template <ModelKind kKind, typename Real>
class ParametricVectors {
  using Scalar = ParametricModel<kKind, Real>;
  static constexpr int kMostSteps = 8;

 public:
  TORCH_ANS_FN explicit ParametricVectors(const Model& model)
      : edges(Edges(model)), model_(model), means_(model, 0), scales_(model, 1) {}

  TORCH_ANS_FN FoundSlots find_run(std::int64_t first, __mmask16 present, Vec symbol) const {
    const Block block = load_run(first, first + 8, present);
    return find(block, symbol);
  }

  TORCH_ANS_FN void prefetch(std::int64_t first) const {
    means_.prefetch(first);
    scales_.prefetch(first);
  }

  /// Sixteen states, or less, from state `done` on.
  TORCH_ANS_FN bool find_states(const Elements& elements, int done, __mmask16 present,
                                const std::uint32_t* slots, const SlotMatches& matches) const {
    const Vec slot = _mm512_maskz_loadu_epi32(present, slots);
    const Block block = load_states(elements, done, present);
    FoundSlots found = find(block, guess(block, slot));
    auto missed = static_cast<__mmask16>(found.misses(slot) & present);
    for (int turn = 0; turn < kMostSteps && missed != 0; ++turn) {
      found = find(block, step(slot, missed, found));
      missed = static_cast<__mmask16>(found.misses(slot) & present);
    }
    found.store(matches, present);
    return missed == 0 || find_slowly(elements, done, missed, slots, matches);
  }

  const VectorEdges edges;

 private:
  struct Block {
    __m512d position[2];
    __m512d divisor[2];
  };

  TORCH_ANS_FN void set(Block& block, int half, __m512d mean, __m512d scale) const {
    block.position[half] = position_of(mean, model_.low);
    block.divisor[half] = divisor_of(scale);
  }

  TORCH_ANS_FN Block load_run(std::int64_t low_half, std::int64_t high_half,
                              __mmask16 present) const {
    const auto low = static_cast<__mmask8>(present);
    const auto high = static_cast<__mmask8>(present >> 8);
    Block block;
    set(block, 0, means_.run(low_half, low), scales_.run(low_half, low));
    set(block, 1, means_.run(high_half, high), scales_.run(high_half, high));
    return block;
  }

  TORCH_ANS_FN static std::int64_t element_of(const Elements& elements, int state) {
    return elements.first[state / elements.lanes] + state % elements.lanes;
  }

  TORCH_ANS_FN Block load_states(const Elements& elements, int done, __mmask16 present) const {
    if (elements.lanes >= 8) {
      const int past = elements.rows * elements.lanes - 8;
      return load_run(element_of(elements, done), element_of(elements, smaller(done + 8, past)),
                      present);
    }
    alignas(64) std::int64_t element[kVecSize] = {};
    for (int k = 0; k < smaller(kVecSize, elements.rows * elements.lanes - done); ++k) {
      element[k] = element_of(elements, done + k);
    }
    Block block;
    for (int half = 0; half < 2; ++half) {
      const __m512i at = _mm512_load_si512(element + 8 * half);
      const auto there = static_cast<__mmask8>(present >> (8 * half));
      set(block, half, means_.pick(at, there), scales_.pick(at, there));
    }
    return block;
  }

  /// C(i) of any edge.
  TORCH_ANS_FN Vec edge(const Block& block, Vec i) const {
    const Vec distance =
        join(distance_to(_mm512_castsi512_si256(i), block.position[0], block.divisor[0]),
             distance_to(_mm512_extracti64x4_epi64(i, 1), block.position[1], block.divisor[1]));
    const Vec tail = interpolate_tail(tail_of(kKind), _mm512_abs_epi32(distance));
    const Vec fixed = _mm512_mask_sub_epi32(
        tail, static_cast<__mmask16>(~_mm512_movepi32_mask(distance)), splat(kFixedOne), tail);
    return edges.clamp(i, edges.inner(i, fixed));
  }

  TORCH_ANS_FN FoundSlots find(const Block& block, Vec symbol) const {
    return {symbol, edge(block, symbol), edge(block, _mm512_add_epi32(symbol, splat(1)))};
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

  /// Nearly always the right symbol: x with leak * x + spread * F(x) = slot, by a step of Newton's
  /// method from the mean. As in ParametricModel::guess, F's inverse says where it leads.
  TORCH_ANS_FN Vec guess(const Block& block, Vec slots) const {
    const Edges limits(model_);
    const __m512 zero = _mm512_setzero_ps();
    const __m512 one = _mm512_set1_ps(1.0f);
    const __m512 most = _mm512_set1_ps(static_cast<float>(limits.num_symbols - 1));
    const __m512 per_slot = _mm512_set1_ps(1.0f / static_cast<float>(larger(limits.spread, 1u)));
    const __m512 leak = _mm512_mul_ps(per_slot, _mm512_set1_ps(static_cast<float>(limits.leak)));
    const __m512 scale = scaled(block.divisor, 1.0 / kScaleUnits);
    const __m512 mean = scaled(block.position, 1.0 / kPositionUnits);
    const __m512 slot = _mm512_add_ps(_mm512_cvtepi32_ps(slots), _mm512_set1_ps(0.5f));
    const __m512 share = _mm512_mul_ps(slot, per_slot);
    // Each symbol before the right one has a slot at least, each one behind it too.
    const __m512 first =
        _mm512_max_ps(_mm512_sub_ps(slot, _mm512_set1_ps(static_cast<float>(limits.spread))), zero);
    const __m512 last = _mm512_min_ps(slot, most);
    __m512 x = _mm512_min_ps(_mm512_max_ps(mean, first), last);
    const Quantile found = quantile(_mm512_fnmadd_ps(x, leak, share));
    const __m512 miss = _mm512_sub_ps(_mm512_fmadd_ps(found.z, scale, mean), x);
    const __m512 slope = _mm512_fmadd_ps(_mm512_mul_ps(found.slope, scale), leak, one);
    x = _mm512_fmadd_ps(miss, _mm512_rcp14_ps(slope), x);
    x = _mm512_min_ps(_mm512_max_ps(x, first), last);
    return _mm512_cvttps_epi32(x);
  }

  struct Quantile {
    __m512 z;      ///< in scales from the mean
    __m512 slope;  ///< how z grows with the probability
  };

  static TORCH_ANS_FN Quantile quantile(__m512 p) {
    const __m512 other = _mm512_sub_ps(_mm512_set1_ps(1.0f), p);
    const __m512 tail = _mm512_max_ps(_mm512_min_ps(p, other), _mm512_set1_ps(Quantiles::kLeast));
    const Vec bits = _mm512_castps_si512(tail);
    const Vec base = _mm512_castps_si512(_mm512_set1_ps(Quantiles::kLeast));
    const Vec place = _mm512_srli_epi32(_mm512_sub_epi32(bits, base), Quantiles::kShift);
    Vec here, next;
    load_neighbours(quantiles<kKind>(), place, here, next);
    const Vec rest = _mm512_and_si512(bits, splat((1u << Quantiles::kShift) - 1));
    const __m512 fraction =
        _mm512_mul_ps(_mm512_cvtepi32_ps(rest), _mm512_set1_ps(1.0f / (1 << Quantiles::kShift)));
    const __m512 z = _mm512_castsi512_ps(here);
    const __m512 drop = _mm512_sub_ps(z, _mm512_castsi512_ps(next));
    // 2^-e of a probability that is 2^e or more
    const Vec exponent = _mm512_and_si512(bits, splat(0x7f800000));
    const __m512 inverse = _mm512_castsi512_ps(_mm512_sub_epi32(splat(254u << 23), exponent));
    const __m512 steps = _mm512_set1_ps(static_cast<float>(1 << (23 - Quantiles::kShift)));
    const __m512 above = _mm512_fnmadd_ps(drop, fraction, z);
    const __mmask16 lower = _mm512_cmp_ps_mask(p, other, _CMP_LT_OQ);
    return {_mm512_mask_sub_ps(above, lower, _mm512_setzero_ps(), above),
            _mm512_mul_ps(_mm512_mul_ps(drop, steps), inverse)};
  }

  static TORCH_ANS_FN __m512 scaled(const __m512d* halves, double by) {
    const __m256 low = _mm512_cvtpd_ps(_mm512_mul_pd(halves[0], _mm512_set1_pd(by)));
    const __m256 high = _mm512_cvtpd_ps(_mm512_mul_pd(halves[1], _mm512_set1_pd(by)));
    return _mm512_insertf32x8(_mm512_castps256_ps512(low), high, 1);
  }

  /// States that a few steps have not found.
  TORCH_ANS_COLD bool find_slowly(const Elements& elements, int done, __mmask16 missed,
                                  const std::uint32_t* slots, const SlotMatches& matches) const {
    const Scalar model(model_);
    std::uint32_t bad = 0;
    for (std::uint32_t left = missed; left != 0; left = _blsr_u32(left)) {
      const auto k = static_cast<int>(_tzcnt_u32(left));
      const std::int64_t element = element_of(elements, done + k);
      bad |= find_block_symbols<1>(model, &element, slots + k, matches + k);
    }
    return bad == 0;
  }

  const Model& model_;
  const Column<Real> means_;
  const Column<Real> scales_;
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
  for (int done = 0; done < states; done += kVecSize) {
    good &= vectors.find_states(elements, done, first_elements(states - done), slots + done,
                                matches + done);
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
