/// Symbols and indexes of a row of 32 lanes, a step (one element a lane) after the other.
#pragma once

#include "elements.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

constexpr unsigned kQuad = 4;  ///< steps
using QuadOfElements = std::int32_t[kQuad];

/// Elements of any type and stride.
class AnyElements {
 public:
  TORCH_ANS_DEVICE AnyElements(const Elements& elements, std::int64_t row, unsigned lane)
      : elements_(elements), row_(row), lane_(lane) {}

  /// Leaves `values` as they are where there are no elements.
  TORCH_ANS_DEVICE void load(std::uint32_t step, QuadOfElements& values) const {
    if (elements_.data == nullptr) return;
    load_elements(elements_, row_, 32 * step + lane_, 32, [](int) { return true; }, values);
  }

  template <unsigned kCount>
  TORCH_ANS_DEVICE void prefetch_steps(std::uint32_t /*step*/) const {}

  /// Writes the first `count`.
  TORCH_ANS_DEVICE void store(std::uint32_t step, unsigned count,
                              const QuadOfElements& values) const {
    const auto wanted = [count](int j) { return static_cast<unsigned>(j) < count; };
    store_elements(elements_, row_, 32 * step + lane_, 32, wanted, values);
  }

 private:
  const Elements& elements_;
  std::int64_t row_;
  unsigned lane_;
};

/// Elements of one type that lie side by side.
template <typename T>
class PlainElements {
 public:
  TORCH_ANS_DEVICE PlainElements(const Elements& elements, std::int64_t row, unsigned lane)
      : row_(held(static_cast<T*>(elements.data) + row * elements.row_stride + lane)) {}

  template <unsigned kCount>
  TORCH_ANS_DEVICE void load(std::uint32_t step, std::int32_t (&values)[kCount]) const {
    const T* source = at(step);
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kCount; ++j) values[j] = streaming_load_int(source + 32 * j);
  }

  /// Begins to bring kCount steps from `step` on nearer, a power of two of them: the lines of each
  /// are some thread's.
  template <unsigned kCount>
  TORCH_ANS_DEVICE void prefetch_steps(std::uint32_t step) const {
    prefetch(at(step + (lane_index() & (kCount - 1))));
  }

  template <unsigned kCount>
  TORCH_ANS_DEVICE void store(std::uint32_t step, const std::int32_t (&values)[kCount]) const {
    T* target = at(step);
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kCount; ++j) streaming_store_low(target + 32 * j, values[j]);
  }

 private:
  struct Step {
    T of[32];
  };

  TORCH_ANS_DEVICE T* at(std::uint32_t step) const {
    return reinterpret_cast<T*>(moved(reinterpret_cast<Step*>(row_), step));
  }

  T* row_;  ///< of this thread's first element
};

/// No indexes.
class NoElements {
 public:
  TORCH_ANS_DEVICE NoElements(const Elements& /*elements*/, std::int64_t /*row*/,
                              unsigned /*lane*/) {}
  TORCH_ANS_DEVICE void load(std::uint32_t /*step*/, QuadOfElements& /*values*/) const {}
  template <unsigned kCount>
  TORCH_ANS_DEVICE void prefetch_steps(std::uint32_t /*step*/) const {}
};

/// How the symbols and indexes of a row are reached.
template <typename Symbols_, typename Indexes_>
struct WideElements {
  using Symbols = Symbols_;
  using Indexes = Indexes_;
};

using AnyWideElements = WideElements<AnyElements, AnyElements>;

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
