/// Hints and spans in shared memory, by which plain decoders (plain_case.h) find a slot's symbol:
/// fewer bytes than buckets take, so that they fit where there are many tables, and hardly any slot
/// that has to be searched for.
#pragma once

#include "table_access.h"
#include "torch_ans/inverse_cdf.h"
#include "torch_ans/lookup.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Spans have 16 bits for a start and an end.
constexpr int kMostSpanPrecision = 15;
/// Hints have 16 bits for an id and one more.
constexpr std::uint32_t kMostSpans = 0xffff;

/// Hints on the LogGrid of each table.
struct HintGrids {
  static TORCH_ANS_FN LogGrid grid(const TablesView& view, std::uint32_t last) {
    return {view.freq_precision, larger(bit_width(last) - kFewerBits, 0)};
  }

  /// At least as many as the grids of all tables take: 2^bits is 1 or at most last / 16, and a half
  /// of a grid has (precision - 6) 2^bits hints, the rest of an octave and one more.
  static TORCH_ANS_FN std::size_t most(const TablesView& view) {
    const int precision = view.freq_precision;
    const std::size_t all = view.num_tables + (std::size_t{view.num_ids} >> (kFewerBits - 1));
    const std::size_t octaves = static_cast<std::size_t>(larger(precision - 6, 1));
    return 2 * (octaves * all + (31 * all >> (precision - 1)) + view.num_tables);
  }

  /// A grid then leaves the slot's symbol among the hint's and the two behind it, but for one slot
  /// in a thousand of 64 Gaussians, whatever their scales.
  static constexpr int kFewerBits = 5;
};

/// The span of a symbol is `start:16 | end:16` of its slots, from the lowest bit; the number of a
/// symbol among the spans is its id + 1. Hints stand for buckets of slots: the number of a symbol
/// at or before those of the bucket. Spans from there on are looked through. A span that ends
/// before it starts says that care is needed, and seems to have all slots that come to it: number
/// 0, the hint of a sentinel's buckets and where there is no table, has one past all slots; a
/// sentinel, and what follows it, one that starts where the sentinel does.
class SpanTables {
 public:
  static constexpr bool kMayOverflow = false;
  static constexpr bool kDefers = true;
  static constexpr std::uint32_t kMostCopies = 16;  ///< of names: half a warp reads at a time

  /// A table, as steps see it.
  struct alignas(8) Name {
    std::int32_t first;              ///< the symbol value of number 0
    std::uint32_t origin_and_shift;  ///< of its LogGrid, counting all hints: `origin:27 | shift:5`

    TORCH_ANS_DEVICE std::int32_t value(std::uint32_t number) const {
      return static_cast<std::int32_t>(number + static_cast<std::uint32_t>(first));
    }
  };

  TORCH_ANS_DEVICE SpanTables(const CoderTask& task, const TablesPart& part)
      : view_(task.tables),
        copies_(task.table_copies),
        stride_(held_by_each(copies_ * std::uint32_t{sizeof(Name)})),
        own_(shared_place((lane_index() & (copies_ - 1)) * std::uint32_t{sizeof(Name)})),
        spans_(static_cast<std::uint32_t>(name_bytes(task))),
        hints_(spans_ + span_bytes(view_)),
        end_(static_cast<std::uint32_t>(bytes(task, part))),
        last_slot_(held((std::uint32_t{1} << view_.freq_precision) - 1)),
        top_bit_(view_.freq_precision - 1) {
    fill_spans();
    fill_names();
    sync_block();
    fill_hints();
    sync_block();
  }

  TORCH_ANS_DEVICE Name name(const TablesView& /*view*/, std::uint32_t index) const {
    return load_shared<Name>(smaller(index, view_.num_tables) * stride_ + own_);
  }

