#include <pybind11/stl.h>

#include <algorithm>
#include <utility>

#include "bytes_view.h"
#include "cpu/byte_strings.h"
#include "large_memory.h"
#include "register.h"
#include "row_spans.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

/// The rows of a stream, and how they are joined.
struct Packing {
  const std::uint8_t* stream;
  std::int64_t row_bytes;
  ByteFormat format;
  std::vector<Span> spans;
  std::size_t size;

  Packing(std::uintptr_t address, std::int64_t rows, std::int64_t columns, int length_bytes,
          bool bare_last)
      : stream(pointer<std::uint8_t>(address)),
        row_bytes(columns * kColumnBytes),
        format{length_bytes, bare_last},
        spans(plan_rows(stream, rows, row_bytes, format)),
        size(spans.empty() ? 0 : spans.back().start + spans.back().length) {}

  void write(std::uint8_t* target, int threads) const {
    const py::gil_scoped_release release;
    pack_rows(stream, row_bytes, spans, format, target, threads);
  }
};

py::bytes pack_stream(std::uintptr_t stream, std::int64_t rows, std::int64_t columns,
                      int length_bytes, bool bare_last, int threads) {
  const Packing packing(stream, rows, columns, length_bytes, bare_last);
  py::bytes packed = new_bytes(packing.size);
  packing.write(bytes_of(packed), threads);
  return packed;
}

/// Into memory of the caller, which stays as it is where it is too small. The bytes written.
std::size_t pack_stream_into(std::uintptr_t stream, std::int64_t rows, std::int64_t columns,
                             int length_bytes, bool bare_last, int threads, const py::buffer& out) {
  const Packing packing(stream, rows, columns, length_bytes, bare_last);
  const WritableBytes target(out, packing.size);
  packing.write(target.data(), threads);
  return packing.size;
}

RowSpans row_lengths(const py::buffer& data, int length_bytes, std::int64_t rows, bool bare_last) {
  const BytesView bytes(data);
  return RowSpans(find_rows(bytes.data(), bytes.size(), rows, {length_bytes, bare_last}));
}

void fill_stream(const py::buffer& data, const RowSpans& spans, std::uintptr_t stream,
                 std::int64_t rows, std::int64_t columns, int threads) {
  const BytesView bytes(data);
  const auto row_bytes = static_cast<std::size_t>(columns * kColumnBytes);
  if (spans.rows.size() != static_cast<std::size_t>(rows)) {
    throw std::invalid_argument("spans must name " + std::to_string(rows) + " rows, got " +
                                std::to_string(spans.rows.size()));
  }
  for (const auto& [start, length] : spans.rows) {
    if (start > bytes.size() || length > bytes.size() - start || length + 4 > row_bytes) {
      throw std::invalid_argument("a span must lie inside the data and fit its row");
    }
  }
  const py::gil_scoped_release release;
  fill_rows(bytes.data(), spans.rows, pointer<std::uint8_t>(stream), columns * kColumnBytes,
            threads);
}

/// All of `data` as one row.
void fill_row(const py::buffer& data, std::uintptr_t row, std::int64_t columns) {
  const BytesView bytes(data);
  if (bytes.size() > static_cast<std::size_t>((columns - 1) * kColumnBytes)) {
    throw std::invalid_argument("the data must fit its row");
  }
  const py::gil_scoped_release release;
  fill_rows(bytes.data(), {{0, bytes.size()}}, pointer<std::uint8_t>(row), columns * kColumnBytes,
            1);
}

