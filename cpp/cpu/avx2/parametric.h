/// Gaussians, Laplacians and logistics for AVX2: the integers of torch_ans/parametric.h for a block
/// of sixteen symbols (scalar/models.h), four or eight at a time.
#pragma once

#include "cpu/scalar/parametric.h"
#include "models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `clamp_to` of four: the bound where `value` is NaN, as the first operand then loses.
TORCH_ANS_FN __m256d clamp_to(__m256d value, double low, double high) {
  return _mm256_min_pd(_mm256_max_pd(value, _mm256_set1_pd(low)), _mm256_set1_pd(high));
}

TORCH_ANS_FN __m256d cut_off(__m256d value) {
  return _mm256_round_pd(value, _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC);
}

/// Four means and scales, as EightScales (avx512/scales.h). Distances come without a division for
/// each edge: N / D for integers, cut off, is N times an inverse of D that is too large, but (with
/// the product's rounding) by a share of less than 1 / N. N is at most 2^48 here. The inverse and
/// the product are rounded by less than 2^-52 each, in any rounding mode; 2^-50 is added.
struct FourScales {
  static constexpr double kUnits = kScaleUnits / kPositionUnits * (1 << kDistanceBits);
  static constexpr double kSymbol = kPositionUnits * kUnits;

  __m256d position;  ///< of the mean, as `position_of`, times kUnits: so a symbol is kSymbol
  __m256d inverse;   ///< 1 / divisor, as `divisor_of`, and a bit more than that

  FourScales() = default;
  TORCH_ANS_FN FourScales(__m256d mean, __m256d scale, std::int32_t low) {
    // What `position_of` clamps to 2^46 first is that far from the alphabet.
    constexpr double kMost = 1073741823.0;  // 2^30 - 1
    const __m256d first_edge = _mm256_set1_pd(static_cast<double>(low) * kSymbol - kSymbol / 2);
    const __m256d whole = cut_off(_mm256_mul_pd(mean, _mm256_set1_pd(kPositionUnits)));
    position = clamp_to(_mm256_fmsub_pd(whole, _mm256_set1_pd(kUnits), first_edge), -kMost * kUnits,
                        2 * kMost * kUnits);
    const __m256d units = _mm256_mul_pd(scale, _mm256_set1_pd(kScaleUnits));
    const __m256d divisor = cut_off(clamp_to(units, 1.0, 4294967296.0));
    inverse = _mm256_div_pd(_mm256_set1_pd(1.0 + 0x1p-50), divisor);
  }

  /// Of the edges below symbols i.
  TORCH_ANS_FN __m256d difference(__m128i i) const {
    return _mm256_fmsub_pd(_mm256_cvtepi32_pd(i), _mm256_set1_pd(kSymbol), position);
  }

  /// The distance for a difference, without its sign.
  TORCH_ANS_FN __m128i distance(__m256d difference) const {
    const __m256d signed_distance = _mm256_mul_pd(difference, inverse);
    const __m256d size = _mm256_andnot_pd(_mm256_set1_pd(-0.0), signed_distance);
    return _mm256_cvttpd_epi32(_mm256_min_pd(size, _mm256_set1_pd(kMostDistance)));
  }
};

/// One of the values that describe distributions, as doubles.
template <typename Real>
class Column {
 public:
  TORCH_ANS_FN Column(const Model& model, int which)
      : values_(static_cast<const Real*>(model.values[which])), stride_(model.strides[which]) {}

  /// Of four elements.
  TORCH_ANS_FN __m256d four(const std::int64_t* element) const {
    const std::int64_t first = element[0];
    const std::int64_t elsewhere =
        (element[1] - first - 1) | (element[2] - first - 2) | (element[3] - first - 3);
    if (elsewhere == 0 && stride_ == 1) return load_run(values_ + first);
    const auto value = [&](int k) { return static_cast<double>(values_[element[k] * stride_]); };
    return _mm256_setr_pd(value(0), value(1), value(2), value(3));
  }

 private:
  static TORCH_ANS_FN __m256d load_run(const float* values) {
    return _mm256_cvtps_pd(_mm_loadu_ps(values));
  }
  static TORCH_ANS_FN __m256d load_run(const double* values) { return _mm256_loadu_pd(values); }

