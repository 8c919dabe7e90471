/// Models whose edges are sums along a row: rows are not searched in blocks as those of other
/// models (models.h), each is read by itself.
#pragma once

#include "models.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Elements of a row that are summed up together.
constexpr int kRowBlock = 16;

/// `Search` has, for a Row that is made of a pointer to `Row::Real` and the number of symbols,
///   find_edges(limits, row, symbol, start, end)   a symbol's slots: from `start` to `end`
///   find_symbol(limits, row, slot, match)         whose a slot is
template <typename Search, typename Row>
SlotFlags find_row_slots(const Model& model, std::int64_t first, int count,
                         const std::int32_t* symbols, SlotPair* pairs) {
  const Edges limits(model);
  const auto* rows = static_cast<const typename Row::Real*>(model.values[0]);
  std::uint32_t full = 0;
  for (int t = 0; t < count; ++t) {
    const std::uint32_t symbol =
        static_cast<std::uint32_t>(symbols[t]) - static_cast<std::uint32_t>(model.low);
    if (symbol >= limits.num_symbols) return {t, false};
    const Row row(rows + (first + t) * model.strides[0], limits.num_symbols);
    std::uint32_t start, end;
    Search::find_edges(limits, row, symbol, start, end);
    if (start >= end) return {t, false};
    full |= (end - start) >> 16;
    pairs[t] = start | end << 16;
  }
  return {-1, full != 0};
}

template <typename Search, typename Row>
bool find_row_symbols(const Model& model, const Elements& elements, const std::uint32_t* slots,
                      const SlotMatches& matches) {
  const Edges limits(model);
  const auto* rows = static_cast<const typename Row::Real*>(model.values[0]);
  int done = 0;
  for (int r = 0; r < elements.rows; ++r) {
    for (int lane = 0; lane < elements.lanes; ++lane, ++done) {
      const std::int64_t element = elements.first[r] + lane;
      const Row row(rows + element * model.strides[0], limits.num_symbols);
      Search::find_symbol(limits, row, slots[done], matches + done);
    }
  }
  return true;
}

template <typename Search, typename Row>
constexpr ModelFunctions row_functions_of() {
  return {&find_row_slots<Search, Row>, &find_row_symbols<Search, Row>};
}

/// For all types but float64, which vectors leave to plain loops.
template <typename Search, template <typename> class Row>
void add_row_functions(ModelTable& table, ModelKind kind) {
  ModelFunctions* functions = table[static_cast<int>(kind)];
  functions[static_cast<int>(RealType::kFloat32)] = row_functions_of<Search, Row<float>>();
  functions[static_cast<int>(RealType::kFloat16)] = row_functions_of<Search, Row<Float16>>();
  functions[static_cast<int>(RealType::kBFloat16)] = row_functions_of<Search, Row<BFloat16>>();
}

template <typename Search, template <typename> class Row>
void add_all_row_functions(ModelTable& table, ModelKind kind) {
  add_row_functions<Search, Row>(table, kind);
  table[static_cast<int>(kind)][static_cast<int>(RealType::kFloat64)] =
      row_functions_of<Search, Row<double>>();
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
