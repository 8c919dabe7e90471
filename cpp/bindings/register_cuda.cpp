#include <pybind11/stl.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <stdexcept>

#include "coding_call.h"
#include "cpu/codec.h"
#include "engine.h"
#include "register.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

using CudaFamily = gpu::Family;

CudaFamily cuda_family(const Codec& codec) {
  switch (codec.family) {
    case Family::kRans64:
      return CudaFamily::kRans64;
    case Family::kRans32:
      return CudaFamily::kRans32;
    case Family::kRans32x16:
      return CudaFamily::kRans32x16;
    default:
      return CudaFamily::kTans;
  }
}

gpu::ImageKind image_kind(const Codec& codec) { return {is_tans(codec.family), codec.state_bytes}; }

void check_cuda(const char* error) {
  if (error != nullptr) throw std::runtime_error(std::string("CUDA: ") + error);
}

/// The arguments that encode and decode share, in their order on the Python side. All addresses
/// but those inside the objects are of device memory.
struct CudaCall {
  const Codec& codec;
  const gpu::DeviceTables& tables;
  std::uintptr_t image;
  std::uintptr_t stream;
  std::int64_t rows;
  std::int64_t columns;
  const IntArray& symbols;
  const IntArray* indexes;
  std::int64_t row_length;
  std::int64_t total;
  int bypass_precision;
  const ContextTask* contexts;
  std::uintptr_t scratch;
  std::uintptr_t headers;
  std::uintptr_t results;
  std::uintptr_t failed;
};

gpu::HostContexts host_contexts(const ContextTask& task, std::uintptr_t scratch) {
  gpu::HostContexts contexts{
      task.tables, task.num_sets, task.num_indexes, task.order,
      {1, 1, 1},   {1, 1, 1},     task.sets,        pointer<std::uint8_t>(scratch)};
  std::copy(std::begin(task.sizes), std::end(task.sizes), contexts.sizes);
  std::copy(std::begin(task.offsets), std::end(task.offsets), contexts.offsets);
  return contexts;
}

gpu::HostTask make_task(const CudaCall& call, bool is_push) {
  check_call({call.codec, call.tables.options.freq_precision, call.tables.num_tables, call.total,
              call.bypass_precision},
             call.indexes, call.contexts);
  const Reach stream = reach_of_stream(call.stream, call.rows * call.columns * kColumnBytes);
  const Reach symbols =
      reach_of(is_push ? "symbols" : "out", call.symbols, call.row_length, call.total);
  check_apart(is_push ? stream : symbols, is_push ? symbols : stream);
  check_apart(is_push ? stream : symbols, call.indexes, call.contexts, call.row_length, call.total);
  if (call.row_length > gpu::kMaxRowLength) {
    throw std::invalid_argument("a row must have under 2**31 symbols on a CUDA device, got " +
                                std::to_string(call.row_length));
  }
  if (call.columns * kColumnBytes < 4 + call.codec.header_bytes()) {
    throw std::invalid_argument("the rows of a stream must have room for the lanes' states");
  }
  gpu::HostTask task{};
  task.tables = &call.tables;
  task.image = pointer<std::uint8_t>(call.image);
  task.kind = image_kind(call.codec);
  task.lanes = call.codec.lanes;
  task.word_bytes = call.codec.word_bytes;
  task.header_bytes = call.codec.header_bytes();
  task.stream = pointer<std::uint8_t>(call.stream);
  task.row_bytes = call.columns * kColumnBytes;
  task.symbols = call.symbols;
  if (call.indexes != nullptr) task.indexes = *call.indexes;
  if (call.contexts != nullptr) task.contexts = host_contexts(*call.contexts, call.scratch);
  task.is_push = is_push;
  task.rows = call.rows;
  task.row_length = call.row_length;
  task.total = call.total;
  task.bypass_precision = call.bypass_precision;
  task.headers = pointer<std::uint8_t>(call.headers);
  task.results = pointer<gpu::RowResult>(call.results);
  task.failed = pointer<std::uint32_t>(call.failed);
  return task;
}

gpu::Queue queue_of(int device, std::uintptr_t queue) { return {device, pointer<void>(queue)}; }

