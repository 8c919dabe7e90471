"""Properties that hold for any valid tables, symbols, shapes and dtypes."""

from __future__ import annotations

from typing import Any, List, Tuple

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

import reference
import torch_ans
from helpers import (
    INT64_EXTREMES,
    VARIANT_IDS,
    VARIANTS,
    Tables,
    encode,
    init_op,
    invcdf_pop_op,
    make_symbols,
    make_tables,
    max_precision,
    pop_op,
    push_op,
    stream_rows,
    uniform_tables,
)

families = st.sampled_from(sorted(reference.FAMILIES))
lane_counts = st.sampled_from(reference.LANES)
seeds = st.integers(0, 2**32 - 1)


@st.composite
def any_tables(draw: Any, family: str, most_tables: int = 4) -> Tables:
    """Tables of any alphabet and precision of the family: one symbol, and full ones, included."""
    precision = draw(st.integers(1, max_precision(family)))
    top = min(65535, 1 << precision)
    sizes = draw(
        st.lists(
            st.one_of(st.just(1), st.just(top), st.integers(1, min(top, 40)), st.integers(1, top)),
            min_size=1,
            max_size=most_tables,
        )
    )
    bypass, b = draw(st.booleans()), draw(st.integers(1, 8))
    return make_tables(draw(seeds), sizes, precision, bypass, b)


@st.composite
def any_coder(draw: Any) -> Tuple[str, int, Tables]:
    family = draw(families)
    return family, draw(lane_counts), draw(any_tables(family))


# --- round trips -------------------------------------------------------------------


@given(any_coder(), st.integers(0, 4), st.integers(0, 80), st.booleans(), seeds)
@example(("rans64", 1, make_tables(0, [65535], 16)), 2, 50, False, 0)
@example(("rans32_16", 32, make_tables(0, [1], 1)), 2, 33, False, 0)
def test_round_trip(
    coder: Tuple[str, int, Tables], rows: int, length: int, alias: bool, seed: int
) -> None:
    family, lanes, tables = coder
    symbols, indexes = make_symbols(seed, (rows, length), tables)
    stream = encode(family, lanes, tables, symbols, indexes, alias)
    decoded = pop_op(family, lanes, alias)(stream, indexes, *tables.args)
    assert decoded.shape == symbols.shape and torch.equal(decoded, symbols)
    assert stream_rows(stream) == stream_rows(init_op(family)(rows, lanes))


@given(any_coder(), st.lists(st.integers(0, 50), max_size=6), st.booleans(), seeds)
def test_pushes_pop_in_reverse_order(
    coder: Tuple[str, int, Tables], lengths: List[int], alias: bool, seed: int
) -> None:
    family, lanes, tables = coder
    stream = init_op(family)(2, lanes)
    pushes, before = [], []
    for n, length in enumerate(lengths):
        before.append(stream_rows(stream))
        pushes.append(make_symbols(seed + n, (2, length), tables))
        push_op(family, lanes, alias)(stream, *pushes[-1], *tables.args)
    for (symbols, indexes), rows in zip(reversed(pushes), reversed(before)):
        assert torch.equal(pop_op(family, lanes, alias)(stream, indexes, *tables.args), symbols)
        assert stream_rows(stream) == rows  # a pop restores the stream exactly


@given(any_coder(), st.data(), seeds)
def test_inverse_cdf_precision_does_not_matter(
    coder: Tuple[str, int, Tables], data: Any, seed: int
) -> None:
    family, lanes, tables = coder
    symbols, indexes = make_symbols(seed, (2, 45), tables)
    stream = encode(family, lanes, tables, symbols, indexes)
    q = data.draw(st.integers(1, tables.precision))
    decoded = invcdf_pop_op(family, lanes)(stream, indexes, *tables.args, inverse_cdf_precision=q)
    assert torch.equal(decoded, symbols)


