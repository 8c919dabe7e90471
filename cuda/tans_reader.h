/// What a warp's rows of tANS take when symbols are got: states, and the bits they are filled from.
///
/// All lanes of a row take bits from the end of one sequence, the lowest lane first. A slot says
/// its symbol and how many bits it lacks, so the lanes' places are sums over the lanes below. No
/// byte of a row is trusted: reads stay inside its bits, and whatever is read makes a state between
/// N and 2 N.
#pragma once

#include "rans_reader.h"
#include "tans_row.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Invariant: `left_` bits of the row are not taken yet, the same in all threads of a row. Those
/// from word `words_` on are not in the stream but in `tail_`.
template <int kFixedLanes>
class TansReader {
 public:
  using Found = std::uint32_t;  ///< the slot (TablesView::tans_slots)

  TORCH_ANS_DEVICE TansReader(const CoderTask& task, const Seat<kFixedLanes>& seat,
                              std::uint32_t shared)
      : task_(task), seat_(seat), ring_(task, seat, shared) {}

  TORCH_ANS_DEVICE bool load_row() {
    const TansRowStart start = load_tans_row(task_, seat_);
    x_ = start.x;
    words_ = start.words;
    tail_ = start.tail;
    left_ = std::int64_t{32} * start.words + start.tail_bits;
    return start.good;
  }

  TORCH_ANS_DEVICE void clear_row() {
    x_ = first_state();
    words_ = tail_ = 0;
    left_ = 0;
  }

  TORCH_ANS_DEVICE void open_ring() { ring_.open(offset_of(words_)); }

  /// Gets what `take` may need for so many steps into reach; a row that has less may be read too.
  TORCH_ANS_DEVICE void reach(unsigned steps, bool wanted) {
    const auto past = static_cast<std::uint32_t>(left_ / 32) + 1;
    const unsigned bytes = (steps * kStepBytes) << seat_.lanes_log2();
    const std::uint32_t end = offset_of(smaller(past, words_));
    if constexpr (Seat<kFixedLanes>::kWide) {
      while (any(ring_.lacks(ring_.place_of(end), bytes + 2 * sizeof(std::uint32_t)))) {
        ring_.refill();
      }
    } else {
      ring_.reach(offset_of(0), end, bytes + 2 * sizeof(std::uint32_t), wanted);
    }
  }

  template <typename Tables>
  TORCH_ANS_DEVICE bool find(const Tables& tables, const NamedTable& table, bool active,
                             Found& slot) {
    slot = tables.load(task_.tables.tans_slots + slot_number(table.named ? table.index : 0));
    return any(active && (!table.named || (slot & kTansSentinel) != 0));
  }

  TORCH_ANS_DEVICE void take(Found slot, bool active) {
    const std::uint32_t n = active ? tans_bits(slot, task_.tables.freq_precision) : 0;
    const auto sums = seat_.sum_small_below(n);
    if (active) {
      const std::uint32_t bits = n == 0 ? 0 : read<From::kRing>(left_ - sums.others - n, n);
      x_ = (slot >> 16) << n | bits;
    }
    drop(sums.all);
  }

  struct Mark {
    std::uint32_t x;
    std::int64_t left;
  };
  TORCH_ANS_DEVICE Mark mark() const { return {x_, left_}; }
  TORCH_ANS_DEVICE void back_to(const Mark& mark) {
    x_ = mark.x;
    left_ = mark.left;
  }

  TORCH_ANS_DEVICE static std::uint32_t symbol_of(Found slot) { return slot & (kTansSentinel - 1); }