  /// The symbol of a slot, by its number. What comes back has its highest bit set where care is
  /// needed; `match` is none then.
  TORCH_ANS_DEVICE std::uint32_t find(const Name& name, std::uint32_t slot, Match& match) const {
    const SharedArray<std::uint16_t> hints(hints_);
    const auto shift = static_cast<int>(name.origin_and_shift & 31u);
    std::uint32_t number =
        hints.get(LogGrid::find(slot, last_slot_, top_bit_, name.origin_and_shift >> 5, shift));
    const std::uint32_t near = spans().get(number), far = spans().get(number + 2);
    const bool past_first = slot >= near >> 16;
    const bool past_second = past_first && slot >= (far & 0xffffu);
    std::uint32_t span = past_first ? near >> 16 | far << 16 : near;
    span = past_second ? far : span;
    number += (past_first ? 1u : 0u) + (past_second ? 1u : 0u);
    match = match_of(number, span, slot);
    while (any(match.rank >= match.freq)) {
      if (match.rank >= match.freq) {
        ++number;
        match = match_of(number, spans().get(number), slot);
      }
    }
    return match.freq;
  }

  TORCH_ANS_DEVICE std::uint32_t shared_bytes() const { return end_; }
  static TORCH_ANS_FN std::size_t copy_bytes(const CoderTask& task) {
    return sizeof(Name) * (task.tables.num_tables + 1);
  }

  static TORCH_ANS_FN std::size_t bytes(const CoderTask& task, const TablesPart& /*part*/) {
    const TablesView& view = task.tables;
    const std::size_t hints = HintGrids::most(view) + 2;
    return whole_lines(name_bytes(task) + span_bytes(view) + 2 * hints);
  }

 private:
  static constexpr std::uint32_t kNoSpan = 0x8000ffffu;  ///< past all slots

  static TORCH_ANS_FN std::size_t name_bytes(const CoderTask& task) {
    return whole_lines(copy_bytes(task) * task.table_copies);
  }
  /// One before all ids, and one more for looking ahead.
  static TORCH_ANS_FN std::uint32_t span_bytes(const TablesView& view) {
    return (view.num_ids + 2 + 3) / 4 * 16;
  }

  TORCH_ANS_DEVICE SharedArray<std::uint32_t> spans() const {
    return SharedArray<std::uint32_t>(spans_);
  }

  static TORCH_ANS_DEVICE Match match_of(std::uint32_t number, std::uint32_t span,
                                         std::uint32_t slot) {
    const std::uint32_t start = span & 0xffffu;
    return {number, (span >> 16) - start, slot - start};
  }

