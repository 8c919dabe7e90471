/// From CDFs to the tables that kernels read, without their launch: a block a table.
///
/// It takes three kernels. The first checks each table and counts its buckets, the second (one
/// block) finds the places of all of them; then the caller learns the size, makes room for exactly
/// that, and the third fills it. What a table holds is decided by the functions of
/// cpp/include/torch_ans that make it on the CPU: here many threads call them.
#pragma once

#include "block_sums.h"
#include "table_task.h"
#include "torch_ans/alias.h"
#include "torch_ans/lookup.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Calls `body(i)` for i in [0, count), which the threads of the block share.
template <typename Body>
TORCH_ANS_DEVICE void share_out(std::uint32_t count, const Body& body) {
  for (std::uint32_t i = thread_index(); i < count; i += block_size()) body(i);
}

// --- checks and places -----------------------------------------------------------------------

/// Whether table k breaks no rule.
TORCH_ANS_DEVICE bool is_sound(const TableSource& source, std::int64_t k,
                               const SharedArray<std::int64_t>& scratch) {
  const bool sized = source.has_size(k);
  std::int64_t faults = !sized || !source.has_end(k) || !source.has_offset(k);
  if (sized) {
    share_out(static_cast<std::uint32_t>(source.sizes[k]),
              [&](std::uint32_t i) { faults += !source.ascends(k, i); });
  }
  return sum_over_block(scratch, faults).all == 0;
}

/// log2 of the buckets of a table: `choose_linear_bits`, all buckets of a grid at once.
TORCH_ANS_DEVICE int bucket_bits(const PlanTask& task, const CdfRow& row,
                                 const SharedArray<std::int64_t>& scratch) {
  if (task.alias) return alias_bucket_bits(row.symbols());
  if (task.bucket_bits != TablesOptions::kAuto) return task.bucket_bits;
  const GridBits choice = linear_grid_bits(row);
  int bits = choice.least;
  for (; bits < choice.most; ++bits) {
    const LinearGrid grid(row.precision, bits);
    std::int64_t unresolved = 0;
    share_out(grid.count(), [&](std::uint32_t bucket) {
      const SlotRange range = grid.slots(bucket);
      unresolved += unresolved_slots(row, range, search_cdf(row.cdf, 0, row.last, range.low));
    });
    if (sum_over_block(scratch, unresolved).all <= task.tolerated) break;
  }
  return bits;
}

/// Fills `infos` with counts, of entries (0: the table is broken) and buckets, instead of places.
/// Shared memory: kBlockSumBytes.
TORCH_ANS_DEVICE void count_tables_kernel(const PlanTask& task) {
  const SharedArray<std::int64_t> scratch(0);
  const TableSource& source = task.source;
  for (std::int64_t k = block_index(); k < source.num_tables; k += grid_size()) {
    TableInfo info{};
    if (is_sound(source, k, scratch)) {
      info.base = static_cast<std::uint32_t>(source.sizes[k]);
      info.offset = source.offsets[k];
      info.last = static_cast<std::uint16_t>(info.base - 2);
      if (task.alias || task.bucket_bits != TablesOptions::kNone) {
        const CdfRow row{reinterpret_cast<const std::uint32_t*>(source.row(k)), info.last,
                         source.freq_precision, task.bypass_coding};
        const int bits = bucket_bits(task, row, scratch);
        info.bucket = 1u << bits;
        info.shift = static_cast<std::uint16_t>(row.precision - bits);
      }
    }
    if (thread_index() == 0) task.infos[k] = info;
  }
}

/// What a thread has seen of the tables.
struct TablesSeen {
  std::int64_t entries = 0;  ///< and buckets, of all tables
  std::int64_t buckets = 0;
  std::int64_t first_bad = INT64_MAX;
  std::int64_t lowest_offset = INT64_MAX;
  std::int64_t highest_offset = -INT64_MAX;
  std::int64_t highest_symbol = -INT64_MAX;
};

