/// What a warp's rows of rANS take when symbols are got: states, and the words they are filled
/// from.
///
/// All lanes of a row take words from the end of one sequence, the lowest lane first. A lane finds
/// its word by a ballot: it reads below the words that the lanes below it take. No byte of a row is
/// trusted: a cursor never leaves the row, slots are below 2^precision.
#pragma once

#include "bucket_search.h"
#include "span_tables.h"
#include "torch_ans/bypass.h"
#include "torch_ans/coder.h"
#include "torch_ans/lookup.h"
#include "torch_ans/stream_layout.h"
#include "word_ring.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {
namespace gpu {

/// Invariant: `last_` is the place in the ring of the row's last word; the same in all threads of a
/// row. It may pass into the row's header, until `settle` finds that out.
template <typename Traits, int kFixedLanes>
class RansReader {
 public:
  using State = typename Traits::State;
  using Word = typename Traits::Word;
  /// A symbol, and the state behind it that is still to be filled with words.
  struct Found {
    std::uint32_t symbol;
    State x;
  };

  /// `shared`: where the bytes of shared memory begin that the reader's ring takes.
  TORCH_ANS_DEVICE RansReader(const CoderTask& task, const Seat<kFixedLanes>& seat,
                              std::uint32_t shared)
      : task_(task),
        seat_(seat),
        ring_(task, seat, shared),
        last_slot_(held((std::uint32_t{1} << task.tables.freq_precision) - 1)) {}

  /// Reads the row's header. False: no encoder wrote it.
  TORCH_ANS_DEVICE bool load_row() {
    if (!seat_.has_row()) return false;
    const int lanes = static_cast<int>(seat_.lanes());
    const auto length = load<std::int32_t>(row());
    x_ = load<State>(row() + kLengthBytes + seat_.lane() * sizeof(State));
    set_end(static_cast<std::uint32_t>(kLengthBytes + length));
    return is_length<Traits>(length, task_.row_bytes, lanes) && is_state<Traits>(x_);
  }

  /// An empty row in place of one that cannot be read.
  TORCH_ANS_DEVICE void clear_row() {
    set_end(base());
    x_ = Traits::kLowerBound;
  }

  TORCH_ANS_DEVICE void open_ring() {
    const std::uint32_t top = end();
    ring_.open(top);
    set_end(top);
  }

  /// Gets what `take` may need for so many steps into reach, if that is `wanted`. Where a row has
  /// less, what is read below its words is some other part of the ring, and the row broken. The
  /// whole warp's affair.
  TORCH_ANS_DEVICE void reach(unsigned steps, bool wanted) {
    if constexpr (Seat<kFixedLanes>::kWide) {
      while (any(lacks(steps))) refill();
    } else if (!ring_.reach(base(), end(), bytes_of(steps), wanted)) {
      settle();
    }
  }

  /// The same in two parts, for wide rows, where it does not matter that a word more is asked for.
  TORCH_ANS_DEVICE bool lacks(unsigned steps) const { return ring_.lacks(last_, bytes_of(steps)); }
  TORCH_ANS_DEVICE void refill() {
    settle();
    const std::uint32_t top = end();
    ring_.refill();
    set_end(top);
  }

  /// The symbol that the state names. True: some thread's needs care.
  template <typename Tables>
  TORCH_ANS_DEVICE bool find(const Tables& tables, const NamedTable& table, bool active,
                             Found& found) {
    if constexpr (kOneLane) {
      TORCH_ANS_UNROLL
      for (unsigned n = 0; n < Traits::kMaxWords; ++n) {
        next_[n] = active ? ring_.template get<Word>(last_ - n * kWordBytes) : Word{0};
      }
    }
    Match match;
    const bool needs_care = find_match(tables, table, active, match);
    found = pass(match);
    return needs_care;
  }

  /// The same without a vote: not 0, this thread's needs care.
  TORCH_ANS_DEVICE std::uint32_t find(const SpanTables& tables, const SpanTables::Name& table,
                                      Found& found) {
    Match match;
    const std::uint32_t care =
        tables.find(table, static_cast<std::uint32_t>(x_) & last_slot_, match);
    found = pass(match);
    return care & (std::uint32_t{1} << 31);
  }

  template <typename OneTable>
  TORCH_ANS_DEVICE std::uint32_t find(const OneTable& tables,
                                      const typename OneTable::Name& /*table*/, Found& found) {
    return tables.find(x_, found.symbol, found.x);
  }