int64s = st.one_of(
    st.sampled_from(INT64_EXTREMES), st.integers(-(2**63), 2**63 - 1), st.integers(-200, 200)
)


@given(
    families,
    lane_counts,
    st.lists(int64s, min_size=1, max_size=40),
    st.integers(1, 8),
    seeds,
    st.booleans(),
)
@example("rans64", 1, INT64_EXTREMES, 4, 0, False)
@example(
    "rans64", 1, [2**30, 2**30 + 5, 2**30 + 28, -(2**30) + 3, -(2**63), 2**63 - 1] * 9, 4, 0, True
)
@example("rans32", 4, INT64_EXTREMES, 1, 0, True)
@example("rans32_16", 32, INT64_EXTREMES * 4, 8, 0, False)
def test_any_int64_symbol_survives_bypass(
    family: str, lanes: int, values: List[int], b: int, seed: int, far_offsets: bool
) -> None:
    tables = make_tables(seed, [1, 5, 30], 12, True, b)
    if far_offsets:  # symbol - offset then wraps around
        tables.offsets[:] = torch.tensor([0, -(2**30), 2**30])
    symbols = torch.tensor([values, values[::-1]])
    indexes = torch.from_numpy(np.random.default_rng(seed).integers(0, 3, symbols.shape))
    stream = encode(family, lanes, tables, symbols, indexes)
    rows = [(symbols.tolist(), indexes.tolist())]
    assert stream_rows(stream) == reference.encode_rows(family, lanes, tables.oracle(), rows)
    decoded = pop_op(family, lanes)(stream, indexes, *tables.args)  # int64, as the indexes are
    assert decoded.dtype == torch.int64 and torch.equal(decoded, symbols)


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_int32_extremes_under_bypass(family: str, lanes: int) -> None:
    tables = make_tables(4, [1, 10], 9)
    values = [-(2**31), 2**31 - 1, -(2**31) + 1, 2**30, -(2**30) - 1, 0, 1, -1] * 5
    symbols = torch.tensor([values, values[::-1]], dtype=torch.int32)
    indexes = torch.arange(symbols.numel(), dtype=torch.int32).reshape(symbols.shape) % 2
    for alias in (False, True):
        stream = encode(family, lanes, tables, symbols, indexes, alias)
        assert torch.equal(pop_op(family, lanes, alias)(stream, indexes, *tables.args), symbols)


# --- shapes ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(0, 0), (0, 5), (3, 0)])
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_nothing_to_code(family: str, lanes: int, shape: Tuple[int, int]) -> None:
    tables = make_tables(0, [4], 8)
    empty = torch.zeros(shape, dtype=torch.int32)
    for alias in (False, True):
        stream = encode(family, lanes, tables, empty, empty, alias)
        assert stream_rows(stream) == stream_rows(init_op(family)(shape[0], lanes))
        decoded = pop_op(family, lanes, alias)(stream, empty, *tables.args)
        assert decoded.shape == shape and decoded.dtype == torch.int32


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_stream_grows_in_place_as_the_same_tensor(family: str, lanes: int) -> None:
    tables = make_tables(1, [200], 12)
    stream = init_op(family)(3, lanes)
    other = stream  # a second name for the same tensor object sees what is pushed
    sizes = []
    for n in range(6):
        symbols, indexes = make_symbols(n, (3, 40 * 3**n), tables)
        push_op(family, lanes)(stream, symbols, indexes, *tables.args)
        sizes.append(stream.shape[1])
    assert other is stream and stream.shape[0] == 3 and sizes[-1] > sizes[0]
    assert stream.dtype == torch.int32 and stream.is_contiguous()
    for n in reversed(range(6)):
        symbols, indexes = make_symbols(n, (3, 40 * 3**n), tables)
        assert torch.equal(pop_op(family, lanes)(stream, indexes, *tables.args), symbols)