  /// A symbol's digits come right behind its bits: where the lanes above an escape find theirs
  /// depends on what its digits say.
  TORCH_ANS_DEVICE std::int64_t get_carefully(const NamedTable& table, bool active) {
    const int precision = task_.tables.freq_precision;
    std::uint32_t slot = 0, n = 0;
    if (active) {
      slot = cached_load(task_.tables.tans_slots + slot_number(table.index));
      n = tans_bits(slot, precision);
    }
    const bool escaped = active && (slot & kTansSentinel) != 0;
    std::int64_t v = symbol_of(slot);
    unsigned escapes = ballot(escaped) & seat_.row_mask();
    bool waits = active;
    while (any(waits)) {
      const int next = lowest_bit(escapes);
      const bool goes = waits && (next < 0 || static_cast<int>(lane_index()) <= next);
      const std::uint32_t own = goes ? n : 0;
      const auto sums = seat_.sum_small_below(own);
      const std::uint32_t bits = read<From::kRow>(left_ - sums.others - own, own);
      if (goes) x_ = (slot >> 16) << n | bits;
      drop(sums.all);
      if (next == static_cast<int>(lane_index())) v = unzigzag(read_raw(), table.info.last);
      left_ = shuffle(left_, next < 0 ? lane_index() : static_cast<unsigned>(next));
      waits = waits && !goes;
      escapes &= escapes - 1;
    }
    return v;
  }

  TORCH_ANS_DEVICE bool is_empty() const { return left_ == 0 && x_ == first_state(); }
  TORCH_ANS_DEVICE bool is_broken() const { return broken_; }

  TORCH_ANS_DEVICE std::int64_t finish() {
    const auto count = static_cast<std::uint32_t>(left_ % (8 * task_.word_bytes));
    return finish_tans_row(task_, seat_, x_, left_, read<From::kRow>(left_ - count, count));
  }

 private:
  static constexpr unsigned kStepBytes = 2;  ///< at least 15 bits

  /// Where words are read: what is in reach, or anywhere in the row.
  enum class From { kRing, kRow };

  TORCH_ANS_DEVICE std::uint32_t first_state() const {
    return std::uint32_t{1} << task_.tables.freq_precision;
  }

  TORCH_ANS_DEVICE std::uint32_t slot_number(std::uint32_t index) const {
    return (index << task_.tables.freq_precision) + (x_ - first_state());
  }

  /// Where a word stands, in bytes from the row's length word on.
  TORCH_ANS_DEVICE std::uint32_t offset_of(std::uint32_t number) const {
    return 4 * (tans_first_word(seat_) + number);
  }

  template <From kFrom>
  TORCH_ANS_DEVICE std::uint32_t word(std::uint32_t number) const {
    if (number >= words_) return tail_;
    if constexpr (kFrom == From::kRing) {
      return ring_.template get<std::uint32_t>(ring_.place_of(offset_of(number)));
    } else {
      return cached_load(tans_words(task_, seat_) + tans_first_word(seat_) + number);
    }
  }

  /// The `n` bits (at most 15) from bit `at` on: all of them below `left_`. Any bits, where the
  /// row has no such bit.
  template <From kFrom>
  TORCH_ANS_DEVICE std::uint32_t read(std::int64_t at, std::uint32_t n) const {
    at = larger<std::int64_t>(at, 0);
    const auto number = static_cast<std::uint32_t>(at >> 5);
    const auto shift = static_cast<std::uint32_t>(at) & 31u;
    std::uint64_t bits = word<kFrom>(number);
    if (shift + n > 32) bits |= static_cast<std::uint64_t>(word<kFrom>(number + 1)) << 32;
    return static_cast<std::uint32_t>(bits >> shift) & ((1u << n) - 1);
  }

  TORCH_ANS_DEVICE void drop(std::uint32_t n) {
    broken_ |= left_ < n;
    left_ = larger<std::int64_t>(left_ - n, 0);
  }

  /// The digits of this thread's escape.
  TORCH_ANS_DEVICE std::uint64_t read_raw() {
    const auto n = static_cast<std::uint32_t>(task_.bypass_precision);
    return read_digits(task_.bypass_precision, broken_, [&] {
      const std::uint32_t digit = read<From::kRow>(left_ - n, n);
      drop(n);
      return digit;
    });
  }

  const CoderTask& task_;
  const Seat<kFixedLanes> seat_;
  RingOf<kFixedLanes> ring_;
  std::uint32_t x_ = 0;
  std::uint32_t words_ = 0;
  std::uint32_t tail_ = 0;
  std::int64_t left_ = 0;
  bool broken_ = false;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
