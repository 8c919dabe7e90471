/// The models, compiled for this instruction set.
#include "cdf.h"
#include "cpu/scalar/all_models.h"
#include "logits.h"
#include "parametric.h"
#include "pmf.h"

namespace torch_ans {

void add_avx2_models(ModelTable& table) {
  add_models(table);
  add_cdf_vectors(table);
  add_row_functions<PmfSearch, PmfVectors>(table, ModelKind::kPmf);
  add_row_functions<LogitSearch, LogitVectors>(table, ModelKind::kLogits);
  add_parametric_vectors<float>(table, RealType::kFloat32);
  add_parametric_vectors<double>(table, RealType::kFloat64);
}

}  // namespace torch_ans
