/// Kernels for AVX2.
#include "kernels.h"

namespace torch_ans {

void add_avx2_kernels(KernelTable& /*table*/) {}

}  // namespace torch_ans
