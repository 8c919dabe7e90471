/// The contexts of rows that a push walks from first to last, as far as tables look back.
#pragma once

#include "task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// The furthest that a table looks back.
inline std::int64_t furthest(const ContextTask& contexts) {
  std::int64_t most = 0;
  for (int k = 0; k < contexts.order; ++k) most = larger(most, contexts.offsets[k]);
  return most;
}

/// Those of several rows side by side, position by position. Behind the positions that are looked
/// back to there is room for a stretch of them; then they move to the front.
class RecentContexts {
 public:
  /// The most symbols that are appended at once.
  static constexpr std::int64_t kLeastStretch = 64;

  static std::int64_t size(const ContextTask& contexts, int rows) {
    const std::int64_t padding = furthest(contexts);
    return rows * (padding + larger(padding, kLeastStretch));
  }

  /// `values`: `size` of them.
  RecentContexts(const ContextTask& contexts, int rows, std::uint16_t* values)
      : rows_(rows),
        padding_(furthest(contexts)),
        stretch_(larger(padding_, kLeastStretch)),
        values_(values) {
    std::memset(values_, 0, bytes(padding_));
  }

  /// Where the contexts of `count` more symbols will stand, behind all those before.
  std::uint16_t* append(int count) {
    if (used_ + count > stretch_) {
      std::memmove(values_, values_ + used_ * rows_, bytes(padding_));
      used_ = 0;
    }
    std::uint16_t* place = values_ + (padding_ + used_) * rows_;
    used_ += count;
    return place;
  }

 private:
  std::size_t bytes(std::int64_t positions) const {
    return static_cast<std::size_t>(positions * rows_) * sizeof(*values_);
  }

  int rows_;
  std::int64_t padding_;
  std::int64_t stretch_;
  std::int64_t used_ = 0;
  std::uint16_t* values_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
