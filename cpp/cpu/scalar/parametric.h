/// Parametric models, in blocks: see models.h for what a policy is.
#pragma once

#include <initializer_list>

#include "models.h"
#include "torch_ans/parametric.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// What tells models of a mean and a scale apart: how likely more than so many scales above the
/// mean is.
TORCH_ANS_FN constexpr const std::uint32_t* tail_of(ModelKind kind) {
  return kind == ModelKind::kGaussian  ? kGaussianTail
         : kind == ModelKind::kLaplace ? kLaplaceTail
                                       : kLogisticTail;
}

/// F at the edges below symbols i of kCount elements.
template <int kCount>
TORCH_ANS_FN void find_probabilities(const std::uint32_t* tail, const double* position,
                                     const double* divisor, const std::uint32_t* i,
                                     std::uint32_t* out) {
  std::int32_t distance[kCount];
  std::uint32_t entry[kCount], next[kCount];
  for (int k = 0; k < kCount; ++k) distance[k] = distance_to(i[k], position[k], divisor[k]);
  for (int k = 0; k < kCount; ++k) {
    const std::uint32_t at = tail_entry(distance[k]);
    entry[k] = tail[at];
    next[k] = tail[at + 1];
  }
  for (int k = 0; k < kCount; ++k) out[k] = probability_below(distance[k], entry[k], next[k]);
}

/// How many scales above the mean a tail of given probability begins, roughly: for first guesses,
/// which decide nothing. Entries follow the bits of the probability, 2^-18 to 1/2, as a float.
class Quantiles {
 public:
  static constexpr int kShift = 17;
  static constexpr float kLeast = 1.0f / (1 << 18);

  explicit Quantiles(const std::uint32_t* tail) {
    int entry = kTailEntries - 2;
    const auto first = bit_cast<std::uint32_t>(kLeast);
    for (std::uint32_t k = 0; k < kSize; ++k) {
      const auto p = bit_cast<float>(first + (k << kShift)) * static_cast<float>(kFixedOne);
      while (entry > 0 && static_cast<float>(tail[entry]) < p) --entry;
      const auto here = static_cast<float>(tail[entry]);
      const float step = (here - p) / larger(here - static_cast<float>(tail[entry + 1]), 1.0f);
      of_[k] = (static_cast<float>(entry) + larger(step, 0.0f)) / kTailSteps;
    }
    for (int k = 0; k < kPowers; ++k) of_powers_[k] = of_[smaller(k, kOctaves) << (23 - kShift)];
  }

  const float* of() const { return of_; }

  /// Of kLeast * 2^k, and of 1/2 beyond that: an entry an octave fits two vectors.
  const float* of_powers() const { return of_powers_; }

 private:
  static constexpr int kOctaves = 17;
  static constexpr int kPowers = 32;
  static constexpr std::uint32_t kSize = (kOctaves << (23 - kShift)) + 2;
  float of_[kSize];
  float of_powers_[kPowers];
};

static_assert(kGaussianTail[0] == kFixedOne / 2 && kLaplaceTail[0] == kFixedOne / 2 &&
                  kLogisticTail[0] == kFixedOne / 2,
              "vectors take a distance of 0 for either side");

inline const Quantiles& quantiles_of(ModelKind kind) {
  static const Quantiles gaussian(kGaussianTail), laplace(kLaplaceTail), logistic(kLogisticTail);
  return kind == ModelKind::kGaussian ? gaussian : kind == ModelKind::kLaplace ? laplace : logistic;
}

/// A mean and a scale for each symbol.
template <typename Real>
class ParametricModel : public Guesses {
 public:
  template <int kCount>
  struct Block {
    double position[kCount];
    double divisor[kCount];
  };

  TORCH_ANS_FN explicit ParametricModel(const Model& model)
      : limits(model),
        means_(static_cast<const Real*>(model.values[0])),
        scales_(static_cast<const Real*>(model.values[1])),
        mean_stride_(model.strides[0]),
        scale_stride_(model.strides[1]),
        low_(model.low),
        tail_(tail_of(model.kind)),
        quantiles_(quantiles_of(model.kind)) {}

  template <int kCount, typename Places>
  TORCH_ANS_FN void load(const Places& element, Block<kCount>& block) const {
    Real mean[kCount], scale[kCount];
    for (int k = 0; k < kCount; ++k) {
      mean[k] = means_[element[k] * mean_stride_];
      scale[k] = scales_[element[k] * scale_stride_];
    }
    for (int k = 0; k < kCount; ++k) block.position[k] = position_of(mean[k], low_);
    for (int k = 0; k < kCount; ++k) block.divisor[k] = divisor_of(scale[k]);
  }

