"""Every variant against the oracle, byte for byte, and every encoder with every decoder."""

from __future__ import annotations

from dataclasses import replace
from typing import List, Tuple

import pytest
import torch

from helpers import (
    VARIANT_IDS,
    VARIANTS,
    Tables,
    encode,
    init_op,
    invcdf_pop_op,
    make_symbols,
    make_tables,
    max_precision,
    oracle_rows,
    pop_op,
    push_op,
    rows_stream,
    stream_rows,
)
from reference import encode_rows

BYPASSES = [(False, 4), (True, 4), (True, 1), (True, 7)]
# alphabet sizes, bits taken off the family's maximal precision
SHAPES: List[Tuple[str, List[int], int]] = [
    ("one symbol", [1], 0),
    ("two tables", [2, 3], 0),
    ("mixed", [1, 2, 9, 64, 300], 0),
    ("power of two", [64, 16, 256], 0),
    ("coarse", [3, 5, 100], 8),
    ("coarsest", [2, 1], 15),
    ("every slot", [128, 128, 97], 8),
]
SHAPE_IDS = [shape[0] for shape in SHAPES]
LONG: List[Tuple[str, List[int]]] = [
    ("one table", [300]),
    ("few", [1, 2, 9, 64, 300]),
    ("many", [40, 2] * 40),
    ("alike", [33] * 7),
]


def shape_tables(
    family: str, shape: Tuple[str, List[int], int], bypass: Tuple[bool, int]
) -> Tables:
    precision = max(1, max_precision(family) - shape[2])
    sizes = [min(n, 1 << precision) for n in shape[1]]
    return make_tables(len(shape[0]), sizes, precision, *bypass)


def lookups(family: str, lanes: int, precision: int) -> List[Tuple[str, object, dict]]:
    """All decoders of a plainly coded stream."""
    precisions = ["auto", 0, 1, min(5, precision), precision]
    pops: List[Tuple[str, object, dict]] = [("search", pop_op(family, lanes), {})]
    for q in precisions:
        if q != 0:
            pops.append(
                ("invcdf %s" % q, invcdf_pop_op(family, lanes), {"inverse_cdf_precision": q})
            )
    return pops


@pytest.mark.parametrize("shape", SHAPES, ids=SHAPE_IDS)
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_plain_streams(family: str, lanes: int, shape: Tuple[str, List[int], int]) -> None:
    for bypass in BYPASSES:
        tables = shape_tables(family, shape, bypass)
        symbols, indexes = make_symbols(lanes, (2, 69), tables)
        stream = encode(family, lanes, tables, symbols, indexes)
        expected = oracle_rows(family, lanes, tables, symbols, indexes)
        assert stream_rows(stream) == expected, bypass
        for name, pop, more in lookups(family, lanes, tables.precision):
            for source in (stream.clone(), rows_stream(expected)):
                decoded = pop(source, indexes, *tables.args, **more)
                assert torch.equal(decoded, symbols), (bypass, name)
                assert stream_rows(source) == stream_rows(init_op(family)(2, lanes)), (bypass, name)


@pytest.mark.parametrize("shape", SHAPES, ids=SHAPE_IDS)
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_alias_streams(family: str, lanes: int, shape: Tuple[str, List[int], int]) -> None:
    for bypass in ((False, 4), (True, 4)):
        tables = shape_tables(family, shape, bypass)
        symbols, indexes = make_symbols(lanes, (2, 69), tables)
        stream = encode(family, lanes, tables, symbols, indexes, alias=True)
        expected = oracle_rows(family, lanes, tables, symbols, indexes, alias=True)
        assert stream_rows(stream) == expected, bypass
        for source in (stream, rows_stream(expected)):
            decoded = pop_op(family, lanes, alias=True)(source, indexes, *tables.args)
            assert torch.equal(decoded, symbols), bypass
            assert stream_rows(source) == stream_rows(init_op(family)(2, lanes)), bypass


@pytest.mark.parametrize("alias", [False, True], ids=["plain", "alias"])
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_several_pushes(family: str, lanes: int, alias: bool) -> None:
    tables = make_tables(7, [2, 40, 90], 11)
    pushes = [make_symbols(n, (3, length), tables) for n, length in enumerate((33, 0, 1, 64, 7))]
    stream = init_op(family)(3, lanes)
    for symbols, indexes in pushes:
        push_op(family, lanes, alias)(stream, symbols, indexes, *tables.args)
    data = [(s.tolist(), i.tolist()) for s, i in pushes]
    assert stream_rows(stream) == encode_rows(family, lanes, tables.oracle(alias), data)
    for symbols, indexes in reversed(pushes):
        assert torch.equal(pop_op(family, lanes, alias)(stream, indexes, *tables.args), symbols)


