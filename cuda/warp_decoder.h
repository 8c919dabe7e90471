/// Pop: a warp decodes its rows from first symbol to last, a step (one symbol a lane) at a time.
///
/// How a symbol is got is the affair of a reader (rans_reader.h, tans_reader.h), with which table
/// that of a choice (table_choice.h). Steps run in quads as long as the row surely has the words
/// they may take; whatever is rare (an escape, a bad index, the end of the words) goes through
/// `get_carefully`, made of the CPU decoder's functions. No byte of a row is trusted.
#pragma once

#include "rans_reader.h"
#include "table_access.h"
#include "table_choice.h"
#include "tans_reader.h"
#include "wide_elements.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

template <typename Reader, int kFixedLanes, typename Tables, typename Choice, typename Access>
class WarpDecoder {
 public:
  TORCH_ANS_DEVICE WarpDecoder(const CoderTask& task, const Tables& tables, std::int64_t first_row,
                               SharedArray<std::uint32_t> tile, std::uint32_t shared)
      : task_(task),
        tables_(tables),
        seat_(task, first_row),
        tile_(tile),
        reader_(task, seat_, shared),
        choice_(task, seat_) {}

  TORCH_ANS_DEVICE void run() {
    load_row();
    if constexpr (kFixedLanes == 32) {
      get_wide_row();
    } else {
      get_narrow_rows();
    }
    get_tail();
    finish_row();
  }

 private:
  using Table = typename Tables::Name;
  static constexpr unsigned kTurn = Tables::kDefers ? 8 : kQuad;  ///< steps
  static constexpr unsigned kSkips = StagingTile::kElements;      ///< behind the tile's elements
  static_assert(!Choice::kFollows || kFixedLanes == 0, "keys are looked up in tiles");

  TORCH_ANS_DEVICE void load_row() {
    const bool good = reader_.load_row();
    if (seat_.has_row()) failed_before_ = task_.results[seat_.row()].status != 0;
    broken_ = seat_.any_in_row(!good);
    if (broken_) reader_.clear_row();
    reader_.open_ring();
    present_ = seat_.has_row() && !failed_before_ ? symbols_in_row(task_, seat_.row()) : 0;
  }

  TORCH_ANS_DEVICE void finish_row() {
    const Complaint complaint = seat_.min_over_row(complaint_);
    const bool left = task_.require_end && !reader_.is_empty();
    const bool broken = seat_.any_in_row(broken_ || reader_.is_broken() || left);
    if (!seat_.has_row() || failed_before_) return;
    const std::int64_t end = reader_.finish();
    if (seat_.lane() != 0) return;
    report_row(task_, seat_.row(), broken ? Status::kCorrupt : Status::kOk, complaint, end);
  }

  TORCH_ANS_DEVICE std::uint32_t position(std::uint32_t step) const {
    return (step << seat_.lanes_log2()) + seat_.lane();
  }

  TORCH_ANS_DEVICE void store_symbol(std::uint32_t step, bool active, std::int64_t symbol) {
    if (active) store_element(task_.symbols, seat_.row(), position(step), symbol);
  }

  /// Symbols past the last whole group: each on its own, with its escape's digits behind it.
  TORCH_ANS_DEVICE void get_tail() {
    const std::uint32_t step = task_.row_length >> seat_.lanes_log2();
    const unsigned count = task_.row_length & (seat_.lanes() - 1);
    for (unsigned lane = 0; lane < count; ++lane) {
      const bool active = seat_.lane() == lane && position(step) < present_;
      store_symbol(step, active, get_carefully(step, active));
    }
  }

