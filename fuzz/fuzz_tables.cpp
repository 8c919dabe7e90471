/// Tables and probabilities as a caller may get them wrong: what is accepted is a CDF, and every
/// lookup finds every slot's symbol.
#include <cmath>

#include "input.h"
#include "torch_ans/lookup.h"
#include "torch_ans/quantize.h"

namespace {

using torch_ans::QuantizeStatus;

void check_row(const std::vector<std::int32_t>& cdf, int precision) {
  fuzz::require(cdf.front() == 0 && cdf.back() == 1 << precision);
  for (std::size_t i = 1; i < cdf.size(); ++i) fuzz::require(cdf[i] > cdf[i - 1]);
}

template <typename T>
void check_quantize(fuzz::Input& input) {
  const int precision = 1 + static_cast<int>(input.below(16));
  std::vector<T> pmf(1 + input.below(200));
  const std::uint32_t raw = input.below(60);
  for (std::size_t i = 0; i < pmf.size(); ++i) {
    pmf[i] = i < raw ? input.take<T>() : static_cast<T>(input.random() % 1000) / T{3};
  }
  std::vector<std::int32_t> cdf(pmf.size() + 1);
  const QuantizeStatus status =
      torch_ans::quantize_pmf(pmf.data(), pmf.size(), precision, cdf.data());
  if (status == QuantizeStatus::kOk) check_row(cdf, precision);
}

template <typename Lookup>
void check_slots(const torch_ans::TablesView& view) {
  const std::uint32_t total = 1u << view.freq_precision;
  const std::uint32_t step = 1 + total / 512;
  for (std::uint32_t k = 0; k < view.num_tables; ++k) {
    const torch_ans::TableInfo& info = view.info[k];
    for (std::uint32_t slot = 0; slot < total; slot += step) {
      const torch_ans::Match match = Lookup::find(view, info, slot);
      fuzz::require(match.symbol <= info.last && match.rank < match.freq);
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  fuzz::Input input(data, size);
  switch (input.below(3)) {
    case 0:
      check_quantize<float>(input);
      return 0;
    case 1:
      check_quantize<std::int64_t>(input);
      return 0;
    default:
      break;
  }
  fuzz::TableRows rows = fuzz::TableRows::any(input, 16);
  if (input.chance(4)) {  // a row of nothing but the input's own bytes
    for (std::int32_t& entry : rows.cdfs) {
      entry = input.chance(2) ? input.take<std::int16_t>() : input.take<std::int32_t>();
    }
    rows.options.freq_precision = static_cast<int>(input.below(20)) - 1;
  }
  try {
    const auto tables = rows.build();
    const torch_ans::TablesView view = tables->view<std::uint32_t>();
    fuzz::require(tables->min_symbol() <= tables->max_symbol() + 1);
    if (view.aliases != nullptr) {
      check_slots<torch_ans::AliasTable>(view);
    } else {
      check_slots<torch_ans::BinarySearch>(view);
      if (view.buckets != nullptr) check_slots<torch_ans::InverseCdf>(view);
    }
  } catch (const std::invalid_argument&) {
  }
  return 0;
}