void bind_coder(py::module_& module) {
  module.def("context_scratch_bytes", &gpu::context_scratch_bytes, py::arg("rows"),
             py::arg("row_length"), py::arg("push"));
  module.def(
      "encode",
      [](const Codec& codec, const gpu::DeviceTables& tables, std::uintptr_t image,
         std::uintptr_t stream, std::int64_t rows, std::int64_t columns, const IntArray& symbols,
         const IntArray* indexes, std::int64_t row_length, std::int64_t total, int bypass_precision,
         const ContextTask* contexts, std::uintptr_t scratch, std::uintptr_t headers,
         std::uintptr_t results, std::uintptr_t failed, int device, std::uintptr_t queue) {
        const gpu::HostTask task =
            make_task({codec, tables, image, stream, rows, columns, symbols, indexes, row_length,
                       total, bypass_precision, contexts, scratch, headers, results, failed},
                      true);
        const py::gil_scoped_release release;
        check_cuda(gpu::encode(cuda_family(codec), task, queue_of(device, queue)));
      },
      py::arg("codec"), py::arg("tables"), py::arg("image"), py::arg("stream"), py::arg("rows"),
      py::arg("columns"), py::arg("symbols"), py::arg("indexes").none(true), py::arg("row_length"),
      py::arg("total"), py::arg("bypass_precision"), py::arg("contexts").none(true),
      py::arg("scratch"), py::arg("headers"), py::arg("results"), py::arg("failed"),
      py::arg("device"), py::arg("queue"));
  module.def(
      "decode",
      [](const Codec& codec, const gpu::DeviceTables& tables, std::uintptr_t image,
         std::uintptr_t stream, std::int64_t rows, std::int64_t columns, const IntArray& out,
         const IntArray* indexes, std::int64_t row_length, std::int64_t total, int bypass_precision,
         const ContextTask* contexts, std::uintptr_t scratch, std::uintptr_t headers,
         std::uintptr_t results, std::uintptr_t failed, int device, std::uintptr_t queue,
         bool require_end) {
        gpu::HostTask task =
            make_task({codec, tables, image, stream, rows, columns, out, indexes, row_length, total,
                       bypass_precision, contexts, scratch, headers, results, failed},
                      false);
        task.require_end = require_end;
        const py::gil_scoped_release release;
        check_cuda(gpu::decode(cuda_family(codec), task, queue_of(device, queue)));
      },
      py::arg("codec"), py::arg("tables"), py::arg("image"), py::arg("stream"), py::arg("rows"),
      py::arg("columns"), py::arg("out"), py::arg("indexes").none(true), py::arg("row_length"),
      py::arg("total"), py::arg("bypass_precision"), py::arg("contexts").none(true),
      py::arg("scratch"), py::arg("headers"), py::arg("results"), py::arg("failed"),
      py::arg("device"), py::arg("queue"), py::arg("require_end"));
  module.def(
      "init_stream",
      [](const Codec& codec, std::uintptr_t stream, std::int64_t rows, std::int64_t columns,
         int device, std::uintptr_t queue) {
        check_cuda(gpu::init_stream({pointer<std::uint8_t>(stream), rows, columns * kColumnBytes,
                                     codec.lower_bound, codec.header_bytes(), codec.state_bytes},
                                    queue_of(device, queue)));
      },
      py::arg("codec"), py::arg("stream"), py::arg("rows"), py::arg("columns"), py::arg("device"),
      py::arg("queue"));
}

constexpr std::size_t kSummaryWords = sizeof(gpu::TablesSummary) / sizeof(std::int64_t);

/// Throws std::invalid_argument, naming table and entry, where the summary tells of a fault.
gpu::DeviceTables read_tables(const std::vector<std::int64_t>& words, std::int64_t num_tables,
                              std::int64_t width, const TablesOptions& options) {
  if (words.size() != kSummaryWords) throw std::invalid_argument("a summary has 8 words");
  gpu::DeviceTables tables{options, num_tables, {}};
  std::memcpy(&tables.summary, words.data(), sizeof(tables.summary));
  if (tables.summary.bad_table >= 0) {
    throw std::invalid_argument(
        describe(tables.summary.fault, tables.summary.bad_table, width, options.freq_precision));
  }
  return tables;
}

void bind_tables(py::module_& module) {
  module.attr("SUMMARY_WORDS") = kSummaryWords;
  module.attr("INFO_BYTES") = sizeof(TableInfo);
  module.def(
      "plan_tables",
      [](std::uintptr_t cdfs, std::int64_t num_tables, std::int64_t width, std::uintptr_t sizes,
         std::uintptr_t offsets, int freq_precision, bool bypass_coding, bool alias,
         int inverse_cdf_precision, std::uintptr_t infos, std::uintptr_t summary, int device,
         std::uintptr_t queue) {
        const TableSource source{
            pointer<std::int32_t>(cdfs),    num_tables,    width, pointer<std::int32_t>(sizes),
            pointer<std::int32_t>(offsets), freq_precision};
        check_cuda(gpu::plan_tables(
            gpu::plan_task(source, {freq_precision, bypass_coding, alias, inverse_cdf_precision},
                           pointer<TableInfo>(infos), pointer<gpu::TablesSummary>(summary)),
            queue_of(device, queue)));
      },
      py::arg("cdfs"), py::arg("num_tables"), py::arg("width"), py::arg("cdfs_sizes"),
      py::arg("offsets"), py::arg("freq_precision"), py::arg("bypass_coding"), py::arg("alias"),
      py::arg("inverse_cdf_precision"), py::arg("infos"), py::arg("summary"), py::arg("device"),
      py::arg("queue"));
  py::class_<gpu::DeviceTables>(module, "DeviceTables")
      .def(py::init([](const std::vector<std::int64_t>& summary, std::int64_t num_tables,
                       std::int64_t width, int freq_precision, bool bypass_coding, bool alias,
                       int inverse_cdf_precision) {
             return read_tables(summary, num_tables, width,
                                {freq_precision, bypass_coding, alias, inverse_cdf_precision});
           }),
           py::arg("summary"), py::arg("num_tables"), py::arg("width"), py::arg("freq_precision"),
           py::arg("bypass_coding"), py::arg("alias"), py::arg("inverse_cdf_precision"))
      .def(
          "image_bytes",
          [](const gpu::DeviceTables& tables, const Codec& codec) {
            return gpu::image_layout(tables, image_kind(codec)).end;
          },
          py::arg("codec"));
  module.def(
      "fill_tables",
      [](const Codec& codec, const gpu::DeviceTables& tables, std::uintptr_t cdfs,
         std::int64_t width, std::uintptr_t infos, std::uintptr_t image, int device,
         std::uintptr_t queue) {
        check_cuda(gpu::fill_tables(
            gpu::fill_task(tables, pointer<std::int32_t>(cdfs), width, pointer<TableInfo>(infos),
                           image_kind(codec), pointer<std::uint8_t>(image)),
            queue_of(device, queue)));
      },
      py::arg("codec"), py::arg("tables"), py::arg("cdfs"), py::arg("width"), py::arg("infos"),
      py::arg("image"), py::arg("device"), py::arg("queue"));
}

