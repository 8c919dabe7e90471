/// cpp/FORMAT.md in its own words: one symbol at a time, by divisions and searches. What the
/// kernels must agree with, to the byte.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <vector>

#include "torch_ans/rans.h"
#include "torch_ans/tables.h"

namespace torch_ans {

/// The bytes of a row: states, then words.
using RowBytes = std::vector<std::uint8_t>;

/// A sequence of integers, by position.
using Sequence = std::function<std::int64_t(std::int64_t)>;

/// The digits of an escape, as an encoder puts them: the decoder's order backwards.
inline std::vector<std::uint64_t> reversed_digits(std::int64_t v, std::uint32_t sentinel,
                                                  int digit_bits) {
  const auto bits = static_cast<std::uint64_t>(v);
  std::uint64_t raw = v < 0 ? ~(bits << 1) : (bits - sentinel) << 1;
  const std::uint64_t max_digit = (std::uint64_t{1} << digit_bits) - 1;
  std::vector<std::uint64_t> digits;
  for (; raw != 0; raw >>= digit_bits) digits.push_back(raw & max_digit);
  std::vector<std::uint64_t> all;
  std::uint64_t count = digits.size();
  for (; count >= max_digit; count -= max_digit) all.push_back(max_digit);
  all.push_back(count);
  all.insert(all.end(), digits.begin(), digits.end());
  return {all.rbegin(), all.rend()};
}

/// The symbol that the digits behind a sentinel name; `broken` is set where they name none.
template <typename GetDigit>
std::int64_t symbol_of_digits(const TableInfo& table, int digit_bits, bool& broken,
                              const GetDigit& get_digit) {
  const std::uint64_t max_digit = (std::uint64_t{1} << digit_bits) - 1;
  const auto most = static_cast<std::uint64_t>((63 + digit_bits) / digit_bits);
  std::uint64_t count = 0, digit = max_digit;
  while (digit == max_digit && count <= most) count += digit = get_digit();
  if (count > most) {
    broken = true;
    return 0;
  }
  unsigned __int128 raw = 0;
  for (std::uint64_t n = 0; n < count; ++n) {
    raw |= static_cast<unsigned __int128>(get_digit())
           << (n * static_cast<std::uint64_t>(digit_bits));
  }
  broken |= raw >> 64 != 0;
  const auto low = static_cast<std::uint64_t>(raw);
  const std::uint64_t v = low % 2 != 0 ? ~(low / 2) : low / 2 + table.last;
  return static_cast<std::int64_t>(
      v + static_cast<std::uint64_t>(static_cast<std::int64_t>(table.offset)));
}

template <typename Traits>
class ScalarCoder {
  using State = typename Traits::State;
  using Word = typename Traits::Word;
  using Wide = unsigned __int128;

 public:
  ScalarCoder(const CodingTables& tables, int lanes, int bypass_precision)
      : view_(tables.view<std::uint32_t>()),
        precision_(view_.freq_precision),
        lanes_(lanes),
        digit_bits_(bypass_precision) {}

  RowBytes empty() const {
    RowBytes row(static_cast<std::size_t>(lanes_) * sizeof(State));
    for (int lane = 0; lane < lanes_; ++lane) {
      std::memcpy(&row[static_cast<std::size_t>(lane) * sizeof(State)], &kLowest, sizeof(State));
    }
    return row;
  }
  RowBytes emptied() const { return empty(); }

  /// Appends `present` symbols of a row of `row_length`.
  void encode(RowBytes& row, std::int64_t row_length, std::int64_t present, const Sequence& symbols,
              const Sequence& indexes) {
    load_states(row);
    words_ = &row;
    const std::int64_t grouped = row_length / lanes_ * lanes_;
    for (std::int64_t i = present - 1; i >= grouped; --i) {
      put_digits(i, symbols(i), indexes(i));
      put_symbol(i, symbols(i), indexes(i));
    }
    for (std::int64_t group = grouped - lanes_; group >= 0; group -= lanes_) {
      for (std::int64_t i = group + lanes_ - 1; i >= group; --i) {
        if (i < present) put_digits(i, symbols(i), indexes(i));
      }
      for (std::int64_t i = group + lanes_ - 1; i >= group; --i) {
        if (i < present) put_symbol(i, symbols(i), indexes(i));
      }
    }
    std::memcpy(row.data(), states_.data(), states_.size() * sizeof(State));
  }

  /// Takes symbols off. False: the row is broken.
  bool decode(RowBytes& row, std::int64_t row_length, std::int64_t present, const Sequence& indexes,
              std::vector<std::int64_t>& symbols, bool require_end) {
    load_states(row);
    words_ = &row;
    symbols.assign(static_cast<std::size_t>(present), 0);
    broken_ = (row.size() - empty().size()) % sizeof(Word) != 0;
    for (const State x : states_) broken_ |= x < kLowest || (x >> Traits::kUsedBits) != 0;
    const std::int64_t grouped = row_length / lanes_ * lanes_;
    for (std::int64_t i = 0; i < present && !broken_;) {
      const std::int64_t end = i < grouped ? (i + lanes_ < present ? i + lanes_ : present) : i + 1;
      std::vector<bool> escaped;
      for (std::int64_t k = i; k < end; ++k) {
        escaped.push_back(get_symbol(k, indexes(k), symbols[static_cast<std::size_t>(k)]));
      }
      for (std::int64_t k = i; k < end; ++k) {
        if (escaped[static_cast<std::size_t>(k - i)]) {
          symbols[static_cast<std::size_t>(k)] = get_digits(k, indexes(k));
        }
      }
      i = end;
    }
    if (broken_) return false;
    std::memcpy(row.data(), states_.data(), states_.size() * sizeof(State));
    return !require_end || row == empty();
  }

