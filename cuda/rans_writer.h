/// What a warp's rows of rANS take when symbols are put: states, and the words that leave them.
///
/// All lanes of a row append to one sequence of words, the highest lane first. A lane finds its
/// place by a ballot: it writes behind the words of the lanes above it.
#pragma once

#include "device_tables.h"
#include "seat.h"
#include "symbol_records.h"
#include "torch_ans/bypass.h"
#include "torch_ans/coder.h"
#include "torch_ans/stream_layout.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// A symbol that takes the careful path.
struct CarefulSymbol {
  bool active;   ///< otherwise there is none, and nothing else counts
  bool escaped;  ///< `id` is the sentinel, and its digits say `raw`
  std::uint64_t raw;
  std::uint32_t index;
  std::uint32_t id;
};

/// Invariant: `out_` is one past the row's last byte and the same in all threads of a row; it may
/// pass `row_end_`, where nothing is written any more but counting goes on, so that the caller
/// learns how much room it takes.
template <typename Traits, int kFixedLanes>
class RansWriter {
 public:
  using State = typename Traits::State;
  using Word = typename Traits::Word;
  using Item = Record<State>;
  static constexpr std::uint32_t kWarpBytes = 0;

  TORCH_ANS_DEVICE RansWriter(const CoderTask& task, const Seat<kFixedLanes>& seat,
                              std::uint32_t /*shared*/)
      : task_(task), seat_(seat) {}

  static TORCH_ANS_DEVICE const Item* items(const TablesView& view) {
    return static_cast<const Item*>(view.records);
  }

  /// Reads the row's header. False: no encoder wrote it.
  TORCH_ANS_DEVICE bool load_row() {
    if (!seat_.has_row()) return false;
    const std::uint8_t* row = task_.stream + seat_.row() * task_.row_bytes;
    const auto length = load<std::int32_t>(row);
    x_ = load<State>(row + kLengthBytes + seat_.lane() * sizeof(State));
    row_end_ = task_.stream + (seat_.row() + 1) * task_.row_bytes;
    out_ = task_.stream + seat_.row() * task_.row_bytes + kLengthBytes + length;
    const int lanes = static_cast<int>(seat_.lanes());
    return is_length<Traits>(length, task_.row_bytes, lanes) && is_state<Traits>(x_);
  }

  /// Whether `put` could pass the row's end within so many steps.
  TORCH_ANS_DEVICE bool may_run_full(unsigned steps) const {
    const auto worst = static_cast<std::uintptr_t>(steps * kStepBytes) << seat_.lanes_log2();
    return reinterpret_cast<std::uintptr_t>(out_) >
           reinterpret_cast<std::uintptr_t>(row_end_) - worst;
  }

  /// C(s, x) of one step, for the threads that have a symbol there.
  template <typename Tables>
  TORCH_ANS_DEVICE void put(const Tables& tables, const Item& record, std::uint32_t id,
                            bool active) {
    const int precision = task_.tables.freq_precision;
    const std::uint32_t freq = record.freq_minus_1 + 1u;
    give_words(put_limit<Traits>(freq, precision), active);
    const State quotient = multiply_high(x_, record.reciprocal);
    const auto rank = static_cast<std::uint32_t>(x_ - quotient * freq);
    const bool one_less = rank >= freq;
    // Where the quotient is one less than it should be, the rank has a freq too many.
    const std::uint32_t mend = one_less ? (std::uint32_t{1} << precision) - freq : 0;
    State x = (quotient << precision) + rank + record.start + mend;
    if constexpr (Tables::kMayAlias) {
      if (task_.tables.aliases != nullptr) {
        const std::uint32_t true_rank = rank - (one_less ? freq : 0);
        const std::uint32_t first = tables.load(task_.slot_starts + id);
        x -= record.start + true_rank;
        x += tables.load(task_.tables.alias_slots + (first + true_rank));
      }
    }
    x_ = active ? x : x_;
  }

