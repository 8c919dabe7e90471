#include <algorithm>
#include <cstring>
#include <optional>
#include <vector>

#include "bytes_view.h"
#include "coding_call.h"
#include "cpu/messages.h"
#include "register.h"
#include "torch_ans/stream_layout.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

/// Integers side by side.
IntArray array_of(std::uintptr_t data, const std::string& type, std::int64_t count) {
  return {pointer<void>(data), int_type(type), count, 0, 1, count == 0 ? 1 : count};
}

/// The bytes of a row behind its length of `length_bytes` (0: none), or None where only the length
/// way round can say what is wrong.
py::object encode_short_row(const Codec& codec, const CodingTables& tables, std::uintptr_t symbols,
                            const std::string& symbol_type, std::uintptr_t indexes,
                            const std::string& index_type, std::int64_t count, int bypass_precision,
                            int length_bytes) {
  std::optional<IntArray> chosen;
  if (indexes != 0) chosen = array_of(indexes, index_type, count);
  const CodingCall call{codec, tables, 1, count, count, bypass_precision};
  const CodingTask task =
      make_task(call, array_of(symbols, symbol_type, count), chosen ? &*chosen : nullptr);
  Rows rows;
  const std::vector<MessagePart> parts = {{task, tables.options().freq_precision}};
  if (encode_messages(codec, parts, 1, 1, rows).outcome.status != Status::kOk) return py::none();
  const auto length = static_cast<std::uint64_t>(rows.length(0));
  if (length_bytes > 0 && length_bytes < 8 && length >> (8 * length_bytes) != 0) return py::none();
  const auto head = static_cast<std::size_t>(length_bytes);
  py::bytes data(nullptr, head + length);
  char* target = PyBytes_AS_STRING(data.ptr());
  if (head != 0) std::memcpy(target, &length, head);
  std::memcpy(target + head, rows.row(0) + kLengthBytes, length);
  return data;
}

/// Whether `data`, a row as `encode_short_row` makes it, held exactly these symbols. False: only
/// the long way round can say what is wrong, and `out` holds anything.
bool decode_short_row(const Codec& codec, const CodingTables& tables, const py::buffer& data,
                      std::uintptr_t indexes, const std::string& index_type, std::uintptr_t out,
                      const std::string& out_type, std::int64_t count, int bypass_precision,
                      int length_bytes) {
  const BytesView bytes(data);
  const auto head = static_cast<std::size_t>(length_bytes);
  if (bytes.size() < head || bytes.size() > INT32_MAX) return false;
  const std::size_t length = bytes.size() - head;
  std::uint64_t given = 0;
  if (head != 0) std::memcpy(&given, bytes.data(), head);
  if (head != 0 && given != length) return false;
  const Rows rows(1, kLengthBytes + std::max<std::int64_t>(static_cast<std::int64_t>(length),
                                                           codec.header_bytes()));
  store(rows.row(0), static_cast<std::int32_t>(length));
  if (length != 0) std::memcpy(rows.row(0) + kLengthBytes, bytes.data() + head, length);
  std::optional<IntArray> chosen;
  if (indexes != 0) chosen = array_of(indexes, index_type, count);
  const CodingCall call{codec, tables, 1, count, count, bypass_precision};
  const IntArray target = array_of(out, out_type, count);
  check_apart(reach_of("out", target, count, count), chosen ? &*chosen : nullptr, nullptr, count,
              count);
  CodingTask task = make_task(call, target, chosen ? &*chosen : nullptr);
  task.stream = rows.data();
  task.row_bytes = rows.row_bytes();
  task.require_end = true;
  return decode(codec, task, 1).status == Status::kOk;
}

}  // namespace

void register_short_calls(py::module_& module) {
  module.def("encode_short_row", &encode_short_row, py::arg("codec"), py::arg("tables"),
             py::arg("symbols"), py::arg("symbol_dtype"), py::arg("indexes"),
             py::arg("index_dtype"), py::arg("count"), py::arg("bypass_precision"),
             py::arg("length_bytes"));
  module.def("decode_short_row", &decode_short_row, py::arg("codec"), py::arg("tables"),
             py::arg("data"), py::arg("indexes"), py::arg("index_dtype"), py::arg("out"),
             py::arg("out_dtype"), py::arg("count"), py::arg("bypass_precision"),
             py::arg("length_bytes"));
}

}  // namespace torch_ans