  const Real* values_;
  std::int64_t stride_;
};

/// F at the edges below eight symbols.
TORCH_ANS_FN __m256i find_eight(const std::uint32_t* tail, const FourScales& low,
                                const FourScales& high, __m256i i) {
  const __m256d differences[2] = {low.difference(_mm256_castsi256_si128(i)),
                                  high.difference(_mm256_extracti128_si256(i, 1))};
  const __m256i distance =
      _mm256_set_m128i(high.distance(differences[1]), low.distance(differences[0]));
  const __m256i below = interpolate_tail(tail, distance);
  const __m256i above = _mm256_sub_epi32(_mm256_set1_epi32(kFixedOne), below);
  // A distance that is cut off to 0 has half of 2^30 on either side.
  const __m256 halves =
      _mm256_shuffle_ps(_mm256_castpd_ps(differences[0]), _mm256_castpd_ps(differences[1]), 0xdd);
  const __m256i signs = _mm256_permute4x64_epi64(_mm256_castps_si256(halves), 0xd8);
  return pick(above, below, signs);
}

/// For blocks of one the portable code.
template <typename Real>
class ParametricVectors : public ParametricModel<Real> {
  using Scalar = ParametricModel<Real>;

  template <int kCount>
  struct VectorBlock {
    FourScales four[kCount / 4];
  };

 public:
  using Scalar::limits;
  /// What a symbol waits for takes far longer than its instructions.
  static constexpr int kTogether = 2 * kLockstep;
  template <int kCount>
  using Block =
      std::conditional_t<kCount == 1, typename Scalar::template Block<kCount>, VectorBlock<kCount>>;

  TORCH_ANS_FN explicit ParametricVectors(const Model& model)
      : Scalar(model), means_(model, 0), scales_(model, 1), low_(model.low) {}

