"""The oracle for tANS: a slow coder on Python's integers, the text of ``cpp/FORMAT.md``.

A row is a sequence of bits that its lanes share, and a state for each lane.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import List, Optional, Sequence, Tuple

from reference import MASK64, Broken, Table, digits_of, escape, groups, unzigzag, wrap_signed

WORD_BITS = {"tans32": 16, "tans16": 8, "tans8": 8}
MAX_FREQ_PRECISION = {"tans32": 15, "tans16": 15, "tans8": 7}
FAMILIES = tuple(WORD_BITS)


@lru_cache(maxsize=None)
def spread(cdf: Tuple[int, ...], table_log: int) -> Tuple[int, ...]:
    """The symbol of each slot: symbols in turn, each step past five eighths of the slots."""
    size = 1 << table_log
    step = {1: 1, 3: 5}.get(table_log, (size >> 1) + (size >> 3) + 3)
    slots = [0] * size
    position = 1 if table_log == 1 else 0
    for symbol in range(len(cdf) - 1):
        for _ in range(cdf[symbol + 1] - cdf[symbol]):
            slots[position] = symbol
            position = (position + step) % size
    return tuple(slots)


@lru_cache(maxsize=None)
def slots_of(cdf: Tuple[int, ...], table_log: int) -> Tuple[Tuple[int, ...], ...]:
    """The slots of each symbol, ascending: the state freq + i of a symbol is its i-th slot."""
    owned: List[List[int]] = [[] for _ in cdf[1:]]
    for u, symbol in enumerate(spread(cdf, table_log)):
        owned[symbol].append(u)
    return tuple(map(tuple, owned))


@lru_cache(maxsize=None)
def ranks(cdf: Tuple[int, ...], table_log: int) -> Tuple[int, ...]:
    """The rank of each slot among those of its symbol."""
    rank = [0] * (1 << table_log)
    for slots in slots_of(cdf, table_log):
        for i, u in enumerate(slots):
            rank[u] = i
    return tuple(rank)


@dataclass
class TansRow:
    """One row. `bits` holds `num_bits` bits; those put last are the highest."""

    states: List[int]
    bits: int = 0
    num_bits: int = 0

    @classmethod
    def fresh(cls, lanes: int) -> TansRow:
        return cls([0] * lanes)

    def to_bytes(self, word_bits: int) -> bytes:
        words, left = divmod(self.num_bits, word_bits)
        payload = self.bits & ((1 << words * word_bits) - 1)
        header = [*self.states, self.bits >> words * word_bits, left]
        return b"".join(value.to_bytes(4, "little") for value in header) + payload.to_bytes(
            words * word_bits // 8, "little"
        )

    @classmethod
    def from_bytes(cls, data: bytes, lanes: int) -> TansRow:
        header = [int.from_bytes(data[i : i + 4], "little") for i in range(0, 4 * lanes + 8, 4)]
        payload = data[4 * lanes + 8 :]
        bits = int.from_bytes(payload, "little") | header[-2] << 8 * len(payload)
        return cls(header[:lanes], bits, 8 * len(payload) + header[-1])

    def put(self, value: int, count: int) -> None:
        self.bits |= value << self.num_bits
        self.num_bits += count

    def take(self, count: int) -> int:
        if count > self.num_bits:
            raise Broken
        self.num_bits -= count
        value = self.bits >> self.num_bits
        self.bits &= (1 << self.num_bits) - 1
        return value

    def push_interval(self, lane: int, k: int, table: Table) -> None:
        """Shrinks the state to freq <= x < 2 freq, then names the slot of rank x - freq."""
        _, freq = table.interval(k)
        x = self.states[lane] or 1 << table.precision
        count = (x // freq).bit_length() - 1
        self.put(x & ((1 << count) - 1), count)
        slot = slots_of(table.cdf, table.precision)[k][(x >> count) - freq]
        self.states[lane] = (1 << table.precision) + slot

    def pop_interval(self, lane: int, table: Table) -> int:
        size = 1 << table.precision
        slot = (self.states[lane] or size) - size
        k = spread(table.cdf, table.precision)[slot]
        x = table.interval(k)[1] + ranks(table.cdf, table.precision)[slot]
        count = table.precision + 1 - x.bit_length()
        self.states[lane] = x << count | self.take(count)
        return k

    def push_raw(self, lane: int, raw: int, b: int) -> None:
        for digit in reversed(digits_of(raw, b)):
            self.put(digit, b)

    def pop_raw(self, lane: int, b: int) -> int:
        full = (1 << b) - 1
        count = digit = self.take(b)
        while digit == full and count <= 64:
            digit = self.take(b)
            count += digit
        if count > -(-64 // b):
            raise Broken
        raw = sum(self.take(b) << (b * j) for j in range(count))
        if raw > MASK64:
            raise Broken
        return raw


def push_row(
    row: TansRow, symbols: Sequence[int], tables: Sequence[Table], length: Optional[int] = None
) -> None:
    """As `reference.push_row`, but each symbol's digits go right before it."""
    lanes = len(row.states)
    for group in reversed(groups(len(symbols), len(symbols) if length is None else length, lanes)):
        for i in reversed(group):
            k, raw = escape(int(symbols[i]), tables[i])
            if raw is not None:
                row.push_raw(i % lanes, raw, tables[i].bypass_precision)
            row.push_interval(i % lanes, k, tables[i])


def pop_row(row: TansRow, tables: Sequence[Table], length: Optional[int] = None) -> List[int]:
    lanes = len(row.states)
    symbols = [0] * len(tables)
    for group in groups(len(tables), len(tables) if length is None else length, lanes):
        for i in group:
            table = tables[i]
            v = row.pop_interval(i % lanes, table)
            if table.bypass and v == table.sentinel:
                v = unzigzag(row.pop_raw(i % lanes, table.bypass_precision), table.sentinel)
            symbols[i] = wrap_signed(v + table.offset)
    return symbols


def encode_rows(
    family: str,
    lanes: int,
    tables: Sequence[Table],
    pushes: Sequence[Tuple[Sequence[Sequence[int]], Optional[Sequence[Sequence[int]]]]],
    lengths: Optional[Sequence[int]] = None,
) -> List[bytes]:
    """As `reference.encode_rows`."""
    out = []
    for r in range(len(pushes[0][0])):
        row = TansRow.fresh(lanes)
        for n, (symbols, indexes) in enumerate(pushes):
            chosen = [
                tables[0 if indexes is None else int(indexes[r][i])] for i in range(len(symbols[r]))
            ]
            # every lane of a row that was pushed to has a state, even where no symbol came
            row.states = [x or 1 << tables[0].precision for x in row.states]
            push_row(row, symbols[r], chosen, None if lengths is None else lengths[n])
        out.append(row.to_bytes(WORD_BITS[family]))
    return out


def decode_rows(
    lanes: int, tables: Sequence[Table], rows: Sequence[bytes], indexes: Sequence[Sequence[int]]
) -> Tuple[List[List[int]], List[TansRow]]:
    """As `reference.decode_rows`."""
    left = [TansRow.from_bytes(data, lanes) for data in rows]
    return [pop_row(row, [tables[int(k)] for k in idx]) for row, idx in zip(left, indexes)], left
