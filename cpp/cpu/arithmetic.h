/// Whole sequences in torchac's format: one row, one symbol after another.
#pragma once

#include <cstdint>
#include <vector>

#include "torch_ans/model.h"
#include "torch_ans/views.h"

namespace torch_ans {

/// `model` is an explicit CDF of float32, float64 or int16. Returns the first symbol that owns no
/// slots, or -1 and the bytes.
std::int64_t encode_arithmetic(const Model& model, const IntArray& symbols, std::int64_t count,
                               std::vector<std::uint8_t>& bytes);

/// Returns the first symbol whose CDF has none for its slot, or -1. Any bytes will do.
std::int64_t decode_arithmetic(const Model& model, const std::uint8_t* bytes, std::size_t size,
                               const IntArray& symbols, std::int64_t count);

}  // namespace torch_ans
