/// The instruction sets that kernels exist for, in order of priority.
#pragma once

#include <string>
#include <vector>

#include "task.h"

namespace torch_ans {

/// Each is a source file's: it fills the entries that it has and leaves the rest alone.
void add_scalar_encoders(KernelTable& table);
void add_scalar_decoders(KernelTable& table);
void add_scalar_tans_kernels(KernelTable& table);
void add_scalar_context_kernels(KernelTable& table);
void add_scalar_model_kernels(KernelTable& table);

void add_avx2_encoders(KernelTable& table);
void add_avx2_decoders(KernelTable& table);
void add_avx2_tans_kernels(KernelTable& table);
void add_avx2_context_kernels(KernelTable& table);
void add_avx2_model_kernels(KernelTable& table);

void add_avx512_encoders(KernelTable& table);
void add_avx512_decoders(KernelTable& table);
void add_avx512_tans_kernels(KernelTable& table);
void add_avx512_context_kernels(KernelTable& table);
void add_avx512_model_kernels(KernelTable& table);

/// For many rows together; the widest first.
struct IdKernels {
  IdKernel list[kMaxIdKernels];
};
void add_avx512_id_kernels(IdKernels& kernels);

/// Whether vector kernels should rather load one by one.
bool gathers_are_slow();

/// Puts a choice in front of those in a list that take no more rows.
void insert(KernelChoice* choices, KernelChoice choice);

/// The kernels in use: the best that this CPU offers, or what TORCH_ANS_FORCE_ISA names.
/// Throws std::runtime_error where that variable names something this CPU or build lacks.
const KernelTable& active_kernels();

/// Ends with one of no rows.
const IdKernel* active_id_kernels();

/// The models in use, for the same instruction set.
const ModelTable& active_models();

struct CpuCapabilities {
  std::string isa;                     ///< in use
  std::vector<std::string> available;  ///< what could be forced here, the best first
  bool forced;
  bool openmp;
};

CpuCapabilities cpu_capabilities();

}  // namespace torch_ans
