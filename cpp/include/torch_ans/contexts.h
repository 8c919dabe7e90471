/// Contexts: what a symbol is to the choice of later symbols' tables.
#pragma once

#include "torch_ans/config.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `v` is what a symbol is above its table's offset; 0 stands for a symbol before the row.
TORCH_ANS_FN std::uint16_t context_of(std::int64_t v) {
  return static_cast<std::uint16_t>(larger<std::int64_t>(0, smaller<std::int64_t>(v + 1, 0xffff)));
}

/// The same for a symbol of any size, which may be so far from its table that the difference wraps.
TORCH_ANS_FN std::uint16_t context_of_symbol(std::int64_t symbol, std::int32_t table_offset) {
  const std::int64_t near =
      larger<std::int64_t>(smaller<std::int64_t>(symbol, INT32_MAX), INT32_MIN);
  return context_of(near - table_offset);
}

/// Takes one more context, of `size`, into the number of a table.
TORCH_ANS_FN std::int32_t add_context(std::int32_t number, std::int32_t size,
                                      std::int32_t context) {
  return number * size + smaller(context, size - 1);
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
