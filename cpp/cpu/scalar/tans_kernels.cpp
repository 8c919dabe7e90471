/// The kernels of tANS for any machine.
#include "tans_kernels.h"

namespace torch_ans {

void add_scalar_tans_kernels(KernelTable& table) { fill_tans(table); }

}  // namespace torch_ans
