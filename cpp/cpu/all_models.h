/// Every model, for every type of what describes it.
#pragma once

#include "logits_models.h"
#include "models.h"
#include "parametric_models.h"
#include "pmf_models.h"

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

  add_pmf<PmfRow<float>>(table, RealType::kFloat32);
  add_pmf<PmfRow<double>>(table, RealType::kFloat64);
  add_pmf<PmfRow<Float16>>(table, RealType::kFloat16);
  add_pmf<PmfRow<BFloat16>>(table, RealType::kBFloat16);

  add_logits<LogitRow<float>>(table, RealType::kFloat32);
  add_logits<LogitRow<double>>(table, RealType::kFloat64);
  add_logits<LogitRow<Float16>>(table, RealType::kFloat16);
  add_logits<LogitRow<BFloat16>>(table, RealType::kBFloat16);

  add_parametric_models<float>(table, RealType::kFloat32);
  add_parametric_models<double>(table, RealType::kFloat64);
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
