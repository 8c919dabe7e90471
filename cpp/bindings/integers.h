/// Integers that a Python caller hands over: an array, or a list that is copied.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "torch_ans/views.h"

namespace torch_ans {

/// A list or tuple of `value`, which may be any sequence. Throws TypeError that names it.
inline pybind11::object fast_sequence(const pybind11::handle& value, const std::string& name) {
  PyObject* items = PySequence_Fast(value.ptr(), "not a sequence");
  if (items == nullptr) {
    PyErr_Clear();
    throw pybind11::type_error(name + " must be a list of ints, a NumPy array or a tensor, got " +
                               Py_TYPE(value.ptr())->tp_name);
  }
  return pybind11::reinterpret_steal<pybind11::object>(items);
}

/// The int, or what has an __index__, as a number. Throws TypeError or ValueError: `name[i] ...`.
inline std::int64_t integer_of(PyObject* item, const std::string& name, Py_ssize_t i) {
  const auto where = [&] { return name + "[" + std::to_string(i) + "]"; };
  pybind11::object kept;
  if (!PyLong_Check(item)) {
    const auto other = pybind11::reinterpret_borrow<pybind11::object>(item);
    kept = pybind11::reinterpret_steal<pybind11::object>(PyNumber_Index(item));
    if (!kept) {
      PyErr_Clear();
      throw pybind11::type_error(where() + " must be an int, got " + Py_TYPE(other.ptr())->tp_name);
    }
    item = kept.ptr();
  }
  const long long number = PyLong_AsLongLong(item);
  if (number == -1 && PyErr_Occurred() != nullptr) {
    PyErr_Clear();
    throw pybind11::value_error(where() + " does not fit 64 bits");
  }
  return number;
}

/// The type of a buffer's elements, by the codes of Python's `struct`; nothing for what the engine
/// does not read in place.
inline std::optional<IntType> buffer_type(const Py_buffer& view) {
  std::string format = view.format == nullptr ? "B" : view.format;
  if (!format.empty() && (format[0] == '@' || format[0] == '=' || format[0] == '<')) {
    format.erase(0, 1);
  }
  if (format.size() != 1) return std::nullopt;
  const bool is_signed = std::string("bhilq").find(format) != std::string::npos;
  if (!is_signed && std::string("BHILQ").find(format) == std::string::npos) return std::nullopt;
  switch (view.itemsize) {
    case 1:
      return is_signed ? IntType::kInt8 : IntType::kUint8;
    case 2:
      return is_signed ? IntType::kInt16 : IntType::kUint16;
    case 4:
      return is_signed ? std::optional(IntType::kInt32) : std::nullopt;
    default:
      return is_signed ? std::optional(IntType::kInt64) : std::nullopt;
  }
}

/// Integers as the engine reads or writes them. Neither copied nor moved: `array` may point into
/// `values`. Made and destroyed by who has the GIL.
class Integers {
 public:
  /// `value` is an IntArray of `size` integers, other Integers (the first two must outlive this), a
  /// contiguous buffer of integers, or a sequence of ints.
  Integers(const pybind11::handle& value, const std::string& name, std::int64_t size)
      : size_(size) {
    if (PyList_CheckExact(value.ptr())) {
      copy(value, name);
    } else if (pybind11::isinstance<IntArray>(value)) {
      array_ = pybind11::cast<const IntArray&>(value);
    } else if (pybind11::isinstance<Integers>(value)) {
      const auto& other = pybind11::cast<const Integers&>(value);
      array_ = other.array_;
      size_ = other.size_;
    } else if (!borrow(value, PyBUF_ND | PyBUF_FORMAT)) {
      copy(value, name);
    }
  }
  /// A writable contiguous buffer of integers. Throws TypeError for anything else.
  explicit Integers(const pybind11::handle& out) {
    if (!borrow(out, PyBUF_ND | PyBUF_FORMAT | PyBUF_WRITABLE)) {
      throw pybind11::type_error("out must be a writable contiguous array of integers");
    }
  }
  ~Integers() {
    if (view_.obj != nullptr) PyBuffer_Release(&view_);
  }
  Integers(const Integers&) = delete;
  Integers& operator=(const Integers&) = delete;

  const IntArray& array() const { return array_; }
  std::int64_t size() const { return size_; }
  /// Of a sequence that was copied.
  const std::vector<std::int64_t>& values() const { return values_; }

 private:
  bool borrow(const pybind11::handle& value, int flags) {
    if (PyObject_CheckBuffer(value.ptr()) == 0) return false;
    if (PyObject_GetBuffer(value.ptr(), &view_, flags) != 0) {
      PyErr_Clear();  // not contiguous
      return false;
    }
    const std::optional<IntType> type = buffer_type(view_);
    if (!type) return false;
    size_ = view_.len / view_.itemsize;
    array_ = {view_.buf, *type, size_, 0, 1, size_ == 0 ? 1 : size_};
    return true;
  }

  void copy(const pybind11::handle& value, const std::string& name) {
    const pybind11::object items = fast_sequence(value, name);
    values_.reserve(static_cast<std::size_t>(PySequence_Fast_GET_SIZE(items.ptr())));
    // The size is asked for again and again: __index__ of an item can change the list.
    for (Py_ssize_t i = 0; i < PySequence_Fast_GET_SIZE(items.ptr()); ++i) {
      values_.push_back(integer_of(PySequence_Fast_GET_ITEM(items.ptr(), i), name, i));
    }
    size_ = static_cast<std::int64_t>(values_.size());
    array_ = {values_.data(), IntType::kInt64, size_, 0, 1, size_ == 0 ? 1 : size_};
  }

  std::vector<std::int64_t> values_;
  Py_buffer view_{};
  IntArray array_{};
  std::int64_t size_ = 0;
};

}  // namespace torch_ans
