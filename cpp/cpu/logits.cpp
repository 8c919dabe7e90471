#include "logits.h"

#include <stdexcept>

#include "cpu/scalar/logits.h"

namespace torch_ans {
namespace {

template <typename Real>
void find_edges_of(const Model& model, std::int32_t* edges) {
  const std::uint32_t size = model.num_symbols;
  const LogitRow<Real> row(static_cast<const Real*>(model.values[0]), size);
  const LogitEdges row_edges(Edges(model), row.sum(0, size));
  std::uint64_t below = 0;
  for (std::uint32_t i = 0; i < size; ++i) {
    edges[i] = static_cast<std::int32_t>(row_edges.at(i, below));
    below += row.weight(i);
  }
  edges[size] = std::int32_t{1} << model.freq_precision;
}

}  // namespace

void find_logit_edges(const Model& model, std::int32_t* edges) {
  if (model.kind != ModelKind::kLogits) throw std::invalid_argument("not a model of logits");
  switch (model.type) {
    case RealType::kFloat32:
      return find_edges_of<float>(model, edges);
    case RealType::kFloat64:
      return find_edges_of<double>(model, edges);
    case RealType::kFloat16:
      return find_edges_of<Float16>(model, edges);
    case RealType::kBFloat16:
      return find_edges_of<BFloat16>(model, edges);
    default:
      throw std::invalid_argument("logits are floats");
  }
}

}  // namespace torch_ans