  /// Where `take` has come to, and the way back there.
  struct Mark {
    State x;
    std::uint32_t last;
  };
  TORCH_ANS_DEVICE Mark mark() const { return {x_, last_}; }
  TORCH_ANS_DEVICE void back_to(const Mark& mark) {
    x_ = mark.x;
    last_ = mark.last;
  }

  /// Fills the state, with words that are in reach.
  TORCH_ANS_DEVICE void take(const Found& found, bool active) {
    State x = found.x;
    const bool take = active && x < limit_;
    const bool take_two = active && takes_two(x);
    const auto words = count_words(take, take_two);
    if constexpr (Traits::kMaxWords == 1) {
      const State filled = static_cast<State>(x << Traits::kWordBits) | word<0>(words.others);
      x = take ? filled : x;
    } else {
      if (take) x = x << Traits::kWordBits | word<0>(words.others);
      if (take_two) x = x << Traits::kWordBits | word<1>(words.others);
    }
    last_ -= kWordBytes * words.all;
    x_ = active ? x : x_;
  }

  TORCH_ANS_DEVICE static std::uint32_t symbol_of(const Found& found) { return found.symbol; }

  /// A step with everything that can be the matter with it, for threads whose table is named.
  /// Returns the symbol above its table's offset. All escapes' digits come last.
  TORCH_ANS_DEVICE std::int64_t get_carefully(const NamedTable& table, bool active) {
    settle();
    const TablesView& view = task_.tables;
    const TableInfo& info = table.info;
    Match match{0, 0, 0};
    if (active) {
      const std::uint32_t slot = slot_of(x_, view.freq_precision);
      match = view.aliases != nullptr   ? AliasTable::find(view, info, slot)
              : view.buckets != nullptr ? InverseCdf::find(view, info, slot)
                                        : BinarySearch::find(view, info, slot);
    }
    get_bounded(match, active);
    const bool escaped = active && is_escape(info, match);
    if (!any(escaped)) return match.symbol;
    const std::uint64_t raw = get_escapes(escaped);
    return escaped ? unzigzag(raw, info.last) : match.symbol;
  }

  TORCH_ANS_DEVICE bool is_empty() const { return end() == base() && x_ == Traits::kLowerBound; }
  TORCH_ANS_DEVICE bool is_broken() const { return broken_ || has_passed_base(); }

  /// Notes the row's header; returns the bytes of the row, its length word included.
  TORCH_ANS_DEVICE std::int64_t finish() const {
    const std::int64_t state = seat_.row() * seat_.lanes() + seat_.lane();
    reinterpret_cast<State*>(task_.headers)[state] = x_;
    return end();
  }

 private:
  static constexpr bool kOneLane = Seat<kFixedLanes>::kOneLane;
  static constexpr unsigned kWordBytes = sizeof(Word);
  static constexpr unsigned kStepBytes = Traits::kMaxWords * kWordBytes;

  TORCH_ANS_DEVICE std::uint32_t bytes_of(unsigned steps) const {
    return (steps * kStepBytes) << seat_.lanes_log2();
  }

  TORCH_ANS_DEVICE const std::uint8_t* row() const {
    return task_.stream + seat_.row() * task_.row_bytes;
  }
  /// Where the row's words begin.
  TORCH_ANS_DEVICE std::uint32_t base() const {
    return kLengthBytes + seat_.lanes() * static_cast<std::uint32_t>(sizeof(State));
  }

  /// One past the row's last word, in bytes from its length word on.
  TORCH_ANS_DEVICE std::uint32_t end() const { return ring_.offset_of(last_) + kWordBytes; }
  TORCH_ANS_DEVICE void set_end(std::uint32_t end) { last_ = ring_.place_of(end - kWordBytes); }

  TORCH_ANS_DEVICE bool has_passed_base() const {
    return static_cast<std::int32_t>(end() - base()) < 0;
  }

  /// Ends a row that has taken words below its own where they begin.
  TORCH_ANS_DEVICE void settle() {
    if (!has_passed_base()) return;
    broken_ = true;
    ring_.move_to(base());
    set_end(base());
  }

  static TORCH_ANS_DEVICE bool takes_two(State x) {
    return Traits::kMaxWords == 2 && x < (Traits::kLowerBound >> Traits::kWordBits);
  }

