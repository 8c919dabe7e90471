/// From the integer type that an array names at run time to one of C++.
#pragma once

#include "torch_ans/config.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Calls `body(T{})` with the C++ type of `type`.
template <typename Body>
TORCH_ANS_FN void with_type(IntType type, const Body& body) {
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

/// A symbol or an index in 32 bits. What does not fit saturates: it is outside every table.
template <typename T>
TORCH_ANS_FN std::int32_t to_int32(T value) {
  if constexpr (sizeof(T) < 8) {
    return static_cast<std::int32_t>(value);
  } else {
    return static_cast<std::int32_t>(
        larger<T>(smaller<T>(value, INT32_MAX), static_cast<T>(INT32_MIN)));
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
