/// Where the rows of a byte string are, as Python holds them.
#pragma once

#include <utility>
#include <vector>

#include "cpu/byte_strings.h"

namespace torch_ans {

struct RowSpans {
  using Pair = std::pair<std::size_t, std::size_t>;  // start, length

  std::vector<Span> rows;

  RowSpans() = default;
  explicit RowSpans(std::vector<Span> spans) : rows(std::move(spans)) {}
  explicit RowSpans(const std::vector<Pair>& pairs) {
    rows.reserve(pairs.size());
    for (const auto& [start, length] : pairs) rows.push_back({start, length});
  }
};

}  // namespace torch_ans