void bind_quantizer(py::module_& module) {
  module.def(
      "quantize_pmf",
      [](std::uintptr_t pmf, const std::string& dtype, std::int64_t rows, std::int64_t length,
         std::uintptr_t lengths, int freq_precision, std::uintptr_t out, std::uintptr_t statuses,
         int device, std::uintptr_t queue) {
        check_cuda(gpu::quantize(
            {pointer<void>(pmf), dtype == "float32", rows, length, pointer<std::int32_t>(lengths),
             freq_precision, pointer<std::int32_t>(out), pointer<std::int32_t>(statuses)},
            queue_of(device, queue)));
      },
      py::arg("pmf"), py::arg("dtype"), py::arg("rows"), py::arg("length"), py::arg("lengths"),
      py::arg("freq_precision"), py::arg("out"), py::arg("statuses"), py::arg("device"),
      py::arg("queue"));
}

void bind_packing(py::module_& module) {
  module.def(
      "plan_pack",
      [](std::uintptr_t stream, std::int64_t rows, std::int64_t columns, int length_bytes,
         bool bare_last, std::uintptr_t starts, std::uintptr_t failed, std::uintptr_t bad_row,
         std::uintptr_t plan, int device, std::uintptr_t queue) {
        check_cuda(gpu::plan_pack({pointer<std::uint8_t>(stream), rows, columns * kColumnBytes,
                                   length_bytes, bare_last, pointer<std::int64_t>(starts), nullptr},
                                  pointer<std::uint32_t>(failed), pointer<std::uint64_t>(bad_row),
                                  pointer<gpu::PackPlan>(plan), queue_of(device, queue)));
      },
      py::arg("stream"), py::arg("rows"), py::arg("columns"), py::arg("length_bytes"),
      py::arg("bare_last"), py::arg("starts"), py::arg("failed"), py::arg("bad_row"),
      py::arg("plan"), py::arg("device"), py::arg("queue"));
  module.def(
      "pack",
      [](std::uintptr_t stream, std::int64_t rows, std::int64_t columns, int length_bytes,
         bool bare_last, std::uintptr_t starts, std::uintptr_t packed, int device,
         std::uintptr_t queue) {
        check_cuda(
            gpu::pack({pointer<std::uint8_t>(stream), rows, columns * kColumnBytes, length_bytes,
                       bare_last, pointer<std::int64_t>(starts), pointer<std::uint8_t>(packed)},
                      queue_of(device, queue)));
      },
      py::arg("stream"), py::arg("rows"), py::arg("columns"), py::arg("length_bytes"),
      py::arg("bare_last"), py::arg("starts"), py::arg("packed"), py::arg("device"),
      py::arg("queue"));
  module.def(
      "unpack",
      [](std::uintptr_t packed, std::uintptr_t spans, std::uintptr_t stream, std::int64_t rows,
         std::int64_t columns, int device, std::uintptr_t queue) {
        check_cuda(gpu::unpack({pointer<std::uint8_t>(stream), rows, columns * kColumnBytes, 0,
                                false, pointer<std::int64_t>(spans), pointer<std::uint8_t>(packed)},
                               queue_of(device, queue)));
      },
      py::arg("packed"), py::arg("spans"), py::arg("stream"), py::arg("rows"), py::arg("columns"),
      py::arg("device"), py::arg("queue"));
}

}  // namespace

void register_cuda(py::module_& module) {
  py::module_ cuda = module.def_submodule("cuda", "The CUDA engine; present where it was built.");
  cuda.attr("built_for") = gpu::built_for();
  cuda.attr("ROW_RESULT_BYTES") = sizeof(gpu::RowResult);
  cuda.def("unavailable_because", &gpu::unavailable_because);
  bind_coder(cuda);
  bind_tables(cuda);
  bind_quantizer(cuda);
  bind_packing(cuda);
}

}  // namespace torch_ans