  TORCH_ANS_FN void prefetch(std::int64_t /*element*/, std::uint32_t /*i*/) const {}

  TORCH_ANS_FN void prefetch_run(std::int64_t element) const {
    torch_ans::prefetch(means_ + element * mean_stride_);
    torch_ans::prefetch(scales_ + element * scale_stride_);
  }

  TORCH_ANS_FN void prefetch_group(std::int64_t first, int /*count*/) const {
    prefetch_run(first + kElementsAhead);
  }

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    find_probabilities<kCount>(tail_, block.position, block.divisor, i, out);
    for (int k = 0; k < kCount; ++k) out[k] = limits.inner(i[k], out[k]);
  }

  const Edges limits;

  /// Within a symbol of the right one, nearly always: x with leak * x + spread * F(x) = slot, by
  /// Newton's method. What F gives follows from where its inverse is at what x leaves of the slot.
  template <int kCount>
  TORCH_ANS_FN void guess(const Block<kCount>& block, const std::uint32_t* slots,
                          std::uint32_t* symbol) const {
    constexpr int kShift = Quantiles::kShift;
    const float* table = quantiles_.of();
    const auto least = bit_cast<std::int32_t>(Quantiles::kLeast);
    const auto most = static_cast<float>(larger(limits.num_symbols, 2u) - 1);
    const float per_slot = 1.0f / static_cast<float>(larger(limits.spread, 1u));
    const float leak = static_cast<float>(limits.leak) * per_slot;
    const auto spread = static_cast<float>(limits.spread);
    float x[kCount], p[kCount], here[kCount], next[kCount];
    for (int k = 0; k < kCount; ++k) {
      const float mean = static_cast<float>(block.position[k]) * (1.0f / (1 << 14));
      x[k] = clamp_to(mean, 0.0f, most);
    }
    for (int turn = 0; turn < 2; ++turn) {
      for (int k = 0; k < kCount; ++k) {
        const float slot = static_cast<float>(static_cast<std::int32_t>(slots[k])) + 0.5f;
        p[k] = slot * per_slot - x[k] * leak;
        const float tail = p[k] < 1.0f - p[k] ? p[k] : 1.0f - p[k];
        const float clamped = tail > Quantiles::kLeast ? tail : Quantiles::kLeast;
        symbol[k] = bit_cast<std::uint32_t>(clamped);
      }
      for (int k = 0; k < kCount; ++k) {
        const auto place = (static_cast<std::int32_t>(symbol[k]) - least) >> kShift;
        here[k] = table[place];
        next[k] = table[place + 1];
      }
      for (int k = 0; k < kCount; ++k) {
        const auto bits = static_cast<std::int32_t>(symbol[k]);
        const auto rest = static_cast<float>(bits & ((1 << kShift) - 1));
        const float drop = here[k] - next[k];
        const float tail = here[k] - drop * rest * (1.0f / (1 << kShift));
        const float z = p[k] < 1.0f - p[k] ? -tail : tail;
        // 2^-e for a probability that is 2^e or more
        const auto inverse = bit_cast<float>((254 << 23) - (bits & 0x7f800000));
        const float scale = static_cast<float>(block.divisor[k]) * (1.0f / (1 << 16));
        const float mean = static_cast<float>(block.position[k]) * (1.0f / (1 << 14));
        const float slope = drop * (1 << (23 - kShift)) * inverse * scale;
        const float found = x[k] + (mean + z * scale - x[k]) / (1.0f + slope * leak);
        // Each symbol before the right one has a slot at least, each one behind it too.
        const float slot = static_cast<float>(static_cast<std::int32_t>(slots[k])) + 0.5f;
        x[k] = clamp_to(found, clamp_to(slot - spread, 0.0f, most), clamp_to(slot, 0.0f, most));
      }
    }
    for (int k = 0; k < kCount; ++k) {
      const auto whole = static_cast<std::int32_t>(x[k]);
      symbol[k] = static_cast<std::uint32_t>(whole);
    }
  }

  template <int kCount>
  TORCH_ANS_FN void find(const Block<kCount>& block, const std::uint32_t* slots,
                         std::uint32_t* symbol) const {
    static_assert(kCount == 1, "blocks are guessed");
    guess<1>(block, slots, symbol);
    *symbol = search_around(*this, block, *slots, *symbol);
  }

 private:
  const Real* means_;
  const Real* scales_;
  std::int64_t mean_stride_;
  std::int64_t scale_stride_;
  std::int32_t low_;

 protected:
  const std::uint32_t* const tail_;
  const Quantiles& quantiles_;
};

