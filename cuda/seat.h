/// Where a thread of a warp sits: which row it works on and which lane of it it is.
#pragma once

#include "elements.h"
#include "task.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// A warp holds `rows_per_warp` rows of `lanes` neighbouring threads each; threads beyond them
/// have no row (they help to move data). kFixedLanes: 1 or 32, or 0 where only run time knows.
template <int kFixedLanes>
class Seat {
 public:
  static_assert(kFixedLanes == 32 || kFixedLanes == 1 || kFixedLanes == 0,
                "one kernel serves all other lanes");
  static constexpr bool kWide = kFixedLanes == 32;
  static constexpr bool kOneLane = kFixedLanes == 1;

  /// The seats of a warp that takes rows from `first_row` on.
  TORCH_ANS_DEVICE Seat(const CoderTask& task, std::int64_t first_row) : first_row_(first_row) {
    const unsigned thread = lane_index();
    lanes_log2_ = kWide ? 5 : kOneLane ? 0 : task.lanes_log2;
    slot_ = kWide ? 0 : thread >> lanes_log2_;
    lane_ = kWide ? thread : thread & (lanes() - 1);
    row_ = first_row + slot_;
    has_row_ = row_ < task.rows && (kWide || slot_ < static_cast<unsigned>(task.rows_per_warp));
    const unsigned first_lane = 1u << (slot_ << lanes_log2_);
    row_mask_ = kWide ? 0xffffffffu : (first_lane << (lanes() - 1)) * 2 - first_lane;
    below_ = held_by_each(lanes_below() & row_mask_);
    above_ = lanes_above() & row_mask_;
  }

  TORCH_ANS_DEVICE unsigned lanes() const { return kWide ? 32u : 1u << lanes_log2_; }
  TORCH_ANS_DEVICE int lanes_log2() const { return lanes_log2_; }
  TORCH_ANS_DEVICE unsigned lane() const { return lane_; }
  TORCH_ANS_DEVICE unsigned slot() const { return slot_; }  ///< of the row in its warp
  TORCH_ANS_DEVICE std::int64_t first_row() const { return first_row_; }
  TORCH_ANS_DEVICE std::int64_t row() const { return row_; }
  TORCH_ANS_DEVICE bool has_row() const { return has_row_; }

  /// How many of `steps` steps have a symbol for this lane, where the row has `symbols`.
  TORCH_ANS_DEVICE std::uint32_t own_steps(std::uint32_t steps, std::uint32_t symbols) const {
    return smaller((symbols + lanes() - 1 - lane_) >> lanes_log2_, steps);
  }

  /// Masks of threads: of the row, and its lanes above this one.
  TORCH_ANS_DEVICE unsigned row_mask() const { return row_mask_; }
  TORCH_ANS_DEVICE unsigned above() const { return above_; }

  /// The sum of a value over some lanes of the row, and over all of it.
  struct Sums {
    unsigned others;
    unsigned all;
  };

  /// How many lanes of the row, and of those below this one, vote for something.
  TORCH_ANS_DEVICE Sums count_votes(bool vote) const {
    if constexpr (kOneLane) return {0, vote ? 1u : 0u};
    const unsigned votes = ballot(vote) & row_mask_;
    return {static_cast<unsigned>(count_bits(votes & below_)),
            static_cast<unsigned>(count_bits(votes))};
  }

  /// `others`: the lanes above this one.
  TORCH_ANS_DEVICE Sums sum_over_row(unsigned value) const {
    unsigned sum = value;  // of this lane and those above it, once the loop is through
    for (unsigned step = 1; step < lanes(); step *= 2) {
      const unsigned other = shuffle(sum, (lane_index() + step) & 31u);
      if (lane_ + step < lanes()) sum += other;
    }
    return {sum - value, shuffle(sum, lane_index() - lane_)};
  }

  /// The same for values below 16, and for the lanes below: a ballot for each bit of the values.
  /// Unlike shuffles these do not wait for one another.
  TORCH_ANS_DEVICE Sums sum_small_above(unsigned value) const {
    if (lanes_log2_ == 0) return {0, value};
    const unsigned sum = sum_small(value, above_);
    return {sum, shuffle(sum + value, lane_index() - lane_)};
  }

  TORCH_ANS_DEVICE Sums sum_small_below(unsigned value) const {
    if (lanes_log2_ == 0) return {0, value};
    const unsigned sum = sum_small(value, below_);
    return {sum, shuffle(sum + value, lane_index() - lane_ + lanes() - 1)};
  }

  TORCH_ANS_DEVICE std::uint64_t min_over_row(std::uint64_t value) const {
    for (unsigned step = 1; step < lanes(); step *= 2) {
      const std::uint64_t other = shuffle(value, lane_index() ^ step);
      value = smaller(value, other);
    }
    return value;
  }

  /// Whether `vote` holds for any lane of the row.
  TORCH_ANS_DEVICE bool any_in_row(bool vote) const {
    return kOneLane ? vote : (ballot(vote) & row_mask_) != 0;
  }

