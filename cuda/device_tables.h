/// Coding tables as one block of bytes in device memory, an image, and how kernels read it.
///
/// table_kernels.h makes images from CDFs, on the device. There is one TableInfo more than there
/// are tables: where an index is out of range kernels read that one, whose only bucket is never
/// resolved, which leads to the careful path and its check.
#pragma once

#include <cstddef>
#include <type_traits>

#include "torch_ans/table_source.h"
#include "torch_ans/tans_tables.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// What an encoder needs of a symbol, in 8 bytes for 32-bit states and 16 for 64-bit ones:
/// quotient = multiply_high(x, reciprocal) is x / freq or one less (reciprocal is rounded down and
/// x has a bit less than the state), which one comparison of the rest tells.
template <typename State>
struct alignas(2 * sizeof(State)) Record {
  using Half = std::conditional_t<sizeof(State) == 8, std::uint32_t, std::uint16_t>;
  State reciprocal;
  Half freq_minus_1;
  Half start;
};
static_assert(sizeof(Record<std::uint32_t>) == 8, "one 8-byte load");
static_assert(sizeof(Record<std::uint64_t>) == 16, "one 16-byte load");

template <typename State>
TORCH_ANS_FN Record<State> make_device_record(std::uint32_t start, std::uint32_t freq) {
  const State all = static_cast<State>(~State{0});
  // floor(2^bits / freq), from (2^bits - 1) / freq.
  const State rounded = static_cast<State>(all / freq);
  const bool exact = all % freq == freq - 1;
  Record<State> record{};
  record.reciprocal = freq == 1 ? all : static_cast<State>(rounded + (exact ? 1 : 0));
  record.freq_minus_1 = static_cast<typename Record<State>::Half>(freq - 1);
  record.start = static_cast<typename Record<State>::Half>(start);
  return record;
}

/// Whose coders an image serves.
struct ImageKind {
  bool tans;
  int state_bytes;  ///< of rANS
};

/// Where the parts of an image stand, in bytes; each is aligned to 16. Those of the other system
/// are left out.
struct ImageLayout {
  std::size_t buckets;  ///< Bucket or AliasBucket; at 0 the TableInfos stand, num_tables + 1
  std::size_t cdf;
  std::size_t alias_slots;
  std::size_t slot_starts;  ///< alias tables: of each CDF entry, in alias_slots
  std::size_t records;      ///< rANS: Record<State>; tANS: TansSymbol
  std::size_t tans_next;
  std::size_t tans_slots;
  std::size_t end;
  std::size_t num_buckets;
  std::size_t num_entries;  ///< of all CDFs
};

inline std::size_t align_image(std::size_t bytes) { return (bytes + 15) / 16 * 16; }

/// Bytes for an array, or none.
inline std::size_t image_part(bool wanted, std::size_t bytes) {
  return wanted ? align_image(bytes) : 0;
}

/// What is known of tables when all of them have been looked at.
struct TablesSummary {
  std::int64_t num_entries;  ///< of all CDFs
  std::int64_t num_buckets;  ///< 0: decoders search the CDF
  std::int64_t lowest_offset;
  std::int64_t highest_offset;
  std::int64_t highest_symbol;  ///< that is coded without an escape
  std::int64_t bad_table;       ///< the first that `fault` tells of; -1: none
  TableFault fault;
};
static_assert(sizeof(TablesSummary) == 64, "read as 8 integers");

/// What the host knows of tables on a device.
struct DeviceTables {
  TablesOptions options;
  std::int64_t num_tables;
  TablesSummary summary;

  bool has_one_offset() const {
    return num_tables > 0 && summary.lowest_offset == summary.highest_offset;
  }
};

/// Throws std::invalid_argument where the coders cannot use the tables.
inline ImageLayout image_layout(const DeviceTables& tables, const ImageKind& kind) {
  const int precision = tables.options.freq_precision;
  const auto count = static_cast<std::size_t>(tables.num_tables);
  const bool alias = tables.options.alias;
  if (kind.tans) check_tans_tables(count, precision, alias);
  if (alias && count > std::size_t{1} << (32 - precision)) {
    throw std::invalid_argument("alias tables hold at most 2**32 slots in all; got " +
                                std::to_string(count) + " tables of 2**" +
                                std::to_string(precision));
  }
  ImageLayout layout{};
  const std::size_t slots = count << precision;
  layout.num_entries = static_cast<std::size_t>(tables.summary.num_entries);
  if (!kind.tans) layout.num_buckets = static_cast<std::size_t>(tables.summary.num_buckets);
  const std::size_t bucket_bytes = alias ? sizeof(AliasBucket) : sizeof(Bucket);
  const std::size_t record_bytes =
      kind.tans ? sizeof(TansSymbol) : 2 * static_cast<std::size_t>(kind.state_bytes);
  const std::size_t entry = sizeof(std::uint32_t);
  layout.buckets = align_image((count + 1) * sizeof(TableInfo));
  layout.cdf = layout.buckets + image_part(!kind.tans, (layout.num_buckets + 1) * bucket_bytes);
  layout.alias_slots = layout.cdf + image_part(!kind.tans, (layout.num_entries + 2) * entry);
  layout.slot_starts = layout.alias_slots + image_part(alias, 2 * slots);
  layout.records = layout.slot_starts + image_part(alias, layout.num_entries * entry);
  layout.tans_next = layout.records + align_image((layout.num_entries + 1) * record_bytes);
  layout.tans_slots = layout.tans_next + image_part(kind.tans, 2 * slots);
  layout.end = layout.tans_slots + image_part(kind.tans, 4 * slots);
  return layout;
}

/// The view that kernels get of an image at `image` (an address on the device).
inline TablesView image_view(const DeviceTables& tables, const ImageKind& kind,
                             const std::uint8_t* image) {
  const ImageLayout layout = image_layout(tables, kind);
  TablesView view{};
  view.info = reinterpret_cast<const TableInfo*>(image);
  view.num_tables = static_cast<std::uint32_t>(tables.num_tables);
  view.freq_precision = tables.options.freq_precision;
  view.bypass_coding = tables.options.bypass_coding;
  view.num_ids = static_cast<std::uint32_t>(tables.summary.num_entries);
  if (kind.tans) {
    view.tans_symbols = reinterpret_cast<const TansSymbol*>(image + layout.records);
    view.tans_next = reinterpret_cast<const std::uint16_t*>(image + layout.tans_next);
    view.tans_slots = reinterpret_cast<const std::uint32_t*>(image + layout.tans_slots);
    return view;
  }
  view.cdf = reinterpret_cast<const std::uint32_t*>(image + layout.cdf);
  view.records = image + layout.records;
  if (tables.options.alias) {
    view.aliases = reinterpret_cast<const AliasBucket*>(image + layout.buckets);
    view.alias_slots = reinterpret_cast<const std::uint16_t*>(image + layout.alias_slots);
  } else if (layout.num_buckets > 0) {
    view.buckets = reinterpret_cast<const Bucket*>(image + layout.buckets);
  }
  return view;
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
