/// The rANS step itself, one copy for every family, lane count, lookup and device.
///
/// Notation: a symbol owns the slots [start, start + freq) of 2^precision. C(s, x) puts symbol s
/// onto state x, D(x) takes it off again. Words are appended as they leave (encode runs from the
/// last symbol to the first) and are read back from the end.
#pragma once

#include <type_traits>

#include "torch_ans/rans.h"
#include "torch_ans/select.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// States at or above this have to give up words before a symbol of `freq` can enter:
/// `((kLowerBound >> precision) << kWordBits) * freq`.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put_limit(std::uint32_t freq, int precision) {
  return static_cast<typename Traits::State>(freq)
         << (Traits::kLowerBits - precision + Traits::kWordBits);
}

/// Appends the words that `x` has to give up, advances `out` past them and sets `freed` to their
/// bits: what is left is x >> freed.
/// Branch-free: always stores, advances by what was needed. Writes at most
/// `max(sizeof(Word) * kMaxWords, sizeof(Word))` bytes at `out`.
template <typename Traits>
TORCH_ANS_FN typename Traits::State renormalise_put(typename Traits::State x,
                                                    typename Traits::State limit,
                                                    std::uint8_t*& out, std::uint32_t& freed) {
  using State = typename Traits::State;
  std::uint32_t need = static_cast<std::uint32_t>(x >= limit);
  if constexpr (Traits::kMaxWords == 1) {
    store(out, static_cast<typename Traits::Word>(x));
  } else {
    // The low word leaves first, so both candidates are one little-endian store.
    static_assert(Traits::kWordBits == 8, "two words are two bytes");
    store(out, static_cast<std::uint16_t>(x));
    need += static_cast<std::uint32_t>((x >> Traits::kWordBits) >= limit);
  }
  need = opaque(need);
  out += need * sizeof(typename Traits::Word);
  freed = need * Traits::kWordBits;
  return static_cast<State>(x >> freed);
}

/// Reads the words that `x` lacks from below `in` and moves `in` down past them.
/// Branch-free: always loads up to 4 bytes below `in`; the caller has made sure they exist.
template <typename Traits>
TORCH_ANS_FN typename Traits::State renormalise_get(typename Traits::State x,
                                                    const std::uint8_t*& in) {
  using State = typename Traits::State;
  using Word = typename Traits::Word;
  const auto refilled = static_cast<State>(static_cast<State>(x << Traits::kWordBits) |
                                           load<Word>(in - sizeof(Word)));
  State less;  // -1 where a word enters
  if constexpr (Traits::kMaxWords == 1) {
    const State full = select_below(x, Traits::kLowerBound, refilled, x, less);
    in += static_cast<std::int64_t>(sizeof(Word)) * static_cast<std::make_signed_t<State>>(less);
    return full;
  } else {
    // The byte nearest to `in` enters first: it is the top byte of a little-endian load.
    static_assert(Traits::kWordBits == 8, "two words are two bytes");
    const State refilled_twice = x << 16 | load<std::uint16_t>(in - 2);
    State less_again;
    State full = select_below(x, Traits::kLowerBound, refilled, x, less);
    full = select_below(x, Traits::kLowerBound >> 8, refilled_twice, full, less_again);
    in += static_cast<std::int32_t>(less + less_again);
    return full;
  }
}

/// What the encoder keeps about a symbol so that C(s, x) needs no division.
///
/// C(s, x) = ((x / freq) << precision) + x % freq + start
///         = x + (x / freq) * (2^precision - freq) + start,
/// and x / freq = multiply_high(2 x, reciprocal) >> shift exactly, for every x the state can hold:
/// with 2^(shift - 1) < freq <= 2^shift and reciprocal = ceil(2^(bits - 1 + shift) / freq) the
/// error is under x / 2^(bits - 1) / freq < 1 / freq (Alverson, "Integer division using
/// reciprocals", 1991; as used by Giesen's ryg_rans). As the state leaves a bit free, this holds
/// for freq == 1 as well.
template <typename State>
struct EncoderRecord {
  State reciprocal;
  std::uint32_t freq;
  std::uint32_t start;
  std::uint32_t complement;  ///< 2^precision - freq
  std::uint32_t shift;
};

/// For states of 64 bits, which loops keep doubled, as the reciprocals want them. So are `start`
/// and `complement`.
template <>
struct alignas(32) EncoderRecord<std::uint64_t> {
  std::uint64_t reciprocal;
  std::uint64_t most;  ///< a doubled state above it has to give up a word
  std::uint32_t start;
  std::uint32_t complement;
  std::uint32_t shift;
  std::uint32_t shift_less;  ///< where a word leaves
};

