/// The kernels of tables that follow the symbols, for any machine.
#include "context_kernels.h"

namespace torch_ans {

void add_scalar_context_kernels(KernelTable& table) { fill_contexts(table); }

}  // namespace torch_ans
