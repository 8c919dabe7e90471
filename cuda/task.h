/// What one call asks of the CUDA engine. Plain data, passed to kernels by value; all pointers
/// name device memory.
#pragma once

#include <cstdint>

#include "torch_ans/views.h"

namespace torch_ans {
namespace gpu {

/// An `IntArray` prepared for kernels: a position's outer index by multiplication.
struct Elements {
  void* data;  ///< null: absent
  IntType type;
  bool flat;  ///< a row has one stride: inner_stride
  std::int64_t row_stride;
  std::int64_t outer_stride;
  std::int64_t inner_stride;
  /// i / inner_size = multiply_high(i, reciprocal) >> shift for i < 2^31 (`make_record`).
  std::uint32_t inner_size;
  std::uint32_t reciprocal;
  std::uint32_t shift;
};

/// What became of a row, in device memory, zeroed before a stream's first call. A row whose
/// status is not kOk is left alone by all later calls: the first failure stays to be read.
struct RowResult {
  std::int32_t status;
  std::int32_t reserved;
  std::int64_t position;  ///< of the symbol that `status` complains about
  std::int64_t end;       ///< bytes of the row, its length word included; kNoSpace: as needed
};

/// Tables that follow the symbols; see ContextTask of the CPU engine, whose meaning is the same.
struct DeviceContexts {
  const std::int32_t* tables;
  std::uint32_t num_sets;
  std::uint32_t num_indexes;
  std::int32_t order;  ///< 0: indexes name tables
  std::int32_t sizes[3];
  std::uint32_t offsets[3];
  Elements sets;
  /// All tables have this offset, so that a push need not know a symbol's table for its context.
  bool has_one_offset;
  std::int32_t table_offset;
  std::uint16_t* history;  ///< (rows, row_length), scratch: contexts of symbols
  std::int32_t* chosen;    ///< (rows, row_length), push: the table of each symbol, -1 for none
};

/// Bytes of a tables' image: all that a coder's steps look up besides TableInfos. Multiples of 16.
struct TablesPart {
  const std::uint8_t* begin;
  std::uint32_t bytes;
};

/// A push or a pop of `rows` rows; see CodingTask of the CPU engine, whose meaning is the same.
struct CoderTask {
  TablesView tables;                 ///< `info` has one entry more, which no index may name
  const std::uint32_t* slot_starts;  ///< alias tables: where a symbol's slots start, by id
  std::uint8_t* stream;
  std::int64_t row_bytes;
  Elements symbols;
  Elements indexes;
  DeviceContexts contexts;
  std::int64_t rows;
  std::int64_t total;
  std::uint32_t row_length;  ///< below 2^31
  std::int32_t lanes_log2;
  std::int32_t rows_per_warp;  ///< at most 32 / lanes; fewer spread few rows over more warps
  std::int32_t bypass_precision;
  std::int32_t word_bytes;
  bool require_end;
  std::int64_t lowest_symbol;  ///< of the symbols' type
  std::int64_t highest_symbol;
  std::int32_t lowest_value;   ///< the same of what tables name, which is an int32
  std::uint32_t value_span;    ///< from that to the highest
  bool symbols_fit;            ///< pop: every symbol of every table fits the symbols' type
  std::uint8_t* headers;       ///< (rows, bytes of a header): scratch
  RowResult* results;          ///< (rows,)
  std::uint32_t* failed;       ///< rows whose result is not kOk; zeroed with `results`
  std::uint32_t table_copies;  ///< of what plain tables copy in shared memory: a power of two
};

}  // namespace gpu
}  // namespace torch_ans