 private:
  static constexpr State kLowest = Traits::kLowerBound;

  void load_states(const RowBytes& row) {
    states_.resize(static_cast<std::size_t>(lanes_));
    std::memcpy(states_.data(), row.data(), states_.size() * sizeof(State));
  }

  const TableInfo& info(std::int64_t index) const { return view_.info[index]; }
  State& state(std::int64_t i) { return states_[static_cast<std::size_t>(i % lanes_)]; }

  /// The symbol counted from the table's first, in 64 wrapping bits; whether it is outside.
  std::int64_t counted(std::int64_t symbol, std::int64_t index, bool& outside) const {
    const auto v = static_cast<std::int64_t>(
        static_cast<std::uint64_t>(symbol) -
        static_cast<std::uint64_t>(static_cast<std::int64_t>(info(index).offset)));
    outside = v < 0 || v >= info(index).last + (view_.bypass_coding ? 0 : 1);
    return v;
  }

  void give_words(State& x, Wide limit) {
    for (; x >= limit; x = static_cast<State>(x >> Traits::kWordBits)) {
      const auto word = static_cast<Word>(x);
      std::uint8_t bytes[sizeof(Word)];
      std::memcpy(bytes, &word, sizeof(Word));
      words_->insert(words_->end(), bytes, bytes + sizeof(Word));
    }
  }

  void put_symbol(std::int64_t i, std::int64_t symbol, std::int64_t index) {
    bool outside;
    const std::int64_t v = counted(symbol, index, outside);
    const std::uint32_t s = outside ? info(index).last : static_cast<std::uint32_t>(v);
    const std::uint32_t* cdf = view_.cdf + info(index).base;
    const std::uint32_t start = cdf[s], freq = cdf[s + 1] - cdf[s];
    State& x = state(i);
    give_words(x, (static_cast<Wide>(kLowest >> precision_) << Traits::kWordBits) * freq);
    std::uint32_t slot = start + static_cast<std::uint32_t>(x % freq);
    if (view_.aliases != nullptr) {
      slot = view_.alias_slots[(static_cast<std::size_t>(index) << precision_) + slot];
    }
    x = static_cast<State>(x / freq << precision_) + slot;
  }

  void put_bits(State& x, std::uint64_t digit) {
    give_words(x, static_cast<Wide>(kLowest >> digit_bits_) << Traits::kWordBits);
    x = static_cast<State>(x << digit_bits_ | digit);
  }

  void put_digits(std::int64_t i, std::int64_t symbol, std::int64_t index) {
    bool outside;
    const std::int64_t v = counted(symbol, index, outside);
    if (!outside) return;
    for (const std::uint64_t digit : reversed_digits(v, info(index).last, digit_bits_)) {
      put_bits(state(i), digit);
    }
  }

  void take_words(State& x) {
    while (x < kLowest && !broken_) {
      if (words_->size() < states_.size() * sizeof(State) + sizeof(Word)) {
        broken_ = true;
        return;
      }
      Word word;
      std::memcpy(&word, &*words_->end() - sizeof(Word), sizeof(Word));
      words_->resize(words_->size() - sizeof(Word));
      x = static_cast<State>(x << Traits::kWordBits | word);
    }
  }

  /// True: an escape.
  bool get_symbol(std::int64_t i, std::int64_t index, std::int64_t& symbol) {
    State& x = state(i);
    auto slot = static_cast<std::uint32_t>(x & ((std::uint32_t{1} << precision_) - 1));
    if (view_.aliases != nullptr) {
      const std::uint16_t* slots =
          view_.alias_slots + (static_cast<std::size_t>(index) << precision_);
      const std::uint32_t wanted = slot;
      for (slot = 0; slots[slot] != wanted;) ++slot;
    }
    const std::uint32_t* cdf = view_.cdf + info(index).base;
    std::uint32_t s = 0;
    while (cdf[s + 1] <= slot) ++s;
    x = static_cast<State>((x >> precision_) * (cdf[s + 1] - cdf[s]) + slot - cdf[s]);
    take_words(x);
    symbol = static_cast<std::int64_t>(s) + info(index).offset;
    return view_.bypass_coding && s == info(index).last;
  }

  std::uint64_t get_bits(State& x) {
    const std::uint64_t digit = x & ((std::uint64_t{1} << digit_bits_) - 1);
    x = static_cast<State>(x >> digit_bits_);
    take_words(x);
    return digit;
  }

  std::int64_t get_digits(std::int64_t i, std::int64_t index) {
    return symbol_of_digits(info(index), digit_bits_, broken_, [&] { return get_bits(state(i)); });
  }

  const TablesView view_;
  const int precision_;
  const int lanes_;
  const int digit_bits_;
  std::vector<State> states_;
  RowBytes* words_ = nullptr;
  bool broken_ = false;
};

}  // namespace torch_ans
