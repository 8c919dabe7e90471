/// Symbols and indexes of a row of 32 lanes, read and written four steps at a time: those at
/// `first` + 32 j, j = 0 to 3, where `first` is the thread's own position.
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
  TORCH_ANS_DEVICE AnyElements(const Elements& elements, std::int64_t row)
      : elements_(elements), row_(row) {}

  /// Leaves `values` as they are where there are no elements.
  TORCH_ANS_DEVICE void load(std::uint32_t first, QuadOfElements& values) const {
    if (elements_.data == nullptr) return;
    load_elements(elements_, row_, first, 32, [](int) { return true; }, values);
  }

  /// Writes the first `count`.
  TORCH_ANS_DEVICE void store(std::uint32_t first, unsigned count,
                              const QuadOfElements& values) const {
    const auto wanted = [count](int j) { return static_cast<unsigned>(j) < count; };
    store_elements(elements_, row_, first, 32, wanted, values);
  }

 private:
  const Elements& elements_;
  std::int64_t row_;
};

/// Elements of one type that lie side by side.
template <typename T>
class PlainElements {
 public:
  TORCH_ANS_DEVICE PlainElements(const Elements& elements, std::int64_t row)
      : row_(held(static_cast<T*>(elements.data) + row * elements.row_stride)) {}

  TORCH_ANS_DEVICE void load(std::uint32_t first, QuadOfElements& values) const {
    const T* source = row_ + first;
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) values[j] = streaming_load(source + 32 * j);
  }

  /// Writes `kCount` elements.
  template <unsigned kCount>
  TORCH_ANS_DEVICE void store(std::uint32_t first, const std::int32_t (&values)[kCount]) const {
    T* target = row_ + first;
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kCount; ++j) streaming_store_low(target + 32 * j, values[j]);
  }

 private:
  T* row_;
};

/// No indexes.
class NoElements {
 public:
  TORCH_ANS_DEVICE NoElements(const Elements& /*elements*/, std::int64_t /*row*/) {}
  TORCH_ANS_DEVICE void load(std::uint32_t /*first*/, QuadOfElements& /*values*/) const {}
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
