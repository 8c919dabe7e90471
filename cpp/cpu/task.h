/// What one call asks of the CPU engine, and the kernels that can do it. Plain data only: shared
/// by translation units compiled for different instruction sets.
#pragma once

#include <cstdint>
#include <type_traits>

#include "model_task.h"
#include "torch_ans/config.h"
#include "torch_ans/views.h"

namespace torch_ans {

/// The table of symbol i is `tables[set, index, c_1, .. c_order]`, where context c_k is that of
/// symbol i - offsets[k] of its row (context_index.h), at most sizes[k] - 1.
struct ContextTask {
  const std::int32_t* tables;  ///< (num_sets, num_indexes, sizes[0], ..), below tables.num_tables
  std::uint32_t num_sets;
  std::uint32_t num_indexes;
  std::int32_t order;  ///< 1 to 3
  std::int32_t sizes[3];
  std::int64_t offsets[3];  ///< at least the lanes
  IntArray sets;            ///< data == nullptr: 0
};

/// Floats that stand for symbols: a symbol is a value without its mean, rounded; a value is a
/// symbol plus its mean. One for each symbol, row by row.
struct Latents {
  float* values;       ///< read by push, written by pop; null: there are symbols instead
  const float* means;  ///< null: all are 0
};

/// A push or a pop of `rows` rows. Row r codes symbols [r * row_length, (r + 1) * row_length) of
/// a sequence of `total`: where `total` is less than rows * row_length, the last rows are short.
/// A short row is coded as if the symbols past its end were skipped.
struct CodingTask {
  TablesView tables;   ///< with a model: only its freq_precision counts
  const Model* model;  ///< null: symbols are coded with tables
  const ModelFunctions* functions;
  std::uint8_t* stream;    ///< (rows, row_bytes): each row its length word, then its bytes
  std::int64_t row_bytes;  ///< bytes from one row to the next
  IntArray symbols;        ///< read by push, written by pop
  Latents latents;         ///< with tables, without contexts: in place of symbols
  IntArray indexes;        ///< data == nullptr: there is one table
  std::int64_t rows;
  std::int64_t row_length;
  std::int64_t total;
  std::int32_t bypass_precision;
  std::int32_t word_bytes;
  const ContextTask* contexts;  ///< null: indexes name tables
  std::uint16_t* history;       ///< pop with contexts: room for `history_stride` of each row ..
  std::int64_t history_stride;  ///< .. of which the first `history_padding` precede the row
  std::int64_t history_padding;
  /// With contexts: `tables.log_bucket_shifts` by entry of the contexts' tables, or null.
  const std::uint32_t* context_shifts;
  /// Push with contexts: `tables` by entry of the contexts' tables, or null.
  const TablesView* entry_tables;
  /// Push: ids of all symbols, row by row, found ahead (contexts.h); null: they follow from
  /// symbols and indexes. kOutsideTable is added to the sentinel of a symbol outside its table.
  const std::uint32_t* ids;
  bool one_offset;        ///< with contexts: all tables have the offset of the first
  bool require_end;       ///< pop: a row that holds more than was asked for is broken
  bool symbols_fit;       ///< pop: every symbol of every table fits `symbols`
  std::uint8_t* headers;  ///< out: the rows' states, packed as in the stream
};

/// What became of a row. The stream's length words and states are left alone until all rows are
/// known to be well.
struct RowResult {
  Status status;
  std::int64_t position;  ///< of the symbol that `status` complains about
  std::uint8_t* end;      ///< one past the row's last byte (failed push: past what was touched)
};

/// Codes rows [first_row, first_row + its number of rows), which all have the same length.
using RowsKernel = void (*)(const CodingTask& task, std::int64_t first_row, RowResult* results);

struct KernelChoice {
  int rows;  ///< how many rows one call advances together; 0 ends a list
  RowsKernel run;
  bool (*accepts)(const CodingTask& task);
};

constexpr std::uint32_t kOutsideTable = 1u << 31;

/// What finding the ids of a push with contexts takes.
struct IdSpace {
  const std::uint64_t* columns;  ///< IdColumns by entry of the contexts' tables, or null
  std::uint16_t* history;        ///< RecentContexts::size of the rows that are walked together
  std::uint32_t* ids;            ///< of all rows
};

/// Finds the ids of rows [first_row, first_row + rows), which all have the same length. False, and
/// some ids may be wrong: something is out of range.
struct IdKernel {
  int rows;  ///< 0 ends a list
  bool (*run)(const CodingTask& task, std::int64_t first_row, const IdSpace& space);
};
constexpr int kMaxIdKernels = 4;

/// What an id takes of a table: `last:16 | base:24 | offset:24` from the lowest bit.
struct IdColumns {
  static constexpr int kOffsetBits = 24;
  static constexpr int kBaseBits = 24;

