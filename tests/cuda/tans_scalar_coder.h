/// tANS of cpp/FORMAT.md in its own words: one bit at a time, by searches. What the kernels must
/// agree with, to the byte.
#pragma once

#include "scalar_coder.h"

namespace torch_ans {

class TansScalarCoder {
 public:
  TansScalarCoder(const CodingTables& tables, int lanes, int bypass_precision, int word_bytes)
      : view_(tables.tans_view()),
        size_(std::int64_t{1} << view_.freq_precision),
        lanes_(lanes),
        digit_bits_(bypass_precision),
        word_bits_(8 * word_bytes) {
    for (std::uint32_t k = 0; k < view_.num_tables; ++k) spread(k);
  }

  /// A fresh row knows no precision; one that was used and is empty again does.
  RowBytes empty() const { return RowBytes(static_cast<std::size_t>(header_bytes()), 0); }
  RowBytes emptied() const {
    RowBytes row = empty();
    for (int lane = 0; lane < lanes_; ++lane) set_number(row, lane, size_);
    return row;
  }

  void encode(RowBytes& row, std::int64_t row_length, std::int64_t present, const Sequence& symbols,
              const Sequence& indexes) {
    load_row(row);
    const std::int64_t grouped = row_length / lanes_ * lanes_;
    // A group's lanes go one after the other, digits and all: as if there were no groups.
    for (std::int64_t i = present - 1; i >= grouped; --i) put_symbol(i, symbols(i), indexes(i));
    for (std::int64_t i = std::min(grouped, present) - 1; i >= 0; --i) {
      put_symbol(i, symbols(i), indexes(i));
    }
    row = to_bytes();
  }

  bool decode(RowBytes& row, std::int64_t /*row_length*/, std::int64_t present,
              const Sequence& indexes, std::vector<std::int64_t>& symbols, bool require_end) {
    broken_ = !load_row(row);
    symbols.assign(static_cast<std::size_t>(present), 0);
    for (std::int64_t i = 0; i < present && !broken_; ++i) {
      symbols[static_cast<std::size_t>(i)] = get_symbol(i, indexes(i));
    }
    if (broken_) return false;
    row = to_bytes();
    return !require_end || row == emptied();
  }

 private:
  struct Slot {
    std::uint32_t symbol;
    std::int64_t rank;
  };

  int header_bytes() const { return 4 * lanes_ + 8; }

  static void set_number(RowBytes& row, int place, std::int64_t value) {
    const auto number = static_cast<std::uint32_t>(value);
    std::memcpy(row.data() + 4 * place, &number, 4);
  }
  static std::int64_t number(const RowBytes& row, int place) {
    std::uint32_t value;
    std::memcpy(&value, row.data() + 4 * place, 4);
    return value;
  }

  void spread(std::uint32_t k) {
    const std::uint32_t* cdf = view_.cdf + view_.info[k].base;
    const std::int64_t step = size_ == 2 ? 1 : size_ == 8 ? 5 : (size_ >> 1) + (size_ >> 3) + 3;
    std::vector<Slot> slots(static_cast<std::size_t>(size_), Slot{0, 0});
    std::int64_t at = size_ == 2 ? 1 : 0;
    for (std::uint32_t s = 0; s <= view_.info[k].last; ++s) {
      for (std::uint32_t n = cdf[s]; n < cdf[s + 1]; ++n, at = (at + step) % size_) {
        slots[static_cast<std::size_t>(at)].symbol = s;
      }
    }
    std::vector<std::int64_t> seen(view_.info[k].last + 1u, 0);
    for (Slot& slot : slots) slot.rank = seen[slot.symbol]++;
    slots_.push_back(slots);
  }

  /// False: no encoder wrote that.
  bool load_row(const RowBytes& row) {
    const auto bytes = static_cast<std::int64_t>(row.size()) - header_bytes();
    if (bytes % (word_bits_ / 8) != 0) return false;
    states_.clear();
    for (int lane = 0; lane < lanes_; ++lane) {
      const std::int64_t x = number(row, lane);
      states_.push_back(x == 0 ? size_ : x);
      if (states_.back() < size_ || states_.back() >= 2 * size_) return false;
    }
    const std::int64_t count = number(row, lanes_ + 1);
    if (count >= word_bits_) return false;
    bits_.clear();
    for (std::int64_t n = 0; n < 8 * bytes; ++n) {
      bits_.push_back(row[static_cast<std::size_t>(header_bytes() + n / 8)] >> (n % 8) & 1);
    }
    for (std::int64_t n = 0; n < count; ++n) bits_.push_back(number(row, lanes_) >> n & 1);
    return true;
  }

