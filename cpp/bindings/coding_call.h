/// A call of the coder with its arguments checked.
#pragma once

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
