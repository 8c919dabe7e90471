#include <pybind11/stl.h>

#include <stdexcept>

#include "register.h"
#include "torch_ans/quantize.h"
#include "torch_ans/tables.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

const char* describe(QuantizeStatus status) {
  switch (status) {
    case QuantizeStatus::kNotFinite:
      return "holds a value that is not finite";
    case QuantizeStatus::kNegative:
      return "holds a negative value";
    case QuantizeStatus::kTooLarge:
      return "holds a value too large to quantise: normalise it";
    case QuantizeStatus::kZeroSum:
      return "has no mass: all its values round to zero";
    default:
      return "has more symbols than 2**precision slots";
  }
}

template <typename T>
void quantize_rows(const T* pmf, std::int64_t rows, std::int64_t length,
                   const std::int32_t* lengths, int precision, std::int32_t* out) {
  for (std::int64_t row = 0; row < rows; ++row) {
    const std::int64_t used = lengths == nullptr ? length : lengths[row];
    if (used < 1 || used > length) {
      throw std::invalid_argument("row " + std::to_string(row) + " of pmf must have 1.." +
                                  std::to_string(length) + " symbols, got " + std::to_string(used));
    }
    std::int32_t* cdf = out + row * (length + 1);
    const QuantizeStatus status =
        quantize_pmf(pmf + row * length, static_cast<std::size_t>(used), precision, cdf);
    if (status != QuantizeStatus::kOk) {
      throw std::invalid_argument("row " + std::to_string(row) + " of pmf " + describe(status));
    }
    std::fill(cdf + used + 1, cdf + length + 1, 1 << precision);
  }
}

/// CDF rows given by the caller, checked by building tables from them.
struct CdfRows {
  const std::int32_t* cdfs;
  std::int64_t num_tables;
  std::int64_t width;
  const std::int32_t* sizes;
};

CodingTables build(const CdfRows& rows, const TablesOptions& options) {
  const std::vector<std::int32_t> offsets(static_cast<std::size_t>(rows.num_tables), 0);
  return CodingTables(rows.cdfs, rows.num_tables, rows.width, rows.sizes, offsets.data(), options);
}

/// Row k of `target` = the CDF of row k, then `count` values from `value(k, i)`, the rest zero.
template <typename Value>
void write_prepared(const CdfRows& rows, std::int32_t* target, std::int64_t target_width,
                    const Value& value) {
  for (std::int64_t k = 0; k < rows.num_tables; ++k) {
    std::int32_t* row = target + k * target_width;
    std::fill(row, row + target_width, 0);
    std::copy(rows.cdfs + k * rows.width, rows.cdfs + k * rows.width + rows.sizes[k], row);
    value(k, row + rows.sizes[k]);
  }
}

void bind_prepared(py::module_& module) {
  module.def(
      "alias_widths",
      [](std::int64_t max_size, int freq_precision) {
        const auto symbols = static_cast<std::uint32_t>(max_size - 1);
        const std::int64_t buckets = std::int64_t{1} << alias_bucket_bits(symbols);
        return py::make_tuple(max_size + (std::int64_t{1} << freq_precision),
                              max_size + 4 * buckets);
      },
      py::arg("max_size"), py::arg("freq_precision"));
  module.def(
      "build_alias_table",
      [](std::uintptr_t cdfs, std::int64_t num_tables, std::int64_t width, std::uintptr_t sizes,
         int freq_precision, std::uintptr_t remap_out, std::int64_t remap_width,
         std::uintptr_t table_out, std::int64_t table_width) {
        const py::gil_scoped_release release;
        const CdfRows rows{pointer<std::int32_t>(cdfs), num_tables, width,
                           pointer<std::int32_t>(sizes)};
        TablesOptions options;
        options.freq_precision = freq_precision;
        options.alias = true;
        const CodingTables tables = build(rows, options);
        const TablesView view = tables.view<std::uint32_t>();
        const std::int64_t slots = std::int64_t{1} << freq_precision;
        write_prepared(rows, pointer<std::int32_t>(remap_out), remap_width,
                       [&](std::int64_t k, std::int32_t* out) {
                         std::copy(view.alias_slots + k * slots, view.alias_slots + (k + 1) * slots,
                                   out);
                       });
        write_prepared(rows, pointer<std::int32_t>(table_out), table_width,
                       [&](std::int64_t k, std::int32_t* out) {
                         const TableInfo& info = view.info[k];
                         const std::uint32_t buckets = 1u << (freq_precision - info.shift);
                         for (std::uint32_t b = 0; b < buckets; ++b) {
                           const AliasBucket& bucket = view.aliases[info.bucket + b];
                           *out++ = static_cast<std::int32_t>(bucket.cut);
                           *out++ = static_cast<std::int32_t>(bucket.other);
                           *out++ = bucket.self_shift;
                           *out++ = bucket.other_shift;
                         }
                       });
      },
      py::arg("cdfs"), py::arg("num_tables"), py::arg("width"), py::arg("cdfs_sizes"),
      py::arg("freq_precision"), py::arg("remap_out"), py::arg("remap_width"), py::arg("table_out"),
      py::arg("table_width"));
  module.def(
      "build_inverse_cdf",
      [](std::uintptr_t cdfs, std::int64_t num_tables, std::int64_t width, std::uintptr_t sizes,
         int freq_precision, int table_precision, std::uintptr_t out, std::int64_t out_width) {
        const py::gil_scoped_release release;
        const CdfRows rows{pointer<std::int32_t>(cdfs), num_tables, width,
                           pointer<std::int32_t>(sizes)};
        TablesOptions options;
        options.freq_precision = freq_precision;
        options.inverse_cdf_precision = TablesOptions::kNone;
        const CodingTables tables = build(rows, options);
        const int shift = freq_precision - table_precision;
        write_prepared(rows, pointer<std::int32_t>(out), out_width,
                       [&](std::int64_t k, std::int32_t* entries) {
                         const std::int32_t* cdf = rows.cdfs + k * rows.width;
                         std::int32_t symbol = 0;
                         for (std::int32_t i = 0; i < (1 << table_precision); ++i) {
                           while (cdf[symbol + 1] <= i << shift) ++symbol;
                           entries[i] = symbol;
                         }
                       });
      },
      py::arg("cdfs"), py::arg("num_tables"), py::arg("width"), py::arg("cdfs_sizes"),
      py::arg("freq_precision"), py::arg("table_precision"), py::arg("out"), py::arg("out_width"));
}

