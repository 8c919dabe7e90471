/// Tables that follow the symbols: finite-state autoregressive coding (Zhang et al., "Finite-State
/// Autoregressive Entropy Coding for Efficient Learned Lossless Compression", ICLR 2024).
#pragma once

#include <memory>
#include <vector>

#include "task.h"

namespace torch_ans {

/// The contexts of a row's symbols while it is coded: `symbol - its table's offset + 1` where the
/// symbol is known, between 0 and 2^16 - 1; 0 before the row.
class ContextHistory {
 public:
  ContextHistory(const ContextTask& contexts, std::int64_t rows, std::int64_t row_length);

  /// Of row r, so that element i - offset is readable for every offset of `contexts`.
  std::uint16_t* row(std::int64_t r) const { return values_.get() + r * stride_ + padding_; }

 private:
  std::int64_t padding_;
  std::int64_t stride_;
  std::unique_ptr<std::uint16_t[]> values_;
};

/// Table indexes of all symbols of a push, found from first to last, in place of `task.contexts`.
class ResolvedIndexes {
 public:
  /// False: an index is out of range, at `position` of `row`.
  bool resolve(CodingTask& task, int threads, std::int64_t& row, std::int64_t& position);

 private:
  std::vector<std::uint16_t> narrow_;
  std::vector<std::int32_t> wide_;
};

}  // namespace torch_ans