  static TORCH_ANS_DEVICE std::int32_t first_of(const TableInfo& info) {
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(info.offset) - info.base - 1);
  }

  /// The spans of a table as its CDF.
  struct Starts {
    SharedArray<std::uint32_t> spans;
    std::uint32_t number;  ///< of the first symbol
    TORCH_ANS_DEVICE std::uint32_t operator[](std::uint32_t symbol) const {
      return spans.get(number + symbol) & 0xffffu;
    }
  };

  TORCH_ANS_DEVICE Starts starts_of(const TableInfo& info) const {
    return {spans(), info.base + 1};
  }

  /// Four at a time: to wait for each entry of a CDF would take as long as all the rest.
  TORCH_ANS_DEVICE void fill_spans() const {
    struct alignas(16) Entries {
      std::uint32_t of[4];
    };
    const auto* quads = reinterpret_cast<const Entries*>(view_.cdf);
    for (std::uint32_t n = 4 * thread_index(); n < view_.num_ids; n += 4 * block_size()) {
      const Entries now = cached_load(quads + n / 4);
      const std::uint32_t next = cached_load(view_.cdf + smaller(n + 4, view_.num_ids));
      TORCH_ANS_UNROLL
      for (unsigned j = 0; j < 4; ++j) {
        if (n + j < view_.num_ids) {
          spans().set(n + j + 1, now.of[j] | (j == 3 ? next : now.of[(j + 1) % 4]) << 16);
        }
      }
    }
    if (thread_index() == 0) {
      spans().set(0, kNoSpan);
      spans().set(view_.num_ids + 1, kNoSpan);
    }
    if (!view_.bypass_coding) return;
    sync_block();
    for (std::uint32_t k = thread_index(); k < view_.num_tables; k += block_size()) {
      const TableInfo info = cached_load(view_.info + k);
      const std::uint32_t sentinel = info.base + 1 + info.last;
      const std::uint32_t start = starts_of(info)[info.last];  // `end` is 0
      spans().set(sentinel, start);
      spans().set(sentinel + 1, start);
    }
  }

  TORCH_ANS_DEVICE void set_name(std::uint32_t k, const Name& name) const {
    const SharedArray<Name> names(k * stride_);
    for (std::uint32_t copy = 0; copy < copies_; ++copy) names.set(copy, name);
  }

  /// A warp finds the grids' places. The last two hints are those of no table.
  TORCH_ANS_DEVICE void fill_names() const {
    if (warp_index() != 0) return;
    std::uint32_t place = 0;  // of the hints of the next 32 tables
    for (std::uint32_t first = 0; first <= view_.num_tables; first += kWarpSize) {
      const std::uint32_t k = first + lane_index();
      const TableInfo info = cached_load(view_.info + smaller(k, view_.num_tables));
      const LogGrid grid = HintGrids::grid(view_, info.last);
      const std::uint32_t count = k < view_.num_tables ? grid.count() : 0;
      std::uint32_t sum = count;  // of this table and those before it
      for (unsigned step = 1; step < kWarpSize; step *= 2) {
        const std::uint32_t other = shuffle(sum, (lane_index() - step) & 31u);
        sum += lane_index() >= step ? other : 0;
      }
      const std::uint32_t start = place + sum - count;
      if (k < view_.num_tables) {
        set_name(k, {first_of(info),
                     (start + grid.origin()) << 5 | static_cast<std::uint32_t>(grid.shift())});
      } else if (k == view_.num_tables) {
        set_name(k, {0, (start + 1) << 5 | 31u});
      }
      place += shuffle(sum, 31);
    }
  }

  /// The hint for slots from this one on. Behind a sentinel other tables' spans would be seen.
  TORCH_ANS_DEVICE std::uint32_t hint(const TableInfo& info, std::uint32_t slot) const {
    const Starts starts = starts_of(info);
    const std::uint32_t symbol = search_cdf(starts, 0, info.last, slot);
    return view_.bypass_coding && symbol == info.last ? 0 : starts.number + symbol;
  }

  /// Two at a time: no thread writes half of what another one does.
  TORCH_ANS_DEVICE void fill_hints() const {
    const SharedArray<std::uint32_t> pairs(hints_);
    const std::uint32_t warps = block_size() / kWarpSize;
    for (std::uint32_t k = warp_index(); k < view_.num_tables; k += warps) {
      const TableInfo info = cached_load(view_.info + k);
      const LogGrid grid = HintGrids::grid(view_, info.last);
      const std::uint32_t start = (name(view_, k).origin_and_shift >> 5) - grid.origin();
      for (std::uint32_t b = 2 * lane_index(); b < grid.count(); b += 2 * kWarpSize) {
        const std::uint32_t low = hint(info, grid.slots(b).low);
        pairs.set((start + b) / 2, low | hint(info, grid.slots(b + 1).low) << 16);
      }
    }
    if (thread_index() == 0) pairs.set(name(view_, view_.num_tables).origin_and_shift >> 6, 0);
  }

  const TablesView& view_;
  std::uint32_t copies_;
  std::uint32_t stride_;  ///< bytes from a table's names to the next one's
  std::uint32_t own_;     ///< the place of this thread's copy of the first name
  std::uint32_t spans_;
  std::uint32_t hints_;
  std::uint32_t end_;
  std::uint32_t last_slot_;
  int top_bit_;  ///< of a slot
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
