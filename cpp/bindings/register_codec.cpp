#include <pybind11/stl.h>

#include <stdexcept>

#include "coding_call.h"
#include "register.h"
#include "torch_ans/stream_layout.h"
#include "torch_ans/tables.h"

namespace py = pybind11;

namespace torch_ans {

IntType int_type(const std::string& name) {
  static const std::pair<const char*, IntType> kTypes[] = {
      {"uint8", IntType::kUint8}, {"int8", IntType::kInt8},   {"uint16", IntType::kUint16},
      {"int16", IntType::kInt16}, {"int32", IntType::kInt32}, {"int64", IntType::kInt64}};
  for (const auto& [type_name, type] : kTypes) {
    if (name == type_name) return type;
  }
  throw std::invalid_argument("not an integer type: " + name);
}

namespace {

void bind_push_and_pop(py::module_& module) {
  module.def(
      "encode",
      [](const Codec& codec, const CodingTables& tables, std::uintptr_t stream, std::int64_t rows,
         std::int64_t columns, const IntArray& symbols, const IntArray* indexes,
         std::int64_t row_length, std::int64_t total, int bypass_precision, int threads,
         const ContextTask* contexts) {
        const Reach written = reach_of_stream(stream, rows * columns * kColumnBytes);
        check_apart(written, reach_of("symbols", symbols, row_length, total));
        check_apart(written, indexes, contexts, row_length, total);
        Outcome outcome;
        {
          const py::gil_scoped_release release;
          CodingTask task = make_task({codec, tables, rows, row_length, total, bypass_precision},
                                      symbols, indexes, contexts);
          task.stream = pointer<std::uint8_t>(stream);
          task.row_bytes = columns * kColumnBytes;
          outcome = encode(codec, task, threads);
        }
        return py::make_tuple(static_cast<int>(outcome.status), outcome.row, outcome.position);
      },
      py::arg("codec"), py::arg("tables"), py::arg("stream"), py::arg("rows"), py::arg("columns"),
      py::arg("symbols"), py::arg("indexes").none(true), py::arg("row_length"), py::arg("total"),
      py::arg("bypass_precision"), py::arg("threads"), py::arg("contexts").none(true) = py::none());
  module.def(
      "decode",
      [](const Codec& codec, const CodingTables& tables, std::uintptr_t stream, std::int64_t rows,
         std::int64_t columns, const IntArray* indexes, const IntArray& out,
         std::int64_t row_length, std::int64_t total, int bypass_precision, int threads,
         bool require_end, const ContextTask* contexts) {
        const Reach written = reach_of("out", out, row_length, total);
        check_apart(written, reach_of_stream(stream, rows * columns * kColumnBytes));
        check_apart(written, indexes, contexts, row_length, total);
        Outcome outcome;
        {
          const py::gil_scoped_release release;
          CodingTask task = make_task({codec, tables, rows, row_length, total, bypass_precision},
                                      out, indexes, contexts);
          task.stream = pointer<std::uint8_t>(stream);
          task.row_bytes = columns * kColumnBytes;
          task.require_end = require_end;
          outcome = decode(codec, task, threads);
        }
        return py::make_tuple(static_cast<int>(outcome.status), outcome.row, outcome.position,
                              outcome.broken_rows);
      },
      py::arg("codec"), py::arg("tables"), py::arg("stream"), py::arg("rows"), py::arg("columns"),
      py::arg("indexes").none(true), py::arg("out"), py::arg("row_length"), py::arg("total"),
      py::arg("bypass_precision"), py::arg("threads"), py::arg("require_end"),
      py::arg("contexts").none(true) = py::none());
  module.def(
      "escape_bytes",
      [](const Codec& codec, const CodingTables& tables, const IntArray& symbols,
         const IntArray* indexes, std::int64_t rows, std::int64_t row_length, std::int64_t total,
         int bypass_precision, const ContextTask* contexts) {
        const py::gil_scoped_release release;
        return max_escape_bytes(
            make_task({codec, tables, rows, row_length, total, bypass_precision}, symbols, indexes,
                      contexts));
      },
      py::arg("codec"), py::arg("tables"), py::arg("symbols"), py::arg("indexes").none(true),
      py::arg("rows"), py::arg("row_length"), py::arg("total"), py::arg("bypass_precision"),
      py::arg("contexts").none(true) = py::none());
}

}  // namespace

void register_codec(py::module_& module) {
  module.attr("LANES") = py::make_tuple(1, 2, 4, 8, 16, 32);
  module.attr("OK") = static_cast<int>(Status::kOk);
  module.attr("BAD_INDEX") = static_cast<int>(Status::kBadIndex);
  module.attr("BAD_SYMBOL") = static_cast<int>(Status::kBadSymbol);
  module.attr("NO_SPACE") = static_cast<int>(Status::kNoSpace);
  module.attr("CORRUPT") = static_cast<int>(Status::kCorrupt);

  py::class_<FamilyInfo>(module, "Family")
      .def_readonly("name", &FamilyInfo::name)
      .def_readonly("state_bytes", &FamilyInfo::state_bytes)
      .def_readonly("word_bytes", &FamilyInfo::word_bytes)
      .def_readonly("lower_bound", &FamilyInfo::lower_bound)
      .def_readonly("max_freq_precision", &FamilyInfo::max_freq_precision);
  py::dict by_name;
  for (const FamilyInfo& info : families()) by_name[info.name] = info;
  module.attr("FAMILIES") = by_name;

  py::class_<Codec>(module, "Codec")
      .def(py::init(&make_codec), py::arg("family"), py::arg("lanes"))
      .def_readonly("family", &Codec::name)
      .def_readonly("lanes", &Codec::lanes)
      .def_readonly("word_bytes", &Codec::word_bytes)
      .def_readonly("state_bytes", &Codec::state_bytes)
      .def_readonly("lower_bound", &Codec::lower_bound)
      .def_readonly("max_freq_precision", &Codec::max_freq_precision)
      .def_property_readonly("header_bytes", &Codec::header_bytes);

  py::class_<IntArray>(module, "IntArray")
      .def(py::init([](std::uintptr_t data, const std::string& dtype, std::int64_t row_stride,
                       std::int64_t outer_stride, std::int64_t inner_stride,
                       std::int64_t inner_size) {
             return IntArray{pointer<void>(data), int_type(dtype), row_stride,
                             outer_stride,        inner_stride,    inner_size};
           }),
           py::arg("data"), py::arg("dtype"), py::arg("row_stride"), py::arg("outer_stride"),
           py::arg("inner_stride"), py::arg("inner_size"));

  py::class_<ContextTask>(module, "Contexts")
      .def(py::init([](std::uintptr_t tables, const std::vector<std::int64_t>& shape,
                       const std::vector<std::int64_t>& offsets, const IntArray* sets) {
             const std::size_t order = offsets.size();
             std::int64_t numel = 1;
             for (const std::int64_t size : shape) {
               if (size < 1 || size > INT32_MAX / numel) {
                 throw std::invalid_argument("ar_tables must have 1 to 2**31 - 1 entries");
               }
               numel *= size;
             }
             if (order < 1 || order > 3 || shape.size() != order + 2) {
               throw std::invalid_argument("ar_tables must have 2 dimensions more than offsets");
             }
             ContextTask task{pointer<std::int32_t>(tables),
                              static_cast<std::uint32_t>(shape[0]),
                              static_cast<std::uint32_t>(shape[1]),
                              static_cast<std::int32_t>(order),
                              {1, 1, 1},
                              {1, 1, 1},
                              sets == nullptr ? IntArray{} : *sets};
             for (std::size_t k = 0; k < order; ++k) {
               if (offsets[k] < 1) throw std::invalid_argument("ar_offsets must be at least 1");
               task.sizes[k] = static_cast<std::int32_t>(shape[k + 2]);
               task.offsets[k] = offsets[k];
             }
             return task;
           }),
           py::arg("tables"), py::arg("shape"), py::arg("offsets"), py::arg("sets").none(true));

  module.def(
      "init_stream",
      [](const Codec& codec, std::uintptr_t stream, std::int64_t rows, std::int64_t columns) {
        init_stream(codec, pointer<std::uint8_t>(stream), rows, columns * kColumnBytes);
      },
      py::arg("codec"), py::arg("stream"), py::arg("rows"), py::arg("columns"));
  module.def(
      "max_row_bytes",
      [](const Codec& codec, int freq_precision, std::int64_t row_length) {
        return max_appended_bytes(row_length, freq_precision, codec.lanes);
      },
      py::arg("codec"), py::arg("freq_precision"), py::arg("row_length"));
  bind_push_and_pop(module);
}

}  // namespace torch_ans