void bind_spans(py::module_& module) {
  py::class_<RowSpans>(module, "RowSpans")
      .def(py::init<const std::vector<RowSpans::Pair>&>(), py::arg("pairs"))
      .def("__len__", [](const RowSpans& spans) { return spans.rows.size(); })
      .def("__iter__",
           [](const RowSpans& spans) {
             py::list pairs(spans.rows.size());
             for (std::size_t row = 0; row < spans.rows.size(); ++row) {
               pairs[row] = py::make_tuple(spans.rows[row].start, spans.rows[row].length);
             }
             return py::iter(pairs);
           })
      .def_property_readonly("longest",
                             [](const RowSpans& spans) {
                               std::size_t longest = 0;
                               for (const Span& row : spans.rows) {
                                 longest = std::max(longest, row.length);
                               }
                               return longest;
                             })
      .def(
          "part",
          [](const RowSpans& spans, std::size_t start, std::size_t end) {
            if (start > end || end > spans.rows.size()) throw py::index_error("no such rows");
            const auto first = spans.rows.begin();
            return RowSpans(std::vector<Span>(first + static_cast<std::ptrdiff_t>(start),
                                              first + static_cast<std::ptrdiff_t>(end)));
          },
          py::arg("start"), py::arg("end"))
      .def(
          "clear",
          [](RowSpans& spans, std::size_t row) {
            if (row >= spans.rows.size()) throw py::index_error("no such row");
            spans.rows[row] = {0, 0};
          },
          py::arg("row"))
      .def(
          "write",
          [](const RowSpans& spans, std::uintptr_t target) {
            auto* numbers = pointer<std::int64_t>(target);
            for (const auto& [start, length] : spans.rows) {
              *numbers++ = static_cast<std::int64_t>(start);
              *numbers++ = static_cast<std::int64_t>(length);
            }
          },
          py::arg("target"));
}

void bind_memory(py::module_& module) {
  module.def(
      "prefer_huge_pages",
      [](std::uintptr_t memory, std::size_t size) {
        prefer_huge_pages(pointer<void>(memory), size);
      },
      py::arg("memory"), py::arg("size"));
  module.def(
      "check_room",
      [](const py::buffer& out, std::size_t size) { const WritableBytes target(out, size); },
      py::arg("out"), py::arg("size"));
  module.def(
      "make_bytes",
      [](std::uintptr_t source, std::size_t size, int threads) {
        py::bytes made = new_bytes(size);
        const py::gil_scoped_release release;
        copy_bytes(pointer<std::uint8_t>(source), size, bytes_of(made), threads);
        return made;
      },
      py::arg("source"), py::arg("size"), py::arg("threads"));
  module.def(
      "read_bytes",
      [](const py::buffer& data, std::uintptr_t target, int threads) {
        const BytesView bytes(data);
        const py::gil_scoped_release release;
        copy_bytes(bytes.data(), bytes.size(), pointer<std::uint8_t>(target), threads);
      },
      py::arg("data"), py::arg("target"), py::arg("threads"));
  module.def(
      "write_bytes",
      [](const py::buffer& data, const py::buffer& out, int threads) {
        const BytesView bytes(data);
        const WritableBytes target(out, bytes.size());
        const py::gil_scoped_release release;
        copy_bytes(bytes.data(), bytes.size(), target.data(), threads);
        return bytes.size();
      },
      py::arg("data"), py::arg("out"), py::arg("threads"));
}

}  // namespace

void register_byte_strings(py::module_& module) {
  bind_spans(module);
  module.def("pack_stream", &pack_stream, py::arg("stream"), py::arg("rows"), py::arg("columns"),
             py::arg("length_bytes"), py::arg("bare_last"), py::arg("threads"));
  module.def("pack_stream_into", &pack_stream_into, py::arg("stream"), py::arg("rows"),
             py::arg("columns"), py::arg("length_bytes"), py::arg("bare_last"), py::arg("threads"),
             py::arg("out"));
  module.def("row_lengths", &row_lengths, py::arg("data"), py::arg("length_bytes"), py::arg("rows"),
             py::arg("bare_last"));
  module.def("fill_stream", &fill_stream, py::arg("data"), py::arg("spans"), py::arg("stream"),
             py::arg("rows"), py::arg("columns"), py::arg("threads"));
  module.def("fill_row", &fill_row, py::arg("data"), py::arg("row"), py::arg("columns"));
  bind_memory(module);
}

}  // namespace torch_ans
