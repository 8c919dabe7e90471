#include <pybind11/stl.h>

#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "bytes_view.h"
#include "coding_call.h"
#include "cpu/messages.h"
#include "integers.h"
#include "large_memory.h"
#include "register.h"
#include "torch_ans/stream_layout.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

/// Shorter calls keep the GIL: to give it away and get it back takes longer.
constexpr std::int64_t kSymbolsWithoutGil = 4096;

void check_equal_sizes(std::int64_t indexes, std::int64_t symbols) {
  if (indexes != symbols) {
    throw std::invalid_argument("indexes must have one element for each of the " +
                                std::to_string(symbols) + " symbols, got " +
                                std::to_string(indexes));
  }
}

py::bytes message_of(const Codec& codec, const Rows& rows, std::int64_t r) {
  py::bytes message = new_bytes(rows.length(r));
  reverse_words(codec, rows.row(r) + kLengthBytes, rows.length(r), bytes_of(message));
  return message;
}

py::list messages_of(const Codec& codec, const Rows& rows) {
  py::list messages(static_cast<std::size_t>(rows.rows()));
  for (std::int64_t r = 0; r < rows.rows(); ++r) {
    messages[static_cast<std::size_t>(r)] = message_of(codec, rows, r);
  }
  return messages;
}

/// `encode_parts` of one message of lists or buffers: its bytes, or (status, position).
py::object encode_message(const Codec& codec, const CodingTables& tables, const py::handle& symbols,
                          const py::handle& indexes, int bypass_precision) {
  const Integers values(symbols, "symbols", 0);
  const Integers chosen(indexes, "indexes", 0);
  const std::int64_t count = values.size();
  check_equal_sizes(chosen.size(), count);
  const CodingTask task = make_task({codec, tables, 1, count, count, bypass_precision},
                                    values.array(), &chosen.array());
  const std::vector<MessagePart> parts = {{task, tables.options().freq_precision}};
  Rows rows;
  MessageOutcome found;
  {
    std::optional<py::gil_scoped_release> release;
    if (count >= kSymbolsWithoutGil) release.emplace();
    found = encode_messages(codec, parts, 1, 1, rows);
  }
  if (found.outcome.status == Status::kOk) return message_of(codec, rows, 0);
  return py::make_tuple(static_cast<int>(found.outcome.status), found.outcome.position);
}

/// `parts`: tuples (tables, symbols, indexes, row_length), symbols and indexes IntArrays of `rows`
/// rows or, where there is one row, lists or buffers of any length; or symbols are Latents. Returns
/// the messages or, where a symbol or an index is wrong, (status, part, row, position).
py::object encode_parts(const Codec& codec, const py::sequence& parts, std::int64_t rows,
                        int bypass_precision, int threads) {
  std::vector<std::unique_ptr<Integers>> kept;
  std::vector<MessagePart> tasks;
  std::int64_t total = 0;
  for (const py::handle& part : parts) {
    const auto items = py::reinterpret_borrow<py::tuple>(part);
    const auto& tables = items[0].cast<const CodingTables&>();
    const auto row_length = items[3].cast<std::int64_t>();
    std::int64_t count = rows * row_length;
    Latents latents{};
    IntArray symbols{};
    if (py::isinstance<Latents>(items[1])) {
      latents = items[1].cast<const Latents&>();
    } else {
      kept.push_back(std::make_unique<Integers>(items[1], "symbols", count));
      symbols = kept.back()->array();
      count = kept.back()->size();
    }
    const IntArray* indexes = nullptr;
    if (!items[2].is_none()) {
      kept.push_back(std::make_unique<Integers>(items[2], "indexes", rows * row_length));
      check_equal_sizes(kept.back()->size(), count);
      indexes = &kept.back()->array();
    }
    const std::int64_t length = rows == 1 ? count : row_length;
    const CodingCall call{codec, tables, rows, length, count, bypass_precision};
    tasks.push_back({make_task(call, symbols, indexes), tables.options().freq_precision});
    tasks.back().task.latents = latents;
    total += count;
  }
  Rows stream;
  MessageOutcome found;
  {
    std::optional<py::gil_scoped_release> release;
    if (total >= kSymbolsWithoutGil) release.emplace();
    found = encode_messages(codec, tasks, rows, threads, stream);
  }
  if (found.outcome.status == Status::kOk) return messages_of(codec, stream);
  return py::make_tuple(static_cast<int>(found.outcome.status), found.part, found.outcome.row,
                        found.outcome.position);
}

/// Rows that symbols are taken off, made from messages of equal or similar lengths.
class MessageReader {
 public:
  MessageReader(const Codec& codec, const py::sequence& messages) : codec_(codec) {
    std::vector<std::unique_ptr<BytesView>> views;
    for (const py::handle& message : messages) {
      views.push_back(std::make_unique<BytesView>(py::cast<py::buffer>(message)));
    }
    read(views);
  }

  MessageReader(const Codec& codec, const py::buffer& message) : codec_(codec) {
    std::vector<std::unique_ptr<BytesView>> views;
    views.push_back(std::make_unique<BytesView>(message));
    read(views);
  }

