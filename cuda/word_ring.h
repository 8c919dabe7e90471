/// What a reader takes from its row next, in shared memory.
///
/// Where a step's words stand depends on the step before: loads from global memory would be on the
/// way from one state to the next, and wait now and then for a line that is in no cache, with many
/// rows a warp at nearly every step. A ring is filled ahead of the reader instead, by copies that
/// have long come when they are waited for.
#pragma once

#include "seat.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Each row of a warp has a ring of its own, `kLaneBytes` for each of its lanes. It holds words of
/// 32 bits of the row, each at its offset modulo the ring. Offsets are bytes from the row's length
/// word on; rows are read from their end down.
///
/// Invariant: bytes from `landed_` up to the `end` that `reach` was last told can be read, copies
/// of [asked_, landed_) are under way. Both are multiples of 4 and the same in all threads of a
/// row.
template <int kFixedLanes>
class NarrowRing {
 public:
  /// What 16 steps take of words of 16 bits at most, and 64 steps at 4 bits a symbol.
  static constexpr unsigned kLaneBytes = 32;
  static constexpr std::uint32_t kWarpBytes = kLaneBytes * kWarpSize;

  TORCH_ANS_DEVICE NarrowRing(const CoderTask& task, const Seat<kFixedLanes>& seat,
                              std::uint32_t shared)
      : task_(task),
        seat_(seat),
        start_(shared + ((seat.slot() * kLaneBytes) << seat.lanes_log2())) {}

  /// The row's bytes below `top` are to be read.
  TORCH_ANS_DEVICE void open(std::uint32_t top) { landed_ = asked_ = whole_words(top); }

  /// Makes the `bytes` below `end` readable to the threads that want them: at most half a ring.
  /// False: some row has no more than can be read now; its words begin at `bottom`, a multiple
  /// of 4. The whole warp's affair.
  TORCH_ANS_DEVICE bool reach(std::uint32_t bottom, std::uint32_t end, std::uint32_t bytes,
                              bool wanted) {
    while (true) {
      const bool lacks =
          wanted && static_cast<std::int32_t>(end - landed_) < static_cast<std::int32_t>(bytes);
      if (!any(lacks)) return true;
      if (!any(lacks && landed_ != bottom)) return false;
      refill(bottom, end);
    }
  }

  /// Places are offsets: `get` takes them modulo the ring, wherever they are.
  TORCH_ANS_DEVICE std::uint32_t place_of(std::uint32_t offset) const { return offset; }
  TORCH_ANS_DEVICE std::uint32_t offset_of(std::uint32_t place) const { return place; }
  TORCH_ANS_DEVICE void move_to(std::uint32_t /*top*/) {}

  /// The T at a place, where `reach` has made sure of it.
  template <typename T>
  TORCH_ANS_DEVICE T get(std::uint32_t place) const {
    return SharedArray<T>(start_ + (place & (ring_bytes() - 1))).get(0);
  }

 private:
  static TORCH_ANS_DEVICE std::uint32_t whole_words(std::uint32_t bytes) {
    return (bytes + 3) / 4 * 4;
  }

  TORCH_ANS_DEVICE std::uint32_t ring_bytes() const { return kLaneBytes << seat_.lanes_log2(); }

  /// Waits for the copies under way, then asks for as much as what is above `end` makes room for.
  TORCH_ANS_DEVICE void refill(std::uint32_t bottom, std::uint32_t given_end) {
    const std::uint32_t end = held(given_end);  // nothing of this ahead of the branch that led here
    wait_for_copies();
    sync_warp();  // others may read what has landed, and nobody still reads what it will replace
    // A broken row may have passed its words' beginning: there is nothing to fetch below.
    const bool passed = static_cast<std::int32_t>(end - bottom) < 0;
    const std::uint32_t top = passed ? bottom : whole_words(end);
    landed_ = smaller(asked_, top);  // careful steps get words without the ring
    asked_ = smaller(landed_, larger(bottom, larger(top, ring_bytes()) - ring_bytes()));
    const auto* row =
        reinterpret_cast<const std::uint32_t*>(task_.stream + held(seat_.row()) * task_.row_bytes);
    const SharedArray<std::uint32_t> ring(start_);
    TORCH_ANS_KEEP_LOOP
    for (std::uint32_t n = seat_.lane(); n < (landed_ - asked_) / 4; n += seat_.lanes()) {
      const std::uint32_t word = landed_ / 4 - 1 - n;
      ring.copy(word & (ring_bytes() / 4 - 1), row + word);
    }
  }

