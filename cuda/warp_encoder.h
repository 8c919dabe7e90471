/// Push: a warp encodes its rows from last symbol to first, a step (one symbol a lane) at a time.
///
/// How a symbol is put is the affair of a writer (rans_writer.h, tans_writer.h). Steps run in
/// quads that need no check inside; whatever is rare (an escape, a bad argument, a row that runs
/// full) sends the warp through `put_carefully`, made of the same functions as the CPU's encoder.
#pragma once

#include "rans_writer.h"
#include "table_access.h"
#include "tans_writer.h"
#include "wide_elements.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

template <typename Writer, int kFixedLanes, typename Tables, typename Access>
class WarpEncoder {
 public:
  using Item = typename Writer::Item;

  TORCH_ANS_DEVICE WarpEncoder(const CoderTask& task, const Tables& tables, std::int64_t first_row,
                               SharedArray<std::uint32_t> tile, std::uint32_t shared)
      : task_(task),
        tables_(tables),
        seat_(task, first_row),
        tile_(tile),
        writer_(task, seat_, shared) {}

  TORCH_ANS_DEVICE void run() {
    load_row();
    put_tail();
    if constexpr (kFixedLanes == 32) {
      put_wide_row();
    } else {
      put_narrow_rows();
    }
    finish_row();
  }

 private:
  static constexpr unsigned kAhead = 16;  ///< steps that memory is asked to come nearer before
  static constexpr unsigned kTurn = Tables::kOne ? 8 : kQuad;  ///< steps between two checks

  TORCH_ANS_DEVICE void load_row() {
    const bool good = writer_.load_row();
    if (seat_.has_row()) failed_before_ = task_.results[seat_.row()].status != 0;
    broken_ = seat_.any_in_row(!good);
    present_ = broken_ || failed_before_ ? 0 : symbols_in_row(task_, seat_.row());
  }

  TORCH_ANS_DEVICE void finish_row() {
    const Complaint complaint = seat_.min_over_row(complaint_);
    if (!seat_.has_row() || failed_before_) return;
    const std::int64_t end = writer_.finish();
    if (seat_.lane() != 0) return;
    const Status status = broken_                 ? Status::kCorrupt
                          : end > task_.row_bytes ? Status::kNoSpace
                                                  : Status::kOk;
    report_row(task_, seat_.row(), status, complaint, end);
  }

  TORCH_ANS_DEVICE std::uint32_t position(std::uint32_t step) const {
    return (step << seat_.lanes_log2()) + seat_.lane();
  }

  /// Symbols past the last whole group: each on its own, last to first.
  TORCH_ANS_DEVICE void put_tail() {
    const std::uint32_t steps = task_.row_length >> seat_.lanes_log2();
    for (unsigned lane = task_.row_length & (seat_.lanes() - 1); lane > 0; --lane) {
      put_carefully(steps, seat_.lane() == lane - 1 && position(steps) < present_);
    }
  }

