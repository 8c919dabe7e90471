/// Pop: a warp decodes its rows from first symbol to last, a step (one symbol a lane) at a time.
///
/// All lanes of a row take words from the end of one sequence, the lowest lane first. A lane finds
/// its word by a ballot: it reads below the words that the lanes below it take. Steps run in quads
/// as long as the row surely has the words they may take; whatever is rare (an escape, a bad
/// index, the end of the words) goes through `get_carefully`, made of the CPU decoder's functions.
/// No byte of a row is trusted: a cursor never leaves the row, slots are below 2^precision.
#pragma once

#include "elements.h"
#include "seat.h"
#include "table_access.h"
#include "torch_ans/bypass.h"
#include "torch_ans/coder.h"
#include "torch_ans/lookup.h"
#include "torch_ans/stream_layout.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Invariant: `in_` is one past the row's last word, never below `base_`, the same in all threads
/// of a row.
template <typename Traits, int kFixedLanes, typename Tables>
class WarpDecoder {
 public:
  using State = typename Traits::State;
  using Word = typename Traits::Word;

  TORCH_ANS_DEVICE WarpDecoder(const CoderTask& task, const Tables& tables, std::int64_t first_row,
                               SharedArray<std::uint32_t> tile)
      : task_(task), tables_(tables), seat_(task, first_row), tile_(tile) {}

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
  static constexpr unsigned kQuad = 4;
  static constexpr int kStepBytes = Traits::kMaxWords * static_cast<int>(sizeof(Word));
  static constexpr unsigned kSkips = StagingTile::kElements;  ///< behind the tile's elements

  TORCH_ANS_DEVICE void load_row() {
    bool broken = true;
    const std::uint8_t* row = task_.stream;
    std::int32_t length = 0;
    const int lanes = static_cast<int>(seat_.lanes());
    const int header = lanes * static_cast<int>(sizeof(State));
    if (seat_.has_row()) {
      row += seat_.row() * task_.row_bytes;
      length = load<std::int32_t>(row);
      x_ = load<State>(row + kLengthBytes + seat_.lane() * sizeof(State));
      broken = !is_length<Traits>(length, task_.row_bytes, lanes) || !is_state<Traits>(x_);
      failed_before_ = task_.results[seat_.row()].status != 0;
    }
    broken_ = seat_.any_in_row(broken);
    base_ = row + kLengthBytes + header;
    in_ = broken_ ? base_ : row + kLengthBytes + length;
    x_ = broken_ ? Traits::kLowerBound : x_;
    present_ = seat_.has_row() && !failed_before_ ? symbols_in_row(task_, seat_.row()) : 0;
  }

  TORCH_ANS_DEVICE void finish_row() {
    const Complaint complaint = seat_.min_over_row(complaint_);
    const bool left = task_.require_end && (in_ != base_ || x_ != Traits::kLowerBound);
    const bool broken = seat_.any_in_row(broken_ || left);
    if (!seat_.has_row() || failed_before_) return;
    const std::int64_t state = seat_.row() * seat_.lanes() + seat_.lane();
    reinterpret_cast<State*>(task_.headers)[state] = x_;
    if (seat_.lane() != 0) return;
    const std::uint8_t* row = task_.stream + seat_.row() * task_.row_bytes;
    report_row(task_, seat_.row(), broken ? Status::kCorrupt : Status::kOk, complaint, in_ - row);
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
    const std::uint32_t quads_end = grouped / (32 * kQuad) * kQuad;
    const std::uint32_t steps = (grouped + 31) / 32;
    const auto all = [](int) { return true; };
    std::int32_t next[kQuad] = {};
    if (quads_end > 0) load_indexes(0, next);
    for (std::uint32_t step = 0; step < quads_end; step += kQuad) {
      std::int32_t indexes[kQuad], symbols[kQuad];
      TORCH_ANS_UNROLL
      for (unsigned j = 0; j < kQuad; ++j) indexes[j] = next[j];
      if (step + kQuad < quads_end) load_indexes(step + kQuad, next);
      const unsigned done = get_quad(indexes, all, symbols);
      if (done == kQuad) {
        store_elements(task_.symbols, seat_.row(), position(step), 32, all, symbols);
        continue;
      }
      const auto finished = [done](int j) { return static_cast<unsigned>(j) < done; };
      store_elements(task_.symbols, seat_.row(), position(step), 32, finished, symbols);
      for (unsigned j = done; j < kQuad; ++j) {
        store_symbol(step + j, true, get_carefully(step + j, true));
      }
    }
    for (std::uint32_t step = quads_end; step < steps; ++step) {
      const bool active = position(step) < present_;
      store_symbol(step, active, get_carefully(step, active));
    }
  }

