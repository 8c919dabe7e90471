/// The models, compiled for this instruction set.
#include "all_models.h"

namespace torch_ans {

void add_scalar_models(ModelTable& table) { add_models(table); }

}  // namespace torch_ans