  TORCH_ANS_DEVICE void get_wide_row() {
    const std::uint32_t grouped = smaller(task_.row_length / 32 * 32, present_);
    const std::uint32_t quads_end = held(grouped / (32 * kTurn) * kTurn);
    const std::uint32_t steps = held((grouped + 31) / 32);
    const typename Access::Symbols row_symbols(task_.symbols, seat_.row(), seat_.lane());
    const typename Access::Indexes row_indexes(task_.indexes, seat_.row(), seat_.lane());
    for (std::uint32_t step = 0; step < steps;) {
      if (any(step < quads_end)) {
        if constexpr (Tables::kDefers) {
          step = get_turns(step, quads_end, row_symbols, row_indexes);
        } else {
          step = get_quads(step, quads_end, row_symbols, row_indexes);
        }
      }
      const std::uint32_t turn_end = smaller((step / kTurn + 1) * kTurn, steps);
      for (; step < turn_end; ++step) {
        const bool active = position(step) < present_;
        if (Tables::kDefers && step < grouped / 32 && get_alone(step)) continue;
        store_symbol(step, active, get_carefully(step, active));
      }
    }
  }

  /// Decodes steps of a full row up to `end`, from `step` on. Returns where it stopped: a step
  /// there or, where several run before care is taken, behind it needs care.
  TORCH_ANS_DEVICE std::uint32_t get_quads(std::uint32_t step, std::uint32_t end,
                                           const typename Access::Symbols& row_symbols,
                                           const typename Access::Indexes& row_indexes) {
    QuadOfElements keys, symbols, next = {};
    row_indexes.load(step, next);
    const auto all = [](int) { return true; };
    while (step < end) {
      TORCH_ANS_UNROLL
      for (unsigned j = 0; j < kQuad; ++j) keys[j] = next[j];
      if (step + kQuad < end) row_indexes.load(step + kQuad, next);
      const unsigned done = get_steps<kQuad>(step, keys, all, symbols);
      row_symbols.store(step, done, symbols);
      step += done;
      if (done < kQuad) break;
    }
    return step;
  }

  /// The same in turns of kTurn steps that run before it is asked whether one needed care.
  TORCH_ANS_DEVICE std::uint32_t get_turns(std::uint32_t step, std::uint32_t end,
                                           const typename Access::Symbols& row_symbols,
                                           const typename Access::Indexes& row_indexes) {
    reader_.reach(kTurn, true);
    QuadOfElements next = {};
    row_indexes.load(step, next);
    typename Reader::Mark start;
    std::uint32_t care;
    while (true) {
      do {
        start = reader_.mark();
        care = 0;
        row_indexes.template prefetch_steps<kTurn>(smaller(step + 2 * kTurn, end - kTurn));
        std::int32_t symbols[kTurn];
        TORCH_ANS_UNROLL
        for (unsigned q = 0; q < kTurn; q += kQuad) {
          QuadOfElements keys;
          TORCH_ANS_UNROLL
          for (unsigned j = 0; j < kQuad; ++j) keys[j] = next[j];
          row_indexes.load(smaller(step + q + kQuad, end - kQuad), next);
          TORCH_ANS_UNROLL
          for (unsigned j = 0; j < kQuad; ++j) {
            const Table table = tables_.name(task_.tables, static_cast<std::uint32_t>(keys[j]));
            typename Reader::Found found;
            care |= reader_.find(tables_, table, found);
            reader_.take(found, true);
            symbols[q + j] = table.value(Reader::symbol_of(found));
          }
        }
        row_symbols.store(step, symbols);
        step += kTurn;
      } while (!any(care != 0 || step == end || reader_.lacks(kTurn)));
      if (any(care != 0)) {
        reader_.back_to(start);
        return step - kTurn;
      }
      if (any(step == end)) return step;
      reader_.refill();
    }
  }

  TORCH_ANS_DEVICE void get_narrow_rows() {
    const std::uint32_t steps = task_.row_length >> seat_.lanes_log2();
    const std::uint32_t own_steps = seat_.own_steps(steps, present_);
    for (std::uint32_t begin = 0; begin < steps; begin += StagingTile::kSteps) {
      if (choice_.has_keys()) stage_keys(begin);
      if (lane_index() < StagingTile::kSteps) tile_.set(kSkips + lane_index(), 0);
      sync_warp();
      const bool skips = get_tile(begin, own_steps);
      sync_warp();
      store_tile(begin, skips);
      sync_warp();
    }
  }

