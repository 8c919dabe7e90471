/// Memory that has just been allocated, before it is written for the first time.
#pragma once

#include <pybind11/pybind11.h>

#include <cstddef>
#include <cstdint>

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace torch_ans {

/// Asks for huge pages, where memory is large. Linux gives a program its memory when it is first
/// written, a page at a time: with pages of 4 KiB that takes longer than to fill them. What cannot
/// be had changes nothing. Smaller memory glibc keeps, to give it away again.
inline void prefer_huge_pages(void* memory, std::size_t size) {
#if defined(MADV_HUGEPAGE)
  constexpr std::size_t kLarge = std::size_t{32} << 20;
  if (size < kLarge) return;
  static const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  const auto address = reinterpret_cast<std::uintptr_t>(memory);
  const std::uintptr_t start = (address + page - 1) / page * page;
  const std::uintptr_t end = (address + size) / page * page;
  madvise(reinterpret_cast<void*>(start), end - start, MADV_HUGEPAGE);
#else
  (void)memory;
  (void)size;
#endif
}

/// A `bytes` object that is still to be filled (`bytes_of`). Throws MemoryError.
inline pybind11::bytes new_bytes(std::size_t size) {
  PyObject* made = PyBytes_FromStringAndSize(nullptr, static_cast<Py_ssize_t>(size));
  if (made == nullptr) throw pybind11::error_already_set();
  prefer_huge_pages(PyBytes_AS_STRING(made), size);
  return pybind11::reinterpret_steal<pybind11::bytes>(made);
}

inline std::uint8_t* bytes_of(const pybind11::bytes& made) {
  return reinterpret_cast<std::uint8_t*>(PyBytes_AS_STRING(made.ptr()));
}

}  // namespace torch_ans
