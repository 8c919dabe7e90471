/// The CUDA engine's entry points: what the bindings call.
///
/// Nothing here synchronises, allocates device memory or touches it from the host; work is put
/// on the caller's stream of the caller's device. Device memory belongs to the caller and has to
/// live until the stream is through with it. Every function returns null, or what went wrong.
#pragma once

#include <string>

#include "host_task.h"
#include "stream_task.h"
#include "table_task.h"

namespace torch_ans {
namespace gpu {

/// The families of tANS differ in the bytes of their words alone, which a task says.
enum class Family { kRans64, kRans32, kRans32x16, kTans };

/// Where work goes: a device by its number, and a cudaStream_t of it (null: the default stream).
struct Queue {
  int device;
  void* stream;
};

/// Why there is no work to be had from a GPU here, for a user to read; empty: there is.
std::string unavailable_because();

/// The architectures that machine code was built for, such as "80 90", PTX for later ones.
const char* built_for();

/// Appends symbols to every row, unless a row fails (`task.results`): then no row changes.
const char* encode(Family family, const HostTask& task, const Queue& queue);

/// Takes symbols off every row, likewise.
const char* decode(Family family, const HostTask& task, const Queue& queue);

struct FreshRows {
  std::uint8_t* stream;
  std::int64_t rows;
  std::int64_t row_bytes;
  std::uint64_t lower_bound;  ///< tANS: 0
  int header_bytes;
  int state_bytes;
};

const char* init_stream(const FreshRows& rows, const Queue& queue);

/// Lays rows out in a byte string: fills `task.starts` and `plan`, which may be pinned host memory
/// (read it when the stream has come past). `failed` is that of earlier pushes, or null; `bad_row`
/// is scratch of 8 bytes.
const char* plan_pack(const PackTask& task, const std::uint32_t* failed, std::uint64_t* bad_row,
                      PackPlan* plan, const Queue& queue);

/// Copies rows to `task.packed` as planned.
const char* pack(const PackTask& task, const Queue& queue);

/// Fills the rows of a stream; `task.starts` holds (start, length) of each in `task.packed`, which
/// the caller has checked to lie inside it and to fit the rows.
const char* unpack(const PackTask& task, const Queue& queue);

const char* quantize(const QuantizeTask& task, const Queue& queue);

/// Checks CDFs and finds the tables' places: fills `task.infos` and `task.summary`.
const char* plan_tables(const PlanTask& task, const Queue& queue);

/// Makes the image of tables whose plan has found no fault: `task.layout.end` bytes.
const char* fill_tables(const FillTask& task, const Queue& queue);

}  // namespace gpu
}  // namespace torch_ans
