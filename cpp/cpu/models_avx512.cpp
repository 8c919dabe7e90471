/// The models, compiled for this instruction set.
#include "all_models.h"
#include "cdf_avx512.h"
#include "logits_avx512.h"
#include "parametric_avx512.h"
#include "pmf_avx2.h"

namespace torch_ans {

void add_avx512_models(ModelTable& table) {
  add_models(table);
  add_cdf_vectors(table);
  add_row_functions<PmfSearch, PmfVectors>(table, ModelKind::kPmf);
  add_row_functions<LogitSearch, LogitVectors>(table, ModelKind::kLogits);
  add_parametric_vectors<ModelKind::kGaussian>(table);
  add_parametric_vectors<ModelKind::kLaplace>(table);
  add_parametric_vectors<ModelKind::kLogistic>(table);
}

}  // namespace torch_ans
