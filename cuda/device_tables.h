/// Coding tables as one block of bytes for device memory, and how kernels read them.
///
/// The tables are built on the host (`CodingTables`, the same for every device), laid out by
/// `write_image` and copied to the device once; calls then name the copy. There is one TableInfo
/// more than there are tables: where an index is out of range kernels read that one, whose only
/// bucket is never resolved, which leads to the careful path and its check.
#pragma once

#include <cstddef>

#include "torch_ans/tables.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// What an encoder needs of a symbol, in 8 bytes for 32-bit states and 16 for 64-bit ones:
/// quotient = multiply_high(x, reciprocal) is x / freq or one less (reciprocal is rounded down and
/// x has a bit less than the state), which one comparison of the rest tells.
template <typename State>
struct alignas(2 * sizeof(State)) Record {
  State reciprocal;
  std::uint16_t freq_minus_1;
  std::uint16_t start;
};
static_assert(sizeof(Record<std::uint32_t>) == 8, "one 8-byte load");
static_assert(sizeof(Record<std::uint64_t>) == 16, "one 16-byte load");

template <typename State>
Record<State> make_device_record(std::uint32_t start, std::uint32_t freq) {
  const State all = static_cast<State>(~State{0});
  // floor(2^bits / freq), from (2^bits - 1) / freq.
  const State rounded = static_cast<State>(all / freq);
  const bool exact = all % freq == freq - 1;
  Record<State> record{};
  record.reciprocal = freq == 1 ? all : static_cast<State>(rounded + (exact ? 1 : 0));
  record.freq_minus_1 = static_cast<std::uint16_t>(freq - 1);
  record.start = static_cast<std::uint16_t>(start);
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

inline ImageLayout image_layout(const CodingTables& tables, const ImageKind& kind) {
  const TablesView view = kind.tans ? tables.tans_view() : tables.view<std::uint32_t>();
  ImageLayout layout{};
  const auto count = static_cast<std::size_t>(view.num_tables);
  const std::size_t slots = count << view.freq_precision;
  const bool alias = view.aliases != nullptr;
  if (count > 0) {
    const TableInfo& last = view.info[count - 1];
    layout.num_entries = last.base + last.last + std::size_t{2};
    if (!kind.tans && (alias || view.buckets != nullptr)) {
      layout.num_buckets = last.bucket + (std::size_t{1} << (view.freq_precision - last.shift));
    }
  }
  const std::size_t bucket_bytes = alias ? sizeof(AliasBucket) : sizeof(Bucket);
  const std::size_t record_bytes = kind.tans ? sizeof(TansSymbol) : 2 * kind.state_bytes;
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

template <typename State>
void write_records(const TablesView& view, std::uint8_t* target) {
  for (std::uint32_t k = 0; k < view.num_tables; ++k) {
    const TableInfo& info = view.info[k];
    for (std::uint32_t id = info.base; id <= info.base + info.last; ++id) {
      const auto record = make_device_record<State>(view.cdf[id], view.cdf[id + 1] - view.cdf[id]);
      store(target + id * sizeof(record), record);
    }
  }
}

inline void write_slot_starts(const TablesView& view, std::uint8_t* target) {
  for (std::uint32_t k = 0; k < view.num_tables; ++k) {
    const TableInfo& info = view.info[k];
    for (std::uint32_t id = info.base; id <= info.base + info.last; ++id) {
      store(target + id * sizeof(std::uint32_t), (k << view.freq_precision) + view.cdf[id]);
    }
  }
}

inline void write_infos(const TablesView& view, const ImageLayout& layout, std::uint8_t* image) {
  const auto count = static_cast<std::size_t>(view.num_tables);
  std::memcpy(image, view.info, count * sizeof(TableInfo));
  TableInfo nobody{};  // its bucket and its CDF are the zeros behind those of the tables
  nobody.base = static_cast<std::uint32_t>(layout.num_entries);
  nobody.bucket = static_cast<std::uint32_t>(layout.num_buckets);
  nobody.shift = static_cast<std::uint16_t>(view.freq_precision);
  store(image + count * sizeof(TableInfo), nobody);
}

inline void write_tans_image(const TablesView& view, const ImageLayout& layout,
                             std::uint8_t* image) {
  const std::size_t slots = static_cast<std::size_t>(view.num_tables) << view.freq_precision;
  std::memcpy(image + layout.records, view.tans_symbols, layout.num_entries * sizeof(TansSymbol));
  std::memcpy(image + layout.tans_next, view.tans_next, 2 * slots);
  std::memcpy(image + layout.tans_slots, view.tans_slots, 4 * slots);
}

inline void write_rans_image(const TablesView& view, const ImageLayout& layout, int state_bytes,
                             std::uint8_t* image) {
  if (view.aliases != nullptr) {
    const std::size_t slots = static_cast<std::size_t>(view.num_tables) << view.freq_precision;
    std::memcpy(image + layout.buckets, view.aliases, layout.num_buckets * sizeof(AliasBucket));
    std::memcpy(image + layout.alias_slots, view.alias_slots, 2 * slots);
    write_slot_starts(view, image + layout.slot_starts);
  } else if (layout.num_buckets > 0) {
    std::memcpy(image + layout.buckets, view.buckets, layout.num_buckets * sizeof(Bucket));
  }
  std::memcpy(image + layout.cdf, view.cdf, layout.num_entries * sizeof(std::uint32_t));
  if (state_bytes == 8) {
    write_records<std::uint64_t>(view, image + layout.records);
  } else {
    write_records<std::uint32_t>(view, image + layout.records);
  }
}

/// Fills `image_layout(tables, kind).end` bytes.
inline void write_image(const CodingTables& tables, const ImageKind& kind, std::uint8_t* image) {
  const ImageLayout layout = image_layout(tables, kind);
  const TablesView view = kind.tans ? tables.tans_view() : tables.view<std::uint32_t>();
  std::memset(image, 0, layout.end);
  write_infos(view, layout, image);
  if (kind.tans) {
    write_tans_image(view, layout, image);
  } else {
    write_rans_image(view, layout, kind.state_bytes, image);
  }
}

/// The view that kernels get of an image at `image` (an address on the device).
inline TablesView image_view(const CodingTables& tables, const ImageKind& kind,
                             const std::uint8_t* image) {
  const TablesView host = kind.tans ? tables.tans_view() : tables.view<std::uint32_t>();
  const ImageLayout layout = image_layout(tables, kind);
  TablesView view{};
  view.info = reinterpret_cast<const TableInfo*>(image);
  view.num_tables = host.num_tables;
  view.freq_precision = host.freq_precision;
  view.bypass_coding = host.bypass_coding;
  if (kind.tans) {
    view.tans_symbols = reinterpret_cast<const TansSymbol*>(image + layout.records);
    view.tans_next = reinterpret_cast<const std::uint16_t*>(image + layout.tans_next);
    view.tans_slots = reinterpret_cast<const std::uint32_t*>(image + layout.tans_slots);
    return view;
  }
  view.cdf = reinterpret_cast<const std::uint32_t*>(image + layout.cdf);
  view.records = image + layout.records;
  if (host.aliases != nullptr) {
    view.aliases = reinterpret_cast<const AliasBucket*>(image + layout.buckets);
    view.alias_slots = reinterpret_cast<const std::uint16_t*>(image + layout.alias_slots);
  } else if (host.buckets != nullptr) {
    view.buckets = reinterpret_cast<const Bucket*>(image + layout.buckets);
  }
  return view;
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