@pytest.mark.parametrize("preallocate", [0, 1, 4, 1000, 100_000])
@pytest.mark.parametrize("family", sorted(reference.FAMILIES))
def test_preallocated_streams_hold_the_same_bytes(family: str, preallocate: int) -> None:
    tables = make_tables(2, [30, 60], 10)
    symbols, indexes = make_symbols(5, (4, 300), tables)
    stream = init_op(family)(4, 4, preallocate)
    before = stream.data_ptr(), tuple(stream.shape)
    push_op(family, 4)(stream, symbols, indexes, *tables.args)
    assert stream_rows(stream) == stream_rows(encode(family, 4, tables, symbols, indexes))
    if preallocate >= 100_000:
        assert (stream.data_ptr(), tuple(stream.shape)) == before


def test_heavily_escaping_rows_find_room() -> None:
    """Every symbol escapes with the most digits: the stream has to grow far past a usual push."""
    tables = uniform_tables(2, 1, bypass=True, bypass_precision=1)
    symbols = torch.full((2, 300), -(2**63), dtype=torch.int64)
    indexes = torch.zeros_like(symbols)
    for family in reference.FAMILIES:
        stream = encode(family, 2, tables, symbols, indexes)
        assert stream[0, 0] > 300 * 64 * 2 // 8
        assert torch.equal(pop_op(family, 2)(stream, indexes, *tables.args), symbols)


# --- dtypes and layouts ------------------------------------------------------------

SYMBOL_DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64]
INDEX_DTYPES = [*SYMBOL_DTYPES, *([torch.uint16] if hasattr(torch, "uint16") else [])]


@pytest.mark.parametrize("index_dtype", INDEX_DTYPES, ids=str)
@pytest.mark.parametrize("symbol_dtype", SYMBOL_DTYPES, ids=str)
def test_narrow_and_wide_dtypes(symbol_dtype: torch.dtype, index_dtype: torch.dtype) -> None:
    tables = uniform_tables(100, 12)
    tables = Tables(
        tables.cdfs.repeat(3, 1),
        tables.sizes.repeat(3),
        torch.tensor([0, 3, 10], dtype=torch.int32),
        12,
    )
    rng = np.random.default_rng(0)
    symbols = torch.from_numpy(rng.integers(0, 128, (3, 77))).to(symbol_dtype)
    indexes = torch.from_numpy(rng.integers(0, 3, (3, 77)).astype(np.int32))
    expected = encode("rans64", 4, tables, symbols.to(torch.int32), indexes)
    narrow = torch.from_numpy(indexes.numpy().astype(str(index_dtype).split(".")[1]))
    stream = encode("rans64", 4, tables, symbols, narrow)
    assert stream_rows(stream) == stream_rows(expected)
    out = torch.empty(3, 77, dtype=symbol_dtype)
    assert pop_op("rans64", 4)(stream, narrow, *tables.args, out=out) is out
    assert torch.equal(out, symbols)
    decoded = pop_op("rans64", 4)(expected, narrow, *tables.args)
    assert decoded.dtype == (
        index_dtype if index_dtype in (torch.int32, torch.int64) else torch.int32
    )
    assert torch.equal(decoded.to(symbol_dtype), symbols)


def layouts(base: torch.Tensor) -> List[torch.Tensor]:
    """Views of (4, 60) with the values of `base` that are not laid out like it."""
    wide = torch.empty(8, 120, dtype=base.dtype)
    wide[::2, ::2] = base
    flipped = torch.empty(60, 4, dtype=base.dtype)
    flipped[:] = base.t()
    shifted = torch.empty(5, 61, dtype=base.dtype)
    shifted[1:, 1:] = base
    return [wide[::2, ::2], flipped.t(), shifted[1:, 1:]]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int16, torch.int32, torch.int64], ids=str)
