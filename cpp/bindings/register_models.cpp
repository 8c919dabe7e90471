#include <pybind11/stl.h>

#include <stdexcept>
#include <utility>
#include <vector>

#include "bytes_view.h"
#include "cpu/arithmetic.h"
#include "cpu/codec.h"
#include "cpu/logits.h"
#include "register.h"
#include "torch_ans/parametric.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

template <typename Value, std::size_t kCount>
Value by_name(const std::pair<const char*, Value> (&values)[kCount], const std::string& name,
              const char* what) {
  for (const auto& [known, value] : values) {
    if (name == known) return value;
  }
  throw std::invalid_argument(std::string(what) + " is unknown: " + name);
}

constexpr std::pair<const char*, ModelKind> kKinds[] = {
    {"cdf", ModelKind::kCdf},
    {"pmf", ModelKind::kPmf},
    {"logits", ModelKind::kLogits},
    {"gaussian", ModelKind::kGaussian},
    {"laplace", ModelKind::kLaplace},
    {"logistic", ModelKind::kLogistic},
    {"logistic_mixture", ModelKind::kLogisticMixture},
};

constexpr std::pair<const char*, RealType> kTypes[] = {
    {"float32", RealType::kFloat32}, {"float64", RealType::kFloat64},
    {"float16", RealType::kFloat16}, {"bfloat16", RealType::kBFloat16},
    {"int16", RealType::kInt16},     {"int32", RealType::kInt32},
    {"int64", RealType::kInt64},
};

Model make_model(const std::string& kind, const std::string& dtype,
                 const std::vector<std::uintptr_t>& values,
                 const std::vector<std::int64_t>& strides, std::int32_t low,
                 std::uint32_t num_symbols, int freq_precision, bool leaks, int components) {
  if (values.size() != strides.size() || values.size() > kModelValues) {
    throw std::invalid_argument("a model has up to 3 values, each with a stride");
  }
  if (freq_precision < 1 || freq_precision > 16 || num_symbols < 1 ||
      num_symbols > std::uint32_t{1} << freq_precision) {
    throw std::invalid_argument("a model of freq_precision " + std::to_string(freq_precision) +
                                " cannot have " + std::to_string(num_symbols) + " symbols");
  }
  if (components < 1 || components > kMostComponents) {
    throw std::invalid_argument("a mixture has 1 to 32 components");
  }
  Model model{};
  model.kind = by_name(kKinds, kind, "kind");
  model.type = by_name(kTypes, dtype, "dtype");
  for (std::size_t v = 0; v < values.size(); ++v) {
    model.values[v] = pointer<void>(values[v]);
    model.strides[v] = strides[v];
  }
  model.low = low;
  model.num_symbols = num_symbols;
  model.freq_precision = freq_precision;
  model.leaks = leaks;
  model.components = components;
  return model;
}

CodingTask make_task(const Codec& codec, const Model& model, std::uintptr_t stream,
                     std::int64_t rows, std::int64_t columns, const IntArray& symbols,
                     std::int64_t row_length, std::int64_t total) {
  if (model.freq_precision > codec.max_freq_precision) {
    throw std::invalid_argument("freq_precision must be at most " +
                                std::to_string(codec.max_freq_precision) +
                                " for this family, got " + std::to_string(model.freq_precision));
  }
  if (is_tans(codec.family)) {
    throw std::invalid_argument("tANS codes with tables, not with a distribution for each symbol");
  }
  CodingTask task{};
  task.model = &model;
  task.stream = pointer<std::uint8_t>(stream);
  task.row_bytes = columns * kColumnBytes;
  task.symbols = symbols;
  task.rows = rows;
  task.row_length = row_length;
  task.total = total;
  return task;
}

void bind_arithmetic(py::module_& module) {
  module.def(
      "encode_arithmetic",
      [](const Model& model, const IntArray& symbols, std::int64_t count) {
        std::vector<std::uint8_t> bytes;
        std::int64_t bad;
        {
          const py::gil_scoped_release release;
          bad = encode_arithmetic(model, symbols, count, bytes);
        }
        return py::make_tuple(bad,
                              py::bytes(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
      },
      py::arg("model"), py::arg("symbols"), py::arg("count"));
  module.def(
      "decode_arithmetic",
      [](const Model& model, const py::buffer& data, const IntArray& out, std::int64_t count) {
        const BytesView bytes(data);
        const py::gil_scoped_release release;
        return decode_arithmetic(model, bytes.data(), bytes.size(), out, count);
      },
      py::arg("model"), py::arg("data"), py::arg("out"), py::arg("count"));
}

}  // namespace

void register_models(py::module_& module) {
  py::class_<Model>(module, "Model")
      .def(py::init(&make_model), py::arg("kind"), py::arg("dtype"), py::arg("values"),
           py::arg("strides"), py::arg("low"), py::arg("num_symbols"), py::arg("freq_precision"),
           py::arg("leaks"), py::arg("components"))
      .def_readonly("low", &Model::low)
      .def_readonly("num_symbols", &Model::num_symbols)
      .def_readonly("freq_precision", &Model::freq_precision);
  module.def(
      "find_logit_edges",
      [](const Model& model, std::uintptr_t edges) {
        const py::gil_scoped_release release;
        find_logit_edges(model, pointer<std::int32_t>(edges));
      },
      py::arg("model"), py::arg("edges"));
  module.def(
      "encode_with_model",
      [](const Codec& codec, const Model& model, std::uintptr_t stream, std::int64_t rows,
         std::int64_t columns, const IntArray& symbols, std::int64_t row_length, std::int64_t total,
         int threads) {
        Outcome outcome;
        {
          const py::gil_scoped_release release;
          outcome = encode(
              codec, make_task(codec, model, stream, rows, columns, symbols, row_length, total),
              threads);
        }
        return py::make_tuple(static_cast<int>(outcome.status), outcome.row, outcome.position);
      },
      py::arg("codec"), py::arg("model"), py::arg("stream"), py::arg("rows"), py::arg("columns"),
      py::arg("symbols"), py::arg("row_length"), py::arg("total"), py::arg("threads"));
  module.def(
      "decode_with_model",
      [](const Codec& codec, const Model& model, std::uintptr_t stream, std::int64_t rows,
         std::int64_t columns, const IntArray& out, std::int64_t row_length, std::int64_t total,
         int threads, bool require_end) {
        Outcome outcome;
        {
          const py::gil_scoped_release release;
          CodingTask task = make_task(codec, model, stream, rows, columns, out, row_length, total);
          task.require_end = require_end;
          outcome = decode(codec, task, threads);
        }
        return py::make_tuple(static_cast<int>(outcome.status), outcome.row, outcome.position,
                              outcome.broken_rows);
      },
      py::arg("codec"), py::arg("model"), py::arg("stream"), py::arg("rows"), py::arg("columns"),
      py::arg("out"), py::arg("row_length"), py::arg("total"), py::arg("threads"),
      py::arg("require_end"));
  bind_arithmetic(module);
}

}  // namespace torch_ans