/// Turns the counts in `infos` into places. The whole block's affair.
TORCH_ANS_DEVICE TablesSeen place_tables(const PlanTask& task,
                                         const SharedArray<std::int64_t>& scratch) {
  TablesSeen seen;
  for (std::int64_t first = 0; first < task.source.num_tables; first += block_size()) {
    const std::int64_t k = first + thread_index();
    const bool present = k < task.source.num_tables;
    TableInfo info{};
    if (present) info = task.infos[k];
    const Sums entries = sum_over_block(scratch, info.base);
    const Sums buckets = sum_over_block(scratch, info.bucket);
    if (present) {
      const std::int64_t base = seen.entries + entries.before;
      const bool is_bad = info.base == 0 || base + info.base >= kMaxEntries;
      if (is_bad) seen.first_bad = smaller(seen.first_bad, k);
      const std::int64_t offset = info.offset;
      seen.lowest_offset = smaller(seen.lowest_offset, offset);
      seen.highest_offset = larger(seen.highest_offset, offset);
      seen.highest_symbol =
          larger(seen.highest_symbol, offset + info.last - (task.bypass_coding ? 1 : 0));
      info.base = static_cast<std::uint32_t>(base);
      info.bucket = static_cast<std::uint32_t>(seen.buckets + buckets.before);
      task.infos[k] = info;
    }
    seen.entries += entries.all;
    seen.buckets += buckets.all;
  }
  return seen;
}

/// One block; shared memory: kBlockSumBytes.
TORCH_ANS_DEVICE void place_tables_kernel(const PlanTask& task) {
  const SharedArray<std::int64_t> scratch(0);
  const std::int64_t num_tables = task.source.num_tables;
  const TablesSeen seen = place_tables(task, scratch);
  const bool searches = !task.alias && seen.buckets > task.max_buckets;
  for (std::int64_t k = thread_index(); searches && k < num_tables; k += block_size()) {
    task.infos[k].bucket = 0;
    task.infos[k].shift = 0;
  }
  const std::int64_t bad = smallest_of_block(scratch, seen.first_bad);
  const std::int64_t low = smallest_of_block(scratch, seen.lowest_offset);
  const std::int64_t high = -smallest_of_block(scratch, -seen.highest_offset);
  const std::int64_t highest_symbol = -smallest_of_block(scratch, -seen.highest_symbol);
  if (thread_index() != 0) return;
  const bool none = num_tables == 0;
  TablesSummary summary{seen.entries,
                        searches ? 0 : seen.buckets,
                        none ? 0 : low,
                        none ? 0 : high,
                        none ? -1 : highest_symbol,
                        -1,
                        {TableRule::kNone, 0, 0, 0}};
  if (bad < num_tables) {
    summary.bad_table = bad;
    summary.fault = find_fault(task.source, bad, kMaxEntries);
  }
  *task.summary = summary;
}

// --- images ----------------------------------------------------------------------------------

/// One table's part of an image. All members are the whole block's affair.
class TableFiller {
 public:
  TORCH_ANS_DEVICE TableFiller(const FillTask& task, std::int64_t k)
      : task_(task),
        table_(static_cast<std::size_t>(k)),
        info_(task.infos[k]),
        row_{reinterpret_cast<const std::uint32_t*>(task.cdfs + k * task.width), info_.last,
             task.freq_precision, task.bypass_coding} {}

  TORCH_ANS_DEVICE void run() const {
    if (thread_index() == 0) part<TableInfo>(0)[table_] = info_;
    if (task_.kind.tans) {
      fill_tans();
      return;
    }
    std::uint32_t* cdf = part<std::uint32_t>(task_.layout.cdf) + info_.base;
    share_out(row_.symbols() + 1, [&](std::uint32_t i) { cdf[i] = row_.cdf[i]; });
    if (task_.kind.state_bytes == 8) {
      fill_records<std::uint64_t>();
    } else {
      fill_records<std::uint32_t>();
    }
    if (task_.alias) {
      fill_aliases();
    } else if (task_.layout.num_buckets > 0) {
      fill_buckets();
    }
  }

 private:
  template <typename T>
  TORCH_ANS_DEVICE T* part(std::size_t offset) const {
    return reinterpret_cast<T*>(task_.image + offset);
  }

  template <typename State>
  TORCH_ANS_DEVICE void fill_records() const {
    auto* records = part<Record<State>>(task_.layout.records) + info_.base;
    share_out(row_.symbols(), [&](std::uint32_t s) {
      records[s] = make_device_record<State>(row_.cdf[s], row_.freq(s));
    });
  }

  TORCH_ANS_DEVICE void fill_buckets() const {
    Bucket* buckets = part<Bucket>(task_.layout.buckets) + info_.bucket;
    share_out(row_.slots() >> info_.shift, [&](std::uint32_t b) {
      buckets[b] = make_bucket(row_, search_cdf(row_.cdf, 0, info_.last, b << info_.shift));
    });
  }