def test_non_contiguous_symbols_and_indexes(dtype: torch.dtype) -> None:
    tables = make_tables(3, [20, 40], 9).with_bypass(False)
    tables.offsets.zero_()
    symbols, indexes = make_symbols(3, (4, 60), tables)
    symbols, indexes = symbols.to(dtype), indexes.to(dtype)
    expected = stream_rows(encode("rans32", 2, tables, symbols, indexes))
    for strided_symbols in layouts(symbols):
        for strided_indexes in layouts(indexes):
            copies = strided_symbols.clone(), strided_indexes.clone()
            stream = encode("rans32", 2, tables, strided_symbols, strided_indexes)
            assert stream_rows(stream) == expected
            out = torch.empty(8, 60, dtype=dtype)[::2]
            pop_op("rans32", 2)(stream, strided_indexes, *tables.args, out=out)
            assert torch.equal(out, symbols)
            assert torch.equal(strided_symbols, copies[0]) and torch.equal(
                strided_indexes, copies[1]
            )


@pytest.mark.parametrize("lanes", reference.LANES)
def test_expanded_indexes(lanes: int) -> None:
    """Stride 0: one index a row, one for all rows, one for everything."""
    tables = make_tables(3, [20, 40, 70], 9)
    symbols, _ = make_symbols(3, (4, 60), tables)
    per_row = torch.tensor([[0], [2], [1], [0]], dtype=torch.int32).expand(4, 60)
    per_column = (torch.arange(60, dtype=torch.int32) % 3).expand(4, 60)
    single = torch.tensor(2, dtype=torch.int32).expand(4, 60)
    blocks = torch.tensor([0, 1, 2], dtype=torch.int32).view(1, 3, 1).expand(4, 3, 20)
    for indexes in (per_row, per_column, single):
        expected = encode("rans64", lanes, tables, symbols, indexes.contiguous())
        stream = encode("rans64", lanes, tables, symbols, indexes)
        assert stream_rows(stream) == stream_rows(expected)
        assert torch.equal(pop_op("rans64", lanes)(stream, indexes, *tables.args), symbols)
    flat = blocks.reshape(4, 60)
    assert stream_rows(encode("rans64", lanes, tables, symbols, flat.contiguous())) == stream_rows(
        encode("rans64", lanes, tables, symbols, flat)
    )


def test_tables_may_be_views_and_other_integer_dtypes() -> None:
    tables = make_tables(3, [20, 40, 70], 9)
    symbols, indexes = make_symbols(3, (2, 60), tables)
    expected = stream_rows(encode("rans64", 1, tables, symbols, indexes))
    wide = torch.zeros(3, 2 * tables.cdfs.shape[1], dtype=torch.int64)
    wide[:, ::2] = tables.cdfs
    stream = torch_ans.rans64_init_stream(2)
    torch_ans.rans64_push(
        stream,
        symbols,
        indexes,
        wide[:, ::2],
        tables.sizes.to(torch.int64),
        tables.offsets.to(torch.int64),
        freq_precision=9,
    )
    assert stream_rows(stream) == expected


def test_tables_changed_in_place_are_noticed() -> None:
    """No stale cache: the same tensors with other values, and new tensors at old addresses."""
    for n in range(12):
        tables = make_tables(n, [20, 40], 9)
        symbols, indexes = make_symbols(n, (2, 500), tables)
        stream = encode("rans64", 1, tables, symbols, indexes)
        assert torch.equal(pop_op("rans64", 1)(stream, indexes, *tables.args), symbols)
        fresh = make_tables(100 + n, [20, 40], 9)
        for old, new in zip(
            (tables.cdfs, tables.sizes, tables.offsets), (fresh.cdfs, fresh.sizes, fresh.offsets)
        ):
            old.copy_(new)
        symbols, indexes = make_symbols(n, (2, 500), fresh)
        expected = stream_rows(encode("rans64", 1, fresh, symbols, indexes))
        assert stream_rows(encode("rans64", 1, tables, symbols, indexes)) == expected