  /// The place in the tile of this thread's symbol at a step of it.
  TORCH_ANS_DEVICE unsigned own_place(unsigned step) const {
    return StagingTile::place(lane_index() >> seat_.lanes_log2(),
                              (step << seat_.lanes_log2()) + seat_.lane(), seat_.lanes_log2());
  }

  /// Decodes a tile, as far as this lane has steps; its symbols take the places of their keys.
  /// True: some were too large for the tile and have been stored already.
  TORCH_ANS_DEVICE bool get_tile(std::uint32_t begin, std::uint32_t own_steps) {
    bool skips = false;
    for (unsigned quad = 0; quad < StagingTile::kSteps; quad += kQuad) {
      const auto left = static_cast<std::int32_t>(own_steps - (begin + quad));
      const auto present = [left](int j) { return j < left; };
      std::int32_t keys[kQuad] = {}, symbols[kQuad];
      if (choice_.has_keys()) {
        TORCH_ANS_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
          if (present(static_cast<int>(j))) {
            keys[j] = static_cast<std::int32_t>(tile_.get(own_place(quad + j)));
          }
        }
      }
      const unsigned done = get_steps<kQuad>(begin + quad, keys, present, symbols);
      TORCH_ANS_UNROLL
      for (unsigned j = 0; j < kQuad; ++j) {
        if (j < done && present(static_cast<int>(j))) {
          tile_.set(own_place(quad + j), static_cast<std::uint32_t>(symbols[j]));
        }
      }
      for (unsigned j = done; j < kQuad; ++j) {
        skips |= get_into_tile(begin, quad + j, present(static_cast<int>(j)));
      }
    }
    return skips;
  }

  TORCH_ANS_DEVICE bool get_into_tile(std::uint32_t begin, unsigned step, bool active) {
    const std::int64_t symbol = get_carefully(begin + step, active);
    const bool large = active && (symbol < INT32_MIN || symbol > INT32_MAX);
    if (active && !large) tile_.set(own_place(step), static_cast<std::uint32_t>(symbol));
    const unsigned skipped = ballot(large);
    if (skipped == 0) return false;
    store_symbol(begin + step, large, symbol);
    if (lane_index() == 0) tile_.set(kSkips + step, skipped);
    return true;
  }

  /// Calls `body(row, position in the row, place in the tile, step, thread)` for the elements of
  /// a tile, neighbouring threads along the rows.
  template <typename Body>
  TORCH_ANS_DEVICE void for_each_staged(std::uint32_t begin, const Body& body) const {
    const int lanes_log2 = seat_.lanes_log2();
    for (unsigned e = lane_index(); e < staged_elements(task_, seat_); e += kWarpSize) {
      const StagedElement staged = staged_element(task_, seat_, begin, e);
      if (!staged.element.present) continue;
      const unsigned slot = staged.element.slot, inside = staged.inside;
      const unsigned thread = (slot << lanes_log2) + (inside & (seat_.lanes() - 1));
      body(seat_.first_row() + slot, staged.element.i, StagingTile::place(slot, inside, lanes_log2),
           inside >> lanes_log2, thread);
    }
  }

  TORCH_ANS_DEVICE void stage_keys(std::uint32_t begin) const {
    for_each_batch(task_, seat_, begin, [&](const StagedBatch& batch) {
      std::int32_t keys[StagedBatch::kSize];
      choice_.keys_of(seat_.first_row(), batch.elements, keys);
      batch.fill(tile_, [&](int n) { return static_cast<std::uint32_t>(keys[n]); });
    });
  }

  TORCH_ANS_DEVICE void store_tile(std::uint32_t begin, bool skips) const {
    for_each_staged(begin, [&](std::int64_t row, std::uint32_t i, unsigned place, unsigned step,
                               unsigned thread) {
      if (skips && (tile_.get(kSkips + step) >> thread & 1u) != 0) return;
      const std::int32_t symbol[1] = {static_cast<std::int32_t>(tile_.get(place))};
      store_elements(task_.symbols, row, i, 0, [](int) { return true; }, symbol);
    });
  }

  /// A step of a full row, if it needs no care.
  TORCH_ANS_DEVICE bool get_alone(std::uint32_t step) {
    if constexpr (Tables::kDefers) {
      reader_.reach(1, true);
      const std::int32_t key = choice_.has_keys() ? choice_.key_of(seat_.row(), position(step)) : 0;
      const Table table = table_of(step, key, true);
      typename Reader::Found found;
      if (any(reader_.find(tables_, table, found) != 0)) return false;
      reader_.take(found, true);
      store_symbol(step, true, table.value(Reader::symbol_of(found)));
      return true;
    }
    return false;
  }

  /// Decodes up to `kCount` steps from `step` on; returns how many: the next one needs care, or,
  /// where there are more than one, one of the next.
  template <unsigned kCount, typename Present>
  TORCH_ANS_DEVICE unsigned get_steps(std::uint32_t step, const std::int32_t (&keys)[kCount],
                                      const Present& present, std::int32_t (&symbols)[kCount]) {
    reader_.reach(kCount, seat_.kWide || present_ > 0);
    Table tables[kCount];
    if constexpr (!Choice::kFollows) {
      TORCH_ANS_UNROLL
      for (unsigned j = 0; j < kCount; ++j) tables[j] = table_of(step + j, keys[j], true);
    }
    unsigned done = kCount;
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kCount; ++j) {
      const bool active = present(static_cast<int>(j));
      if constexpr (Choice::kFollows) tables[j] = table_of(step + j, keys[j], active);
      typename Reader::Found found;
      if (reader_.find(tables_, tables[j], active, found)) {
        done = j;
        break;
      }
      reader_.take(found, active);
      symbols[j] = tables[j].value(Reader::symbol_of(found));
      if (Tables::kMayOverflow) broken_ |= active && !fits(symbols[j]);
      if constexpr (Choice::kFollows) {
        choice_.note(position(step + j), symbols[j], tables[j].info, active);
      }
    }
    return done;
  }

  TORCH_ANS_DEVICE Table table_of(std::uint32_t step, std::int32_t key, bool active) const {
    return tables_.name(task_.tables, choice_.table_of(key, position(step), active));
  }

  /// A step with everything that can be the matter with it; returns the symbol.
  TORCH_ANS_DEVICE std::int64_t get_carefully(std::uint32_t step, bool active) {
    std::int32_t key = 0;
    if (active && choice_.has_keys()) key = choice_.key_of(seat_.row(), position(step));
    const CachedTables tables(task_, {});
    const NamedTable table =
        tables.name(task_.tables, choice_.table_of(key, position(step), active));
    if (active && !table.named) {
      complaint_ = smaller(complaint_, complain(Status::kBadIndex, position(step)));
      active = false;
    }
    const std::int64_t v = reader_.get_carefully(table, active);
    const auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(table.info.offset));
    const auto symbol = static_cast<std::int64_t>(static_cast<std::uint64_t>(v) + offset);
    broken_ |= active && (symbol < task_.lowest_symbol || symbol > task_.highest_symbol);
    choice_.note(position(step), symbol, table.info, active);
    return symbol;
  }

  /// Whether a table's symbol fits the symbols' type.
  TORCH_ANS_DEVICE bool fits(std::int32_t value) const {
    const auto low = static_cast<std::uint32_t>(task_.lowest_value);
    return static_cast<std::uint32_t>(value) - low <= task_.value_span;
  }

  const CoderTask& task_;
  const Tables& tables_;
  const Seat<kFixedLanes> seat_;
  const SharedArray<std::uint32_t> tile_;
  Reader reader_;
  Choice choice_;
  std::uint32_t present_ = 0;
  bool broken_ = false;
  bool failed_before_ = false;
  Complaint complaint_ = kNoComplaint;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