/// As `tans_build_tables` in quantize.py documents it.
void write_tans_tables(const CdfRows& rows, int table_log, std::int32_t* target,
                       std::int64_t target_width) {
  TablesOptions options;
  options.freq_precision = table_log;
  options.bypass_coding = false;
  options.inverse_cdf_precision = TablesOptions::kNone;
  const CodingTables tables = build(rows, options);
  const TablesView view = tables.tans_view();
  const std::int64_t size = std::int64_t{1} << table_log;
  for (std::int64_t k = 0; k < rows.num_tables; ++k) {
    std::int32_t* out = std::copy(view.tans_next + k * size, view.tans_next + (k + 1) * size,
                                  target + k * target_width);
    for (std::int64_t u = 0; u < size; ++u) {
      const std::uint32_t entry = view.tans_slots[k * size + u];
      const std::uint32_t bits = tans_bits(entry, table_log);
      const auto state = static_cast<std::int32_t>((entry >> 16) << bits) - (1 << table_log);
      out[u] = static_cast<std::int32_t>(bits << 16) | state;
      out[size + u] = static_cast<std::int32_t>(entry & 0xffff);
    }
    out += 2 * size;
    const TableInfo& info = view.info[k];
    for (std::uint32_t id = info.base; id <= info.base + info.last; ++id) {
      *out++ = static_cast<std::int32_t>(view.tans_symbols[id].bits);
      *out++ = view.tans_symbols[id].state - static_cast<std::int32_t>(k * size);
    }
  }
}

}  // namespace

void register_tables(py::module_& module) {
  py::class_<CodingTables, std::shared_ptr<CodingTables>>(module, "CodingTables")
      .def(py::init([](std::uintptr_t cdfs, std::int64_t num_tables, std::int64_t width,
                       std::uintptr_t cdfs_sizes, std::uintptr_t offsets, int freq_precision,
                       bool bypass_coding, bool alias, int inverse_cdf_precision) {
             const py::gil_scoped_release release;
             const TablesOptions options{freq_precision, bypass_coding, alias,
                                         inverse_cdf_precision};
             return std::make_shared<CodingTables>(pointer<std::int32_t>(cdfs), num_tables, width,
                                                   pointer<std::int32_t>(cdfs_sizes),
                                                   pointer<std::int32_t>(offsets), options);
           }),
           py::arg("cdfs"), py::arg("num_tables"), py::arg("width"), py::arg("cdfs_sizes"),
           py::arg("offsets"), py::arg("freq_precision"), py::arg("bypass_coding"),
           py::arg("alias"), py::arg("inverse_cdf_precision"))
      .def_property_readonly("num_tables", &CodingTables::num_tables)
      .def_property_readonly(
          "freq_precision",
          [](const CodingTables& tables) { return tables.options().freq_precision; })
      .def_property_readonly(
          "bypass_coding",
          [](const CodingTables& tables) { return tables.options().bypass_coding; })
      .def_property_readonly("alias",
                             [](const CodingTables& tables) { return tables.options().alias; })
      .def_property_readonly("nbytes", &CodingTables::bytes)
      .def("numbers", [](const CodingTables& tables) {
        const std::vector<std::int32_t> numbers = tables.numbers();
        return py::bytes(reinterpret_cast<const char*>(numbers.data()),
                         numbers.size() * sizeof(numbers[0]));
      });

  module.def(
      "quantize_pmf",
      [](std::uintptr_t pmf, const std::string& dtype, std::int64_t rows, std::int64_t length,
         std::uintptr_t lengths, int freq_precision, std::uintptr_t out) {
        const py::gil_scoped_release release;
        const auto* row_lengths = pointer<std::int32_t>(lengths);
        auto* cdf = pointer<std::int32_t>(out);
        if (dtype == "float32") {
          quantize_rows(pointer<float>(pmf), rows, length, row_lengths, freq_precision, cdf);
        } else if (dtype == "int64") {
          quantize_rows(pointer<std::int64_t>(pmf), rows, length, row_lengths, freq_precision, cdf);
        } else {
          throw std::invalid_argument("pmf must be float32 or int64, got " + dtype);
        }
      },
      py::arg("pmf"), py::arg("dtype"), py::arg("rows"), py::arg("length"), py::arg("lengths"),
      py::arg("freq_precision"), py::arg("out"));
  bind_prepared(module);
  module.def(
      "build_tans_tables",
      [](std::uintptr_t cdfs, std::int64_t num_tables, std::int64_t width, std::uintptr_t sizes,
         int table_log, std::uintptr_t out, std::int64_t out_width) {
        const py::gil_scoped_release release;
        write_tans_tables(
            {pointer<std::int32_t>(cdfs), num_tables, width, pointer<std::int32_t>(sizes)},
            table_log, pointer<std::int32_t>(out), out_width);
      },
      py::arg("cdfs"), py::arg("num_tables"), py::arg("width"), py::arg("cdfs_sizes"),
      py::arg("table_log"), py::arg("out"), py::arg("out_width"));
}

}  // namespace torch_ans