  static bool fit(const TableInfo& info) {
    constexpr std::int32_t kMost = 1 << (kOffsetBits - 1);
    return info.base < (1u << kBaseBits) && info.offset >= -kMost && info.offset < kMost;
  }

  static std::uint64_t pack(const TableInfo& info) {
    return info.last | std::uint64_t{info.base} << 16 |
           static_cast<std::uint64_t>(info.offset) << (16 + kBaseBits);
  }
};

enum class EncodeModel { kRecords, kDivision, kAlias, kModel };
constexpr int kModels = 4;
enum class Lookup { kInverseCdf, kBinarySearch, kAlias, kModel, kFollowing };
constexpr int kLookups = 5;
constexpr int kMaxChoices = 10;

enum class Family { kRans64, kRans32, kRans32x16, kTans32, kTans16, kTans8 };
constexpr int kFamilies = 6;

constexpr bool is_tans(Family family) { return family >= Family::kTans32; }

constexpr int kLaneCounts = 6;  ///< 1, 2, 4, 8, 16, 32

/// The kernels of one family and lane count, those for the most rows first and, of as many rows,
/// the best; one for a single row accepts all.
struct CodecKernels {
  KernelChoice encode[kModels][kMaxChoices];
  KernelChoice decode[kLookups][kMaxChoices];
};

using KernelTable = CodecKernels[kFamilies][kLaneCounts];

inline namespace TORCH_ANS_ISA {

/// What a backend derives from says of it:
struct CodesModels {};              ///< it codes with models instead of tables
struct AsksByLine {};               ///< (encoder) it asks for what a TileSource says is ahead
struct TakesPairs : AsksByLine {};  ///< (encoder) it keeps symbols as SlotPairs, not as ids
struct TakesBytes {};               ///< (encoder) it finds SlotPairs of bytes without ids
struct CodesAhead {};               ///< (encoder) it codes symbols that need no care by itself
struct NarrowsBytes {};             ///< (decoder) it makes bytes of symbols that fit
struct AsksForSymbols {};           ///< (decoder) memory is asked for that symbols go to later

template <typename Backend, typename Tag>
constexpr bool kIs = std::is_base_of_v<Tag, Backend>;

inline bool accepts_all(const CodingTask& /*task*/) { return true; }

/// As decoders in vectors need them.
inline bool accepts_log_buckets(const CodingTask& task) {
  return task.tables.log_buckets != nullptr && !task.tables.has_full_freq;
}

/// The number of symbols in a row.
inline std::int64_t symbols_in_row(const CodingTask& task, std::int64_t row) {
  const std::int64_t left = task.total - row * task.row_length;
  return left < 0 ? 0 : (left < task.row_length ? left : task.row_length);
}

/// Where a symbol stands in the whole sequence.
inline std::int64_t element_of(const CodingTask& task, std::int64_t row, std::int64_t position) {
  return row * task.row_length + position;
}

}  // namespace TORCH_ANS_ISA

}  // namespace torch_ans
