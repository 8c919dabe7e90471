#include <pybind11/stl.h>

#include <utility>

#include "bytes_view.h"
#include "cpu/byte_strings.h"
#include "register.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

constexpr std::int64_t kColumnBytes = 4;

py::bytes pack_stream(std::uintptr_t stream, std::int64_t rows, std::int64_t columns,
                      int length_bytes, bool bare_last) {
  const auto* data = pointer<std::uint8_t>(stream);
  const ByteFormat format{length_bytes, bare_last};
  const std::vector<Span> spans = plan_rows(data, rows, columns * kColumnBytes, format);
  const std::size_t size = spans.empty() ? 0 : spans.back().start + spans.back().length;
  py::bytes packed(nullptr, size);
  auto* target = reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(packed.ptr()));
  const py::gil_scoped_release release;
  pack_rows(data, columns * kColumnBytes, spans, format, target);
  return packed;
}

std::vector<std::pair<std::size_t, std::size_t>> row_lengths(const py::buffer& data,
                                                             int length_bytes, std::int64_t rows,
                                                             bool bare_last) {
  const BytesView bytes(data);
  std::vector<std::pair<std::size_t, std::size_t>> spans;
  for (const Span& span : find_rows(bytes.data(), bytes.size(), rows, {length_bytes, bare_last})) {
    spans.emplace_back(span.start, span.length);
  }
  return spans;
}

void fill_stream(const py::buffer& data,
                 const std::vector<std::pair<std::size_t, std::size_t>>& spans,
                 std::uintptr_t stream, std::int64_t rows, std::int64_t columns) {
  const BytesView bytes(data);
  const auto row_bytes = static_cast<std::size_t>(columns * kColumnBytes);
  if (spans.size() != static_cast<std::size_t>(rows)) {
    throw std::invalid_argument("spans must name " + std::to_string(rows) + " rows, got " +
                                std::to_string(spans.size()));
  }
  std::vector<Span> checked;
  checked.reserve(spans.size());
  for (const auto& [start, length] : spans) {
    if (start > bytes.size() || length > bytes.size() - start || length + 4 > row_bytes) {
      throw std::invalid_argument("a span must lie inside the data and fit its row");
    }
    checked.push_back({start, length});
  }
  const py::gil_scoped_release release;
  fill_rows(bytes.data(), checked, pointer<std::uint8_t>(stream), columns * kColumnBytes);
}

}  // namespace

void register_byte_strings(py::module_& module) {
  module.def("pack_stream", &pack_stream, py::arg("stream"), py::arg("rows"), py::arg("columns"),
             py::arg("length_bytes"), py::arg("bare_last"));
  module.def("row_lengths", &row_lengths, py::arg("data"), py::arg("length_bytes"), py::arg("rows"),
             py::arg("bare_last"));
  module.def("fill_stream", &fill_stream, py::arg("data"), py::arg("spans"), py::arg("stream"),
             py::arg("rows"), py::arg("columns"));
}

}  // namespace torch_ans
