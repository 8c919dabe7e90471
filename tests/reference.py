"""The oracle: a slow rANS coder on Python's big integers, written to be read.

Nothing here is shared with the library. Every function is the formula of
``cpp/FORMAT.md`` and nothing else: no fixed widths except where the format itself
asks for them (words, states, the 64-bit arithmetic of the bypass digits).

Vocabulary: a *row* is one stream of the batch, a *lane* one of its interleaved
states, a *slot* is ``state mod 2**precision``, a *word* what a renormalisation moves.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from dataclasses import dataclass, field, replace
from typing import List, Optional, Sequence, Tuple

MASK64 = (1 << 64) - 1


@dataclass(frozen=True)
class Family:
    """Widths of a coder. States live in ``[lower_bound, lower_bound << word_bits)``."""

    name: str
    state_bits: int
    word_bits: int
    max_freq_precision: int

    @property
    def lower_bound(self) -> int:
        return 1 << (self.state_bits - 1 - self.word_bits)


FAMILIES = {
    "rans64": Family("rans64", 64, 32, 16),
    "rans32": Family("rans32", 32, 8, 16),
    "rans32_16": Family("rans32_16", 32, 16, 15),
}
LANES = (1, 2, 4, 8, 16, 32)


# --- alias tables ------------------------------------------------------------------


@dataclass(frozen=True)
class Alias:
    """Vose's buckets over the slots: bucket k owns the slots ``[k*cut, (k+1)*cut)``.

    Below ``cut_slot[k]`` a slot means symbol k, from there on symbol ``other[k]``; the
    symbol's own cumulative position is ``slot - offset``.
    """

    cut: int
    cut_slot: Tuple[int, ...]
    other: Tuple[int, ...]
    self_offset: Tuple[int, ...]
    other_offset: Tuple[int, ...]
    remap: Tuple[int, ...]  # remap[start + x % freq] = the slot that the decoder will see

    def lookup(self, slot: int) -> Tuple[int, int]:
        """The symbol of `slot`, and its position inside the symbol's interval."""
        bucket = slot // self.cut
        if slot < self.cut_slot[bucket]:
            return bucket, slot - self.self_offset[bucket]
        return self.other[bucket], slot - self.other_offset[bucket]


def _fill_buckets(freqs: List[int], cut: int) -> Tuple[List[int], List[int]]:
    """Share the slots out: each small symbol's bucket is topped up by a large one."""
    small = [k for k, freq in enumerate(freqs) if freq < cut]
    large = [k for k, freq in enumerate(freqs) if freq >= cut]
    left = list(freqs)
    cut_slot = [(k + 1) * cut for k in range(len(freqs))]
    other = list(range(len(freqs)))
    while small:
        s, g = small.pop(), large[-1]
        cut_slot[s], other[s] = s * cut + left[s], g
        left[g] -= cut - left[s]
        if left[g] < cut:
            small.append(large.pop())
    return cut_slot, other


def build_alias(cdf: Sequence[int], precision: int) -> Alias:
    """Alias table of one row; the alphabet is padded with empty symbols to a power of two."""
    symbols = len(cdf) - 1
    buckets = 1 << (symbols - 1).bit_length()
    cut = (1 << precision) // buckets
    freqs = [cdf[k + 1] - cdf[k] for k in range(symbols)] + [0] * (buckets - symbols)
    cut_slot, other = _fill_buckets(freqs, cut)
    seen = [0] * buckets  # slots of each symbol met so far
    self_offset, other_offset = [0] * buckets, [0] * buckets
    for k in range(buckets):
        own = cut_slot[k] - k * cut
        self_offset[k] = k * cut - seen[k]
        other_offset[k] = cut_slot[k] - seen[other[k]]
        seen[k] += own
        seen[other[k]] += cut - own
    alias = Alias(cut, tuple(cut_slot), tuple(other), tuple(self_offset), tuple(other_offset), ())
    remap = [0] * (1 << precision)
    for slot in range(1 << precision):
        symbol, position = alias.lookup(slot)
        remap[cdf[symbol] + position] = slot
    return replace(alias, remap=tuple(remap))


