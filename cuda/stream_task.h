/// What calls beside push and pop ask of the CUDA engine. Plain data, passed to kernels by value;
/// all pointers name device memory unless they say otherwise.
#pragma once

#include <cstdint>

namespace torch_ans {
namespace gpu {

/// Rows joined, each behind its length in `length_bytes` bytes, the last one bare on request.
struct PackTask {
  std::uint8_t* stream;
  std::int64_t rows;
  std::int64_t row_bytes;
  std::int32_t length_bytes;
  bool bare_last;
  std::int64_t* starts;  ///< (rows + 1): where a row's length or bytes start; the total
  std::uint8_t* packed;
};

/// What `plan_kernel` found; may lie in pinned host memory.
struct PackPlan {
  std::int64_t bytes;
  std::int64_t bad_row;  ///< whose length word is impossible or does not fit; -1
  std::int64_t failed;   ///< rows that a push before has failed on
};

/// QuantizeStatus of torch_ans/quantize.h, in its order, and a length outside the row.
enum class RowStatus : std::int32_t {
  kOk,
  kNotFinite,
  kNegative,
  kTooLarge,
  kZeroSum,
  kTooManySymbols,
  kBadLength
};

struct QuantizeTask {
  const void* pmf;  ///< (rows, length): float, or int64 counts
  bool is_float;
  std::int64_t rows;
  std::int64_t length;
  const std::int32_t* lengths;  ///< (rows,); null: all `length`
  std::int32_t freq_precision;
  std::int32_t* cdfs;      ///< (rows, length + 1)
  std::int32_t* statuses;  ///< (rows,): RowStatus
};

}  // namespace gpu
}  // namespace torch_ans
