/// The kernels of tables that follow the symbols for AVX2 machines: shifts by any count.
#include "context_kernels.h"

namespace torch_ans {

void add_avx2_context_kernels(KernelTable& table) { fill_contexts(table); }

}  // namespace torch_ans
