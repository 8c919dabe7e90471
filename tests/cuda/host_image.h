/// What images must hold: written on the host from CodingTables, which the CPU codes with.
#pragma once

#include "device_tables.h"
#include "torch_ans/tables.h"

namespace torch_ans {

/// What the device is to find out of these tables.
inline gpu::DeviceTables device_tables(const CodingTables& tables) {
  const TablesView view = tables.view<std::uint32_t>();
  gpu::DeviceTables found{tables.options(), tables.num_tables(), {}};
  gpu::TablesSummary& summary = found.summary;
  summary.bad_table = -1;
  summary.highest_symbol = tables.max_symbol();
  for (std::int64_t k = 0; k < tables.num_tables(); ++k) {
    const TableInfo& info = view.info[k];
    summary.num_entries = info.base + info.last + 2;
    if (view.aliases != nullptr || view.buckets != nullptr) {
      summary.num_buckets = info.bucket + (1 << (view.freq_precision - info.shift));
    }
    const std::int64_t offset = info.offset;
    summary.lowest_offset = k == 0 ? offset : std::min(summary.lowest_offset, offset);
    summary.highest_offset = k == 0 ? offset : std::max(summary.highest_offset, offset);
  }
  return found;
}

template <typename State>
void write_host_records(const TablesView& view, std::uint8_t* target) {
  for (std::uint32_t k = 0; k < view.num_tables; ++k) {
    const TableInfo& info = view.info[k];
    for (std::uint32_t id = info.base; id <= info.base + info.last; ++id) {
      const std::uint32_t freq = view.cdf[id + 1] - view.cdf[id];
      store(target + id * sizeof(gpu::Record<State>),
            gpu::make_device_record<State>(view.cdf[id], freq));
    }
  }
}

inline void write_host_slot_starts(const TablesView& view, std::uint8_t* target) {
  for (std::uint32_t k = 0; k < view.num_tables; ++k) {
    const TableInfo& info = view.info[k];
    for (std::uint32_t id = info.base; id <= info.base + info.last; ++id) {
      store(target + id * sizeof(std::uint32_t), (k << view.freq_precision) + view.cdf[id]);
    }
  }
}

/// Fills `image_layout(device_tables(tables), kind).end` bytes.
inline void write_host_image(const CodingTables& tables, const gpu::ImageKind& kind,
                             std::uint8_t* image) {
  const gpu::ImageLayout layout = gpu::image_layout(device_tables(tables), kind);
  const TablesView view = kind.tans ? tables.tans_view() : tables.view<std::uint32_t>();
  const auto count = static_cast<std::size_t>(view.num_tables);
  const std::size_t slots = count << view.freq_precision;
  const auto copy = [image](std::size_t offset, const void* source, std::size_t bytes) {
    if (bytes > 0) std::memcpy(image + offset, source, bytes);
  };
  std::memset(image, 0, layout.end);
  copy(0, view.info, count * sizeof(TableInfo));
  TableInfo nobody{};
  nobody.base = static_cast<std::uint32_t>(layout.num_entries);
  nobody.bucket = static_cast<std::uint32_t>(layout.num_buckets);
  nobody.shift = static_cast<std::uint16_t>(view.freq_precision);
  store(image + count * sizeof(TableInfo), nobody);
  if (kind.tans) {
    copy(layout.records, view.tans_symbols, layout.num_entries * sizeof(TansSymbol));
    copy(layout.tans_next, view.tans_next, 2 * slots);
    copy(layout.tans_slots, view.tans_slots, 4 * slots);
    return;
  }
  if (view.aliases != nullptr) {
    copy(layout.buckets, view.aliases, layout.num_buckets * sizeof(AliasBucket));
    copy(layout.alias_slots, view.alias_slots, 2 * slots);
    write_host_slot_starts(view, image + layout.slot_starts);
  } else {
    copy(layout.buckets, view.buckets, layout.num_buckets * sizeof(Bucket));
  }
  copy(layout.cdf, view.cdf, layout.num_entries * sizeof(std::uint32_t));
  if (kind.state_bytes == 8) {
    write_host_records<std::uint64_t>(view, image + layout.records);
  } else {
    write_host_records<std::uint32_t>(view, image + layout.records);
  }
}

}  // namespace torch_ans
