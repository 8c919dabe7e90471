/// The kernels of tANS for AVX2 machines: shifts by any count, bits counted by one instruction.
#include "tans_kernels.h"

namespace torch_ans {

void add_avx2_tans_kernels(KernelTable& table) { fill_tans(table); }

}  // namespace torch_ans
