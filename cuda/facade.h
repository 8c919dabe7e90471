/// The only way in which kernels touch threads, warps, barriers and special memory. Compiled by
/// nvcc it is the device; compiled by a host compiler it is the twin of tests/cuda, which runs a
/// fibre for each thread: the very source of the kernels is tested on machines without a GPU.
///
/// Rules that the twin relies on: collectives only in warp-uniform flow and always by the whole
/// warp; no early return before the last collective; shared memory only through SharedArray, whose
/// copies are nowhere to be seen before their thread has waited for them; blocks independent of
/// their order.
#pragma once

#include "torch_ans/config.h"

#if defined(__CUDACC__)
#include "facade_device.h"
#else
#include "twin_facade.h"
#endif
