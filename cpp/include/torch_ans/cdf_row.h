/// One quantised CDF, as what builds tables reads it.
#pragma once

#include "torch_ans/config.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// `last + 2` entries from 0 to 2^precision, strictly increasing.
struct CdfRow {
  const std::uint32_t* cdf;
  std::uint32_t last;
  int precision;
  bool bypass_coding;

  TORCH_ANS_FN std::uint32_t symbols() const { return last + 1; }
  TORCH_ANS_FN std::uint32_t slots() const { return std::uint32_t{1} << precision; }
  TORCH_ANS_FN std::uint32_t freq(std::uint32_t symbol) const {
    return cdf[symbol + 1] - cdf[symbol];
  }
  TORCH_ANS_FN bool is_sentinel(std::uint32_t symbol) const {
    return bypass_coding && symbol == last;
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
