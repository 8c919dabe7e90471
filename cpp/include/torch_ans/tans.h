/// Tabled asymmetric numeral systems (tANS; Duda, "Asymmetric numeral systems", 2013) with the
/// spread of symbols and the tables of Finite State Entropy (Collet, 2013).
///
/// Invariant: a lane's state x lies in [N, 2N) with N = 2^precision slots a table. Symbol s owns
/// freq slots; ranked by position, its i-th slot u stands for the state freq + i before it:
///
///     put(x, s):  append the low bits of x until freq <= x < 2 freq;  x = N + slot of rank x -
///     freq get(x):     s = symbol of slot x - N, rank i;  x = freq + i;  read bits until x >= N
///
/// The lanes of a row share one sequence of bits, the first bit of a byte its lowest. Bits put last
/// are read first. What does not fill a word stays in the row's header.
#pragma once

#include <cstddef>

#include "torch_ans/cdf_row.h"
#include "torch_ans/views.h"

namespace torch_ans {
inline namespace TORCH_ANS_ISA {

constexpr int kTansMaxFreqPrecision = 15;

/// Marks the sentinel in a slot, whose symbol is below 2^15.
constexpr std::uint32_t kTansSentinel = 0x8000;

/// From one slot to the next of the spread: a little more than five eighths of the slots, and odd.
/// (FSE's own number is even for 2 and for 8 slots, which it has no tables of.)
TORCH_ANS_FN constexpr std::uint32_t tans_step(int precision) {
  const std::uint32_t size = std::uint32_t{1} << precision;
  return precision == 1 ? 1 : (precision == 3 ? 5 : (size >> 1) + (size >> 3) + 3);
}

/// Where the spread begins: torch-ans 0.4.0 swaps two slots.
TORCH_ANS_FN constexpr std::uint32_t tans_first_slot(int precision) {
  return precision == 1 ? 1 : 0;
}

/// Where the spread puts the i-th slot of the CDF.
TORCH_ANS_FN std::uint32_t tans_spread(std::uint32_t i, int precision) {
  return (tans_first_slot(precision) + i * tans_step(precision)) &
         ((std::uint32_t{1} << precision) - 1);
}

/// One table's arrays, each of N entries but `symbols`, one for each symbol.
struct TansArrays {
  TansSymbol* symbols;
  std::uint16_t* next;
  std::uint32_t* slots;
  std::int32_t first;  ///< of the table's entries in the whole `next`
};

/// The put record of a symbol: the bits to append are (x + bits) >> 16, exactly, for N <= x < 2N.
TORCH_ANS_FN TansSymbol make_tans_symbol(std::uint32_t start, std::uint32_t freq, int precision,
                                         std::int32_t first) {
  // With N / freq between 2^(most - 1) and 2^most: `most` bits where x >= freq << most, else one
  // less.
  const int most = precision - bit_width(freq - 1) + (freq == 1 ? 0 : 1);
  return {(static_cast<std::uint32_t>(most) << 16) - (freq << most),
          first + static_cast<std::int32_t>(start) - static_cast<std::int32_t>(freq)};
}

/// Slot u, which the spread gave to symbol s, being the rank-th of its slots.
TORCH_ANS_FN void fill_tans_slot(const CdfRow& row, std::uint32_t u, std::uint32_t s,
                                 std::uint32_t rank, const TansArrays& out) {
  const std::uint32_t flag = row.is_sentinel(s) ? kTansSentinel : 0;
  out.next[row.cdf[s] + rank] = static_cast<std::uint16_t>(row.slots() + u);
  out.slots[u] = (row.freq(s) + rank) << 16 | flag | s;
}

/// Fills the arrays of one table in O(N).
inline void build_tans_table(const CdfRow& row, const TansArrays& out) {
  for (std::uint32_t s = 0; s <= row.last; ++s) {
    out.symbols[s].bits = 0;  // for now: how many slots of the symbol have a rank
    for (std::uint32_t i = row.cdf[s]; i < row.cdf[s + 1]; ++i) {
      out.slots[tans_spread(i, row.precision)] = s;
    }
  }
  for (std::uint32_t u = 0; u < row.slots(); ++u) {
    const std::uint32_t s = out.slots[u];
    fill_tans_slot(row, u, s, out.symbols[s].bits++, out);
  }
  for (std::uint32_t s = 0; s <= row.last; ++s) {
    out.symbols[s] = make_tans_symbol(row.cdf[s], row.freq(s), row.precision, out.first);
  }
}

/// The bits that a get reads behind the slot `entry`: `before` has to grow to N again.
TORCH_ANS_FN std::uint32_t tans_bits(std::uint32_t entry, int precision) {
#if defined(__CUDA_ARCH__)
  const auto zeros = static_cast<std::uint32_t>(__clz(static_cast<int>(entry)));
#elif defined(__GNUC__)
  const auto zeros = static_cast<std::uint32_t>(__builtin_clz(entry));
#else
  const auto zeros = static_cast<std::uint32_t>(32 - bit_width(entry));
#endif
  return zeros - (kTansMaxFreqPrecision - static_cast<std::uint32_t>(precision));
}

/// A row's unfinished word: `count` bits, those above them 0. Put appends above, get takes the top.
struct BitBuffer {
  std::uint64_t bits;
  std::uint32_t count;

  /// Room for `n` more bits is the caller's affair.
  TORCH_ANS_FN void append(std::uint64_t value, std::uint32_t n) {
    bits |= value << count;
    count += n;
  }

  /// Moves whole bytes to `out`. Stores 8 bytes whatever it moves.
  TORCH_ANS_FN void flush(std::uint8_t*& out) {
    store(out, bits);
    out += count >> 3;
    bits >>= count & ~7u;
    count &= 7;
  }

  /// At least 56 bits. Loads 8 bytes below `in` whatever it needs of them.
  TORCH_ANS_FN void refill(const std::uint8_t*& in) {
    const std::uint32_t fresh = (63 - count) & ~7u;
    bits = bits << fresh | load<std::uint64_t>(in - 8) >> 8 >> (56 - fresh);
    in -= fresh >> 3;
    count += fresh;
  }

  /// The `n` highest bits. They stay in `bits`: `tidy` clears what has been taken.
  TORCH_ANS_FN std::uint32_t take(std::uint32_t n) {
    count -= n;
    return static_cast<std::uint32_t>(bits >> count) & ((std::uint32_t{1} << n) - 1);
  }

  /// Gives whole bytes back, up to where `in` was before refills, and clears bits that were taken.
  TORCH_ANS_FN void give_back(const std::uint8_t*& in, const std::uint8_t* before) {
    const auto bytes = smaller<std::int64_t>(count >> 3, before - in);
    in += bytes;
    count -= static_cast<std::uint32_t>(8 * bytes);
    bits = (bits >> (8 * bytes)) & ((std::uint64_t{1} << count) - 1);
  }
};

/// C(s, x), by the symbol's id.
TORCH_ANS_FN std::uint32_t tans_put(const TablesView& tables, std::uint32_t x, std::uint32_t id,
                                    BitBuffer& buffer) {
  const TansSymbol symbol = tables.tans_symbols[id];
  const std::uint32_t n = (x + symbol.bits) >> 16;
  buffer.append(x & ((std::uint32_t{1} << n) - 1), n);
  return tables.tans_next[static_cast<std::int32_t>(x >> n) + symbol.state];
}

/// D(x) behind the slot `entry` of x.
TORCH_ANS_FN std::uint32_t tans_get(std::uint32_t entry, int precision, BitBuffer& buffer) {
  const std::uint32_t n = tans_bits(entry, precision);
  return (entry >> 16) << n | buffer.take(n);
}

}  // namespace TORCH_ANS_ISA
}  // namespace torch_ans
