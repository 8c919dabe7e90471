/// torchac's arithmetic coder (Mentzer, torchac 0.9.3), whose bytes other programs have written: 16
/// bits of probability, an interval [low, high] of 32 bits, one bit out at a time (Witten, Neal and
/// Cleary, "Arithmetic coding for data compression", 1987; Nelson, 2014).
///
/// Here all bits that a symbol settles leave in one step. Invariant between two symbols: `low`
/// starts with bit 0 and `high` with bit 1, and not with 01 and 10, so high - low is at least 2^30.
#pragma once

#include <utility>
#include <vector>

#include "torch_ans/config.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

constexpr int kArithmeticPrecision = 16;

TORCH_ANS_FN int leading_zeros(std::uint32_t value) {
#if defined(__GNUC__)
  return value == 0 ? 32 : __builtin_clz(value);
#else
  return 32 - bit_width(value);
#endif
}

/// The interval, and how it narrows.
class ArithmeticInterval {
 public:
  TORCH_ANS_FN std::uint32_t low() const { return low_; }

  TORCH_ANS_FN std::uint64_t span() const { return std::uint64_t{high_} - low_ + 1; }

  /// To the part of the slots [start, end), which is not empty.
  TORCH_ANS_FN void narrow(std::uint32_t start, std::uint32_t end) {
    const std::uint64_t whole = span();
    high_ = low_ - 1 + static_cast<std::uint32_t>((whole * end) >> kArithmeticPrecision);
    low_ += static_cast<std::uint32_t>((whole * start) >> kArithmeticPrecision);
  }

  /// Bits that low and high share at their top.
  TORCH_ANS_FN int settled() const { return leading_zeros(low_ ^ high_); }

  TORCH_ANS_FN void drop_settled(int count) {
    low_ <<= count;
    high_ = (high_ << count) | ((std::uint32_t{1} << count) - 1);
  }

  /// Bits behind the first that are 1 in low and 0 in high: what they will be is open, but they
  /// will be the inverse of the first.
  TORCH_ANS_FN int pending() const { return leading_zeros(~((low_ & ~high_) << 1)); }

  TORCH_ANS_FN void drop_pending(int count) {
    low_ = (low_ << count) & 0x7fffffffu;
    high_ = (high_ << count) | 0x80000000u | ((std::uint32_t{1} << count) - 1);
  }

 private:
  std::uint32_t low_ = 0;
  std::uint32_t high_ = 0xffffffffu;
};

class ArithmeticEncoder {
 public:
  /// Puts a symbol that owns the slots [start, end) of 2^16, at least one.
  TORCH_ANS_FN void put(std::uint32_t start, std::uint32_t end) {
    interval_.narrow(start, end);
    const int settled = interval_.settled();
    if (settled > 0) {
      const std::uint32_t bits = interval_.low() >> (32 - settled);
      if (pending_ == 0) {
        append(bits, settled);
      } else {
        const std::uint32_t first = bits >> (settled - 1);
        append_first(first);
        append(bits & ((std::uint32_t{1} << (settled - 1)) - 1), settled - 1);
      }
      interval_.drop_settled(settled);
    }
    const int pending = interval_.pending();
    interval_.drop_pending(pending);
    pending_ += static_cast<std::uint64_t>(pending);
  }

  /// Writes the bits that tell the last interval, and fills the last byte with zeros.
  std::vector<std::uint8_t> finish() {
    ++pending_;
    append_first(interval_.low() < 0x40000000u ? 0 : 1);
    if (filled_ > 0) append(0, 8 - filled_);
    return std::move(bytes_);
  }

 private:
  TORCH_ANS_COLD void append_first(std::uint32_t bit) {
    append(bit, 1);
    for (; pending_ > 0; --pending_) append(bit ^ 1, 1);
  }

  /// The lowest `count` bits, up to 32, the highest first.
  TORCH_ANS_FN void append(std::uint32_t bits, int count) {
    buffer_ = buffer_ << count | bits;
    filled_ += count;
    while (filled_ >= 8) {
      filled_ -= 8;
      bytes_.push_back(static_cast<std::uint8_t>(buffer_ >> filled_));
    }
  }

