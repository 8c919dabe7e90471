/// Escapes: symbols outside a table are coded as its last symbol, the sentinel, plus their value
/// in digits of `bypass_precision` equiprobable bits of the same state.
///
/// With v = symbol - offset and `sentinel` = the last symbol of the table:
///     v <  0         raw = -2 v - 1
///     v >= sentinel  raw = 2 (v - sentinel)
/// The decoder reads the number of digits n in unary of maxima (as many full digits `max` as fit
/// into n, then the rest), then the digits, least significant first; the encoder puts all of that
/// in the opposite order. All arithmetic wraps in 64 bits, which maps the 64-bit integers one to
/// one, so that no symbol is mis-coded.
#pragma once

#include "torch_ans/coder.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// More than one escape can ever append to a row: 64 digits of one bit, their number in unary,
/// and a word of slack.
constexpr int kMaxEscapeBytes = 32;

TORCH_ANS_FN std::uint64_t zigzag(std::int64_t v, std::uint32_t sentinel) {
  const auto bits = static_cast<std::uint64_t>(v);
  return v < 0 ? ~(bits << 1) : (bits - sentinel) << 1;
}

TORCH_ANS_FN std::int64_t unzigzag(std::uint64_t raw, std::uint32_t sentinel) {
  const std::uint64_t half = raw >> 1;
  return static_cast<std::int64_t>((raw & 1) != 0 ? ~half : half + sentinel);
}

TORCH_ANS_FN int digits_of(std::uint64_t raw, int bypass_precision) {
  return (bit_width(raw) + bypass_precision - 1) / bypass_precision;
}

/// Bits that an escape of `raw` adds to its row.
TORCH_ANS_FN int escape_bits(std::uint64_t raw, int bypass_precision) {
  const int digits = digits_of(raw, bypass_precision);
  const int max_digit = (1 << bypass_precision) - 1;
  return (digits + 1 + digits / max_digit) * bypass_precision;
}

/// Calls `put_digit(digit)` for the digits of `raw` and of their number, as an encoder puts them.
template <typename PutDigit>
TORCH_ANS_FN void put_digits(std::uint64_t raw, int bypass_precision, const PutDigit& put_digit) {
  const auto max_digit = (std::uint32_t{1} << bypass_precision) - 1;
  const int digits = digits_of(raw, bypass_precision);
  for (int j = digits - 1; j >= 0; --j) {
    put_digit(static_cast<std::uint32_t>(raw >> (j * bypass_precision)) & max_digit);
  }
  const auto count = static_cast<std::uint32_t>(digits);
  put_digit(count % max_digit);
  for (std::uint32_t full = count / max_digit; full > 0; --full) put_digit(max_digit);
}

/// The inverse: calls `read_digit()`. Sets `broken` where the digits name no 64-bit value.
template <typename ReadDigit>
TORCH_ANS_FN std::uint64_t read_digits(int bypass_precision, bool& broken,
                                       const ReadDigit& read_digit) {
  const auto max_digit = (std::uint32_t{1} << bypass_precision) - 1;
  const int most_digits = (64 + bypass_precision - 1) / bypass_precision;
  int digits = 0;
  std::uint32_t digit;
  do {
    digit = read_digit();
    digits += static_cast<int>(digit);
  } while (digit == max_digit && digits <= most_digits);
  if (digits > most_digits) {
    broken = true;
    return 0;
  }
  std::uint64_t raw = 0;
  for (int j = 0; j < digits; ++j) {
    const std::uint64_t value = read_digit();
    const int shift = j * bypass_precision;
    broken |= shift + bit_width(value) > 64;
    raw |= value << shift;
  }
  return raw;
}

/// Puts the digits of `raw` onto a state of rANS. Writes at most kMaxEscapeBytes at `out`.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put_escape(typename Traits::State x, std::uint64_t raw,
                                               int bypass_precision, std::uint8_t*& out) {
  put_digits(raw, bypass_precision,
             [&](std::uint32_t digit) { x = put_bits<Traits>(x, digit, bypass_precision, out); });
  return x;
}

/// Reads digits from a row whose bytes are not trusted. `in` never ends below `base`; `broken`
/// is set where the row ends too early or the digits name no 64-bit value.
/// Four bytes below `base` are readable (every row has a header there).
template <typename Traits>
class EscapeReader {
 public:
  using State = typename Traits::State;

  TORCH_ANS_FN EscapeReader(State x, const std::uint8_t* in, const std::uint8_t* base,
                            int bypass_precision)
      : x_(x), in_(in), base_(base), precision_(bypass_precision) {}

  TORCH_ANS_FN std::uint64_t read_raw() {
    return read_digits(precision_, broken_, [this] { return read_digit(); });
  }

  TORCH_ANS_FN State state() const { return x_; }
  TORCH_ANS_FN const std::uint8_t* cursor() const { return in_; }
  TORCH_ANS_FN bool broken() const { return broken_; }

 private:
  TORCH_ANS_FN std::uint32_t read_digit() {
    const auto digit = static_cast<std::uint32_t>(x_) & ((std::uint32_t{1} << precision_) - 1);
    x_ = renormalise_get<Traits>(x_ >> precision_, in_);
    if (in_ < base_) {
      in_ = base_;
      broken_ = true;
    }
    return digit;
  }

  State x_;
  const std::uint8_t* in_;
  const std::uint8_t* base_;
  int precision_;
  bool broken_ = false;
};

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