  template <int kCount, typename Places>
  TORCH_ANS_FN void load(const Places& element, Block<kCount>& block) const {
    if constexpr (kCount == 1) {
      Scalar::template load<1>(element, block);
    } else {
      TORCH_ANS_UNROLL
      for (int q = 0; q < kCount / 4; ++q) {
        const std::int64_t of[4] = {element[4 * q], element[4 * q + 1], element[4 * q + 2],
                                    element[4 * q + 3]};
        block.four[q] = FourScales(means_.four(of), scales_.four(of), low_);
      }
    }
  }

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    if constexpr (kCount == 1) {
      Scalar::template edges<1>(block, i, out);
    } else {
      TORCH_ANS_UNROLL
      for (int k = 0; k < kCount; k += 8) {
        const __m256i symbol = load256(i + k);
        const FourScales* four = block.four + k / 4;
        const __m256i fixed = find_eight(tail_, four[0], four[1], symbol);
        store256(out + k, inner_edges(limits, symbol, fixed));
      }
    }
  }

  template <int kCount>
  TORCH_ANS_FN void guess(const Block<kCount>& block, const std::uint32_t* slots,
                          std::uint32_t* symbol) const {
    if constexpr (kCount == 1) {
      Scalar::template guess<1>(block, slots, symbol);
    } else {
      constexpr int kVectors = kCount / 8;
      Newton newton[kVectors];
      __m256 x[kVectors];
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) {
        const FourScales* four = block.four + 2 * v;
        newton[v] = Newton(limits, four[0], four[1], load256(slots + 8 * v));
        x[v] = newton[v].begin(quantiles_);
      }
      for (int turn = 0; turn < 2; ++turn) {
        TORCH_ANS_UNROLL
        for (int v = 0; v < kVectors; ++v) x[v] = newton[v].step(quantiles_, x[v]);
      }
      TORCH_ANS_UNROLL
      for (int v = 0; v < kVectors; ++v) store256(symbol + 8 * v, _mm256_cvttps_epi32(x[v]));
    }
  }

 private:
  using Scalar::tail_, Scalar::quantiles_;

  /// As in ParametricVectors of AVX-512, with one table.
  struct Newton {
    __m256 leak, share, mean, scale, first, last;

    Newton() = default;
    TORCH_ANS_FN Newton(const Edges& limits, const FourScales& low, const FourScales& high,
                        __m256i slots) {
      const float per_slot = 1.0f / static_cast<float>(larger(limits.spread, 1u));
      const __m256 slot = _mm256_add_ps(_mm256_cvtepi32_ps(slots), _mm256_set1_ps(0.5f));
      leak = _mm256_set1_ps(static_cast<float>(limits.leak) * per_slot);
      share = _mm256_mul_ps(slot, _mm256_set1_ps(per_slot));
      scale = _mm256_div_ps(_mm256_set1_ps(static_cast<float>(1.0 / kScaleUnits)),
                            scaled(low.inverse, high.inverse, 1.0));
      mean = scaled(low.position, high.position, 1.0 / FourScales::kSymbol);
      // Each symbol before the right one has a slot at least, each one behind it too.
      const __m256 spread = _mm256_set1_ps(static_cast<float>(limits.spread));
      first = _mm256_max_ps(_mm256_sub_ps(slot, spread), _mm256_setzero_ps());
      last = _mm256_min_ps(slot, _mm256_set1_ps(static_cast<float>(limits.num_symbols - 1)));
    }

    /// At the quantile of kLeast * 2^kStart or of 1 less that.
    TORCH_ANS_FN __m256 begin(const Quantiles& quantiles) const {
      constexpr int kStart = 8;
      const float start = quantiles.of_powers()[kStart];
      const __m256 aside = _mm256_mul_ps(scale, _mm256_set1_ps(start));
      const __m256 lower = _mm256_cmp_ps(probability(mean), _mm256_set1_ps(0.5f), _CMP_LT_OQ);
      const __m256 sign = _mm256_and_ps(lower, _mm256_set1_ps(-0.0f));
      return clamp(_mm256_add_ps(mean, _mm256_xor_ps(aside, sign)));
    }

    /// F if x is the symbol.
    TORCH_ANS_FN __m256 probability(__m256 x) const { return _mm256_fnmadd_ps(x, leak, share); }

    TORCH_ANS_FN __m256 clamp(__m256 x) const {
      return _mm256_min_ps(_mm256_max_ps(x, first), last);
    }

    /// From x to where F's inverse says that the probability left there is.
    TORCH_ANS_FN __m256 step(const Quantiles& quantiles, __m256 x) const {
      constexpr int kShift = Quantiles::kShift;
      const __m256 least = _mm256_set1_ps(Quantiles::kLeast);
      const __m256 p = probability(x);
      const __m256 other = _mm256_sub_ps(_mm256_set1_ps(1.0f), p);
      const __m256i bits = _mm256_castps_si256(_mm256_max_ps(_mm256_min_ps(p, other), least));
      const __m256i place =
          _mm256_srli_epi32(_mm256_sub_epi32(bits, _mm256_castps_si256(least)), kShift);
      __m256 here, next;
      load_neighbours(quantiles.of(), place, here, next);
      const __m256i rest = _mm256_and_si256(bits, _mm256_set1_epi32((1 << kShift) - 1));
      const __m256 fraction =
          _mm256_mul_ps(_mm256_cvtepi32_ps(rest), _mm256_set1_ps(1.0f / (1 << kShift)));
      const __m256 drop = _mm256_sub_ps(here, next);
      // 2^-e of a probability that is 2^e or more
      const __m256i exponent = _mm256_and_si256(bits, _mm256_set1_epi32(0x7f800000));
      const __m256i inverse = _mm256_sub_epi32(_mm256_set1_epi32(254 << 23), exponent);
      const __m256 steps = _mm256_set1_ps(static_cast<float>(1 << (23 - kShift)));
      const __m256 above = _mm256_fnmadd_ps(drop, fraction, here);
      const __m256 upper = _mm256_cmp_ps(p, other, _CMP_GE_OQ);
      const __m256 z = _mm256_xor_ps(above, _mm256_andnot_ps(upper, _mm256_set1_ps(-0.0f)));
      const __m256 slope = _mm256_mul_ps(_mm256_mul_ps(drop, steps), _mm256_castsi256_ps(inverse));
      const __m256 miss = _mm256_sub_ps(_mm256_fmadd_ps(z, scale, mean), x);
      const __m256 bend = _mm256_fmadd_ps(_mm256_mul_ps(slope, scale), leak, _mm256_set1_ps(1.0f));
      return clamp(_mm256_fmadd_ps(miss, _mm256_rcp_ps(bend), x));
    }
  };

  static TORCH_ANS_FN __m256 scaled(__m256d low, __m256d high, double by) {
    return _mm256_set_m128(_mm256_cvtpd_ps(_mm256_mul_pd(high, _mm256_set1_pd(by))),
                           _mm256_cvtpd_ps(_mm256_mul_pd(low, _mm256_set1_pd(by))));
  }

  const Column<Real> means_;
  const Column<Real> scales_;
  const std::int32_t low_;
};

