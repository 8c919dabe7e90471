/// Distributions without tables: a model says which slots a symbol owns, and whose a slot is.
///
/// A model is a function C from the edges of its symbols to slots: symbol i owns [C(i), C(i + 1)),
/// with C(0) = 0 and C(S) = 2^P for S symbols. What stands for probabilities is made to leak, so
/// that each symbol keeps a slot (Bamler, "Understanding entropy coding with asymmetric numeral
/// systems", 2022): C(i) = i + floor((2^P - S) * F(i)) for any F that does not decrease.
#pragma once

#include "torch_ans/fixed.h"

namespace torch_ans {

enum class ModelKind : std::uint8_t {
  kCdf,              ///< values[0]: F at the S + 1 edges, or C itself where they are integers
  kPmf,              ///< values[0]: the S differences of F
  kLogits,           ///< values[0]: S logits, of which F is the softmax
  kGaussian,         ///< values: mean, standard deviation
  kLaplace,          ///< values: mean, scale
  kLogistic,         ///< values: mean, scale
  kLogisticMixture,  ///< values: means, scales and weights of `components` logistics
};
constexpr int kModelKinds = 7;

enum class RealType : std::uint8_t {
  kFloat32,
  kFloat64,
  kFloat16,
  kBFloat16,
  kInt16,  ///< read as unsigned
  kInt32,
  kInt64
};
constexpr int kRealTypes = 7;

constexpr int kModelValues = 3;

/// One distribution for each symbol of a sequence.
struct Model {
  ModelKind kind;
  RealType type;                     ///< of all values
  const void* values[kModelValues];  ///< what describes symbol e starts at e * strides[]
  std::int64_t strides[kModelValues];
  std::int32_t components;    ///< of a mixture
  std::int32_t low;           ///< the smallest symbol
  std::uint32_t num_symbols;  ///< S: from 1 to 2^P
  std::int32_t freq_precision;
  bool leaks;  ///< false: C(i) = floor(2^P * F(i)), and symbols without slots cannot be coded
};

inline namespace TORCH_ANS_ISA {

/// C from F.
struct Edges {
  std::uint32_t num_symbols;
  std::uint32_t slots;
  std::uint32_t spread;  ///< slots that follow F
  std::uint32_t leak;    ///< slots that each symbol has in any case

  TORCH_ANS_FN explicit Edges(const Model& model)
      : num_symbols(model.num_symbols),
        slots(std::uint32_t{1} << model.freq_precision),
        spread(model.leaks ? slots - num_symbols : slots),
        leak(model.leaks ? 1 : 0) {}

  /// An edge between two symbols.
  TORCH_ANS_FN std::uint32_t inner(std::uint32_t i, std::uint32_t fixed) const {
    const std::uint64_t product = static_cast<std::uint64_t>(fixed) * spread;
    return i * leak + static_cast<std::uint32_t>(product >> kFixedBits);
  }

  /// Any edge, given C(i) of an inner one.
  TORCH_ANS_FN std::uint32_t clamp(std::uint32_t i, std::uint32_t inner_edge) const {
    const std::uint32_t above = i == 0 ? 0 : inner_edge;
    return i >= num_symbols ? slots : above;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
