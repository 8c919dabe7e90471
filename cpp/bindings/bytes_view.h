/// A contiguous view of any bytes-like object.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace torch_ans {

class BytesView {
 public:
  /// Throws BufferError, as Python does, for memory that is not contiguous.
  explicit BytesView(const pybind11::buffer& buffer, int flags = PyBUF_SIMPLE) {
    if (PyObject_GetBuffer(buffer.ptr(), &view_, flags) != 0) throw pybind11::error_already_set();
  }
  ~BytesView() { PyBuffer_Release(&view_); }
  BytesView(const BytesView&) = delete;
  BytesView& operator=(const BytesView&) = delete;

  const std::uint8_t* data() const { return static_cast<const std::uint8_t*>(view_.buf); }
  std::size_t size() const { return static_cast<std::size_t>(view_.len); }

 protected:
  Py_buffer view_{};
};

class WritableBytes : public BytesView {
 public:
  /// Throws BufferError for memory that may not be written, too, and std::invalid_argument for less
  /// than `needed` bytes.
  WritableBytes(const pybind11::buffer& buffer, std::size_t needed)
      : BytesView(buffer, PyBUF_WRITABLE) {
    if (size() < needed) {
      throw std::invalid_argument("out must have at least " + std::to_string(needed) +
                                  " bytes, got " + std::to_string(size()));
    }
  }

  std::uint8_t* data() const { return static_cast<std::uint8_t*>(view_.buf); }
};

}  // namespace torch_ans
