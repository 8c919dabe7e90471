#include <algorithm>
#include <cstring>
#include <optional>

#include "integers.h"
#include "register.h"

namespace py = pybind11;

namespace torch_ans {
namespace {

std::int32_t number_of(PyObject* item, const std::string& name, Py_ssize_t i) {
  const std::int64_t number = integer_of(item, name, i);
  if (number < INT32_MIN || number > INT32_MAX) {
    throw py::value_error(name + "[" + std::to_string(i) + "] does not fit int32, got " +
                          std::to_string(number));
  }
  return static_cast<std::int32_t>(number);
}

/// Tables given as lists, as numbers; and the very lists, to recognise them in a later call.
class TableLists {
 public:
  /// `cdfs` is a list of rows, of which row k is read up to `cdfs_sizes[k]`.
  /// Throws TypeError or ValueError for anything but ints, and for rows that are too short.
  TableLists(const py::handle& cdfs, const py::handle& cdfs_sizes, const py::handle& offsets) {
    read(cdfs_sizes, "cdfs_sizes", std::nullopt, sizes_);
    read(offsets, "offsets", std::nullopt, offsets_);
    const py::object rows = fast_sequence(cdfs, "cdfs");
    const Py_ssize_t count = PySequence_Fast_GET_SIZE(rows.ptr());
    check_count(sizes_, "cdfs_sizes", count);
    check_count(offsets_, "offsets", count);
    for (Py_ssize_t k = 0; k < count; ++k) {
      check_unchanged(rows, k, "cdfs");
      const auto row = py::reinterpret_borrow<py::object>(PySequence_Fast_GET_ITEM(rows.ptr(), k));
      read(row, "cdfs[" + std::to_string(k) + "]", sizes_[static_cast<std::size_t>(k)], cdfs_);
    }
  }

  /// Whether these are the same ints as those that it was made from. Ints do not change, so the
  /// same objects are the same numbers; false says nothing.
  bool holds(const py::handle& cdfs, const py::handle& cdfs_sizes,
             const py::handle& offsets) const {
    if (!all_ints_ || !is_list(cdfs.ptr())) return false;
    const Items expected = items_of(objects_.ptr());
    const auto count = static_cast<Py_ssize_t>(sizes_.size());
    if (Py_SIZE(cdfs.ptr()) != count) return false;
    Py_ssize_t at = 0;
    const auto same = [&](PyObject* list, Py_ssize_t size, bool exact) {
      if (!is_list(list) || (exact ? Py_SIZE(list) != size : Py_SIZE(list) < size)) return false;
      const std::size_t bytes = static_cast<std::size_t>(size) * sizeof(PyObject*);
      if (size != 0 && std::memcmp(items_of(list), expected + at, bytes) != 0) return false;
      at += size;
      return true;
    };
    if (!same(cdfs_sizes.ptr(), count, true) || !same(offsets.ptr(), count, true)) return false;
    const Items rows = items_of(cdfs.ptr());
    for (Py_ssize_t k = 0; k < count; ++k) {
      if (!same(rows[k], sizes_[static_cast<std::size_t>(k)], false)) return false;
    }
    return true;
  }

  bool equals(const TableLists& other) const {
    return sizes_ == other.sizes_ && offsets_ == other.offsets_ && cdfs_ == other.cdfs_;
  }

  std::int64_t num_tables() const { return static_cast<std::int64_t>(sizes_.size()); }
  std::int64_t num_entries() const { return static_cast<std::int64_t>(cdfs_.size()); }
  std::int64_t width() const {
    return sizes_.empty() ? 2 : *std::max_element(sizes_.begin(), sizes_.end());
  }

  /// Writes int32 (num_tables, width), zero behind a row's end, (num_tables,) and (num_tables,).
  void fill(std::uintptr_t cdfs, std::uintptr_t cdfs_sizes, std::uintptr_t offsets) const {
    auto* row = pointer<std::int32_t>(cdfs);
    auto source = cdfs_.begin();
    for (const std::int32_t size : sizes_) {
      std::fill(std::copy(source, source + size, row), row + width(), 0);
      source += size;
      row += width();
    }
    std::copy(sizes_.begin(), sizes_.end(), pointer<std::int32_t>(cdfs_sizes));
    std::copy(offsets_.begin(), offsets_.end(), pointer<std::int32_t>(offsets));
  }

 private:
  using Items = PyObject* const*;

  static bool is_list(PyObject* value) {
    return PyList_CheckExact(value) || PyTuple_CheckExact(value);
  }
  static Items items_of(PyObject* list) { return PySequence_Fast_ITEMS(list); }

  /// Appends the first `size` ints, or all.
  void read(const py::handle& value, const std::string& name, std::optional<std::int32_t> size,
            std::vector<std::int32_t>& numbers) {
    const py::object items = fast_sequence(value, name);
    const Py_ssize_t found = PySequence_Fast_GET_SIZE(items.ptr());
    if (size && (*size > found || *size < 2)) {
      throw py::value_error("cdfs_sizes must be in 2.." + std::to_string(found) +
                            " (the entries of " + name + "), got " + std::to_string(*size));
    }
    const Py_ssize_t end = size ? *size : found;
    for (Py_ssize_t i = 0; i < end; ++i) {
      check_unchanged(items, i, name);
      PyObject* item = PySequence_Fast_GET_ITEM(items.ptr(), i);
      all_ints_ &= PyLong_CheckExact(item) != 0;
      const auto kept = py::reinterpret_borrow<py::object>(item);
      numbers.push_back(number_of(item, name, i));
      objects_.append(kept);
    }
    all_ints_ &= is_list(value.ptr());
  }

  /// __index__ of an item can change the lists while they are read.
  static void check_unchanged(const py::object& items, Py_ssize_t i, const std::string& name) {
    if (i >= PySequence_Fast_GET_SIZE(items.ptr())) {
      throw py::value_error(name + " has changed its size while it was read");
    }
  }

  static void check_count(const std::vector<std::int32_t>& numbers, const char* name,
                          Py_ssize_t expected) {
    if (static_cast<Py_ssize_t>(numbers.size()) != expected) {
      throw py::value_error(std::string(name) + " must have one entry for each of the " +
                            std::to_string(expected) + " tables, got " +
                            std::to_string(numbers.size()));
    }
  }

  std::vector<std::int32_t> cdfs_;  ///< one row behind the other
  std::vector<std::int32_t> sizes_;
  std::vector<std::int32_t> offsets_;
  py::list objects_;  ///< sizes, offsets, rows
  bool all_ints_ = true;
};

}  // namespace

void register_table_lists(py::module_& module) {
  py::class_<TableLists>(module, "TableLists")
      .def(py::init<const py::handle&, const py::handle&, const py::handle&>(), py::arg("cdfs"),
           py::arg("cdfs_sizes"), py::arg("offsets"))
      .def("holds", &TableLists::holds, py::arg("cdfs"), py::arg("cdfs_sizes"), py::arg("offsets"))
      .def("equals", &TableLists::equals, py::arg("other"))
      .def_property_readonly("num_tables", &TableLists::num_tables)
      .def_property_readonly("num_entries", &TableLists::num_entries)
      .def_property_readonly("width", &TableLists::width)
      .def("fill", &TableLists::fill, py::arg("cdfs"), py::arg("cdfs_sizes"), py::arg("offsets"));
}

}  // namespace torch_ans