  const CoderTask& task_;
  const Seat<kFixedLanes> seat_;
  const std::uint32_t start_;
  std::uint32_t landed_ = 0;
  std::uint32_t asked_ = 0;
};

/// The same for a warp with one row: units of half a ring, which its threads hold until there is
/// room. The first half stands behind the second one once more, so that all that can be read at a
/// time is in one piece, and no place has to be cut to the ring's size.
///
/// Invariant: bytes from `landed_` up to the `end` that `lacks` was last told can be read, at most
/// a ring of them; threads hold what is below, or have it under way. `landed_` is a multiple of a
/// unit, and passes the row's beginning where a broken row goes on.
class WideRing {
 public:
  static constexpr std::uint32_t kRingBytes = 1024;
  static constexpr std::uint32_t kUnitBytes = kRingBytes / 2;
  static constexpr std::uint32_t kWarpBytes = kRingBytes + kUnitBytes;

  TORCH_ANS_DEVICE WideRing(const CoderTask& task, const Seat<32>& seat, std::uint32_t shared)
      : row_(held(
            reinterpret_cast<const std::uint32_t*>(task.stream + seat.row() * task.row_bytes))),
        lane_(seat.lane()),
        place_(shared) {}

  TORCH_ANS_DEVICE void open(std::uint32_t top) {
    last_ = (top - 1) / 4;
    land((top + kUnitBytes - 1) / kUnitBytes * kUnitBytes);
    fetch();
  }

  /// Reading of a broken row goes on at `top`, on whatever words are there; on a unit of them if
  /// `refill` comes next.
  TORCH_ANS_DEVICE void move_to(std::uint32_t top) { land(top / kUnitBytes * kUnitBytes); }

  TORCH_ANS_DEVICE std::uint32_t place_of(std::uint32_t offset) const {
    return offset - landed_ + place_;
  }
  TORCH_ANS_DEVICE std::uint32_t offset_of(std::uint32_t place) const {
    return place - place_ + landed_;
  }

  /// Whether fewer bytes than these can be read below the place `end`. The same in all threads.
  TORCH_ANS_DEVICE bool lacks(std::uint32_t end, std::uint32_t bytes) const {
    return static_cast<std::int32_t>(end - bytes) < static_cast<std::int32_t>(place_);
  }

  /// Makes a unit more readable, where `lacks` has said that there is room: for at most a unit of
  /// bytes. Offsets have other places then. The whole warp's affair.
  TORCH_ANS_DEVICE void refill() {
    land(landed_ - kUnitBytes);
    sync_warp();  // nobody still reads what this replaces
    put_unit(place_);
    if ((landed_ & kUnitBytes) == 0) put_unit(place_ + kRingBytes);
    sync_warp();
    fetch();
  }

  template <typename T>
  TORCH_ANS_DEVICE T get(std::uint32_t place) const {
    return SharedArray<T>(place).get(0);
  }

 private:
  static constexpr unsigned kUnitWords = kUnitBytes / sizeof(std::uint32_t) / kWarpSize;

  /// Offsets with the bit of a unit stand in the ring's second half.
  TORCH_ANS_DEVICE void land(std::uint32_t offset) {
    place_ += (offset & kUnitBytes) - (landed_ & kUnitBytes);
    landed_ = offset;
  }

  TORCH_ANS_DEVICE void put_unit(std::uint32_t place) const {
    const SharedArray<std::uint32_t> unit(place);
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kUnitWords; ++j) unit.set(j * kWarpSize + lane_, pending_[j]);
  }

  /// Below the row's beginning words have numbers past all of its own. What is not there is some
  /// word of the row.
  TORCH_ANS_DEVICE void fetch() {
    const std::uint32_t first = landed_ / 4 - kUnitWords * kWarpSize + lane_;
    TORCH_ANS_UNROLL
    for (unsigned j = 0; j < kUnitWords; ++j) {
      pending_[j] = cached_load(row_ + smaller(first + j * kWarpSize, last_));
    }
  }

  const std::uint32_t* const row_;
  const unsigned lane_;
  std::uint32_t last_ = 0;  ///< word of the row
  std::uint32_t landed_ = 0;
  std::uint32_t place_;                     ///< of the offset `landed_`
  std::uint32_t pending_[kUnitWords] = {};  ///< of this thread
};

template <int kFixedLanes>
using RingOf = std::conditional_t<kFixedLanes == 32, WideRing, NarrowRing<kFixedLanes>>;

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
