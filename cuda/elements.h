/// Symbols and indexes of any integer type, read and written one a thread.
#pragma once

#include "facade.h"
#include "task.h"
#include "torch_ans/int_types.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

TORCH_ANS_DEVICE std::int64_t offset_in_row(const Elements& elements, std::uint32_t i) {
  if (elements.flat) return i * elements.inner_stride;
  const std::uint32_t outer = multiply_high(i, elements.reciprocal) >> elements.shift;
  const std::uint32_t inner = i - outer * elements.inner_size;
  return outer * elements.outer_stride + inner * elements.inner_stride;
}

/// An element of one of a warp's rows, if there is one.
struct ElementPlace {
  bool present;
  unsigned slot;  ///< of the row, counting from the warp's first
  std::uint32_t i;
};

/// values[j] = the element at `place(j)`, 0 where there is none. All loads are under way before the
/// first is needed.
template <int kCount, typename Place>
TORCH_ANS_DEVICE void load_places(const Elements& elements, std::int64_t first_row,
                                  const Place& place, std::int32_t (&values)[kCount]) {
  with_type(elements.type, [&](auto sample) {
    using T = decltype(sample);
    const T* data = static_cast<const T*>(elements.data) + first_row * elements.row_stride;
    TORCH_ANS_UNROLL
    for (int j = 0; j < kCount; ++j) {
      const ElementPlace at = place(j);
      const std::int64_t offset = at.slot * elements.row_stride + offset_in_row(elements, at.i);
      values[j] = at.present ? to_int32(streaming_load(data + offset)) : 0;
    }
  });
}

/// values[j] = element `first + j * step` of a row, for the j with `present(j)`; 0 for others.
template <int kCount, typename Present>
TORCH_ANS_DEVICE void load_elements(const Elements& elements, std::int64_t row, std::uint32_t first,
                                    std::uint32_t step, const Present& present,
                                    std::int32_t (&values)[kCount]) {
  const auto place = [&](int j) {
    return ElementPlace{present(j), 0, first + static_cast<std::uint32_t>(j) * step};
  };
  load_places(elements, row, place, values);
}

/// One element at full width.
TORCH_ANS_DEVICE_COLD inline std::int64_t load_element(const Elements& elements, std::int64_t row,
                                                       std::uint32_t i) {
  std::int64_t value = 0;
  with_type(elements.type, [&](auto sample) {
    using T = decltype(sample);
    value = static_cast<const T*>(
        elements.data)[row * elements.row_stride + offset_in_row(elements, i)];
  });
  return value;
}

/// Writes values[j] to element `first + j * step` of a row, for the j with `present(j)`.
template <int kCount, typename Present>
TORCH_ANS_DEVICE void store_elements(const Elements& elements, std::int64_t row,
                                     std::uint32_t first, std::uint32_t step,
                                     const Present& present, const std::int32_t (&values)[kCount]) {
  with_type(elements.type, [&](auto sample) {
    using T = decltype(sample);
    T* data = static_cast<T*>(elements.data) + row * elements.row_stride;
    TORCH_ANS_UNROLL
    for (int j = 0; j < kCount; ++j) {
      const auto i = first + static_cast<std::uint32_t>(j) * step;
      if (present(j)) {
        streaming_store(data + offset_in_row(elements, i), static_cast<T>(values[j]));
      }
    }
  });
}

TORCH_ANS_DEVICE_COLD inline void store_element(const Elements& elements, std::int64_t row,
                                                std::uint32_t i, std::int64_t value) {
  with_type(elements.type, [&](auto sample) {
    using T = decltype(sample);
    static_cast<T*>(elements.data)[row * elements.row_stride + offset_in_row(elements, i)] =
        static_cast<T>(value);
  });
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