/// For blocks of one the portable code.
template <typename Real>
class MixtureVectors : public MixtureModel<Real> {
  using Scalar = MixtureModel<Real>;

  template <int kCount>
  struct VectorBlock {
    FourScales four[kMostComponents][kCount / 4];
    std::uint32_t weight[kMostComponents][kCount];
  };

 public:
  using Scalar::limits;
  template <int kCount>
  using Block =
      std::conditional_t<kCount == 1, typename Scalar::template Block<kCount>, VectorBlock<kCount>>;

  TORCH_ANS_FN explicit MixtureVectors(const Model& model)
      : Scalar(model), components_(model.components), low_(model.low) {}

  template <int kCount, typename Places>
  TORCH_ANS_FN void load(const Places& element, Block<kCount>& block) const {
    if constexpr (kCount == 1) {
      Scalar::template load<1>(element, block);
    } else {
      for (int k = 0; k < kCount; ++k) {
        this->find_shares(element[k],
                          [&](int c, std::uint32_t share) { block.weight[c][k] = share; });
      }
      for (int q = 0; q < kCount / 4; ++q) {
        const Real* of[2][4];
        for (int k = 0; k < 4; ++k) {
          for (int v = 0; v < 2; ++v) of[v][k] = this->values(v, element[4 * q + k]);
        }
        for (int c = 0; c < components_; ++c) {
          block.four[c][q] = FourScales(four(of[0], c), four(of[1], c), low_);
        }
      }
    }
  }

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    if constexpr (kCount == 1) {
      Scalar::template edges<1>(block, i, out);
    } else {
      __m256i even[kCount / 8], odd[kCount / 8];  // sums
      for (int v = 0; v < kCount / 8; ++v) even[v] = odd[v] = _mm256_setzero_si256();
      for (int c = 0; c < components_; ++c) {
        TORCH_ANS_UNROLL
        for (int v = 0; v < kCount / 8; ++v) {
          const FourScales* four = block.four[c] + 2 * v;
          const __m256i fixed = find_eight(kLogisticTail, four[0], four[1], load256(i + 8 * v));
          const __m256i weight = load256(block.weight[c] + 8 * v);
          even[v] = _mm256_add_epi64(even[v], _mm256_mul_epu32(fixed, weight));
          odd[v] = _mm256_add_epi64(odd[v], _mm256_mul_epu32(_mm256_srli_epi64(fixed, 32),
                                                             _mm256_srli_epi64(weight, 32)));
        }
      }
      TORCH_ANS_UNROLL
      for (int v = 0; v < kCount / 8; ++v) {
        const __m256i fixed = _mm256_blend_epi32(_mm256_srli_epi64(even[v], kWeightBits),
                                                 _mm256_slli_epi64(odd[v], 32 - kWeightBits), 0xaa);
        store256(out + 8 * v, inner_edges(limits, load256(i + 8 * v), fixed));
      }
    }
  }

  template <int kCount>
  TORCH_ANS_FN void find(const Block<kCount>& block, const std::uint32_t* slots,
                         std::uint32_t* symbol) const {
    bisect<kCount>(*this, block, slots, symbol);
  }

 private:
  static TORCH_ANS_FN __m256d four(const Real* const* of, int c) {
    return _mm256_setr_pd(static_cast<double>(of[0][c]), static_cast<double>(of[1][c]),
                          static_cast<double>(of[2][c]), static_cast<double>(of[3][c]));
  }

  const int components_;
  const std::int32_t low_;
};

template <typename Real>
void add_parametric_vectors(ModelTable& table, RealType type) {
  add_parametric_functions(table, type, functions_of<ParametricVectors<Real>>());
  add_mixture_functions(table, type, functions_of<MixtureVectors<Real>>());
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
