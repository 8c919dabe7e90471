/// The rANS step itself, one copy for every family, lane count, lookup and device.
///
/// Notation: a symbol owns the slots [start, start + freq) of 2^precision. C(s, x) puts symbol s
/// onto state x, D(x) takes it off again. Words are appended as they leave (encode runs from the
/// last symbol to the first) and are read back from the end.
#pragma once

#include "torch_ans/rans.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

/// States at or above this have to give up words before a symbol of `freq` can enter:
/// `((kLowerBound >> precision) << kWordBits) * freq`.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put_limit(std::uint32_t freq, int precision) {
    return static_cast<typename Traits::State>(freq)
           << (Traits::kLowerBits - precision + Traits::kWordBits);
}

/// Appends the words that `x` has to give up and advances `out` past them.
/// Branch-free: always stores, advances by what was needed. Writes at most
/// `max(sizeof(Word) * kMaxWords, sizeof(Word))` bytes at `out`.
template <typename Traits>
TORCH_ANS_FN typename Traits::State renormalise_put(typename Traits::State x,
                                                    typename Traits::State limit,
                                                    std::uint8_t*& out) {
    using State = typename Traits::State;
    if constexpr (Traits::kMaxWords == 1) {
        store(out, static_cast<typename Traits::Word>(x));
        const State need = opaque(static_cast<State>(x >= limit));
        out += need * sizeof(typename Traits::Word);
        return x >> (need * Traits::kWordBits);
    } else {
        // The low word leaves first, so both candidates are one little-endian store.
        static_assert(Traits::kWordBits == 8, "two words are two bytes");
        store(out, static_cast<std::uint16_t>(x));
        const State need = opaque(static_cast<State>(x >= limit) +
                                  static_cast<State>((x >> Traits::kWordBits) >= limit));
        out += need;
        return x >> (need * Traits::kWordBits);
    }
}

/// Reads the words that `x` lacks from below `in` and moves `in` down past them.
/// Branch-free: always loads up to 4 bytes below `in`; the caller has made sure they exist.
template <typename Traits>
TORCH_ANS_FN typename Traits::State renormalise_get(typename Traits::State x,
                                                    const std::uint8_t*& in) {
    using State = typename Traits::State;
    if constexpr (Traits::kMaxWords == 1) {
        using Word = typename Traits::Word;
        const Word word = load<Word>(in - sizeof(Word));
        const State refilled = static_cast<State>(x << Traits::kWordBits) | word;
        const State need = opaque(static_cast<State>(x < Traits::kLowerBound));
        in -= need * sizeof(Word);
        return x ^ ((x ^ refilled) & (State{0} - need));
    } else {
        // The byte nearest to `in` enters first: it is the top byte of a little-endian load.
        const std::uint64_t bytes = load<std::uint32_t>(in - 4);
        const State need = opaque(static_cast<State>(x < Traits::kLowerBound) +
                                  static_cast<State>(x < (Traits::kLowerBound >> 8)));
        in -= need;
        const std::uint64_t window = (static_cast<std::uint64_t>(x) << 32) | bytes;
        return static_cast<State>((window << (8 * need)) >> 32);
    }
}

/// What the encoder keeps about a symbol so that C(s, x) needs no division.
///
/// C(s, x) = ((x / freq) << precision) + x % freq + start
///         = x + (x / freq) * (2^precision - freq) + start,
/// and x / freq = multiply_high(x, reciprocal) >> shift exactly, for every x the state can hold:
/// with 2^shift < freq <= 2^(shift + 1) and reciprocal = ceil(2^(bits + shift) / freq) the error
/// is under 1 / freq (Alverson, "Integer division using reciprocals", 1991; as used by Giesen's
/// ryg_rans). freq == 1 has no such reciprocal in `bits` bits: reciprocal = 2^bits - 1 gives
/// x - 1 instead, which `bias` makes good.
template <typename State>
struct EncoderRecord {
    State reciprocal;
    std::uint32_t freq;
    std::uint32_t bias;
    std::uint32_t complement;  ///< 2^precision - freq
    std::uint32_t shift;
};

template <typename State>
TORCH_ANS_FN EncoderRecord<State> make_record(std::uint32_t start, std::uint32_t freq,
                                              int precision) {
    constexpr int kBits = 8 * static_cast<int>(sizeof(State));
    const std::uint32_t total = std::uint32_t{1} << precision;
    EncoderRecord<State> record{};
    record.freq = freq;
    record.complement = total - freq;
    if (freq == 1) {
        record.reciprocal = static_cast<State>(~State{0});
        record.bias = start + total - 1;
        return record;
    }
    record.shift = static_cast<std::uint32_t>(bit_width(freq - 1) - 1);
    record.bias = start;
    // ceil(2^(kBits + shift) / freq) by long division in two half-width digits.
    const State half = State{1} << (kBits / 2);
    const State top = static_cast<State>(half << record.shift);
    const State high = static_cast<State>(top / freq);
    const State low = static_cast<State>(((top % freq) * half + (freq - 1)) / freq);
    record.reciprocal = static_cast<State>((high << (kBits / 2)) + low);
    return record;
}

/// C(s, x) through a record, renormalisation included.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put(typename Traits::State x,
                                        const EncoderRecord<typename Traits::State>& record,
                                        int precision, std::uint8_t*& out) {
    x = renormalise_put<Traits>(x, put_limit<Traits>(record.freq, precision), out);
    const auto quotient = multiply_high(x, record.reciprocal) >> record.shift;
    return x + record.bias + quotient * record.complement;
}

/// C(s, x) as it is defined, by a division: for tables too short-lived to prepare records.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put(typename Traits::State x, std::uint32_t start,
                                        std::uint32_t freq, int precision, std::uint8_t*& out) {
    x = renormalise_put<Traits>(x, put_limit<Traits>(freq, precision), out);
    const auto quotient = x / freq;
    return (quotient << precision) + (x - quotient * freq) + start;
}

/// C(s, x) where the slots of a symbol are scattered: `slots[start + rank]` is the rank-th one.
template <typename Traits>
TORCH_ANS_FN typename Traits::State put_scattered(typename Traits::State x, std::uint32_t start,
                                                  std::uint32_t freq, int precision,
                                                  const std::uint16_t* slots,
                                                  std::uint8_t*& out) {
    x = renormalise_put<Traits>(x, put_limit<Traits>(freq, precision), out);
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
TORCH_ANS_FN typename Traits::State get(typename Traits::State x, std::uint32_t freq,
                                        std::uint32_t rank, int precision,
                                        const std::uint8_t*& in) {
    return renormalise_get<Traits>((x >> precision) * freq + rank, in);
}

/// Puts `count` equiprobable bits, the same as a symbol with freq 2^(precision - count).
template <typename Traits>
TORCH_ANS_FN typename Traits::State put_bits(typename Traits::State x, std::uint32_t bits,
                                             int count, std::uint8_t*& out) {
    x = renormalise_put<Traits>(x, put_limit<Traits>(1, count), out);
    return (x << count) | bits;
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
