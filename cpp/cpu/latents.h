/// Symbols that are rounded floats: rounded where push loads a tile, made floats again where pop
/// stores one, so that there are no symbols in memory.
#pragma once

#include <cmath>

#include "tiles.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The nearest integer, of two the even one. What no int32 holds becomes the lowest, NaN included,
/// as by the conversions of x86.
TORCH_ANS_FN std::int32_t round_to_int32(float value) {
  constexpr float kBound = 2147483648.0f;
  const float whole = rintf(value);
  const bool fits = (whole >= -kBound) & (whole < kBound);
  return static_cast<std::int32_t>(fits ? whole : -kBound);
}

/// The symbols of latents [first, first + count), from last to first like the tiles of a push: so
/// memory is read as one stream.
TORCH_ANS_NOINLINE inline void round_latents(const Latents& latents, std::int64_t first, int count,
                                             std::int32_t* symbols) {
  const float* values = latents.values + first;
  if (latents.means == nullptr) {
    for (int t = count; t-- > 0;) symbols[t] = round_to_int32(values[t]);
  } else {
    const float* means = latents.means + first;
    for (int t = count; t-- > 0;) symbols[t] = round_to_int32(values[t] - means[t]);
  }
}

/// The inverse.
TORCH_ANS_NOINLINE inline void store_latents(const Latents& latents, std::int64_t first, int count,
                                             const std::int32_t* symbols) {
  float* values = latents.values + first;
  if (latents.means == nullptr) {
    for (int t = 0; t < count; ++t) values[t] = static_cast<float>(symbols[t]);
  } else {
    const float* means = latents.means + first;
    for (int t = 0; t < count; ++t) values[t] = static_cast<float>(symbols[t]) + means[t];
  }
}

TORCH_ANS_NOINLINE inline void prefetch_latents(const Latents& latents, std::int64_t first,
                                                int count) {
  constexpr int kLineFloats = 16;
  for (int t = count - 1; t >= 0; t -= kLineFloats) {
    prefetch_l2(latents.values + first + t);
    if (latents.means != nullptr) prefetch_l2(latents.means + first + t);
  }
}

/// As `load_tile`, of the symbols of a task; likewise the rest.
inline const std::int32_t* load_symbols(const CodingTask& task, std::int64_t row,
                                        std::int64_t first, int count, std::int32_t* tile) {
  if (task.latents.values == nullptr) return load_tile(task.symbols, row, first, count, tile);
  round_latents(task.latents, element_of(task, row, first), count, tile);
  return tile;
}

TORCH_ANS_FN void prefetch_symbols(const CodingTask& task, std::int64_t row, std::int64_t first,
                                   int count) {
  if (task.latents.values == nullptr) {
    return prefetch_tile<prefetch_l2>(task.symbols, row, first, count);
  }
  prefetch_latents(task.latents, element_of(task, row, first), count);
}

inline std::int64_t load_symbol(const CodingTask& task, std::int64_t row, std::int64_t position) {
  if (task.latents.values == nullptr) return load_element(task.symbols, row, position);
  std::int32_t symbol;
  round_latents(task.latents, element_of(task, row, position), 1, &symbol);
  return symbol;
}

inline bool store_symbols(const CodingTask& task, std::int64_t row, std::int64_t first, int count,
                          const std::int32_t* tile) {
  if (task.latents.values == nullptr) {
    return store_tile(task.symbols, row, first, count, tile, task.symbols_fit);
  }
  store_latents(task.latents, element_of(task, row, first), count, tile);
  return true;
}

inline bool store_symbol(const CodingTask& task, std::int64_t row, std::int64_t position,
                         std::int64_t value) {
  if (task.latents.values == nullptr) return store_element(task.symbols, row, position, value);
  const auto symbol = static_cast<std::int32_t>(value);
  store_latents(task.latents, element_of(task, row, position), 1, &symbol);
  return symbol == value;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
