/// The models, compiled for this instruction set.
#include "cdf.h"
#include "cpu/avx2/pmf.h"
#include "cpu/scalar/all_models.h"
#include "logits.h"
#include "parametric.h"

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
