/// The parts of the module `torch_ans._core`. Addresses cross this border as integers, so that
/// nothing here needs to know of torch; `torch_ans/_native.py` has checked what they point at.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <memory>
#include <string>

#include "cpu/task.h"

namespace torch_ans {

void register_codec(pybind11::module_& module);
void register_tables(pybind11::module_& module);
void register_models(pybind11::module_& module);
void register_byte_strings(pybind11::module_& module);
void register_container(pybind11::module_& module);
void register_messages(pybind11::module_& module);
void register_short_calls(pybind11::module_& module);
void register_table_lists(pybind11::module_& module);
/// Only where the CUDA engine is built (TORCH_ANS_WITH_CUDA).
void register_cuda(pybind11::module_& module);

/// Streams are counted in int32 columns on the Python side, in bytes below.
constexpr std::int64_t kColumnBytes = 4;

template <typename T>
T* pointer(std::uintptr_t address) {
  return reinterpret_cast<T*>(address);
}

/// Throws std::invalid_argument for an unknown name.
IntType int_type(const std::string& name);

}  // namespace torch_ans
