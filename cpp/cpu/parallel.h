/// The one loop that runs on several threads.
#pragma once

#include <cstdint>

/// Built for Linux, the module neither links an OpenMP runtime nor brings one along: two of them in
/// a process keep two pools of threads. It uses the one that torch has loaded, whose functions
/// these declarations leave open; without one, rows are coded one after another. They are all that
/// gcc calls for the loop below, so a build with another compiler links its own runtime.
#if defined(_OPENMP) && defined(TORCH_ANS_BORROW_OPENMP)
extern "C" {
__attribute__((weak)) void GOMP_parallel(void (*)(void*), void*, unsigned, unsigned);
__attribute__((weak)) bool GOMP_loop_nonmonotonic_dynamic_start(long, long, long, long, long*,
                                                                long*);
__attribute__((weak)) bool GOMP_loop_nonmonotonic_dynamic_next(long*, long*);
__attribute__((weak)) void GOMP_loop_end_nowait();
}
#endif

namespace torch_ans {

/// Whether rows can be coded in parallel.
inline bool has_openmp() {
#if defined(_OPENMP) && defined(TORCH_ANS_BORROW_OPENMP)
  return &GOMP_parallel != nullptr && &GOMP_loop_nonmonotonic_dynamic_start != nullptr &&
         &GOMP_loop_nonmonotonic_dynamic_next != nullptr && &GOMP_loop_end_nowait != nullptr;
#elif defined(_OPENMP)
  return true;
#else
  return false;
#endif
}

/// Calls `body(i)` for i in [0, count) on up to `threads` threads. With one thread (or one item)
/// no parallel region is entered, so that a forked process, whose OpenMP threads did not survive
/// the fork, is safe.
template <typename Body>
void parallel_for(std::int64_t count, int threads, const Body& body) {
#if defined(_OPENMP)
  if (threads > 1 && count > 1 && has_openmp()) {
    const int team = count < threads ? static_cast<int>(count) : threads;
#pragma omp parallel for schedule(dynamic) num_threads(team)
    for (std::int64_t i = 0; i < count; ++i) body(i);
    return;
  }
#else
  (void)threads;
#endif
  for (std::int64_t i = 0; i < count; ++i) body(i);
}

}  // namespace torch_ans
