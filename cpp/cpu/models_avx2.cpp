/// The models, compiled for this instruction set.
#include "all_models.h"
#include "parametric_avx2.h"

namespace torch_ans {

void add_avx2_models(ModelTable& table) {
  add_models(table);
  add_parametric_vectors<ModelKind::kGaussian>(table);
  add_parametric_vectors<ModelKind::kLaplace>(table);
  add_parametric_vectors<ModelKind::kLogistic>(table);
}

}  // namespace torch_ans
