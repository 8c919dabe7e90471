/// Parametric models, in blocks: see models.h for what a policy is.
#pragma once

#include "models.h"
#include "torch_ans/parametric.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

TORCH_ANS_FN const std::uint32_t* tail_of(ModelKind kind) {
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

/// Where a probability is, roughly: for first guesses, which decide nothing.
class Quantiles {
 public:
  static constexpr int kSize = 1 << 12;

  explicit Quantiles(const std::uint32_t* tail) {
    int entry = kTailEntries - 1;
    for (int k = 0; k <= kSize / 2; ++k) {
      const std::uint32_t below = static_cast<std::uint32_t>(k) << (kFixedBits - 12);
      while (entry > 0 && tail[entry] < larger(below, 1u << 12)) --entry;
      float step = 0;
      if (tail[entry] > tail[entry + 1]) {
        const std::uint32_t over = tail[entry] - smaller(tail[entry], below);
        step = static_cast<float>(over) / static_cast<float>(tail[entry] - tail[entry + 1]);
      }
      const float z = (static_cast<float>(entry) + smaller(step, 1.0f)) / kTailSteps;
      of_[k] = -z;
      of_[kSize - k] = z;
    }
    of_[kSize + 1] = of_[kSize];
  }

  const float* of() const { return of_; }

 private:
  float of_[kSize + 2];
};

template <ModelKind kKind>
const float* quantiles() {
  static const Quantiles instance(tail_of(kKind));
  return instance.of();
}

/// A mean and a scale for each symbol.
template <ModelKind kKind, typename Real>
class ParametricModel {
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
        low_(model.low) {}

  template <int kCount>
  TORCH_ANS_FN void load(const std::int64_t* element, Block<kCount>& block) const {
    Real mean[kCount], scale[kCount];
    for (int k = 0; k < kCount; ++k) {
      mean[k] = means_[element[k] * mean_stride_];
      scale[k] = scales_[element[k] * scale_stride_];
    }
    for (int k = 0; k < kCount; ++k) block.position[k] = position_of(mean[k], low_);
    for (int k = 0; k < kCount; ++k) block.divisor[k] = divisor_of(scale[k]);
  }

  TORCH_ANS_FN void prefetch(std::int64_t /*element*/, std::uint32_t /*i*/) const {}

  template <int kCount>
  TORCH_ANS_FN void edges(const Block<kCount>& block, const std::uint32_t* i,
                          std::uint32_t* out) const {
    find_probabilities<kCount>(tail_of(kKind), block.position, block.divisor, i, out);
    for (int k = 0; k < kCount; ++k) out[k] = limits.inner(i[k], out[k]);
  }

  /// From a guess outwards in growing steps, then by halves.
  template <int kCount>
  TORCH_ANS_FN void find(const Block<kCount>& block, const std::uint32_t* slots,
                         std::uint32_t* symbol) const {
    std::uint32_t past[kCount], probe[kCount], edge[kCount];
    guess<kCount>(block, slots, probe);
    for (int k = 0; k < kCount; ++k) {
      symbol[k] = 0;
      past[k] = limits.num_symbols;
    }
    for (std::uint32_t step = 1;; step *= 2) {
      std::uint32_t widest = 0;
      for (int k = 0; k < kCount; ++k) widest = larger(widest, past[k] - symbol[k]);
      if (widest <= 1) return;
      edges<kCount>(block, probe, edge);
      for (int k = 0; k < kCount; ++k) {
        const bool open = past[k] - symbol[k] > 1;
        const bool above = edge[k] <= slots[k];
        symbol[k] = open && above ? probe[k] : symbol[k];
        past[k] = open && !above ? probe[k] : past[k];
        const std::uint32_t stride = smaller(step, (past[k] - symbol[k]) / 2);
        probe[k] = above ? symbol[k] + stride : past[k] - stride;
      }
    }
  }

  const Edges limits;

 private:
  /// Within a symbol of the right one, nearly always.
  template <int kCount>
  TORCH_ANS_FN void guess(const Block<kCount>& block, const std::uint32_t* slots,
                          std::uint32_t* symbol) const {
    const float* quantile = quantiles<kKind>();
    const auto most = static_cast<float>(larger(limits.num_symbols, 2u) - 1);
    const float per_slot =
        static_cast<float>(Quantiles::kSize) / static_cast<float>(larger(limits.spread, 1u));
    float at[kCount], lower[kCount], upper[kCount];
    float found[kCount] = {};
    for (int turn = 0; turn < 2; ++turn) {  // the second one knows how many slots have leaked
      const float scale =
          turn == 0 ? static_cast<float>(Quantiles::kSize) / static_cast<float>(limits.slots)
                    : per_slot;
      for (int k = 0; k < kCount; ++k) {
        const float slot = static_cast<float>(static_cast<std::int32_t>(slots[k])) + 0.5f;
        at[k] = (slot - found[k]) * scale;
        at[k] = at[k] > 0 ? at[k] : 0;
        at[k] = at[k] < Quantiles::kSize ? at[k] : Quantiles::kSize;
      }
      for (int k = 0; k < kCount; ++k) {
        const auto whole = static_cast<std::int32_t>(at[k]);
        lower[k] = quantile[whole];
        upper[k] = quantile[whole + 1];
      }
      for (int k = 0; k < kCount; ++k) {
        const float fraction = at[k] - static_cast<float>(static_cast<std::int32_t>(at[k]));
        const float z = lower[k] + (upper[k] - lower[k]) * fraction;
        const float x = static_cast<float>(block.position[k]) * (1.0f / (1 << 14)) +
                        z * static_cast<float>(block.divisor[k]) * (1.0f / (1 << 16));
        found[k] = x > 0 ? x : 0;
        found[k] = found[k] < most ? found[k] : most;
      }
    }
    for (int k = 0; k < kCount; ++k) {
      const auto whole = static_cast<std::int32_t>(found[k]);
      symbol[k] = static_cast<std::uint32_t>(larger(whole, 1));
    }
  }

  const Real* means_;
  const Real* scales_;
  std::int64_t mean_stride_;
  std::int64_t scale_stride_;
  std::int32_t low_;
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

  template <int kCount>
  TORCH_ANS_FN void load(const std::int64_t* element, Block<kCount>& block) const {
    for (int k = 0; k < kCount; ++k) {
      const Real* means = values_[0] + element[k] * strides_[0];
      const Real* scales = values_[1] + element[k] * strides_[1];
      const Real* weights = values_[2] + element[k] * strides_[2];
      std::uint64_t sum = 0;
      for (int c = 0; c < components_; ++c) {
        block.position[c][k] = position_of(static_cast<double>(means[c]), low_);
        block.divisor[c][k] = divisor_of(static_cast<double>(scales[c]));
        sum += to_fixed(weights[c]);
      }
      // Shares are cut off; the first component takes what is left.
      std::uint32_t left = 1u << kWeightBits;
      for (int c = components_ - 1; c > 0; --c) {
        const std::uint64_t weight = to_fixed(weights[c]);
        const auto share = sum == 0 ? 0 : static_cast<std::uint32_t>((weight << kWeightBits) / sum);
        block.weight[c][k] = share;
        left -= share;
      }
      block.weight[0][k] = left;
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

 private:
  const Real* values_[kModelValues];
  std::int64_t strides_[kModelValues];
  int components_;
  std::int32_t low_;
};

template <typename Real>
inline void add_parametric_models(ModelTable& table, RealType type) {
  const auto t = static_cast<int>(type);
  table[static_cast<int>(ModelKind::kGaussian)][t] =
      functions_of<ParametricModel<ModelKind::kGaussian, Real>>();
  table[static_cast<int>(ModelKind::kLaplace)][t] =
      functions_of<ParametricModel<ModelKind::kLaplace, Real>>();
  table[static_cast<int>(ModelKind::kLogistic)][t] =
      functions_of<ParametricModel<ModelKind::kLogistic, Real>>();
  table[static_cast<int>(ModelKind::kLogisticMixture)][t] = functions_of<MixtureModel<Real>>();
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
