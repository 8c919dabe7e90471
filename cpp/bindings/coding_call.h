/// A call of the coder with its arguments checked.
#pragma once

#include <algorithm>
#include <cstdint>
#include <stdexcept>
#include <string>

#include "cpu/codec.h"
#include "torch_ans/tables.h"

namespace torch_ans {

/// What all that code symbols have in common.
struct CodingCall {
  const Codec& codec;
  const CodingTables& tables;
  std::int64_t rows;
  std::int64_t row_length;
  std::int64_t total;
  int bypass_precision;
};

/// What the arguments of a call have to fit.
struct CallLimits {
  const Codec& codec;
  int freq_precision;
  std::int64_t num_tables;
  std::int64_t total;
  int bypass_precision;
};

/// Throws std::invalid_argument, naming the argument, for what the kernels cannot do.
inline void check_call(const CallLimits& call, const IntArray* indexes,
                       const ContextTask* contexts) {
  if (call.freq_precision > call.codec.max_freq_precision) {
    throw std::invalid_argument("freq_precision must be at most " +
                                std::to_string(call.codec.max_freq_precision) +
                                " for this family, got " + std::to_string(call.freq_precision));
  }
  if (call.bypass_precision < 1 || call.bypass_precision > call.codec.max_freq_precision) {
    throw std::invalid_argument("bypass_precision must be in 1.." +
                                std::to_string(call.codec.max_freq_precision) + ", got " +
                                std::to_string(call.bypass_precision));
  }
  const std::int64_t choices =
      contexts == nullptr ? call.num_tables : std::int64_t{contexts->num_indexes};
  if (call.total > 0 && (call.num_tables == 0 || (indexes == nullptr && choices != 1))) {
    throw std::invalid_argument("indexes may be left out only where there is one table, not " +
                                std::to_string(choices));
  }
}

/// Memory that a call touches: addresses [begin, end), 0 where there is none.
struct Reach {
  const char* name;
  std::uintptr_t begin;
  std::uintptr_t end;
};

/// That of `total` integers in rows of `row_length`.
inline Reach reach_of(const char* name, const IntArray& array, std::int64_t row_length,
                      std::int64_t total) {
  if (array.data == nullptr || total <= 0) return {name, 0, 0};
  std::int64_t most = 0;
  const auto add_row = [&](std::int64_t row, std::int64_t count) {
    if (row < 0 || count == 0) return;
    const std::int64_t inside = (count - 1) / array.inner_size * array.outer_stride +
                                (std::min(count, array.inner_size) - 1) * array.inner_stride;
    most = std::max(most, row * array.row_stride + inside);
  };
  add_row(total / row_length - 1, row_length);
  add_row(total / row_length, total % row_length);
  const int size = array.type <= IntType::kInt8    ? 1
                   : array.type <= IntType::kInt16 ? 2
                   : array.type == IntType::kInt32 ? 4
                                                   : 8;
  const auto begin = reinterpret_cast<std::uintptr_t>(array.data);
  return {name, begin, begin + static_cast<std::uintptr_t>((most + 1) * size)};
}

inline Reach reach_of_stream(std::uintptr_t stream, std::int64_t size) {
  return {"stream", stream, stream + static_cast<std::uintptr_t>(size)};
}

/// Throws std::invalid_argument where a call would write what it has yet to read: kernels trust
/// what they have checked.
inline void check_apart(const Reach& written, const Reach& read) {
  if (written.begin < read.end && read.begin < written.end) {
    throw std::invalid_argument(std::string(written.name) + " must not share memory with " +
                                read.name);
  }
}

inline void check_apart(const Reach& written, const IntArray* indexes, const ContextTask* contexts,
                        std::int64_t row_length, std::int64_t total) {
  if (indexes != nullptr) {
    check_apart(written, reach_of("indexes", *indexes, row_length, total));
  }
  if (contexts != nullptr) {
    check_apart(written, reach_of("ar_indexes", contexts->sets, row_length, total));
  }
}

/// A checked task for the CPU engine.
inline CodingTask make_task(const CodingCall& call, const IntArray& symbols,
                            const IntArray* indexes, const ContextTask* contexts = nullptr) {
  check_call({call.codec, call.tables.options().freq_precision, call.tables.num_tables(),
              call.total, call.bypass_precision},
             indexes, contexts);
  CodingTask task{};
  task.tables = is_tans(call.codec.family)    ? call.tables.tans_view()
                : call.codec.state_bytes == 8 ? call.tables.view<std::uint64_t>()
                                              : call.tables.view<std::uint32_t>();
  task.word_bytes = call.codec.word_bytes;
  task.symbols = symbols;
  task.indexes = indexes == nullptr ? IntArray{} : *indexes;
  task.rows = call.rows;
  task.row_length = call.row_length;
  task.total = call.total;
  task.bypass_precision = call.bypass_precision;
  task.contexts = contexts;
  return task;
}

}  // namespace torch_ans
