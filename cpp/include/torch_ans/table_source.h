/// What tables are made from: rows of quantised CDFs, the rules for them, and the words for a row
/// that breaks one. The same on every device.
#pragma once

#include <stdexcept>
#include <string>

#include "torch_ans/config.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Symbols are compared in 32 bits after the offset is taken off: this keeps them from wrapping.
constexpr std::int32_t kMaxOffset = 1 << 30;
constexpr int kMaxFreqPrecision = 16;
/// CDF entries of all tables are below this.
constexpr std::int64_t kMaxEntries = std::int64_t{1} << 31;

struct TablesOptions {
  int freq_precision = kMaxFreqPrecision;
  bool bypass_coding = true;
  bool alias = false;
  /// log2 of the buckets a table; kAuto: what is fastest; kNone: search the CDF, and divide
  /// when encoding (for tables used once).
  int inverse_cdf_precision = kAuto;

  static constexpr int kAuto = -1;
  static constexpr int kNone = 0;

  /// Whether decoders look slots up in buckets of the CDF's inverse.
  bool wants_buckets() const { return !alias && inverse_cdf_precision != kNone; }
};

/// `cdfs` is (num_tables, width), of which row k counts up to `sizes[k]`.
struct TableSource {
  const std::int32_t* cdfs;
  std::int64_t num_tables;
  std::int64_t width;
  const std::int32_t* sizes;
  const std::int32_t* offsets;
  std::int32_t freq_precision;

  TORCH_ANS_FN const std::int32_t* row(std::int64_t k) const { return cdfs + k * width; }
  TORCH_ANS_FN std::int32_t slots() const { return std::int32_t{1} << freq_precision; }

  TORCH_ANS_FN bool has_size(std::int64_t k) const { return sizes[k] >= 2 && sizes[k] <= width; }
  TORCH_ANS_FN bool has_offset(std::int64_t k) const {
    return offsets[k] >= -kMaxOffset && offsets[k] <= kMaxOffset;
  }
  /// Whether entry i of row k, whose size is possible, is above the one before it; the first is 0.
  TORCH_ANS_FN bool ascends(std::int64_t k, std::int64_t i) const {
    return i == 0 ? row(k)[0] == 0 : row(k)[i] > row(k)[i - 1];
  }
  TORCH_ANS_FN bool has_end(std::int64_t k) const { return row(k)[sizes[k] - 1] == slots(); }
};

enum class TableRule : std::int32_t { kNone, kSize, kFirst, kAscending, kEnd, kOffset, kCount };

/// The rule that a table breaks first, with the numbers that its message names.
struct TableFault {
  TableRule rule;
  std::int32_t position;  ///< in the row
  std::int32_t got;
  std::int32_t before;
};

/// Table k, where those before it have `entries` CDF entries.
TORCH_ANS_FN TableFault find_fault(const TableSource& source, std::int64_t k,
                                   std::int64_t entries) {
  const std::int32_t size = source.sizes[k];
  const std::int32_t* row = source.row(k);
  if (!source.has_size(k)) return {TableRule::kSize, 0, size, 0};
  for (std::int32_t i = 0; i < size; ++i) {
    if (source.ascends(k, i)) continue;
    if (i == 0) return {TableRule::kFirst, 0, row[0], 0};
    return {TableRule::kAscending, i, row[i], row[i - 1]};
  }
  if (!source.has_end(k)) return {TableRule::kEnd, size - 1, row[size - 1], 0};
  if (!source.has_offset(k)) return {TableRule::kOffset, 0, source.offsets[k], 0};
  if (entries + size >= kMaxEntries) return {TableRule::kCount, 0, 0, 0};
  return {TableRule::kNone, 0, 0, 0};
}

/// For a user to read.
inline std::string describe(const TableFault& fault, std::int64_t k, std::int64_t width,
                            int freq_precision) {
  const std::string table = "[" + std::to_string(k);
  const std::string entry = "cdfs" + table + ", " + std::to_string(fault.position) + "] ";
  const std::string got = ", got " + std::to_string(fault.got);
  switch (fault.rule) {
    case TableRule::kNone:
      break;
    case TableRule::kSize:
      return "cdfs_sizes" + table + "] must be in 2.." + std::to_string(width) +
             " (the columns of cdfs)" + got;
    case TableRule::kFirst:
      return entry + "must be 0" + got;
    case TableRule::kAscending:
      return entry + "must be above the entry before it (a symbol's frequency is at least 1)" +
             got + " after " + std::to_string(fault.before);
    case TableRule::kEnd:
      return entry + "must be 2**freq_precision = " + std::to_string(1 << freq_precision) + got;
    case TableRule::kOffset:
      return "offsets" + table + "] must be within +-2**30" + got;
    case TableRule::kCount:
      return "cdfs" + table + "] does not fit: tables hold under 2**31 entries in all";
  }
  return "";
}

/// Throws std::invalid_argument that names the option.
inline void check_options(const TablesOptions& options) {
  const int precision = options.freq_precision;
  if (precision < 1 || precision > kMaxFreqPrecision) {
    throw std::invalid_argument("freq_precision must be in 1.." +
                                std::to_string(kMaxFreqPrecision) + ", got " +
                                std::to_string(precision));
  }
  const int inverse = options.inverse_cdf_precision;
  if (inverse < TablesOptions::kAuto || inverse > precision) {
    throw std::invalid_argument("inverse_cdf_precision must be in 1.." + std::to_string(precision) +
                                " (freq_precision), got " + std::to_string(inverse));
  }
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
