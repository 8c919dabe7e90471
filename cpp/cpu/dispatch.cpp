/// Chooses kernels by what the CPU offers, once, at first use.
#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "kernels.h"
#include "parallel.h"
#if defined(TORCH_ANS_AVX2_KERNELS)
#include "x86_features.h"
#endif

namespace torch_ans {
namespace {

#if defined(TORCH_ANS_AVX2_KERNELS)
const X86Features& features() {
  static const X86Features instance;
  return instance;
}
#endif

struct Isa {
  const char* name;
  bool (*is_available)();
  void (*add_kernels[5])(KernelTable&);
  void (*add_models)(ModelTable&);
  void (*add_id_kernels)(IdKernels&);
};

void no_id_kernels(IdKernels& /*kernels*/) {}

/// The best first; each is laid over those after it.
constexpr Isa kIsas[] = {
#if defined(TORCH_ANS_AVX512_KERNELS)
    {"avx512",
     [] { return features().has_avx512(); },
     {&add_avx512_encoders, &add_avx512_decoders, &add_avx512_tans_kernels,
      &add_avx512_context_kernels, &add_avx512_model_kernels},
     &add_avx512_models,
     &add_avx512_id_kernels},
#endif
#if defined(TORCH_ANS_AVX2_KERNELS)
    {"avx2",
     [] { return features().has_avx2(); },
     {&add_avx2_encoders, &add_avx2_decoders, &add_avx2_tans_kernels, &add_avx2_context_kernels,
      &add_avx2_model_kernels},
     &add_avx2_models,
     &no_id_kernels},
#endif
    {"scalar",
     [] { return true; },
     {&add_scalar_encoders, &add_scalar_decoders, &add_scalar_tans_kernels,
      &add_scalar_context_kernels, &add_scalar_model_kernels},
     &add_scalar_models,
     &no_id_kernels},
};
constexpr int kNumIsas = static_cast<int>(sizeof(kIsas) / sizeof(kIsas[0]));

std::string forced_name() {
  const char* name = std::getenv("TORCH_ANS_FORCE_ISA");
  return name == nullptr ? "" : name;
}

std::vector<std::string> available_names() {
  std::vector<std::string> names;
  for (const Isa& isa : kIsas) {
    if (isa.is_available()) names.emplace_back(isa.name);
  }
  return names;
}

/// The position in kIsas of what is used.
int choose_isa() {
  const std::string forced = forced_name();
  for (int i = 0; i < kNumIsas; ++i) {
    if (kIsas[i].is_available() && (forced.empty() || forced == kIsas[i].name)) return i;
  }
  std::string names;
  for (const std::string& name : available_names()) names += (names.empty() ? "" : ", ") + name;
  throw std::runtime_error("TORCH_ANS_FORCE_ISA must be one of " + names + " here, got '" + forced +
                           "'");
}

struct Active {
  int isa;
  KernelTable table{};
  ModelTable models{};
  IdKernels id_kernels{};

  Active() : isa(choose_isa()) {
    for (int i = kNumIsas - 1; i >= isa; --i) {
      if (!kIsas[i].is_available()) continue;
      for (const auto add : kIsas[i].add_kernels) add(table);
      kIsas[i].add_models(models);
      kIsas[i].add_id_kernels(id_kernels);
    }
  }
};

const Active& active() {
  static const Active instance;
  return instance;
}

}  // namespace

bool gathers_are_slow() {
#if defined(TORCH_ANS_AVX2_KERNELS)
  const char* told = std::getenv("TORCH_ANS_SLOW_GATHERS");
  return told == nullptr ? features().has_slow_gathers() : told == std::string("1");
#else
  return false;
#endif
}

void insert(KernelChoice* choices, KernelChoice choice) {
  KernelChoice* const past = choices + kMaxChoices;
  if (past[-1].rows != 0) throw std::logic_error("a list of kernels is full");
  while (choices->rows > choice.rows) ++choices;
  std::move_backward(choices, past - 1, past);
  *choices = choice;
}

const KernelTable& active_kernels() { return active().table; }

const ModelTable& active_models() { return active().models; }

const IdKernel* active_id_kernels() { return active().id_kernels.list; }

CpuCapabilities cpu_capabilities() {
  return {kIsas[active().isa].name, available_names(), !forced_name().empty(), has_openmp()};
}

}  // namespace torch_ans
