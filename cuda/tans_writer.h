/// What a warp's rows of tANS take when symbols are put: states, and the bits that leave them.
///
/// All lanes of a row append to one sequence of bits, the highest lane first. How many bits leave
/// a state is known before the state changes, so the lanes' places are sums over the lanes above.
/// Bits gather in shared memory, a ring of words for each row; whole words move on to the stream.
#pragma once

#include "rans_writer.h"
#include "table_access.h"
#include "tans_row.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Invariant: ring word 0 (of `done_`) holds the first bits that are not in the stream's words yet,
/// `filled_` bits follow from there on, and all bits of the ring behind them are 0. Both numbers
/// are the same in all threads of a row. Words past the row's end are counted, not written.
template <int kFixedLanes>
class TansWriter {
 public:
  using Item = TansSymbol;
  /// A lane puts at most 15 bits of a symbol and 129 of an escape before a flush, or four symbols:
  /// 8 words a lane hold that and the word begun before. One more a row spreads rows over banks.
  static constexpr unsigned kLaneWords = 8;
  static constexpr unsigned kWarpWords = (kLaneWords + 1) * kWarpSize;
  static constexpr std::uint32_t kWarpBytes = kWarpWords * sizeof(std::uint32_t);

  TORCH_ANS_DEVICE TansWriter(const CoderTask& task, const Seat<kFixedLanes>& seat,
                              std::uint32_t shared)
      : task_(task),
        seat_(seat),
        ring_(shared),
        ring_start_(seat.slot() * ((kLaneWords << seat.lanes_log2()) + 1)),
        ring_mask_((kLaneWords << seat.lanes_log2()) - 1) {}

  static TORCH_ANS_DEVICE const Item* items(const TablesView& view) { return view.tans_symbols; }

  TORCH_ANS_DEVICE bool load_row() {
    sync_warp();  // the ring may have served rows before
    for (unsigned w = lane_index(); w < kWarpWords; w += kWarpSize) ring_.set(w, 0);
    sync_warp();
    const TansRowStart start = load_tans_row(task_, seat_);
    x_ = start.x;
    done_ = start.words;
    filled_ = start.tail_bits;
    if (start.good && seat_.lane() == 0) ring_.set(place(0), start.tail);
    sync_warp();
    return start.good;
  }

  TORCH_ANS_DEVICE bool may_run_full(unsigned /*steps*/) const { return false; }

  template <typename Tables>
  TORCH_ANS_DEVICE void put(const Tables& tables, const Item& symbol, std::uint32_t /*id*/,
                            bool active) {
    const std::uint32_t n = active ? (x_ + symbol.bits) >> 16 : 0;
    const auto sums = seat_.sum_small_above(n);
    if (n != 0) append(filled_ + sums.others, x_ & ((1u << n) - 1));
    filled_ += sums.all;
    if (active) x_ = tables.load(next_state(symbol, n));
  }

  /// Moves whole words on to the stream.
  TORCH_ANS_DEVICE void flush() {
    sync_warp();
    std::uint32_t* words = tans_words(task_, seat_) + tans_first_word(seat_);
    const std::int64_t room = task_.row_bytes / 4 - tans_first_word(seat_);
    const std::uint32_t whole = filled_ / 32;
    for (std::uint32_t w = seat_.lane(); w < whole; w += seat_.lanes()) {
      if (done_ + w < room) words[done_ + w] = ring_.get(place(w));
      ring_.set(place(w), 0);
    }
    done_ += whole;
    filled_ %= 32;
    sync_warp();
  }

  /// A symbol's digits go right before its bits.
  TORCH_ANS_DEVICE void put_carefully(const CarefulSymbol& symbol) {
    TansSymbol put{};
    std::uint32_t n = 0, digits = 0;
    if (symbol.active) {
      put = cached_load(task_.tables.tans_symbols + symbol.id);
      n = (x_ + put.bits) >> 16;
      if (symbol.escaped) {
        digits = static_cast<std::uint32_t>(escape_bits(symbol.raw, task_.bypass_precision));
      }
    }
    const auto sums = seat_.sum_over_row(n + digits);
    std::uint32_t at = filled_ + sums.others;
    if (symbol.active && symbol.escaped) {
      put_digits(symbol.raw, task_.bypass_precision, [&](std::uint32_t digit) {
        append(at, digit);
        at += static_cast<std::uint32_t>(task_.bypass_precision);
      });
    }
    if (symbol.active) {
      append(at, x_ & ((1u << n) - 1));
      x_ = cached_load(next_state(put, n));
    }
    filled_ += sums.all;
    flush();
  }

  /// Follows a flush.
  TORCH_ANS_DEVICE std::int64_t finish() const {
    const std::uint32_t left = ring_.get(place(0));
    const auto word_bits = static_cast<std::uint32_t>(8 * task_.word_bytes);
    const std::int64_t room = task_.row_bytes / 4 - tans_first_word(seat_);
    if (seat_.lane() == 0 && filled_ >= word_bits && done_ < room) {
      (tans_words(task_, seat_) + tans_first_word(seat_))[done_] = left;
    }
    return finish_tans_row(task_, seat_, x_, 32 * done_ + filled_,
                           left >> (filled_ / word_bits * word_bits));
  }

 private:
  TORCH_ANS_DEVICE unsigned place(std::uint32_t word) const {
    return ring_start_ + ((static_cast<std::uint32_t>(done_) + word) & ring_mask_);
  }

  /// Up to 15 bits, `at` bits behind the ring's first.
  TORCH_ANS_DEVICE void append(std::uint32_t at, std::uint32_t value) const {
    const std::uint64_t bits = static_cast<std::uint64_t>(value) << (at % 32);
    const auto high = static_cast<std::uint32_t>(bits >> 32);
    ring_.merge(place(at / 32), static_cast<std::uint32_t>(bits));
    if (high != 0) ring_.merge(place(at / 32 + 1), high);
  }

  /// Where the state stands that follows once n bits have left this one.
  TORCH_ANS_DEVICE const std::uint16_t* next_state(const TansSymbol& symbol,
                                                   std::uint32_t n) const {
    return task_.tables.tans_next + (static_cast<std::int32_t>(x_ >> n) + symbol.state);
  }

  const CoderTask& task_;
  const Seat<kFixedLanes> seat_;
  const SharedArray<std::uint32_t> ring_;
  const unsigned ring_start_;
  const std::uint32_t ring_mask_;
  std::uint32_t x_ = 0;
  std::uint32_t filled_ = 0;
  std::int64_t done_ = 0;  ///< words of the row that are in the stream
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