  TORCH_ANS_DEVICE void load_indexes(std::uint32_t step, std::int32_t (&indexes)[kQuad]) const {
    if (task_.indexes.data == nullptr) return;
    const auto all = [](int) { return true; };
    load_elements(task_.indexes, seat_.row(), position(step), 32, all, indexes);
  }

  TORCH_ANS_DEVICE void get_narrow_rows() {
    const std::uint32_t steps = task_.row_length >> seat_.lanes_log2();
    for (std::uint32_t begin = 0; begin < steps; begin += StagingTile::kSteps) {
      if (task_.indexes.data != nullptr) stage_indexes(begin);
      if (lane_index() < StagingTile::kSteps) tile_.set(kSkips + lane_index(), 0);
      sync_warp();
      const bool skips = get_tile(begin, steps);
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

  /// Decodes a tile; its symbols take the places of their indexes. True: some were too large
  /// for the tile and have been stored already.
  TORCH_ANS_DEVICE bool get_tile(std::uint32_t begin, std::uint32_t steps) {
    bool skips = false;
    for (unsigned quad = 0; quad < StagingTile::kSteps; quad += kQuad) {
      const auto present = [&](int j) {
        const std::uint32_t at = begin + quad + static_cast<unsigned>(j);
        return at < steps && position(at) < present_;
      };
      std::int32_t indexes[kQuad] = {}, symbols[kQuad];
      if (task_.indexes.data != nullptr) {
        TORCH_ANS_UNROLL
        for (unsigned j = 0; j < kQuad; ++j) {
          if (present(static_cast<int>(j))) {
            indexes[j] = static_cast<std::int32_t>(tile_.get(own_place(quad + j)));
          }
        }
      }
      const unsigned done = get_quad(indexes, present, symbols);
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
    const int per_row_log2 = lanes_log2 + 4;
    const unsigned elements = static_cast<unsigned>(task_.rows_per_warp) << per_row_log2;
    const std::uint32_t grouped = task_.row_length >> lanes_log2 << lanes_log2;
    for (unsigned e = lane_index(); e < elements; e += kWarpSize) {
      const unsigned slot = e >> per_row_log2;
      const unsigned inside = e & ((1u << per_row_log2) - 1);
      const std::int64_t row = seat_.first_row() + slot;
      const std::uint32_t i = (begin << lanes_log2) + inside;
      if (row >= task_.rows || i >= grouped || i >= symbols_in_row(task_, row)) continue;
      const unsigned thread = (slot << lanes_log2) + (inside & (seat_.lanes() - 1));
      body(row, i, StagingTile::place(slot, inside, lanes_log2), inside >> lanes_log2, thread);
    }
  }

  TORCH_ANS_DEVICE void stage_indexes(std::uint32_t begin) const {
    for_each_staged(begin,
                    [&](std::int64_t row, std::uint32_t i, unsigned place, unsigned, unsigned) {
                      std::int32_t index[1] = {0};
                      load_elements(task_.indexes, row, i, 0, [](int) { return true; }, index);
                      tile_.set(place, static_cast<std::uint32_t>(index[0]));
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

  /// Decodes up to four steps; returns how many: the next one needs care.
  template <typename Present>
  TORCH_ANS_DEVICE unsigned get_quad(const std::int32_t (&indexes)[kQuad], const Present& present,
                                     std::int32_t (&symbols)[kQuad]) {
    const auto worst = static_cast<std::int64_t>(kQuad * kStepBytes) << seat_.lanes_log2();
    const bool few_words = present_ > 0 && in_ - base_ < worst;
    if (any(few_words)) return 0;
    const TablesView& view = task_.tables;
    TableInfo infos[kQuad];
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
      infos[j] = tables_.info(smaller(static_cast<std::uint32_t>(indexes[j]), view.num_tables));
    }
    unsigned done = kQuad;
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kQuad; ++j) {
      const bool active = present(static_cast<int>(j));
      const bool named = static_cast<std::uint32_t>(indexes[j]) < view.num_tables;
      Match match;
      if (find(infos[j], active, named, match)) {
        done = j;
        break;
      }
      const State x = (x_ >> view.freq_precision) * match.freq + match.rank;
      take_words(x, active);
      symbols[j] = static_cast<std::int32_t>(match.symbol) + infos[j].offset;
      if (!task_.symbols_fit && active) check_fit(symbols[j]);
    }
    return done;
  }

  /// The symbol that the state names. True: some thread's needs care.
  TORCH_ANS_DEVICE bool find(const TableInfo& info, bool active, bool named, Match& match) {
    const TablesView& view = task_.tables;
    const std::uint32_t slot = slot_of(x_, view.freq_precision);
    if (view.buckets != nullptr) {
      match = InverseCdf::resolve(tables_.item(info.bucket + (slot >> info.shift)), slot);
      const bool unresolved = active && match.rank >= match.freq;
      if (!any(unresolved)) return false;
      if (unresolved && named) match = InverseCdf::find_slowly(view, info, slot);
      return any(unresolved && (!named || is_escape(info, match)));
    }
    match = {0, 1, 0};
    if (active && named) {
      match = view.aliases != nullptr ? AliasTable::find(view, info, slot)
                                      : BinarySearch::find(view, info, slot);
    }
    return any(active && (!named || is_escape(info, match)));
  }

  TORCH_ANS_DEVICE bool is_escape(const TableInfo& info, const Match& match) const {
    return task_.tables.bypass_coding && match.symbol == info.last;
  }

  /// Completes states below the lower bound with the row's last words.
  TORCH_ANS_DEVICE void take_words(State x, bool active) {
    const bool take = active && x < Traits::kLowerBound;
    const unsigned takers = ballot(take) & seat_.row_mask();
    if constexpr (Traits::kMaxWords == 1) {
      if (take) {
        const auto* words = reinterpret_cast<const Word*>(in_);
        x = static_cast<State>(x << Traits::kWordBits) |
            cached_load(words - 1 - count_bits(takers & seat_.below()));
      }
      in_ -= static_cast<int>(sizeof(Word)) * count_bits(takers);
    } else {
      const bool take_two = active && x < (Traits::kLowerBound >> Traits::kWordBits);
      const unsigned two_takers = ballot(take_two) & seat_.row_mask();
      const std::uint8_t* source =
          in_ - 1 - count_bits(takers & seat_.below()) - count_bits(two_takers & seat_.below());
      if (take) x = x << Traits::kWordBits | cached_load(source);
      if (take_two) x = x << Traits::kWordBits | cached_load(source - 1);
      in_ -= count_bits(takers) + count_bits(two_takers);
    }
    x_ = active ? x : x_;
  }

  /// A step with everything that can be the matter with it; returns the symbol.
  TORCH_ANS_DEVICE std::int64_t get_carefully(std::uint32_t step, bool active) {
    const TablesView& view = task_.tables;
    std::uint64_t index = 0;
    if (active && task_.indexes.data != nullptr) {
      index = static_cast<std::uint64_t>(load_element(task_.indexes, seat_.row(), position(step)));
    }
    if (active && index >= view.num_tables) {
      complaint_ = smaller(complaint_, complain(Status::kBadIndex, position(step)));
      active = false;
    }
    TableInfo info{};
    Match match{0, 0, 0};
    if (active) {
      info = tables_.info(static_cast<std::uint32_t>(index));
      const std::uint32_t slot = slot_of(x_, view.freq_precision);
      match = view.aliases != nullptr   ? AliasTable::find(view, info, slot)
              : view.buckets != nullptr ? InverseCdf::find(view, info, slot)
                                        : BinarySearch::find(view, info, slot);
    }
    get_bounded(match, active);
    const bool escaped = active && is_escape(info, match);
    std::int64_t symbol = static_cast<std::int64_t>(match.symbol) + info.offset;
    if (any(escaped)) {
      const auto raw = static_cast<std::uint64_t>(unzigzag(get_escapes(escaped), info.last));
      const auto offset = static_cast<std::uint64_t>(static_cast<std::int64_t>(info.offset));
      if (escaped) symbol = static_cast<std::int64_t>(raw + offset);
    }
    if (active) check_fit(symbol);
    return symbol;
  }

  /// D(x), with words only as far as there are any.
  TORCH_ANS_DEVICE void get_bounded(const Match& match, bool active) {
    const State x = (x_ >> task_.tables.freq_precision) * match.freq + match.rank;
    unsigned words = active && x < Traits::kLowerBound ? 1 : 0;
    if (Traits::kMaxWords == 2 && x < (Traits::kLowerBound >> Traits::kWordBits)) words *= 2;
    const auto one = ballot(words >= 1) & seat_.row_mask();
    const auto two = Traits::kMaxWords == 2 ? ballot(words == 2) & seat_.row_mask() : 0u;
    constexpr int kBytes = static_cast<int>(sizeof(Word));
    const int before = kBytes * (count_bits(one & seat_.below()) + count_bits(two & seat_.below()));
    const std::uint8_t* in = in_ - smaller<std::int64_t>(before, in_ - base_);
    if (active) {
      // Four bytes below `base_` are the row's own: whatever they are, it is broken then.
      x_ = torch_ans::get<Traits>(x_, match.freq, match.rank, task_.tables.freq_precision, in);
      broken_ |= in < base_;
    }
    const int all = kBytes * (count_bits(one) + count_bits(two));
    broken_ |= in_ - base_ < all;
    in_ -= smaller<std::int64_t>(all, in_ - base_);
  }

  /// The digits of a row's escapes, the lowest lane's first. One lane of a row at a time: where
  /// the next one's digits stand depends on the values of these.
  TORCH_ANS_DEVICE std::uint64_t get_escapes(bool escaped) {
    std::uint64_t raw = 0;
    unsigned pending = ballot(escaped) & seat_.row_mask();
    while (any(pending != 0)) {
      const int next = lowest_bit(pending);
      if (next == static_cast<int>(lane_index())) {
        EscapeReader<Traits> reader(x_, in_, base_, task_.bypass_precision);
        raw = reader.read_raw();
        x_ = reader.state();
        in_ = reader.cursor();
        broken_ |= reader.broken();
      }
      const auto left = static_cast<std::uint32_t>(in_ - base_);
      in_ = base_ + shuffle(left, next < 0 ? lane_index() : static_cast<unsigned>(next));
      pending &= pending - 1;
    }
    return raw;
  }

  TORCH_ANS_DEVICE void check_fit(std::int64_t symbol) {
    broken_ |= symbol < task_.lowest_symbol || symbol > task_.highest_symbol;
  }

  const CoderTask& task_;
  const Tables& tables_;
  const Seat<kFixedLanes> seat_;
  const SharedArray<std::uint32_t> tile_;
  State x_ = Traits::kLowerBound;
  const std::uint8_t* in_ = nullptr;
  const std::uint8_t* base_ = nullptr;
  std::uint32_t present_ = 0;
  bool broken_ = false;
  bool failed_before_ = false;
  Complaint complaint_ = kNoComplaint;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
