#include <pybind11/stl.h>

#include "cpu/kernels.h"
#include "register.h"

namespace torch_ans {
namespace {

pybind11::dict capabilities() {
  using namespace pybind11::literals;
  const CpuCapabilities found = cpu_capabilities();
  return pybind11::dict("isa"_a = found.isa, "available"_a = found.available,
                        "forced"_a = found.forced, "openmp"_a = found.openmp);
}

}  // namespace
}  // namespace torch_ans

PYBIND11_MODULE(_core, module) {
  module.doc() = "The native part of torch_ans. Use the functions of `torch_ans` instead.";
  module.attr("__version__") = TORCH_ANS_VERSION;
  module.attr("__compiler__") = TORCH_ANS_COMPILER;
  module.def("cpu_capabilities", &torch_ans::capabilities);
  torch_ans::register_codec(module);
  torch_ans::register_tables(module);
  torch_ans::register_models(module);
  torch_ans::register_byte_strings(module);
  torch_ans::register_container(module);
  torch_ans::register_messages(module);
  torch_ans::register_short_calls(module);
  torch_ans::register_table_lists(module);
#if defined(TORCH_ANS_WITH_CUDA)
  torch_ans::register_cuda(module);
#endif
}