 private:
  TORCH_ANS_DEVICE unsigned sum_small(unsigned value, unsigned mask) const {
    unsigned sum = 0;
    TORCH_ANS_UNROLL
    for (int bit = 0; bit < 4; ++bit) {
      const unsigned votes = ballot((value >> bit & 1) != 0) & mask;
      sum += static_cast<unsigned>(count_bits(votes)) << bit;
    }
    return sum;
  }

  int lanes_log2_;
  unsigned slot_;
  unsigned lane_;
  bool has_row_;
  unsigned row_mask_;
  unsigned below_;
  unsigned above_;
  std::int64_t first_row_;
  std::int64_t row_;
};

/// The number of symbols in a row.
TORCH_ANS_DEVICE std::uint32_t symbols_in_row(const CoderTask& task, std::int64_t row) {
  const std::int64_t left = task.total - row * task.row_length;
  return left <= 0 ? 0 : static_cast<std::uint32_t>(smaller<std::int64_t>(left, task.row_length));
}

/// What a row complains about, ordered so that the smallest names the first symbol.
using Complaint = std::uint64_t;
constexpr Complaint kNoComplaint = ~Complaint{0};

TORCH_ANS_DEVICE Complaint complain(Status status, std::uint32_t position) {
  return static_cast<Complaint>(position) << 8 | static_cast<Complaint>(status);
}

/// Notes what became of a row; called by its lane 0.
TORCH_ANS_DEVICE void report_row(const CoderTask& task, std::int64_t row, Status status,
                                 Complaint complaint, std::int64_t end) {
  RowResult result{};
  result.end = end;
  result.status = static_cast<std::int32_t>(status);
  if (complaint != kNoComplaint) {
    result.status = static_cast<std::int32_t>(complaint & 0xffu);
    result.position = static_cast<std::int64_t>(complaint >> 8);
  }
  task.results[row] = result;
  if (result.status != static_cast<std::int32_t>(Status::kOk)) atomic_add(task.failed, 1);
}

/// Stages `kSteps` steps of all rows of a warp in shared memory, so that global memory is read
/// and written along the rows while threads work across them. A row takes `17 * lanes` elements:
/// with that stride neither direction meets bank conflicts (narrow warps only).
struct StagingTile {
  static constexpr unsigned kSteps = 16;
  static constexpr unsigned kElements = 17 * kWarpSize;

  /// The place of a row's element in the tile.
  static TORCH_ANS_DEVICE unsigned place(unsigned slot, unsigned position, int lanes_log2) {
    return ((slot * (kSteps + 1)) << lanes_log2) + position;
  }
};

/// The elements of a tile.
template <typename Seat>
TORCH_ANS_DEVICE unsigned staged_elements(const CoderTask& task, const Seat& seat) {
  return static_cast<unsigned>(task.rows_per_warp) << (seat.lanes_log2() + 4);
}

/// Element number `number` of the tile that begins at step `begin`, counting along the rows.
struct StagedElement {
  ElementPlace element;
  unsigned inside;  ///< its position in the tile's part of the row
};

template <typename Seat>
TORCH_ANS_DEVICE StagedElement staged_element(const CoderTask& task, const Seat& seat,
                                              std::uint32_t begin, unsigned number) {
  const int lanes_log2 = seat.lanes_log2();
  const int per_row_log2 = lanes_log2 + 4;
  const unsigned slot = number >> per_row_log2;
  const unsigned inside = number & ((1u << per_row_log2) - 1);
  const std::int64_t row = seat.first_row() + slot;
  const std::uint32_t i = (begin << lanes_log2) + inside;
  const std::uint32_t grouped = task.row_length >> lanes_log2 << lanes_log2;
  const bool present = slot < static_cast<unsigned>(task.rows_per_warp) && row < task.rows &&
                       i < grouped && i < symbols_in_row(task, row);
  return {{present, slot, i}, inside};
}

/// Elements of a tile that a thread looks up at a time: all loads are under way before one of them
/// is waited for.
struct StagedBatch {
  static constexpr int kSize = 4;

  ElementPlace elements[kSize];
  unsigned places[kSize];  ///< in the tile

  /// Puts `value(n)` in the place of each element that there is.
  template <typename Value>
  TORCH_ANS_DEVICE void fill(const SharedArray<std::uint32_t>& tile, const Value& value) const {
    TORCH_ANS_UNROLL
    for (int n = 0; n < kSize; ++n) {
      if (elements[n].present) tile.set(places[n], value(n));
    }
  }
};

/// Calls `body(batch)` for this thread's elements of the tile that begins at step `begin`.
template <typename Seat, typename Body>
TORCH_ANS_DEVICE void for_each_batch(const CoderTask& task, const Seat& seat, std::uint32_t begin,
                                     const Body& body) {
  const int lanes_log2 = seat.lanes_log2();
  for (unsigned e = lane_index(); e < staged_elements(task, seat);
       e += StagedBatch::kSize * kWarpSize) {
    StagedBatch batch;
    TORCH_ANS_UNROLL
    for (int n = 0; n < StagedBatch::kSize; ++n) {
      const StagedElement staged = staged_element(task, seat, begin, e + n * kWarpSize);
      batch.elements[n] = staged.element;
      batch.places[n] = StagingTile::place(staged.element.slot, staged.inside, lanes_log2);
    }
    body(batch);
  }
}

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