  /// As `decode` of register_codec, for rows of `row_length` symbols or, where there is one row and
  /// `indexes` is a list or a buffer, one of as many symbols. `out` is an IntArray of as many
  /// elements, Latents, or a buffer; without it the symbols are returned as a list.
  py::object decode(const CodingTables& tables, const py::handle& indexes, const py::handle& out,
                    std::int64_t row_length, int bypass_precision, int threads) {
    std::optional<Integers> chosen;
    std::int64_t total = rows_.rows() * row_length;
    if (!indexes.is_none()) total = chosen.emplace(indexes, "indexes", total).size();
    const std::int64_t length = rows_.rows() == 1 ? total : row_length;
    std::vector<std::int64_t> values;
    std::optional<Integers> buffer;
    IntArray target{};
    Latents latents{};
    if (out.is_none()) {
      values.resize(static_cast<std::size_t>(total));
      target = {values.data(), IntType::kInt64, total, 0, 1, total == 0 ? 1 : total};
    } else if (py::isinstance<IntArray>(out)) {
      check_equal_sizes(total, rows_.rows() * row_length);
      target = out.cast<const IntArray&>();
    } else if (py::isinstance<Latents>(out)) {
      check_equal_sizes(total, rows_.rows() * row_length);
      latents = out.cast<const Latents&>();
    } else {
      target = buffer.emplace(out).array();
      check_equal_sizes(total, buffer->size());
    }
    Outcome outcome;
    {
      std::optional<py::gil_scoped_release> release;
      if (total >= kSymbolsWithoutGil) release.emplace();
      const std::lock_guard<std::mutex> lock(mutex_);
      CodingTask task = make_task({codec_, tables, rows_.rows(), length, total, bypass_precision},
                                  target, chosen ? &chosen->array() : nullptr);
      task.latents = latents;
      task.stream = rows_.data();
      task.row_bytes = rows_.row_bytes();
      outcome = torch_ans::decode(codec_, task, threads);
    }
    if (outcome.status == Status::kOk && out.is_none()) return list_of(values);
    return py::make_tuple(static_cast<int>(outcome.status), outcome.row, outcome.position,
                          outcome.broken_rows);
  }

 private:
  void read(const std::vector<std::unique_ptr<BytesView>>& views) {
    auto longest = static_cast<std::size_t>(codec_.header_bytes());
    for (const auto& view : views) longest = std::max(longest, view->size());
    if (longest > INT32_MAX) {
      throw std::invalid_argument("a row of " + std::to_string(longest) +
                                  " bytes is longer than 2 GiB");
    }
    rows_ = Rows(static_cast<std::int64_t>(views.size()),
                 kLengthBytes + static_cast<std::int64_t>(longest));
    for (std::int64_t r = 0; r < rows_.rows(); ++r) {
      const BytesView& view = *views[static_cast<std::size_t>(r)];
      store(rows_.row(r), static_cast<std::int32_t>(view.size()));
      reverse_words(codec_, view.data(), view.size(), rows_.row(r) + kLengthBytes);
    }
  }

  static py::list list_of(const std::vector<std::int64_t>& values) {
    py::list list(values.size());
    for (std::size_t i = 0; i < values.size(); ++i) {
      PyObject* number = PyLong_FromLongLong(values[i]);
      if (number == nullptr) throw py::error_already_set();
      PyList_SET_ITEM(list.ptr(), static_cast<Py_ssize_t>(i), number);
    }
    return list;
  }

  Codec codec_;
  Rows rows_;
  std::mutex mutex_;  ///< a call that has given the GIL away is alone with the rows
};

}  // namespace

void register_messages(py::module_& module) {
  module.def("encode_message", &encode_message, py::arg("codec"), py::arg("tables"),
             py::arg("symbols"), py::arg("indexes"), py::arg("bypass_precision"));
  module.def(
      "decode_message",
      [](const Codec& codec, const CodingTables& tables, const py::buffer& message,
         const py::handle& indexes, int bypass_precision) {
        MessageReader reader(codec, message);
        return reader.decode(tables, indexes, py::none(), 0, bypass_precision, 1);
      },
      py::arg("codec"), py::arg("tables"), py::arg("message"), py::arg("indexes"),
      py::arg("bypass_precision"));
  module.def("encode_messages", &encode_parts, py::arg("codec"), py::arg("parts"), py::arg("rows"),
             py::arg("bypass_precision"), py::arg("threads"));
  py::class_<Integers>(module, "IntList")
      .def(py::init([](const py::handle& values, const std::string& name) {
             return std::make_unique<Integers>(values, name, 0);
           }),
           py::arg("values"), py::arg("name"))
      .def("__len__", &Integers::size)
      .def("__getitem__", [](const Integers& list, std::size_t i) {
        if (i >= list.values().size()) throw py::index_error();
        return list.values()[i];
      });
  py::class_<Latents>(module, "Latents")
      .def(py::init([](std::uintptr_t values, std::uintptr_t means) {
             return Latents{pointer<float>(values), pointer<const float>(means)};
           }),
           py::arg("values"), py::arg("means"));
  py::class_<MessageReader>(module, "MessageReader")
      .def(py::init<const Codec&, const py::sequence&>(), py::arg("codec"), py::arg("messages"))
      .def("decode", &MessageReader::decode, py::arg("tables"), py::arg("indexes").none(true),
           py::arg("out").none(true), py::arg("row_length"), py::arg("bypass_precision"),
           py::arg("threads"));
}

}  // namespace torch_ans