  ArithmeticInterval interval_;
  std::uint64_t pending_ = 0;
  std::uint64_t buffer_ = 0;  ///< its lowest `filled_` bits wait for a whole byte
  int filled_ = 0;
  std::vector<std::uint8_t> bytes_;
};

/// Bits past the end of the bytes read 0, as they do in torchac: any bytes mean some symbols.
class ArithmeticDecoder {
 public:
  ArithmeticDecoder(const std::uint8_t* bytes, std::size_t size)
      : next_(bytes), end_(bytes + size) {
    value_ = take(kMostTaken);
  }

  /// The slot that names the next symbol.
  TORCH_ANS_FN std::uint32_t slot() const {
    const std::uint64_t above = std::uint64_t{value_} - interval_.low() + 1;
    return static_cast<std::uint32_t>(((above << kArithmeticPrecision) - 1) / interval_.span());
  }

  /// Takes the symbol off, which owns [start, end) with slot() in it: so the value stays in the
  /// interval.
  TORCH_ANS_FN void advance(std::uint32_t start, std::uint32_t end) {
    interval_.narrow(start, end);
    const int settled = interval_.settled();
    interval_.drop_settled(settled);
    const int pending = interval_.pending();
    interval_.drop_pending(pending);
    // Each pending bit subtracts 2^30 and doubles: modulo 2^32 only the last one's 2^31 is left.
    const std::uint32_t subtracted = pending > 0 ? 0x80000000u : 0;
    value_ = (value_ << (settled + pending) | take(settled + pending)) ^ subtracted;
  }

 private:
  static constexpr int kMostTaken = 32;

  /// The next `count` bits. (Of a symbol 18 at most: an interval of 2^30 leaves 2^14 to a slot.)
  TORCH_ANS_FN std::uint32_t take(int count) {
    if (filled_ < kMostTaken) fill();
    filled_ -= count;
    return static_cast<std::uint32_t>((buffer_ >> filled_) & ((std::uint64_t{1} << count) - 1));
  }

  TORCH_ANS_FN void fill() {
    for (int k = 0; k < 4; ++k) buffer_ = buffer_ << 8 | (next_ < end_ ? *next_++ : 0u);
    filled_ += 32;
  }

  ArithmeticInterval interval_;
  const std::uint8_t* next_;
  const std::uint8_t* end_;
  std::uint64_t buffer_ = 0;
  int filled_ = 0;
  std::uint32_t value_ = 0;
};

/// torchac's edges: as it rounds them, in the float arithmetic of its CDF. `leak` is 1 where it
/// makes sure that edges differ.
struct ArithmeticEdges {
  std::uint32_t num_symbols;
  std::uint32_t leak;

  TORCH_ANS_FN std::uint32_t inner(std::uint32_t i, std::int16_t value) const {
    (void)i;
    return static_cast<std::uint16_t>(value);
  }

  template <typename Float>
  TORCH_ANS_FN std::uint32_t inner(std::uint32_t i, Float p) const {
    const Float scaled = p * spread<Float>();
    const Float clamped = scaled > 0 ? (scaled < 65536 ? scaled : Float{65536}) : Float{0};
    const auto rounded = static_cast<std::int32_t>((clamped + kPush<Float>)-kPush<Float>);
    return (static_cast<std::uint32_t>(rounded) + i * leak) & 0xffff;
  }

  template <typename Float>
  TORCH_ANS_FN Float spread() const {
    return static_cast<Float>(65536 - static_cast<std::int32_t>(num_symbols * leak));
  }

  /// Half to even: adding it pushes all fractional bits out of the mantissa.
  template <typename Float>
  static constexpr Float kPush = sizeof(Float) == 4 ? Float(8388608) : Float(4503599627370496);

  /// Edge i of a row: the first one is taken as it is, the last one is the end of all slots.
  template <typename Value>
  TORCH_ANS_FN std::uint32_t at(const Value* row, std::uint32_t i) const {
    return i >= num_symbols ? std::uint32_t{1} << kArithmeticPrecision : inner(i, row[i]);
  }
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
