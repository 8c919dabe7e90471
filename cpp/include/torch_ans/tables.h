/// An immutable set of quantised CDFs with all that encoders and decoders look up, built once.
#pragma once

#include <algorithm>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <vector>

#include "torch_ans/alias.h"
#include "torch_ans/coder.h"
#include "torch_ans/inverse_cdf.h"
#include "torch_ans/table_source.h"
#include "torch_ans/tans_tables.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// Thread-safe: nothing changes after construction but the encoder records, which are built on
/// first use for the width of state that asks.
class CodingTables {
 public:
  /// `cdfs` is (num_tables, width), of which row k is read up to `cdfs_sizes[k]`.
  /// Throws std::invalid_argument, naming the row, for anything but strictly increasing rows
  /// from 0 to 2^freq_precision.
  CodingTables(const std::int32_t* cdfs, std::int64_t num_tables, std::int64_t width,
               const std::int32_t* cdfs_sizes, const std::int32_t* offsets,
               const TablesOptions& options)
      : options_(options) {
    check_options(options_);
    const TableSource source{cdfs, num_tables, width, cdfs_sizes, offsets, options_.freq_precision};
    for (std::int64_t k = 0; k < num_tables; ++k) append_table(source, k);
    if (options_.alias) {
      build_aliases();
    } else if (options_.wants_buckets()) {
      build_buckets();
      build_packed_slots();
    }
    build_columns();
  }

  CodingTables(const CodingTables&) = delete;
  CodingTables& operator=(const CodingTables&) = delete;

  std::int64_t num_tables() const { return static_cast<std::int64_t>(info_.size()); }
  const TablesOptions& options() const { return options_; }

  std::size_t bytes() const {
    return info_.size() * sizeof(TableInfo) + cdf_.size() * 6 + packed_slots_.size() * 4 +
           (buckets_.size() + log_buckets_.size()) * 8 + aliases_.size() * sizeof(AliasBucket) +
           alias_slots_.size() * 2 + records64_.size() * sizeof(records64_[0]) +
           records32_.size() * sizeof(records32_[0]) + tans_.bytes();
  }

  /// What the coders of rANS need.
  template <typename State>
  TablesView view() const {
    TablesView view = common_view();
    view.records = records<State>();
    return view;
  }

  /// What the coders of tANS need. Throws std::invalid_argument where they cannot use the tables.
  TablesView tans_view() const {
    check_tans_tables(info_.size(), options_.freq_precision, options_.alias);
    std::call_once(built_tans_, [this] {
      tans_.build(info_, cdf_.data(), options_.freq_precision, options_.bypass_coding);
    });
    TablesView view = common_view();
    tans_.add_to(view);
    return view;
  }

  /// freq_precision, K and, table by table, its size, offset and CDF: what decides the bytes of
  /// a stream, and what the hash in a packed file covers.
  std::vector<std::int32_t> numbers() const {
    std::vector<std::int32_t> numbers{options_.freq_precision,
                                      static_cast<std::int32_t>(info_.size())};
    for (const TableInfo& info : info_) {
      numbers.push_back(info.last + 2);
      numbers.push_back(info.offset);
      const auto* first = cdf_.data() + info.base;
      numbers.insert(numbers.end(), first, first + info.last + 2);
    }
    return numbers;
  }

  /// The smallest and the largest symbol value that is coded without an escape.
  std::int64_t min_symbol() const { return min_symbol_; }
  std::int64_t max_symbol() const { return max_symbol_; }

 private:
  TablesView common_view() const {
    TablesView view{};
    view.info = info_.data();
    view.num_tables = static_cast<std::uint32_t>(info_.size());
    view.freq_precision = options_.freq_precision;
    view.bypass_coding = options_.bypass_coding;
    view.cdf = cdf_.data();
    view.cdf16 = cdf16_.data();
    view.buckets = buckets_.empty() ? nullptr : buckets_.data();
    view.log_buckets = log_buckets_.empty() ? nullptr : log_buckets_.data();
    view.packed_slots = packed_slots_.empty() ? nullptr : packed_slots_.data();
    view.aliases = aliases_.empty() ? nullptr : aliases_.data();
    view.alias_slots = alias_slots_.empty() ? nullptr : alias_slots_.data();
    view.bases = bases_.data();
    view.limits = limits_.data();
    view.offsets = offsets_.data();
    view.log_bucket_shifts = log_bucket_shifts_.data();
    view.decoder_columns = decoder_columns_.data();
    view.encoder_columns = encoder_columns_.empty() ? nullptr : encoder_columns_.data();
    view.num_ids = cdf_.empty() ? 0 : static_cast<std::uint32_t>(cdf_.size() - 1);
    view.alike = alike_;
    view.has_full_freq = has_full_freq_;
    return view;
  }