# --- other lookups -----------------------------------------------------------------


def search(cdf: Sequence[int], slot: int) -> int:
    """The symbol whose interval holds `slot`: the last k with ``cdf[k] <= slot``."""
    return bisect_right(cdf, slot) - 1


def inverse_cdf(cdf: Sequence[int], precision: int, table_precision: int) -> List[int]:
    """Entry i: the symbol at the start of bucket i, of ``2**table_precision`` buckets."""
    shift = precision - table_precision
    table, symbol = [], 0
    for bucket in range(1 << table_precision):
        while cdf[symbol + 1] <= bucket << shift:
            symbol += 1
        table.append(symbol)
    return table


# --- tables ------------------------------------------------------------------------


@dataclass(frozen=True)
class Table:
    """One distribution: interval k is ``[cdf[k], cdf[k + 1])``, ``cdf[-1] = 2**precision``."""

    cdf: Tuple[int, ...]
    offset: int
    precision: int
    bypass: bool = True
    bypass_precision: int = 4
    alias: Optional[Alias] = None

    @property
    def sentinel(self) -> int:
        return len(self.cdf) - 2

    def interval(self, k: int) -> Tuple[int, int]:
        return self.cdf[k], self.cdf[k + 1] - self.cdf[k]


def make_tables(
    cdfs: Sequence[Sequence[int]],
    sizes: Sequence[int],
    offsets: Sequence[int],
    precision: int,
    bypass: bool = True,
    bypass_precision: int = 4,
    alias: bool = False,
) -> List[Table]:
    """Tables out of padded rows, as the library takes them."""
    tables = []
    for row, size, offset in zip(cdfs, sizes, offsets):
        cdf = tuple(int(c) for c in row[: int(size)])
        assert (
            cdf[0] == 0 and cdf[-1] == 1 << precision and all(a < b for a, b in zip(cdf, cdf[1:]))
        )
        built = build_alias(cdf, precision) if alias else None
        tables.append(Table(cdf, int(offset), precision, bypass, bypass_precision, built))
    return tables


# --- bypass ------------------------------------------------------------------------


