#include <pybind11/stl.h>

#include <tuple>
#include <utility>

#include "bytes_view.h"
#include "cpu/codec.h"
#include "large_memory.h"
#include "register.h"
#include "row_spans.h"
#include "torch_ans/container.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

std::string type_name(std::uint8_t type) {
  static const char* const kNames[] = {"uint8", "int8", "uint16", "int16", "int32", "int64"};
  return kNames[type];
}

const char* describe(PackedStatus status) {
  switch (status) {
    case PackedStatus::kNoMagic:
      return "it does not start as a packed file does";
    case PackedStatus::kVersion:
      return "its version is not 1, the one that this release reads";
    case PackedStatus::kCutOff:
      return "its head is cut off";
    case PackedStatus::kChecksum:
      return "its head is damaged: a checksum does not match";
    default:
      return "a field of its head has an impossible value";
  }
}

std::vector<PackedRow> check_spans(const RowSpans& spans, std::size_t size) {
  std::vector<PackedRow> rows;
  rows.reserve(spans.rows.size());
  for (const auto& [start, length] : spans.rows) {
    if (start > size || length > size - start || length > kMaxPackedRowBytes) {
      throw std::invalid_argument("a span must lie inside the data and be at most 2 GiB");
    }
    rows.push_back({start, length, true});
  }
  if (rows.size() > 0xffffffffu) throw std::invalid_argument("a file holds under 2**32 rows");
  return rows;
}

/// How the rows were coded: what pack_container takes and unpack_container returns.
using Fields = std::tuple<std::string, int, int, int, bool, std::string, py::bytes,
                          std::vector<std::uint64_t>>;

PackedHeader make_header(const Fields& fields) {
  const auto& [family, lanes, freq_precision, bypass_precision, alias, dtype, hash, shape] = fields;
  const Codec codec = make_codec(family, lanes);
  const std::string hash_bytes = hash;
  if (hash_bytes.size() != 8) throw std::invalid_argument("the tables' hash has 8 bytes");
  if (freq_precision < 1 || freq_precision > codec.max_freq_precision || bypass_precision < 0 ||
      bypass_precision > codec.max_freq_precision || shape.size() > kMaxPackedDims) {
    throw std::invalid_argument("a precision or the number of dimensions is out of range");
  }
  PackedHeader header{};
  header.family = static_cast<std::uint8_t>(codec.family);
  header.lanes = static_cast<std::uint8_t>(lanes);
  header.freq_precision = static_cast<std::uint8_t>(freq_precision);
  header.bypass_precision = static_cast<std::uint8_t>(bypass_precision);
  header.flags = alias ? kPackedAlias : 0;
  header.dtype = static_cast<std::uint8_t>(int_type(dtype));
  header.tables_hash = load<std::uint64_t>(hash_bytes.data());
  header.shape = shape;
  return header;
}

py::bytes pack_container(const Fields& fields, const py::buffer& data, const RowSpans& spans) {
  const BytesView bytes(data);
  const PackedHeader header = make_header(fields);
  const std::vector<PackedRow> rows = check_spans(spans, bytes.size());
  std::vector<std::uint8_t> head;
  {
    const py::gil_scoped_release release;
    head = write_packed_head(header, bytes.data(), rows);
  }
  std::size_t size = head.size();
  for (const PackedRow& row : rows) size += row.length;
  py::bytes packed = new_bytes(size);
  std::uint8_t* out = bytes_of(packed);
  const py::gil_scoped_release release;
  std::memcpy(out, head.data(), head.size());
  out += head.size();
  for (const PackedRow& row : rows) {
    if (row.length != 0) std::memcpy(out, bytes.data() + row.start, row.length);
    out += row.length;
  }
  return packed;
}

/// (fields, spans of the rows, numbers of the damaged ones, bytes behind the last row).
py::tuple unpack_container(const py::buffer& data) {
  const BytesView bytes(data);
  PackedReader reader(bytes.data(), bytes.size());
  PackedStatus status;
  {
    const py::gil_scoped_release release;
    status = reader.read();
  }
  if (status != PackedStatus::kOk) throw std::invalid_argument(describe(status));
  const PackedHeader& header = reader.header();
  char hash[8];
  store(hash, header.tables_hash);
  const Fields fields{families()[header.family].name, header.lanes,      header.freq_precision,
                      header.bypass_precision,        header.flags != 0, type_name(header.dtype),
                      py::bytes(hash, sizeof(hash)),  header.shape};
  RowSpans spans;
  std::vector<std::size_t> damaged;
  for (std::size_t row = 0; row < reader.rows().size(); ++row) {
    const PackedRow& found = reader.rows()[row];
    spans.rows.push_back({found.start, found.length});
    if (!found.intact) damaged.push_back(row);
  }
  return py::make_tuple(fields, std::move(spans), damaged, reader.extra());
}

}  // namespace

void register_container(py::module_& module) {
  module.def("pack_container", &pack_container, py::arg("fields"), py::arg("data"),
             py::arg("spans"));
  module.def("unpack_container", &unpack_container, py::arg("data"));
  module.def(
      "crc32c",
      [](const py::buffer& data) {
        const BytesView bytes(data);
        const py::gil_scoped_release release;
        return crc32c(bytes.data(), bytes.size());
      },
      py::arg("data"));
}

}  // namespace torch_ans