  TORCH_ANS_DEVICE void put_wide_row() {
    const std::uint32_t grouped = smaller(task_.row_length / 32 * 32, present_);
    std::uint32_t step = (grouped + 31) / 32;
    for (const std::uint32_t turns = grouped / (32 * kTurn); step > turns * kTurn;) {
      --step;
      if (Tables::kOne && step < grouped / 32 && put_alone(step)) continue;
      put_carefully(step, position(step) < present_);
    }
    if (step == 0) return;
    const auto all = [](int) { return true; };
    const typename Access::Symbols row_symbols(task_.symbols, seat_.row(), seat_.lane());
    const typename Access::Indexes row_indexes(task_.indexes, seat_.row(), seat_.lane());
    if constexpr (Tables::kOne) {
      put_turns(step, row_symbols);
    } else {
      QuadOfElements symbols, indexes = {};
      row_symbols.load(step - kQuad, symbols);
      row_indexes.load(step - kQuad, indexes);
      while (step > 0) {
        step -= kQuad;
        std::uint32_t ids[kQuad];
        TORCH_ANS_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
          ids[j] = tables_.id_of(task_.tables, symbols[j], indexes[j]);
        }
        if (step > 0) {
          row_symbols.load(step - kQuad, symbols);
          row_indexes.load(step - kQuad, indexes);
          const std::uint32_t soon = larger(step, kAhead) - kAhead;
          row_symbols.template prefetch_steps<kQuad>(soon);
          row_indexes.template prefetch_steps<kQuad>(soon);
        }
        put_quad(step, ids, all);
      }
    }
  }

  /// Puts all steps below `step`, a multiple of kTurn, by records.
  TORCH_ANS_DEVICE void put_turns(std::uint32_t step, const typename Access::Symbols& row_symbols) {
    std::int32_t symbols[kTurn];
    row_symbols.load(step - kTurn, symbols);
    while (step > 0) {
      SymbolRecord records[kTurn];
      std::uint32_t all = 0;
      TORCH_ANS_UNROLL
      for (unsigned j = 0; j < kTurn; ++j) {
        records[j] = tables_.record(symbols[j]);
        all |= records[j].missing;
      }
      step -= kTurn;
      row_symbols.load(larger(step, kTurn) - kTurn, symbols);
      if (any((all & SymbolRecord::kCare) != 0 || writer_.may_run_full(kTurn))) {
        for (unsigned j = kTurn; j > 0; --j) put_carefully(step + j - 1, true);
      } else {
        TORCH_ANS_UNROLL
        for (unsigned j = kTurn; j > 0; --j) writer_.put(records[j - 1]);
      }
    }
  }

  /// Puts a step of a full row by records, if it needs no care.
  TORCH_ANS_DEVICE bool put_alone(std::uint32_t step) {
    if constexpr (Tables::kOne) {
      const std::int64_t symbol = load_element(task_.symbols, seat_.row(), position(step));
      const SymbolRecord record = tables_.record(static_cast<std::int32_t>(symbol));
      const bool needs_care = (record.missing & SymbolRecord::kCare) != 0;
      if (any(needs_care || writer_.may_run_full(1))) return false;
      writer_.put(record);
      return true;
    }
    return false;
  }

  TORCH_ANS_DEVICE void put_narrow_rows() {
    const std::uint32_t steps = task_.row_length >> seat_.lanes_log2();
    const std::uint32_t own_steps = seat_.own_steps(steps, present_);
    const unsigned slot = lane_index() >> seat_.lanes_log2();
    for (std::uint32_t tile = (steps + StagingTile::kSteps - 1) / StagingTile::kSteps; tile > 0;) {
      --tile;
      const std::uint32_t begin = tile * StagingTile::kSteps;
      stage_ids(begin);
      sync_warp();
      for (std::uint32_t step = begin + StagingTile::kSteps; step > begin;) {
        step -= kQuad;
        const auto left = static_cast<std::int32_t>(own_steps - step);
        const auto present = [left](int j) { return j < left; };
        std::uint32_t ids[kQuad];
        TORCH_ANS_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
          const unsigned inside = ((step - begin + j) << seat_.lanes_log2()) + seat_.lane();
          ids[j] = present(static_cast<int>(j))
                       ? tile_.get(StagingTile::place(slot, inside, seat_.lanes_log2()))
                       : 0;
        }
        put_quad(step, ids, present);
      }
      sync_warp();
    }
  }

  /// Reads the tile's symbols along the rows and leaves their ids for the rows' own threads.
  TORCH_ANS_DEVICE void stage_ids(std::uint32_t begin) const {
    for_each_batch(task_, seat_, begin, [&](const StagedBatch& batch) {
      std::int32_t symbols[StagedBatch::kSize], indexes[StagedBatch::kSize] = {};
      const std::int64_t first_row = seat_.first_row();
      const auto place = [&](int n) { return batch.elements[n]; };
      load_places(task_.symbols, first_row, place, symbols);
      if (task_.indexes.data != nullptr) {
        load_places(task_.indexes, first_row, place, indexes);
      }
      batch.fill(tile_, [&](int n) { return tables_.id_of(task_.tables, symbols[n], indexes[n]); });
    });
  }

  /// Puts steps `step + 3` to `step` of the threads that have a symbol there.
  template <typename Present>
  TORCH_ANS_DEVICE void put_quad(std::uint32_t step, const std::uint32_t (&ids)[kQuad],
                                 const Present& present) {
    bool rare = (seat_.kWide || present_ > 0) && writer_.may_run_full(kQuad);
    rare |= ((ids[0] | ids[1] | ids[2] | ids[3]) & kRareId) != 0;
    if (any(rare)) {
      for (unsigned j = kQuad; j > 0; --j) {
        put_carefully(step + j - 1, present(static_cast<int>(j - 1)));
      }
      return;
    }
    Item items[kQuad];
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
      items[j] = tables_.item(Writer::items(task_.tables), ids[j]);
    }
    TORCH_ANS_UNROLL
    for (unsigned j = kQuad; j > 0; --j) {
      writer_.put(tables_, items[j - 1], ids[j - 1], present(static_cast<int>(j - 1)));
    }
    writer_.flush();
  }

  /// A step with everything that can be the matter with it.
  TORCH_ANS_DEVICE void put_carefully(std::uint32_t step, bool active) {
    const TablesView& view = task_.tables;
    const std::uint32_t i = position(step);
    std::uint64_t index = 0;
    if (active && task_.indexes.data != nullptr) {
      index = static_cast<std::uint64_t>(load_element(task_.indexes, seat_.row(), i));
    }
    if (active && index >= view.num_tables) {
      complaint_ = smaller(complaint_, complain(Status::kBadIndex, i));
      active = false;
    }
    CarefulSymbol symbol{};
    if (active) {
      const TableInfo info = cached_load(task_.tables.info + index);
      const auto v = static_cast<std::int64_t>(
          static_cast<std::uint64_t>(load_element(task_.symbols, seat_.row(), i)) -
          static_cast<std::uint64_t>(static_cast<std::int64_t>(info.offset)));
      const bool outside = v < 0 || v >= info.last + (view.bypass_coding ? 0 : 1);
      if (outside && !view.bypass_coding) {
        complaint_ = smaller(complaint_, complain(Status::kBadSymbol, i));
        active = false;
      }
      const std::uint32_t inside = outside ? info.last : static_cast<std::uint32_t>(v);
      symbol = {active, outside, outside ? zigzag(v, info.last) : 0,
                static_cast<std::uint32_t>(index), info.base + inside};
    }
    writer_.put_carefully(symbol);
  }

  const CoderTask& task_;
  const Tables& tables_;
  const Seat<kFixedLanes> seat_;
  const SharedArray<std::uint32_t> tile_;
  Writer writer_;
  std::uint32_t present_ = 0;  ///< symbols of the row; 0 where there is nothing to do
  bool broken_ = false;
  bool failed_before_ = false;
  Complaint complaint_ = kNoComplaint;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