  RowBytes to_bytes() const {
    RowBytes row = empty();
    for (int lane = 0; lane < lanes_; ++lane) {
      set_number(row, lane, states_[static_cast<std::size_t>(lane)]);
    }
    const std::size_t word = static_cast<std::size_t>(word_bits_);
    const std::size_t whole = bits_.size() / word * word;
    std::int64_t last = 0;
    for (std::size_t n = whole; n < bits_.size(); ++n)
      last |= std::int64_t{bits_[n]} << (n - whole);
    set_number(row, lanes_, last);
    set_number(row, lanes_ + 1, static_cast<std::int64_t>(bits_.size() - whole));
    for (std::size_t n = 0; n < whole; n += 8) {
      std::uint8_t byte = 0;
      for (std::size_t b = 0; b < 8; ++b) byte |= static_cast<std::uint8_t>(bits_[n + b] << b);
      row.push_back(byte);
    }
    return row;
  }

  const TableInfo& info(std::int64_t index) const { return view_.info[index]; }
  std::int64_t& state(std::int64_t i) { return states_[static_cast<std::size_t>(i % lanes_)]; }

  void put_bits(std::uint64_t value, int count) {
    for (int n = 0; n < count; ++n) bits_.push_back(value >> n & 1);
  }

  std::uint64_t get_bits(int count) {
    std::uint64_t value = 0;
    for (int n = 0; n < count; ++n) {
      if (bits_.empty()) {
        broken_ = true;
        return 0;
      }
      value = value << 1 | (bits_.back() ? 1u : 0u);
      bits_.pop_back();
    }
    return value;
  }

  void put_symbol(std::int64_t i, std::int64_t symbol, std::int64_t index) {
    const TableInfo& table = info(index);
    const auto v = static_cast<std::int64_t>(
        static_cast<std::uint64_t>(symbol) -
        static_cast<std::uint64_t>(static_cast<std::int64_t>(table.offset)));
    const bool outside = v < 0 || v >= table.last + (view_.bypass_coding ? 0 : 1);
    if (outside) put_raw(v, table.last);
    const std::uint32_t s = outside ? table.last : static_cast<std::uint32_t>(v);
    const std::uint32_t* cdf = view_.cdf + table.base;
    const std::int64_t freq = cdf[s + 1] - cdf[s];
    std::int64_t& x = state(i);
    int count = 0;
    while (x >> count >= 2 * freq) ++count;
    put_bits(static_cast<std::uint64_t>(x), count);
    const std::vector<Slot>& slots = slots_[static_cast<std::size_t>(index)];
    std::size_t u = 0;
    while (slots[u].symbol != s || slots[u].rank != (x >> count) - freq) ++u;
    x = size_ + static_cast<std::int64_t>(u);
  }

  void put_raw(std::int64_t v, std::uint32_t sentinel) {
    for (const std::uint64_t digit : reversed_digits(v, sentinel, digit_bits_)) {
      put_bits(digit, digit_bits_);
    }
  }

  std::int64_t get_symbol(std::int64_t i, std::int64_t index) {
    const TableInfo& table = info(index);
    std::int64_t& x = state(i);
    const Slot slot = slots_[static_cast<std::size_t>(index)][static_cast<std::size_t>(x - size_)];
    const std::uint32_t* cdf = view_.cdf + table.base;
    x = cdf[slot.symbol + 1] - cdf[slot.symbol] + slot.rank;
    int count = 0;
    while (x << count < size_) ++count;
    x = x << count | static_cast<std::int64_t>(get_bits(count));
    if (!view_.bypass_coding || slot.symbol != table.last)
      return std::int64_t{slot.symbol} + table.offset;
    return symbol_of_digits(table, digit_bits_, broken_, [this] { return get_bits(digit_bits_); });
  }

  const TablesView view_;
  const std::int64_t size_;
  const int lanes_;
  const int digit_bits_;
  const int word_bits_;
  std::vector<std::vector<Slot>> slots_;
  std::vector<std::int64_t> states_;
  std::vector<bool> bits_;
  bool broken_ = false;
};

}  // namespace torch_ans
