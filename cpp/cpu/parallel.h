/// The one loop that runs on several threads.
#pragma once

#include <cstdint>

namespace torch_ans {

/// Calls `body(i)` for i in [0, count) on up to `threads` threads. With one thread (or one item)
/// no parallel region is entered, so that a forked process, whose OpenMP threads did not survive
/// the fork, is safe.
template <typename Body>
void parallel_for(std::int64_t count, int threads, const Body& body) {
#if defined(_OPENMP)
    if (threads > 1 && count > 1) {
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
