/// Kernels for AVX-512.
#include "kernels.h"

namespace torch_ans {

void add_avx512_kernels(KernelTable& /*table*/) {}

}  // namespace torch_ans
