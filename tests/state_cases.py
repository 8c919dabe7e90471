"""Pushes and pops from states whose quotients are hard to get right by floating point.

C(s, x) takes floor(x / freq). Kernels get it from a reciprocal that may leave it one too small;
what corrects it may carry through the rest of the state. Random streams seldom come there, so rows
are made by hand whose states do.
"""

from __future__ import annotations

import random
from typing import List, Tuple

import torch

from helpers import VARIANTS, Tables, max_precision, pop_op, push_op, rows_stream, stream_rows
from reference import FAMILIES, Family

FREQS = (1, 2, 3, 5, 7, 85, 127, 255, 256, 257, 1000, 4095, 8191, 16383, 21845, 32767, 43691, 65534)
ROWS = 64


def make_tables(precision: int) -> Tuple[Tables, List[Tuple[int, int]]]:
    """Tables of three symbols, and (start, freq) of the one in the middle."""
    freqs = [freq for freq in FREQS if freq <= 2**precision - 2]
    slots = [((2**precision - freq + 1) // 2, freq) for freq in freqs]
    rows = [[0, start, start + freq, 2**precision] for start, freq in slots]
    sizes, offsets = [4] * len(rows), [0] * len(rows)
    tensors = (torch.tensor(values, dtype=torch.int32) for values in (rows, sizes, offsets))
    return Tables(*tensors, precision, bypass=False), slots


def make_state(rng: random.Random, family: Family, precision: int, freq: int) -> int:
    """A state near a multiple of `freq`, mostly one whose quotient ends in zeros."""
    lowest, highest = family.lower_bound, (family.lower_bound << family.word_bits) - 1
    limit = freq << (family.state_bits - 1 - precision)  # from here on a word leaves first
    near = rng.choice([lowest, limit, highest, rng.randint(lowest, highest)])
    zeros = rng.choice([0, 8, 16, 32 - precision, 32])
    quotient = near // freq >> zeros << zeros
    state = quotient * freq + rng.choice([-1, 0, 0, 0, 1, freq - 1])
    return min(max(state, lowest), highest)


def put(family: Family, precision: int, state: int, start: int, freq: int) -> Tuple[int, bytes]:
    """C(s, x), and the words that leave before, by the formula."""
    words = b""
    while state >= freq << (family.state_bits - 1 - precision):
        words += (state % 2**family.word_bits).to_bytes(family.word_bits // 8, "little")
        state >>= family.word_bits
    return (state // freq << precision) + state % freq + start, words


def check(name: str, lanes: int, precision: int, seed: int) -> None:
    rng, family = random.Random(seed), FAMILIES[name]
    tables, slots = make_tables(precision)
    indexes = [[rng.randrange(len(slots)) for _ in range(lanes)] for _ in range(ROWS)]
    states = [[make_state(rng, family, precision, slots[k][1]) for k in row] for row in indexes]

    def header(row: List[int]) -> bytes:
        return b"".join(state.to_bytes(family.state_bits // 8, "little") for state in row)

    before, after = [header(row) for row in states], []
    for row, chosen in zip(states, indexes):
        pairs = [put(family, precision, x, *slots[k]) for x, k in zip(row, chosen)]
        after.append(header([x for x, _ in pairs]) + b"".join(words for _, words in pairs[::-1]))
    stream = torch.nn.functional.pad(rows_stream(before), (0, 4 * lanes))
    symbols, chosen = torch.ones(ROWS, lanes, dtype=torch.int32), torch.tensor(indexes).int()
    push_op(name, lanes)(stream, symbols, chosen, *tables.args)
    assert stream_rows(stream) == after, (name, lanes, precision, seed)
    assert torch.equal(pop_op(name, lanes)(stream, chosen, *tables.args), symbols)
    assert stream_rows(stream) == before, (name, lanes, precision, seed)


def check_all() -> None:
    for name, lanes in VARIANTS:
        if name in FAMILIES:
            for precision in (12, 13, max_precision(name)):
                for seed in range(1 + 128 // lanes):
                    check(name, lanes, precision, seed)