  void append_table(const TableSource& source, std::int64_t k) {
    const TableFault fault = find_fault(source, k, static_cast<std::int64_t>(cdf_.size()));
    if (fault.rule != TableRule::kNone) {
      throw std::invalid_argument(describe(fault, k, source.width, source.freq_precision));
    }
    const std::int32_t size = source.sizes[k];
    const std::int32_t offset = source.offsets[k];
    TableInfo info{};
    info.base = static_cast<std::uint32_t>(cdf_.size());
    info.offset = offset;
    info.last = static_cast<std::uint16_t>(size - 2);
    cdf_.insert(cdf_.end(), source.row(k), source.row(k) + size);
    has_full_freq_ |= size == 2 && source.slots() > 0xffff;
    const bool first = info_.empty();
    alike_ &= first || (info.offset == info_[0].offset && info.last == info_[0].last);
    min_symbol_ = first ? offset : smaller<std::int64_t>(min_symbol_, offset);
    const std::int64_t highest = offset + info.last - (options_.bypass_coding ? 1 : 0);
    max_symbol_ = first ? highest : larger(max_symbol_, highest);
    info_.push_back(info);
  }

  CdfRow row(const TableInfo& info) const {
    return {cdf_.data() + info.base, info.last, options_.freq_precision, options_.bypass_coding};
  }

  void build_buckets() {
    const std::uint32_t allowed =
        tolerated_slots(static_cast<std::int64_t>(info_.size()), options_.freq_precision);
    const std::vector<int> log_bits = choose_log_bits();
    for (std::size_t k = 0; k < info_.size(); ++k) {
      TableInfo& info = info_[k];
      const CdfRow cdf_row = row(info);
      const int precision = cdf_row.precision;
      const int bits = options_.inverse_cdf_precision == TablesOptions::kAuto
                           ? choose_linear_bits(cdf_row, linear_grid_bits(cdf_row), allowed)
                           : options_.inverse_cdf_precision;
      const LogGrid log_grid(precision, log_bits[k]);
      if (larger(buckets_.size() + (std::size_t{1} << bits),
                 log_buckets_.size() + log_grid.count()) > kMaxBuckets) {
        buckets_ = {};  // decoders search the CDF instead
        log_buckets_ = {};
        return;
      }
      info.bucket = static_cast<std::uint32_t>(buckets_.size());
      info.shift = static_cast<std::uint16_t>(precision - bits);
      append_buckets(cdf_row, LinearGrid(precision, bits), buckets_);
      const auto origin = static_cast<std::uint32_t>(log_buckets_.size()) + log_grid.origin();
      log_bucket_shifts_.push_back(origin << 5 | static_cast<std::uint32_t>(log_grid.shift()));
      append_buckets(cdf_row, log_grid, log_buckets_);
    }
  }

  /// The bits of each table's LogGrid. Tables without tails (of text, say) would take all the
  /// buckets they can get. To search for a slot now and then costs less than buckets that have left
  /// the caches: all tables together stop where the next bit would take them past kManyLogBuckets.
  std::vector<int> choose_log_bits() const {
    const int precision = options_.freq_precision;
    const std::uint32_t allowed = tolerated_slots(1, precision);
    std::vector<int> bits(info_.size(), 0);
    std::size_t buckets = info_.size() * LogGrid(precision, 0).count();
    for (int b = 0; b < kMostLogBits; ++b) {
      const LogGrid grid(precision, b);
      std::size_t wanting = 0;
      for (std::size_t k = 0; k < bits.size(); ++k) {
        if (bits[k] < b || resolves_most(row(info_[k]), grid, allowed)) continue;
        ++bits[k];
        ++wanting;
      }
      buckets += wanting * (LogGrid(precision, b + 1).count() - grid.count());
      if (b < kFewLogBits || buckets <= kManyLogBuckets) continue;
      for (int& chosen : bits) chosen = smaller(chosen, b);
      break;
    }
    return bits;
  }

