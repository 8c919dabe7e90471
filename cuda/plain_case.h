/// The case that has kernels of its own: rANS with 16-bit words, 32 lanes a row, bytes or int32
/// that lie side by side, and tables that fit in shared memory.
#pragma once

#include "packed_tables.h"
#include "record_tables.h"
#include "slot_tables.h"
#include "span_tables.h"
#include "symbol_records.h"
#include "wide_elements.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// What a plain kernel is made for.
enum class PlainKind { kNone, kBytes, kPackedBytes, kWords, kIndexedWords };

inline bool lie_side_by_side(const Elements& elements, IntType type) {
  return elements.type == type && elements.flat && elements.inner_stride == 1;
}

/// Whether PackedTables hold the only table: a freq is below 2^P, nothing needs care.
inline bool is_packed(const TablesView& tables) {
  return tables.freq_precision <= PackedTables::kMostPrecision && !tables.bypass_coding &&
         tables.num_ids > 2;
}

inline PlainKind plain_kind(const CoderTask& task, bool is_push) {
  const TablesView& tables = task.tables;
  const bool fits = tables.aliases == nullptr && tables.num_ids < kMostSpans &&
                    tables.freq_precision <= kMostSpanPrecision;
  if (!fits || task.lanes_log2 != 5 || task.contexts.order > 0) return PlainKind::kNone;
  if (!is_push && !task.symbols_fit) return PlainKind::kNone;
  if (task.indexes.data == nullptr) {
    if (tables.num_tables != 1) return PlainKind::kNone;
    if (lie_side_by_side(task.symbols, IntType::kUint8)) {
      const bool packed = !is_push && is_packed(tables);
      return packed ? PlainKind::kPackedBytes : PlainKind::kBytes;
    }
    if (lie_side_by_side(task.symbols, IntType::kInt32)) return PlainKind::kWords;
    return PlainKind::kNone;
  }
  const bool plain = lie_side_by_side(task.symbols, IntType::kInt32) &&
                     lie_side_by_side(task.indexes, IntType::kInt32);
  return plain ? PlainKind::kIndexedWords : PlainKind::kNone;
}

/// Calls `launch` with the kind as a constant; false where there is none.
template <typename Launch>
bool with_plain_kind(PlainKind kind, const Launch& launch) {
  switch (kind) {
    case PlainKind::kBytes:
      return launch(std::integral_constant<PlainKind, PlainKind::kBytes>());
    case PlainKind::kPackedBytes:
      return launch(std::integral_constant<PlainKind, PlainKind::kPackedBytes>());
    case PlainKind::kWords:
      return launch(std::integral_constant<PlainKind, PlainKind::kWords>());
    case PlainKind::kIndexedWords:
      return launch(std::integral_constant<PlainKind, PlainKind::kIndexedWords>());
    case PlainKind::kNone:
      break;
  }
  return false;
}

/// Tables and elements of a kind.
template <PlainKind kKind>
struct Plain {
  static constexpr bool kPacked = kKind == PlainKind::kPackedBytes;
  static constexpr bool kBytes = kKind == PlainKind::kBytes || kPacked;
  static constexpr bool kOne = kKind != PlainKind::kIndexedWords;
  using Symbol = std::conditional_t<kBytes, std::uint8_t, std::int32_t>;
  using Elements = WideElements<PlainElements<Symbol>,
                                std::conditional_t<kOne, NoElements, PlainElements<std::int32_t>>>;
  using EncoderTables = std::conditional_t<kOne, SymbolRecords<kBytes>, RecordTables>;
  using OneDecoderTable = std::conditional_t<kPacked, PackedTables, SlotTables<kBytes>>;
  using DecoderTables = std::conditional_t<kOne, OneDecoderTable, SpanTables>;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