  /// The same for all threads, by a record of another kind.
  TORCH_ANS_DEVICE void put(const SymbolRecord& record) {
    give_words(record.limit, true);
    const std::uint32_t quotient =
        multiply_high(x_, record.reciprocal) >> (record.shift_and_start & 31u);
    x_ += (record.shift_and_start >> 16) + quotient * record.missing;
  }

  /// After every four steps of `put`.
  TORCH_ANS_DEVICE void flush() {}

  /// A step with everything that can be the matter with it. All escapes' digits go first.
  TORCH_ANS_DEVICE void put_carefully(const CarefulSymbol& symbol) {
    const TablesView& view = task_.tables;
    std::uint8_t bytes[kMaxEscapeBytes];
    std::uint8_t* end = bytes;
    if (symbol.active && symbol.escaped) {
      x_ = put_escape<Traits>(x_, symbol.raw, task_.bypass_precision, end);
    }
    if (any(end != bytes)) append(bytes, end);
    end = bytes;
    if (symbol.active) {
      const std::uint32_t start = view.cdf[symbol.id];
      const std::uint32_t freq = view.cdf[symbol.id + 1] - start;
      if (view.aliases != nullptr) {
        const std::uint16_t* slots =
            view.alias_slots + (std::size_t{symbol.index} << view.freq_precision);
        x_ = put_scattered<Traits>(x_, start, freq, view.freq_precision, slots, end);
      } else {
        x_ = torch_ans::put<Traits>(x_, start, freq, view.freq_precision, end);
      }
    }
    append(bytes, end);
  }

  /// Notes the row's header; returns the bytes of the row, its length word included.
  TORCH_ANS_DEVICE std::int64_t finish() const {
    const std::int64_t state = seat_.row() * seat_.lanes() + seat_.lane();
    reinterpret_cast<State*>(task_.headers)[state] = x_;
    return out_ - (task_.stream + seat_.row() * task_.row_bytes);
  }

 private:
  static constexpr unsigned kStepBytes = Traits::kMaxWords * sizeof(Word);

  /// Writes the words that states at or above their limit give up.
  TORCH_ANS_DEVICE void give_words(State limit, bool active) {
    const bool give = active && x_ >= limit;
    const unsigned givers = ballot(give) & seat_.row_mask();
    if constexpr (Traits::kMaxWords == 1) {
      auto* out = reinterpret_cast<Word*>(out_);
      const auto ones = [](unsigned mask) { return static_cast<unsigned>(count_bits(mask)); };
      if constexpr (sizeof(Word) == 2) {
        store_if(give, moved(out, ones(givers & seat_.above())), static_cast<std::uint32_t>(x_));
      } else if (give) {
        out[ones(givers & seat_.above())] = static_cast<Word>(x_);
      }
      x_ = give ? x_ >> Traits::kWordBits : x_;
      out_ = reinterpret_cast<std::uint8_t*>(moved(out, ones(givers)));
    } else {
      const bool give_two = active && (x_ >> Traits::kWordBits) >= limit;
      const unsigned two_givers = ballot(give_two) & seat_.row_mask();
      std::uint8_t* target =
          out_ + count_bits(givers & seat_.above()) + count_bits(two_givers & seat_.above());
      if (give) *target = static_cast<Word>(x_);
      if (give_two) target[1] = static_cast<Word>(x_ >> Traits::kWordBits);
      x_ >>= (give ? Traits::kWordBits : 0) + (give_two ? Traits::kWordBits : 0);
      out_ += count_bits(givers) + count_bits(two_givers);
    }
  }

  /// Appends each lane's bytes to its row, those of the highest lane first.
  TORCH_ANS_DEVICE void append(const std::uint8_t* bytes, const std::uint8_t* end) {
    const auto count = static_cast<unsigned>(end - bytes);
    const auto sums = seat_.sum_over_row(count);
    std::uint8_t* target = out_ + sums.others;
    for (unsigned b = 0; b < count; ++b) {
      if (target + b < row_end_) target[b] = bytes[b];
    }
    out_ += sums.all;
  }

  const CoderTask& task_;
  const Seat<kFixedLanes> seat_;
  State x_ = Traits::kLowerBound;
  std::uint8_t* out_ = nullptr;
  std::uint8_t* row_end_ = nullptr;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