/// A mixture of logistics for each symbol.
template <typename Real>
class MixtureModel {
 public:
  template <int kCount>
  struct Block {
    double position[kMostComponents][kCount];
    double divisor[kMostComponents][kCount];
    std::uint32_t weight[kMostComponents][kCount];
  };

  TORCH_ANS_FN explicit MixtureModel(const Model& model)
      : limits(model), components_(model.components), low_(model.low) {
    for (int v = 0; v < kModelValues; ++v) {
      values_[v] = static_cast<const Real*>(model.values[v]);
      strides_[v] = model.strides[v];
    }
  }

  template <int kCount, typename Places>
  TORCH_ANS_FN void load(const Places& element, Block<kCount>& block) const {
    for (int k = 0; k < kCount; ++k) {
      const Real* means = values(0, element[k]);
      const Real* scales = values(1, element[k]);
      for (int c = 0; c < components_; ++c) {
        block.position[c][k] = position_of(static_cast<double>(means[c]), low_);
        block.divisor[c][k] = divisor_of(static_cast<double>(scales[c]));
      }
      find_shares(element[k], [&](int c, std::uint32_t share) { block.weight[c][k] = share; });
    }
  }

  TORCH_ANS_FN void prefetch(std::int64_t /*element*/, std::uint32_t /*i*/) const {}

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    std::uint64_t total[kCount] = {};
    for (int c = 0; c < components_; ++c) {
      find_probabilities<kCount>(kLogisticTail, block.position[c], block.divisor[c], i, out);
      for (int k = 0; k < kCount; ++k) {
        total[k] += static_cast<std::uint64_t>(out[k]) * block.weight[c][k];
      }
    }
    for (int k = 0; k < kCount; ++k) {
      out[k] = limits.inner(i[k], static_cast<std::uint32_t>(total[k] >> kWeightBits));
    }
  }

  template <int kCount>
  TORCH_ANS_FN void find(const Block<kCount>& block, const std::uint32_t* slots,
                         std::uint32_t* symbol) const {
    bisect<kCount>(*this, block, slots, symbol);
  }

  const Edges limits;

 protected:
  /// Those of an element's components.
  TORCH_ANS_FN const Real* values(int which, std::int64_t element) const {
    return values_[which] + element * strides_[which];
  }

  /// Calls `set(component, share)`. Shares are cut off; the first component takes what is left.
  template <typename Set>
  TORCH_ANS_FN void find_shares(std::int64_t element, const Set& set) const {
    const Real* weights = values(2, element);
    std::uint64_t sum = 0;
    for (int c = 0; c < components_; ++c) sum += to_fixed(weights[c]);
    std::uint32_t left = 1u << kWeightBits;
    for (int c = components_ - 1; c > 0; --c) {
      const std::uint64_t weight = to_fixed(weights[c]);
      const auto share = sum == 0 ? 0 : static_cast<std::uint32_t>((weight << kWeightBits) / sum);
      set(c, share);
      left -= share;
    }
    set(0, left);
  }

 private:
  const Real* values_[kModelValues];
  std::int64_t strides_[kModelValues];
  int components_;
  std::int32_t low_;
};

/// For all models of a mean and a scale.
inline void add_parametric_functions(ModelTable& table, RealType type, ModelFunctions functions) {
  for (const auto kind : {ModelKind::kGaussian, ModelKind::kLaplace, ModelKind::kLogistic}) {
    table[static_cast<int>(kind)][static_cast<int>(type)] = functions;
  }
}

inline void add_mixture_functions(ModelTable& table, RealType type, ModelFunctions functions) {
  table[static_cast<int>(ModelKind::kLogisticMixture)][static_cast<int>(type)] = functions;
}

template <typename Real>
inline void add_parametric_models(ModelTable& table, RealType type) {
  add_parametric_functions(table, type, functions_of<ParametricModel<Real>>());
  add_mixture_functions(table, type, functions_of<MixtureModel<Real>>());
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