  void build_packed_slots() {
    const bool fits = info_.size() == 1 && options_.freq_precision <= kPackedSlotPrecision &&
                      !options_.bypass_coding && info_[0].last >= 1 && info_[0].last < 256;
    if (!fits) return;
    for (std::uint32_t symbol = 0; symbol <= info_[0].last; ++symbol) {
      const std::uint32_t freq = cdf_[symbol + 1] - cdf_[symbol];
      for (std::uint32_t rank = 0; rank < freq; ++rank) {
        packed_slots_.push_back(symbol << 24 | freq << kPackedSlotPrecision | rank);
      }
    }
  }

  void build_aliases() {
    const std::size_t slots = std::size_t{1} << options_.freq_precision;
    alias_slots_.resize(info_.size() * slots);
    for (std::size_t k = 0; k < info_.size(); ++k) {
      TableInfo& info = info_[k];
      const int bits = alias_bucket_bits(info.last + 1u);
      info.bucket = static_cast<std::uint32_t>(aliases_.size());
      info.shift = static_cast<std::uint16_t>(options_.freq_precision - bits);
      aliases_.resize(aliases_.size() + (std::size_t{1} << bits));
      build_alias_table(row(info), aliases_.data() + info.bucket, alias_slots_.data() + k * slots);
    }
  }

  void build_columns() {
    const std::size_t padded = (info_.size() + 63) / 64 * 64;
    bases_.resize(padded);
    limits_.resize(padded);
    offsets_.resize(padded);
    log_bucket_shifts_.resize(padded);
    for (std::size_t k = 0; k < info_.size(); ++k) {
      bases_[k] = info_[k].base;
      limits_[k] = info_[k].last + (options_.bypass_coding ? 0u : 1u);
      offsets_[k] = info_[k].offset;
    }
    for (std::size_t k = 0; k < padded; ++k) {
      decoder_columns_.push_back(std::uint64_t{static_cast<std::uint32_t>(offsets_[k])} << 32 |
                                 log_bucket_shifts_[k]);
    }
    if (std::all_of(info_.begin(), info_.end(), EncoderColumns::fit)) {
      for (const TableInfo& info : info_) encoder_columns_.push_back(EncoderColumns::pack(info));
    }
    cdf16_.reserve(cdf_.size() + 64);
    for (const std::uint32_t entry : cdf_) {
      cdf16_.push_back(static_cast<std::uint16_t>(entry));
    }
    cdf16_.resize(cdf_.size() + 64);
  }

  template <typename State>
  const EncoderRecord<State>* records() const {
    if (!options_.wants_buckets()) return nullptr;
    if constexpr (sizeof(State) == 8) {
      std::call_once(built64_, [this] { build_records(records64_); });
      return records64_.data();
    } else {
      std::call_once(built32_, [this] { build_records(records32_); });
      return records32_.data();
    }
  }

  template <typename State>
  void build_records(std::vector<EncoderRecord<State>>& records) const {
    records.resize(cdf_.size());
    for (const TableInfo& info : info_) {
      for (std::uint32_t id = info.base; id <= info.base + info.last; ++id) {
        records[id] =
            make_record<State>(cdf_[id], cdf_[id + 1] - cdf_[id], options_.freq_precision);
      }
    }
  }

  static constexpr int kMostLogBits = 10;
  static constexpr int kFewLogBits = 5;
  static constexpr std::size_t kManyLogBuckets = std::size_t{1} << 17;  // 1 MB

  TablesOptions options_;
  std::vector<TableInfo> info_;
  std::vector<std::uint32_t> cdf_;
  std::vector<std::uint16_t> cdf16_;
  std::vector<Bucket> buckets_;
  std::vector<Bucket> log_buckets_;
  std::vector<std::uint32_t> log_bucket_shifts_;
  std::vector<std::uint64_t> decoder_columns_;
  std::vector<std::uint64_t> encoder_columns_;
  std::vector<PackedSlot> packed_slots_;
  std::vector<AliasBucket> aliases_;
  std::vector<std::uint16_t> alias_slots_;
  std::vector<std::uint32_t> bases_;
  std::vector<std::uint32_t> limits_;
  std::vector<std::int32_t> offsets_;
  bool alike_ = true;
  bool has_full_freq_ = false;
  std::int64_t min_symbol_ = 0;
  std::int64_t max_symbol_ = -1;
  mutable std::once_flag built64_;
  mutable std::once_flag built32_;
  mutable std::once_flag built_tans_;
  mutable TansTables tans_;
  mutable std::vector<EncoderRecord<std::uint64_t>> records64_;
  mutable std::vector<EncoderRecord<std::uint32_t>> records32_;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