def wrap_signed(value: int, bits: int = 64) -> int:
    """`value` as a two's complement integer of `bits` bits."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def zigzag(v: int, sentinel: int) -> Optional[int]:
    """Raw bypass value of ``v = symbol - offset``; None where the table codes v itself."""
    if v < 0:
        return (-2 * v - 1) & MASK64
    return (2 * (v - sentinel)) & MASK64 if v >= sentinel else None


def unzigzag(raw: int, sentinel: int) -> int:
    return -(raw >> 1) - 1 if raw & 1 else (raw >> 1) + sentinel


def digits_of(raw: int, b: int) -> List[int]:
    """All digits of `raw` in the order in which they are decoded: their number, then they."""
    full = (1 << b) - 1
    count = -(-raw.bit_length() // b)
    head = [full] * (count // full) + [count % full]
    return head + [(raw >> (b * j)) & full for j in range(count)]


def escape(symbol: int, table: Table) -> Tuple[int, Optional[int]]:
    """Index of the interval that codes `symbol`, and the raw bypass value if it escapes."""
    v = wrap_signed(symbol - table.offset)
    if not table.bypass:
        if not 0 <= v < len(table.cdf) - 1:
            raise ValueError("symbol outside its table")
        return v, None
    raw = zigzag(v, table.sentinel)
    return (v, None) if raw is None else (table.sentinel, raw)


# --- one row -----------------------------------------------------------------------


class Broken(Exception):
    """No encoder wrote this row: a word is missing, or digits name no 64-bit value."""


@dataclass
class Row:
    """One stream: the lanes' states, and the words in the order of their emission."""

    family: Family
    states: List[int]
    words: List[int] = field(default_factory=list)

    @classmethod
    def fresh(cls, family: Family, lanes: int) -> Row:
        return cls(family, [family.lower_bound] * lanes)

    def to_bytes(self) -> bytes:
        state, word = self.family.state_bits // 8, self.family.word_bits // 8
        head = b"".join(x.to_bytes(state, "little") for x in self.states)
        return head + b"".join(w.to_bytes(word, "little") for w in self.words)

    @classmethod
    def from_bytes(cls, data: bytes, family: Family, lanes: int) -> Row:
        state, word = family.state_bits // 8, family.word_bits // 8
        head, tail = data[: lanes * state], data[lanes * state :]
        states = [int.from_bytes(head[i : i + state], "little") for i in range(0, len(head), state)]
        words = [int.from_bytes(tail[i : i + word], "little") for i in range(0, len(tail), word)]
        return cls(family, states, words)

    def shrink_below(self, lane: int, bound: int) -> None:
        """Emit words until the state is below `bound`."""
        while self.states[lane] >= bound:
            self.words.append(self.states[lane] & ((1 << self.family.word_bits) - 1))
            self.states[lane] >>= self.family.word_bits

    def grow(self, lane: int) -> None:
        """Take words back until the state is in its interval again."""
        while self.states[lane] < self.family.lower_bound:
            if not self.words:
                raise Broken
            self.states[lane] = self.states[lane] << self.family.word_bits | self.words.pop()

    def push_interval(self, lane: int, k: int, table: Table) -> None:
        """x -> C(s, x) = (x // freq) * 2**precision + start + x % freq."""
        start, freq = table.interval(k)
        bound = ((self.family.lower_bound >> table.precision) << self.family.word_bits) * freq
        self.shrink_below(lane, bound)
        quotient, remainder = divmod(self.states[lane], freq)
        slot = start + remainder
        if table.alias is not None:
            slot = table.alias.remap[slot]
        self.states[lane] = (quotient << table.precision) + slot

    def pop_interval(self, lane: int, table: Table) -> int:
        """Inverse of C: the slot names the symbol, x -> freq * (x >> precision) + position."""
        high, slot = divmod(self.states[lane], 1 << table.precision)
        if table.alias is not None:
            k, position = table.alias.lookup(slot)
        else:
            k = search(table.cdf, slot)
            position = slot - table.cdf[k]
        self.states[lane] = table.interval(k)[1] * high + position
        self.grow(lane)
        return k

    def push_raw(self, lane: int, raw: int, b: int) -> None:
        for digit in reversed(digits_of(raw, b)):
            self.shrink_below(lane, (self.family.lower_bound >> b) << self.family.word_bits)
            self.states[lane] = self.states[lane] << b | digit

    def pop_digit(self, lane: int, b: int) -> int:
        digit = self.states[lane] & ((1 << b) - 1)
        self.states[lane] >>= b
        self.grow(lane)
        return digit

    def pop_raw(self, lane: int, b: int) -> int:
        full = (1 << b) - 1
        count = digit = self.pop_digit(lane, b)
        while digit == full and count <= 64:
            digit = self.pop_digit(lane, b)
            count += digit
        if count > -(-64 // b):
            raise Broken
        raw = sum(self.pop_digit(lane, b) << (b * j) for j in range(count))
        if raw > MASK64:
            raise Broken
        return raw


def groups(present: int, length: int, lanes: int) -> List[List[int]]:
    """Positions coded together, in decoding order: whole groups, then the tail one by one.

    Groups are formed over the nominal `length`; of a short row only the first `present`
    positions exist, the others are passed over.
    """
    whole = length - length % lanes
    parts = [list(range(i, i + lanes)) for i in range(0, whole, lanes)]
    parts += [[i] for i in range(whole, length)]
    return [[i for i in part if i < present] for part in parts]


def push_row(
    row: Row, symbols: Sequence[int], tables: Sequence[Table], length: Optional[int] = None
) -> None:
    """Code `symbols[i]` with `tables[i]`, last group first."""
    lanes = len(row.states)
    coded = [escape(int(s), t) for s, t in zip(symbols, tables)]
    for group in reversed(groups(len(symbols), len(symbols) if length is None else length, lanes)):
        for i in reversed(group):
            raw = coded[i][1]
            if raw is not None:
                row.push_raw(i % lanes, raw, tables[i].bypass_precision)
        for i in reversed(group):
            row.push_interval(i % lanes, coded[i][0], tables[i])


def pop_row(row: Row, tables: Sequence[Table], length: Optional[int] = None) -> List[int]:
    """Inverse of `push_row`: the symbols' intervals of a group, then their digits."""
    lanes = len(row.states)
    symbols = [0] * len(tables)
    for group in groups(len(tables), len(tables) if length is None else length, lanes):
        found = {i: row.pop_interval(i % lanes, tables[i]) for i in group}
        for i, v in found.items():
            table = tables[i]
            if table.bypass and v == table.sentinel:
                v = unzigzag(row.pop_raw(i % lanes, table.bypass_precision), table.sentinel)
            symbols[i] = wrap_signed(v + table.offset)
    return symbols


# --- whole batches -----------------------------------------------------------------


def encode_rows(
    family: str,
    lanes: int,
    tables: Sequence[Table],
    pushes: Sequence[Tuple[Sequence[Sequence[int]], Optional[Sequence[Sequence[int]]]]],
    lengths: Optional[Sequence[int]] = None,
) -> List[bytes]:
    """Bytes of each row after coding every ``(symbols, indexes)`` of `pushes` in turn."""
    out = []
    for r in range(len(pushes[0][0])):
        row = Row.fresh(FAMILIES[family], lanes)
        for n, (symbols, indexes) in enumerate(pushes):
            chosen = [
                tables[0 if indexes is None else int(indexes[r][i])] for i in range(len(symbols[r]))
            ]
            push_row(row, symbols[r], chosen, None if lengths is None else lengths[n])
        out.append(row.to_bytes())
    return out


def decode_rows(
    family: str,
    lanes: int,
    tables: Sequence[Table],
    rows: Sequence[bytes],
    indexes: Sequence[Sequence[int]],
) -> Tuple[List[List[int]], List[Row]]:
    """Symbols of each row, and what is left of the rows."""
    left = [Row.from_bytes(data, FAMILIES[family], lanes) for data in rows]
    return [pop_row(row, [tables[int(k)] for k in idx]) for row, idx in zip(left, indexes)], left


def compressai_bytes(symbols: Sequence[int], tables: Sequence[Table]) -> bytes:
    """CompressAI's order: one lane of rans64, the state first, the newest word next to it."""
    row = Row.fresh(FAMILIES["rans64"], 1)
    push_row(row, symbols, tables)
    words = row.words[::-1]
    return struct.pack("<Q", row.states[0]) + struct.pack("<%dI" % len(words), *words)


# --- quantisation ------------------------------------------------------------------


def quantize_counts(counts: Sequence[int], precision: int) -> List[int]:
    """CDF of integer counts: scaled to ``2**precision``, every symbol at least 1.

    CompressAI's rule: the last symbol takes what the floors leave; a symbol without a
    slot, in order, takes one from the first of the least frequent symbols above 1.
    """
    total = sum(counts)
    if total <= 0 or min(counts) < 0:
        raise ValueError("counts must be non-negative with a positive sum")
    freqs = [(c << precision) // total for c in counts]
    freqs[-1] = (1 << precision) - sum(freqs[:-1])
    for k, freq in enumerate(freqs):
        if freq == 0:
            donors = [(f, j) for j, f in enumerate(freqs) if f > 1]
            if not donors:
                raise ValueError("more symbols than slots")
            freqs[min(donors)[1]] -= 1
            freqs[k] = 1
    cdf = [0]
    for freq in freqs:
        cdf.append(cdf[-1] + freq)
    return cdf


def quantize_pmf(pmf: Sequence[float], precision: int) -> List[int]:
    """CDF of float32 probabilities: one rounding (half up) to ``2**-precision``, then integers."""
    counts = []
    for p in pmf:
        numerator, denominator = float(p).as_integer_ratio()
        counts.append((2 * (numerator << precision) + denominator) // (2 * denominator))
    return quantize_counts(counts, precision)