template <typename State>
TORCH_ANS_FN EncoderRecord<State> make_record(std::uint32_t start, std::uint32_t freq,
                                              int precision) {
  constexpr int kBits = 8 * static_cast<int>(sizeof(State));
  const auto shift = static_cast<std::uint32_t>(bit_width(freq - 1));
  // By long division in two half-width digits.
  const State half = State{1} << (kBits / 2);
  const State top = static_cast<State>((half >> 1) << shift);
  const State high = static_cast<State>(top / freq);
  const State low = static_cast<State>(((top % freq) * half + (freq - 1)) / freq);
  const auto reciprocal = static_cast<State>((high << (kBits / 2)) + low);
  const std::uint32_t complement = (std::uint32_t{1} << precision) - freq;
  if constexpr (sizeof(State) == 8) {
    // Where all slots are the symbol's, none: 2^64 - 1.
    const State most = (State{freq} << (kBits - precision)) - 1;
    return {reciprocal, most, 2 * start, 2 * complement, shift, shift + kBits / 2};
  } else {
    return {reciprocal, freq, start, complement, shift};
  }
}

/// C(s, x) of doubled states, renormalisation included: a word goes to word `words` behind `out`
/// and, where it leaves, is counted.
TORCH_ANS_FN std::uint64_t put_doubled(std::uint64_t twice,
                                       const EncoderRecord<std::uint64_t>& record,
                                       std::uint8_t* out, std::int64_t& words) {
  const std::uint64_t high = multiply_high(twice, record.reciprocal);
  const std::uint64_t x = twice >> 1;
  store(out + 4 * words, static_cast<std::uint32_t>(x));
  std::uint64_t rest = twice;
  std::uint64_t shift = record.shift;
  select_above(twice, record.most, 2 * (x >> 32), record.shift_less, rest, shift, words);
  return rest + record.start + (high >> shift) * record.complement;
}

/// C(s, x) through a record, renormalisation included. The division starts from the state as it
/// was, as (x >> freed) / freq = (x / freq) >> freed: it need not wait for the renormalisation.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put(typename Traits::State x,
                                        const EncoderRecord<typename Traits::State>& record,
                                        [[maybe_unused]] int precision, std::uint8_t*& out) {
  if constexpr (sizeof(x) == 8) {
    std::int64_t words = 0;
    const std::uint64_t twice = put_doubled(2 * x, record, out, words);
    out += 4 * words;
    return twice >> 1;
  } else {
    std::uint32_t freed;
    const auto rest =
        renormalise_put<Traits>(x, put_limit<Traits>(record.freq, precision), out, freed);
    const std::uint64_t product = static_cast<std::uint64_t>(x) * record.reciprocal;
    const auto quotient = static_cast<std::uint32_t>(product >> (31 + record.shift + freed));
    return rest + record.start + quotient * record.complement;
  }
}

/// C(s, x) as it is defined, by a division: for tables too short-lived to prepare records.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put(typename Traits::State x, std::uint32_t start,
                                        std::uint32_t freq, int precision, std::uint8_t*& out) {
  std::uint32_t freed;
  x = renormalise_put<Traits>(x, put_limit<Traits>(freq, precision), out, freed);
  const auto quotient = x / freq;
  return (quotient << precision) + (x - quotient * freq) + start;
}

/// C(s, x) where the slots of a symbol are scattered: `slots[start + rank]` is the rank-th one.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put_scattered(typename Traits::State x, std::uint32_t start,
                                                  std::uint32_t freq, int precision,
                                                  const std::uint16_t* slots, std::uint8_t*& out) {
  std::uint32_t freed;
  x = renormalise_put<Traits>(x, put_limit<Traits>(freq, precision), out, freed);
  const auto quotient = x / freq;
  return (quotient << precision) + slots[start + (x - quotient * freq)];
}

/// The slot that names the next symbol.
template <typename State>
TORCH_ANS_FN std::uint32_t slot_of(State x, int precision) {
  return static_cast<std::uint32_t>(x) & ((std::uint32_t{1} << precision) - 1);
}

/// D(x), once the symbol is known: `rank` is the slot's position among the symbol's slots.
template <typename Traits>
TORCH_ANS_FN typename Traits::State get(typename Traits::State x, typename Traits::State freq,
                                        typename Traits::State rank, int precision,
                                        const std::uint8_t*& in) {
  return renormalise_get<Traits>((x >> precision) * freq + rank, in);
}

/// Puts `count` equiprobable bits, the same as a symbol with freq 2^(precision - count).
template <typename Traits>
TORCH_ANS_FN typename Traits::State put_bits(typename Traits::State x, std::uint32_t bits,
                                             int count, std::uint8_t*& out) {
  std::uint32_t freed;
  x = renormalise_put<Traits>(x, put_limit<Traits>(1, count), out, freed);
  return (x << count) | bits;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