@pytest.mark.parametrize(
    "length", [*list(range(0, 36)), 63, 64, 65, 127, 128, 129, 255, 256, 257, 513]
)
@pytest.mark.parametrize("family", ["rans64", "rans32", "rans32_16"])
def test_every_row_length(family: str, length: int) -> None:
    """Tails, whole groups, and the edges of whatever tiles a kernel works in."""
    tables = make_tables(length, [5, 33], 10)
    symbols, indexes = make_symbols(length, (2, length), tables)
    for lanes in (1, 4, 32):
        stream = encode(family, lanes, tables, symbols, indexes)
        assert stream_rows(stream) == oracle_rows(family, lanes, tables, symbols, indexes)
        assert torch.equal(pop_op(family, lanes)(stream, indexes, *tables.args), symbols)


@pytest.mark.parametrize("escapes", [0.0, 0.004])
@pytest.mark.parametrize("shape", LONG, ids=[shape[0] for shape in LONG])
@pytest.mark.parametrize("family", ["rans64", "rans32", "rans32_16"])
def test_long_rows(family: str, shape: Tuple[str, List[int]], escapes: float) -> None:
    """Rows with hardly an escape, so that a kernel may look up symbols far ahead."""
    name, sizes = shape
    tables = make_tables(len(sizes), sizes, max_precision(family))
    if name == "alike":
        tables = replace(tables, offsets=torch.full_like(tables.offsets, -20))
    for length in (64, 127, 191, 700):
        symbols, indexes = make_symbols(length, (4, length), tables, escapes)
        for lanes, rows in ((1, 1), (1, 4), (2, 1), (2, 2), (4, 1), (8, 1)):
            some = symbols[:rows], indexes[:rows]
            stream = encode(family, lanes, tables, *some)
            assert stream_rows(stream) == oracle_rows(family, lanes, tables, *some)
            assert torch.equal(pop_op(family, lanes)(stream, some[1], *tables.args), some[0])


@pytest.mark.parametrize("place", [0, 63, 64, 126, 243, 244, 498])
@pytest.mark.parametrize("wrong", ["index", "symbol"])
@pytest.mark.parametrize("lanes", [1, 4])
def test_an_error_in_a_long_row(lanes: int, wrong: str, place: int) -> None:
    tables = make_tables(3, [5, 33], 16, bypass=False)
    symbols, indexes = make_symbols(0, (1, 499), tables)
    stream = encode("rans64", lanes, tables, symbols, indexes)
    before = stream_rows(stream)
    good = symbols.clone(), indexes.clone()
    (indexes if wrong == "index" else symbols)[0, place] = 1000
    error = IndexError if wrong == "index" else ValueError
    with pytest.raises(error, match=rf"\[0, {place}\]"):
        push_op("rans64", lanes)(stream, symbols, indexes, *tables.args)
    assert stream_rows(stream) == before
    push_op("rans64", lanes)(stream, *good, *tables.args)
    assert torch.equal(pop_op("rans64", lanes)(stream, good[1], *tables.args), good[0])


@pytest.mark.parametrize("rows", [1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 33])
@pytest.mark.parametrize("family", ["rans64", "rans32", "rans32_16"])
def test_every_number_of_rows(family: str, rows: int) -> None:
    """Kernels may code several rows at once: rows of different entropy, any number of them."""
    tables = make_tables(rows, [2, 250], 12)
    symbols, indexes = make_symbols(rows, (rows, 41), tables)
    indexes = (torch.arange(rows, dtype=torch.int32) % 2).unsqueeze(1).expand(rows, 41).contiguous()
    for lanes in (1, 2, 8):
        stream = encode(family, lanes, tables, symbols, indexes)
        assert stream_rows(stream) == oracle_rows(family, lanes, tables, symbols, indexes)
        assert torch.equal(pop_op(family, lanes)(stream, indexes, *tables.args), symbols)


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_one_table_without_indexes(family: str, lanes: int) -> None:
    tables = make_tables(lanes, [77], 12)
    symbols, _ = make_symbols(lanes, (2, 50), tables)
    stream = encode(family, lanes, tables, symbols, None)
    assert stream_rows(stream) == oracle_rows(family, lanes, tables, symbols, None)
    decoded = pop_op(family, lanes)(stream, None, *tables.args, num_symbols=50)
    assert torch.equal(decoded, symbols) and decoded.dtype == torch.int32


@pytest.mark.parametrize("family", ["rans64", "rans32", "rans32_16"])
def test_largest_tables(family: str) -> None:
    precision = max_precision(family)
    symbols_per_table = min(65535, 1 << precision)
    tables = make_tables(1, [symbols_per_table, 1, symbols_per_table - 1], precision)
    symbols, indexes = make_symbols(1, (2, 90), tables)
    for alias in (False, True):
        stream = encode(family, 4, tables, symbols, indexes, alias)
        assert stream_rows(stream) == oracle_rows(family, 4, tables, symbols, indexes, alias)
        assert torch.equal(pop_op(family, 4, alias)(stream, indexes, *tables.args), symbols)