  /// Pairs depend on one another: one thread forms them.
  TORCH_ANS_DEVICE void fill_aliases() const {
    auto* buckets = part<AliasBucket>(task_.layout.buckets) + info_.bucket;
    auto* slots = part<std::uint16_t>(task_.layout.alias_slots) + table_ * row_.slots();
    auto* slot_starts = part<std::uint32_t>(task_.layout.slot_starts) + info_.base;
    if (thread_index() == 0) {
      pair_alias_buckets(row_, buckets);
      rank_alias_buckets(row_, buckets, slot_starts);  // which hold zeros until the end
    }
    sync_block();
    share_out(row_.slots(), [&](std::uint32_t slot) {
      const std::uint32_t self = slot >> info_.shift;
      const AliasBucket bucket = buckets[self];
      const bool is_other = slot >= bucket.cut;
      place_alias_slots(row_, is_other ? bucket.other : self,
                        is_other ? bucket.other_shift : bucket.self_shift, slot, slot + 1, slots);
    });
    const auto first = static_cast<std::uint32_t>(table_ << task_.freq_precision);
    share_out(row_.symbols(), [&](std::uint32_t s) { slot_starts[s] = first + row_.cdf[s]; });
  }

  TORCH_ANS_DEVICE void fill_tans() const {
    const TansArrays out{part<TansSymbol>(task_.layout.records) + info_.base,
                         part<std::uint16_t>(task_.layout.tans_next) + table_ * row_.slots(),
                         part<std::uint32_t>(task_.layout.tans_slots) + table_ * row_.slots(),
                         static_cast<std::int32_t>(table_ << task_.freq_precision)};
    share_out(row_.slots(), [&](std::uint32_t i) {
      out.slots[tans_spread(i, row_.precision)] = search_cdf(row_.cdf, 0, row_.last, i);
    });
    sync_block();
    if (warp_index() == 0) rank_tans_slots(out);
    sync_block();
    share_out(row_.symbols(), [&](std::uint32_t s) {
      out.symbols[s] = make_tans_symbol(row_.cdf[s], row_.freq(s), row_.precision, out.first);
    });
  }

  /// A warp ranks 32 slots at a time, ascending. Until the end a symbol's record counts its slots
  /// so far.
  TORCH_ANS_DEVICE void rank_tans_slots(const TansArrays& out) const {
    for (std::uint32_t first = 0; first < row_.slots(); first += kWarpSize) {
      const std::uint32_t u = first + lane_index();
      const bool active = u < row_.slots();
      const std::uint32_t s = active ? out.slots[u] : row_.last + 1;
      const unsigned same = lanes_with(s, bit_width(row_.last + 1));
      const auto below = static_cast<std::uint32_t>(count_bits(same & lanes_below()));
      const std::uint32_t rank = active ? exchanged_load(&out.symbols[s].bits) + below : 0;
      sync_warp();
      const bool is_last = (same & lanes_above()) == 0;
      if (active && is_last) exchanged_store(&out.symbols[s].bits, rank + 1);
      sync_warp();
      if (active) fill_tans_slot(row_, u, s, rank, out);
    }
  }

  /// The lanes whose value is this one's, where all are below 2^bits.
  static TORCH_ANS_DEVICE unsigned lanes_with(std::uint32_t value, int bits) {
    unsigned same = ~0u;
    for (int b = 0; b < bits; ++b) {
      const bool is_set = (value >> b & 1) != 0;
      const unsigned set = ballot(is_set);
      same &= is_set ? set : ~set;
    }
    return same;
  }

  const FillTask& task_;
  const std::size_t table_;
  const TableInfo info_;
  const CdfRow row_;
};

TORCH_ANS_DEVICE void fill_tables_kernel(const FillTask& task) {
  for (std::int64_t k = block_index(); k < task.num_tables; k += grid_size()) {
    TableFiller(task, k).run();
  }
  if (block_index() == 0 && thread_index() == 0) {
    TableInfo nobody{};  // its bucket and its CDF are the zeros behind those of the tables
    nobody.base = static_cast<std::uint32_t>(task.layout.num_entries);
    nobody.bucket = static_cast<std::uint32_t>(task.layout.num_buckets);
    nobody.shift = static_cast<std::uint16_t>(task.freq_precision);
    reinterpret_cast<TableInfo*>(task.image)[task.num_tables] = nobody;
  }
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
