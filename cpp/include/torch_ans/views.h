/// Plain descriptions of memory owned by someone else, shared by every instruction set and device.
#pragma once

#include <cstdint>

namespace torch_ans {

enum class IntType : std::uint8_t { kUint8, kInt8, kUint16, kInt16, kInt32, kInt64 };

/// Integers of any width in rows. Strides count elements; element i of row r sits at
/// `r * row_stride + (i / inner_size) * outer_stride + (i % inner_size) * inner_stride`,
/// so that an expanded tensor (one index a channel, say) is read as it is.
struct IntArray {
  void* data;
  IntType type;
  std::int64_t row_stride;
  std::int64_t outer_stride;
  std::int64_t inner_stride;
  std::int64_t inner_size;
};

/// One table, as the coder's inner loops see it (16 bytes).
struct TableInfo {
  std::uint32_t base;    ///< id of its symbol 0: ids count CDF entries through all tables
  std::int32_t offset;   ///< symbol value of its symbol 0
  std::uint32_t bucket;  ///< its first record in `buckets`
  std::uint16_t last;    ///< its last symbol: the sentinel, where bypass is on
  std::uint16_t shift;   ///< slot >> shift counts its buckets
};

/// What an encoder needs of a table, in one load: `base:32 | last:16 | offset:16` from the lowest
/// bit.
struct EncoderColumns {
  static bool fit(const TableInfo& info) { return info.offset >= -0x8000 && info.offset < 0x8000; }

  static std::uint64_t pack(const TableInfo& info) {
    return info.base | std::uint64_t{info.last} << 32 |
           static_cast<std::uint64_t>(info.offset) << 48;
  }
};

/// A bucket of slots, resolved to up to two symbols A and B = A + 1 in one load:
/// `start_a:16 | freq_a:16 | freq_b:16 | symbol_a:16` from the lowest bit, where A is the symbol of
/// the bucket's first slot. Where a third symbol lives in the bucket its slots show as
/// rank >= freq, and so do the slots of a symbol that needs care (an escape's sentinel, a freq of
/// 2^16): that symbol's freq reads 0.
using Bucket = std::uint64_t;

/// What a slot says by itself where all of it fits: `rank:12 | freq:12 | symbol:8`, from the lowest
/// bit.
using PackedSlot = std::uint32_t;
constexpr int kPackedSlotPrecision = 12;

/// Bucket `slot >> shift` of an alias table (Walker, 1974; Vose, 1991): slots below `cut` belong
/// to the symbol of the bucket's own number, the rest to `other`. `rank = slot - *_shift`.
struct AliasBucket {
  std::uint32_t cut;
  std::uint32_t other;
  std::int32_t self_shift;
  std::int32_t other_shift;
};

/// How tANS puts a symbol: see `tans_put` (tans.h).
struct TansSymbol {
  std::uint32_t bits;  ///< (x + bits) >> 16 bits leave the state x
  std::int32_t state;  ///< what is left of it, plus this, is the entry of `tans_next`
};

/// K tables. Table k has `last + 1` symbols and `last + 2` CDF entries from `cdf[base]` on.
struct TablesView {
  const TableInfo* info;
  std::uint32_t num_tables;
  std::int32_t freq_precision;
  bool bypass_coding;
  const std::uint32_t* cdf;
  /// The CDF modulo 2^16, padded for 64-byte loads past its end.
  const std::uint16_t* cdf16;
  /// EncoderRecord<State> by id, or null: then the encoder divides.
  const void* records;
  /// Null: the decoder searches the CDF.
  const Bucket* buckets;
  /// The same on the grid of `LogGrid` (inverse_cdf.h), which vectors take. Null as above.
  const Bucket* log_buckets;
  /// One PackedSlot a slot, or null: there are more tables, symbols or slots, or escapes.
  const PackedSlot* packed_slots;
  /// Alias tables only: `aliases + info.bucket`, `slots + (k << freq_precision)`.
  const AliasBucket* aliases;
  const std::uint16_t* alias_slots;
  /// The columns of `info` apart, padded to a multiple of 64 tables, for vector registers:
  /// base, last + (bypass ? 0 : 1) = number of symbols coded directly, offset, and
  /// the place in log_buckets << 5 | shift.
  const std::uint32_t* bases;
  const std::uint32_t* limits;
  const std::int32_t* offsets;
  const std::uint32_t* log_bucket_shifts;
  /// The last two side by side: `log_bucket_shift:32 | offset:32` from the lowest bit.
  const std::uint64_t* decoder_columns;
  /// What encoders need of a table (EncoderColumns), or null: some offset does not fit.
  const std::uint64_t* encoder_columns;
  /// tANS only: put records by id; states after a put by id and rank, N = 2^freq_precision a
  /// table; and for each slot `state before the put:16 | sentinel:1 | symbol:15`, N a table.
  const TansSymbol* tans_symbols;
  const std::uint16_t* tans_next;
  const std::uint32_t* tans_slots;
  std::uint32_t num_ids;  ///< one past the last
  bool alike;             ///< all tables have the offset and the number of symbols of the first
  bool has_full_freq;     ///< a symbol owns all 2^16 slots: its freq does not fit 16 bits
};

enum class Status : std::int32_t { kOk, kBadIndex, kBadSymbol, kNoSpace, kCorrupt };

}  // namespace torch_ans
