/// Where the tables of rows of one lane come from, for eight symbols of eight rows at a time.
#pragma once

#include "find.h"
#include "transpose.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// What a RowsDecoder asks of its source of tables, here where there is one table. Vector v has
/// rows 8 * v .. 8 * v + 7; `group` counts from the tile's start, steps from the last `load`.
template <bool kPacked_>
class OneRowsTable {
 public:
  static constexpr bool kPacked = kPacked_;  ///< slots tell all by themselves
  static constexpr bool kReadsIndexes = false;

  explicit OneRowsTable(const TablesView& tables)
      : columns_(load_decoder_columns(tables, kFirst)) {}

  /// Prepares steps of groups group .. group + groups - 1, up to eight.
  TORCH_ANS_FN void load(const std::int32_t* const* /*indexes*/, int /*group*/, int /*groups*/) {}

  /// Of the rows of a vector. The offset may be that of another table.
  TORCH_ANS_FN DecoderColumns columns(int /*v*/, int /*step*/) const { return columns_; }

  /// A function from a row of a vector to its table. (By value: what it referred to would go by
  /// memory.)
  static TORCH_ANS_FN auto index_of(const std::int32_t* const* /*indexes*/, int /*v*/, int /*t*/) {
    return [](int) { return 0; };
  }

  /// Takes the symbols that were found, counted from their tables' first; returns what to keep.
  TORCH_ANS_FN __m256i found(int /*v*/, int /*step*/, __m256i symbols) { return symbols; }

  /// What is left to add to what was kept of row 8 * v + r.
  TORCH_ANS_FN __m256i offsets(int /*v*/, int /*r*/) const { return columns_.offset; }

 private:
  static constexpr std::int32_t kFirst[8] = {};
  DecoderColumns columns_;
};

/// Indexes name them.
template <int kVectors>
class NamedRowsTables {
 public:
  static constexpr bool kPacked = false;
  static constexpr bool kReadsIndexes = true;

  explicit NamedRowsTables(const TablesView& tables) : tables_(tables) {}

  TORCH_ANS_FN void load(const std::int32_t* const* indexes, int group, int groups) {
    for (int v = 0; v < kVectors; ++v) {
      __m256i bucket_shifts[8];
      for (int r = 0; r < 8; ++r) {
        const std::int32_t* index = indexes[8 * v + r] + group;
        alignas(32) std::int32_t padded[8];
        if (unlikely(groups < 8)) {
          store256(padded, load_first(index, groups));
          index = padded;
        }
        const PackedColumns columns = load_packed_columns(tables_, index);
        bucket_shifts[r] = columns.bucket_shift;
        offsets_[v][r] = columns.offset;
      }
      transpose_8(bucket_shifts, bucket_shifts_[v]);
    }
  }

  TORCH_ANS_FN DecoderColumns columns(int v, int step) const {
    return split_columns(offsets_[v][step], bucket_shifts_[v][step]);
  }

  static TORCH_ANS_FN auto index_of(const std::int32_t* const* indexes, int v, int t) {
    return [rows = indexes + 8 * v, t](int r) { return rows[r][t]; };
  }

  TORCH_ANS_FN __m256i found(int /*v*/, int /*step*/, __m256i symbols) { return symbols; }
  TORCH_ANS_FN __m256i offsets(int v, int r) const { return offsets_[v][r]; }

 private:
  const TablesView& tables_;
  __m256i offsets_[kVectors][8];        ///< row by row
  __m256i bucket_shifts_[kVectors][8];  ///< step by step
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
