/// The tables of tANS for K quantised CDFs.
#pragma once

#include <stdexcept>
#include <string>
#include <vector>

#include "torch_ans/tans.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// 6 bytes a slot: 1.5 GiB in all.
constexpr std::size_t kMaxTansSlots = std::size_t{1} << 28;

/// Throws std::invalid_argument where tANS cannot use tables.
inline void check_tans_tables(std::size_t num_tables, int precision, bool alias) {
  if (alias) throw std::invalid_argument("tANS takes no alias tables");
  if (precision > kTansMaxFreqPrecision) {
    throw std::invalid_argument("freq_precision must be at most " +
                                std::to_string(kTansMaxFreqPrecision) + " for tANS, got " +
                                std::to_string(precision));
  }
  if (num_tables > kMaxTansSlots >> precision) {
    throw std::invalid_argument(
        "tANS needs 2**freq_precision slots a table and at most 2**28 "
        "in all; got " +
        std::to_string(num_tables) + " tables of 2**" + std::to_string(precision));
  }
}

class TansTables {
 public:
  /// Table k has the CDF at `cdf + info[k].base`; they have been checked. O(K 2^precision).
  void build(const std::vector<TableInfo>& info, const std::uint32_t* cdf, int precision,
             bool bypass_coding) {
    const std::size_t size = std::size_t{1} << precision;
    next_.resize(info.size() * size);
    slots_.resize(info.size() * size);
    for (std::size_t k = 0; k < info.size(); ++k) {
      symbols_.resize(info[k].base + info[k].last + 2u);
      build_tans_table({cdf + info[k].base, info[k].last, precision, bypass_coding},
                       {symbols_.data() + info[k].base, next_.data() + k * size,
                        slots_.data() + k * size, static_cast<std::int32_t>(k * size)});
    }
  }

  void add_to(TablesView& view) const {
    view.tans_symbols = symbols_.data();
    view.tans_next = next_.data();
    view.tans_slots = slots_.data();
  }

  std::size_t bytes() const {
    return symbols_.size() * sizeof(TansSymbol) + next_.size() * 2 + slots_.size() * 4;
  }

 private:
  std::vector<TansSymbol> symbols_;
  std::vector<std::uint16_t> next_;
  std::vector<std::uint32_t> slots_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
