/// Symbols and indexes of any integer type, read and written one a thread.
#pragma once

#include "facade.h"
#include "task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Calls `body(T{})` with the C++ type of `type`.
template <typename Body>
TORCH_ANS_DEVICE void with_type(IntType type, const Body& body) {
  switch (type) {
    case IntType::kUint8:
      return body(std::uint8_t{});
    case IntType::kInt8:
      return body(std::int8_t{});
    case IntType::kUint16:
      return body(std::uint16_t{});
    case IntType::kInt16:
      return body(std::int16_t{});
    case IntType::kInt32:
      return body(std::int32_t{});
    case IntType::kInt64:
      return body(std::int64_t{});
  }
}

/// What does not fit is outside every table (kMaxOffset): it may saturate.
template <typename T>
TORCH_ANS_DEVICE std::int32_t to_int32(T value) {
  if constexpr (sizeof(T) < 8) {
    return static_cast<std::int32_t>(value);
  } else {
    return static_cast<std::int32_t>(
        larger<T>(smaller<T>(value, INT32_MAX), static_cast<T>(INT32_MIN)));
  }
}

TORCH_ANS_DEVICE std::int64_t offset_in_row(const Elements& elements, std::uint32_t i) {
  if (elements.flat) return i * elements.inner_stride;
  const std::uint32_t outer = multiply_high(i, elements.reciprocal) >> elements.shift;
  const std::uint32_t inner = i - outer * elements.inner_size;
  return outer * elements.outer_stride + inner * elements.inner_stride;
}

/// values[j] = element `first + j * step` of a row, for the j with `present(j)`; 0 for others.
template <int kCount, typename Present>
TORCH_ANS_DEVICE void load_elements(const Elements& elements, std::int64_t row, std::uint32_t first,
                                    std::uint32_t step, const Present& present,
                                    std::int32_t (&values)[kCount]) {
  gpu::with_type(elements.type, [&](auto sample) {
    using T = decltype(sample);
    const T* data = static_cast<const T*>(elements.data) + row * elements.row_stride;
    TORCH_ANS_UNROLL
    for (int j = 0; j < kCount; ++j) {
      const auto i = first + static_cast<std::uint32_t>(j) * step;
      values[j] = present(j) ? to_int32(streaming_load(data + offset_in_row(elements, i))) : 0;
    }
  });
}

/// One element at full width.
TORCH_ANS_DEVICE_COLD inline std::int64_t load_element(const Elements& elements, std::int64_t row,
                                                       std::uint32_t i) {
  std::int64_t value = 0;
  gpu::with_type(elements.type, [&](auto sample) {
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
  gpu::with_type(elements.type, [&](auto sample) {
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
  gpu::with_type(elements.type, [&](auto sample) {
    using T = decltype(sample);
    static_cast<T*>(elements.data)[row * elements.row_stride + offset_in_row(elements, i)] =
        static_cast<T>(value);
  });
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
