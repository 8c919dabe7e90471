/// Logits into a table, for those who code many symbols with it.
#pragma once

#include "torch_ans/model.h"

namespace torch_ans {

/// C(0) .. C(S) of the first distribution of a model of logits. Throws std::invalid_argument where
/// it is another model.
void find_logit_edges(const Model& model, std::int32_t* edges);

}  // namespace torch_ans