  /// How many words the lanes of the row, and those below this one, take.
  TORCH_ANS_DEVICE auto count_words(bool take, bool take_two) const {
    auto words = seat_.count_votes(take);
    if constexpr (Traits::kMaxWords == 2) {
      const auto second = seat_.count_votes(take_two);
      words.others += second.others;
      words.all += second.all;
    }
    return words;
  }

  /// This thread's word number kNumber, where the lanes below take `before` words.
  template <unsigned kNumber>
  TORCH_ANS_DEVICE Word word(unsigned before) const {
    if constexpr (kOneLane) return next_[kNumber];
    return ring_.template get<Word>(last_ - (before + kNumber) * kWordBytes);
  }

  /// D(x), still to be filled.
  TORCH_ANS_DEVICE Found pass(const Match& match) const {
    return {match.symbol, (x_ >> task_.tables.freq_precision) * match.freq + match.rank};
  }

  template <typename Tables>
  TORCH_ANS_DEVICE bool find_match(const Tables& tables, const NamedTable& table, bool active,
                                   Match& match) {
    const TablesView& view = task_.tables;
    const TableInfo& info = table.info;
    const std::uint32_t slot = slot_of(x_, view.freq_precision);
    const std::uint32_t number = slot >> info.shift;
    if (view.buckets != nullptr) {
      match = InverseCdf::resolve(tables.load(view.buckets + (info.bucket + number)), slot);
      const bool unresolved = active && match.rank >= match.freq;
      if (!any(unresolved)) return false;
      if (unresolved && table.named) match = search_bucket(tables, view, info, slot);
      return any(unresolved && (!table.named || is_escape(info, match)));
    }
    match = {0, 1, 0};
    if (active && table.named) {
      const TableEntries<Tables, std::uint32_t> cdf{tables, view.cdf + info.base};
      match = view.aliases != nullptr
                  ? AliasTable::resolve(tables.load(view.aliases + (info.bucket + number)), number,
                                        cdf, slot)
                  : BinarySearch::find_in(cdf, info.last, slot);
    }
    return any(active && (!table.named || is_escape(info, match)));
  }

  TORCH_ANS_DEVICE bool is_escape(const TableInfo& info, const Match& match) const {
    return task_.tables.bypass_coding && match.symbol == info.last;
  }

  /// D(x), with words only as far as there are any.
  TORCH_ANS_DEVICE void get_bounded(const Match& match, bool active) {
    const State x = pass(match).x;
    const auto words = count_words(active && x < limit_, active && takes_two(x));
    const unsigned left = end() - base();
    const unsigned before = kWordBytes * words.others;
    if (active) {
      // Four bytes below the words are the row's own: whatever they are, it is broken then.
      const std::uint8_t* const first = row() + base();
      const std::uint8_t* in = first + (left - smaller(before, left));
      x_ = torch_ans::get<Traits>(x_, match.freq, match.rank, task_.tables.freq_precision, in);
      broken_ |= in < first;
    }
    const unsigned all = kWordBytes * words.all;
    broken_ |= left < all;
    last_ -= smaller(all, left);
  }

  /// The digits of a row's escapes, the lowest lane's first. One lane of a row at a time: where
  /// the next one's digits stand depends on the values of these.
  TORCH_ANS_DEVICE std::uint64_t get_escapes(bool escaped) {
    std::uint64_t raw = 0;
    unsigned pending = ballot(escaped) & seat_.row_mask();
    while (any(pending != 0)) {
      const int next = lowest_bit(pending);
      if (next == static_cast<int>(lane_index())) {
        EscapeReader<Traits> reader(x_, row() + end(), row() + base(), task_.bypass_precision);
        raw = reader.read_raw();
        x_ = reader.state();
        set_end(static_cast<std::uint32_t>(reader.cursor() - row()));
        broken_ |= reader.broken();
      }
      last_ = shuffle(last_, next < 0 ? lane_index() : static_cast<unsigned>(next));
      pending &= pending - 1;
    }
    return raw;
  }

  const CoderTask& task_;
  const Seat<kFixedLanes> seat_;
  RingOf<kFixedLanes> ring_;
  const std::uint32_t last_slot_;
  const State limit_ = held(State{Traits::kLowerBound});
  State x_ = Traits::kLowerBound;
  std::uint32_t last_ = 0;
  Word next_[Traits::kMaxWords] = {};  ///< kOneLane: what a step may take
  bool broken_ = false;
};

}  // namespace gpu
}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
