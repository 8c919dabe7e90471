/// Every model, for every type of what describes it.
#pragma once

#include "logits.h"
#include "models.h"
#include "parametric.h"
#include "pmf.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

inline void add_models(ModelTable& table) {
  ModelFunctions* cdf = table[static_cast<int>(ModelKind::kCdf)];
  cdf[static_cast<int>(RealType::kFloat32)] = functions_of<CdfModel<float>>();
  cdf[static_cast<int>(RealType::kFloat64)] = functions_of<CdfModel<double>>();
  cdf[static_cast<int>(RealType::kFloat16)] = functions_of<CdfModel<Float16>>();
  cdf[static_cast<int>(RealType::kBFloat16)] = functions_of<CdfModel<BFloat16>>();
  cdf[static_cast<int>(RealType::kInt16)] = functions_of<CdfModel<std::int16_t>>();
  cdf[static_cast<int>(RealType::kInt32)] = functions_of<CdfModel<std::int32_t>>();
  cdf[static_cast<int>(RealType::kInt64)] = functions_of<CdfModel<std::int64_t>>();

  add_all_row_functions<PmfSearch, PmfRow>(table, ModelKind::kPmf);
  add_all_row_functions<LogitSearch, LogitRow>(table, ModelKind::kLogits);

  add_parametric_models<float>(table, RealType::kFloat32);
  add_parametric_models<double>(table, RealType::kFloat64);
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
