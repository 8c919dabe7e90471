"""Names, places and signatures of the low-level functions, and the small helpers beside them."""

from __future__ import annotations

import importlib
import inspect
from typing import Any, List

import pytest
import torch

import reference
import torch_ans.utils
from helpers import (
    VARIANT_IDS,
    VARIANTS,
    encode,
    init_op,
    invcdf_pop_op,
    make_symbols,
    make_tables,
    max_precision,
    pop_op,
    push_op,
    rows_stream,
    stream_rows,
    suffix,
    uniform_tables,
)

PLAIN = [
    "rans_pmf_to_quantized_cdf",
    "rans_alias_build_table",
    "rans_build_inverse_cdf",
    "rans_stream_to_byte_strings",
    "rans_byte_strings_to_stream",
]
UTILS = [
    "pmf_to_quantized_cdf_batched",
    "inverse_quantized_cdf",
    "merge_bytes",
    "split_merged_bytes",
    "TorchANSInterface",
]


def op_names() -> List[str]:
    names = [family + "_init_stream" for family in reference.FAMILIES]
    for family, lanes in VARIANTS:
        names += [family + suffix(lanes) + end for end in ("_push", "_pop", "_invcdf_pop")]
        names += [family + "_alias" + suffix(lanes) + end for end in ("_push", "_pop")]
    return names


def test_every_function_is_at_all_three_places() -> None:
    places = [
        importlib.import_module(name) for name in ("torch_ans", "torch_ans._C", "torch_ans.utils")
    ]
    for name in op_names() + PLAIN:
        found = [getattr(place, name) for place in places]
        assert found[0] is found[1] is found[2], name
        assert found[0].__name__ == name and found[0].__doc__
    for name in UTILS:
        assert callable(getattr(places[2], name))
    for name in (
        "TorchANSInterface",
        "CodingTables",
        "CorruptStreamError",
        "TorchANSError",
        "__version__",
    ):
        assert hasattr(torch_ans, name), name
    assert issubclass(torch_ans.CorruptStreamError, torch_ans.TorchANSError)
    assert issubclass(torch_ans.CorruptStreamError, ValueError)


def test_unknown_names_are_attribute_errors() -> None:
    for module in ("torch_ans", "torch_ans._C", "torch_ans.utils"):
        with pytest.raises(AttributeError):
            getattr(importlib.import_module(module), "rans64_i3_push")  # noqa: B009


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_signatures(family: str, lanes: int) -> None:
    shared = [
        "cdfs",
        "cdfs_sizes",
        "offsets",
        "symbol_precision",
        "freq_precision",
        "bypass_coding",
        "bypass_precision",
    ]
    for alias in (False, True):
        push = inspect.signature(push_op(family, lanes, alias)).parameters
        assert list(push)[:11] == ["stream", "symbols", "indexes", *shared, "used_bytes"]
        pop = inspect.signature(pop_op(family, lanes, alias)).parameters
        assert list(pop)[:10] == ["stream", "indexes", *shared, "inverse_cdf_precision"]
        for parameters in (push, pop):
            assert parameters["freq_precision"].default == max_precision(family)
            assert parameters["bypass_coding"].default is True
            assert parameters["bypass_precision"].default == 4
            assert parameters["symbol_precision"].default == 8
        assert "out" in pop
    invcdf = inspect.signature(invcdf_pop_op(family, lanes)).parameters
    assert list(invcdf)[:10] == ["stream", "indexes", *shared, "inverse_cdf_precision"]
    init = inspect.signature(init_op(family)).parameters
    assert list(init) == ["size", "num_interleaves", "preallocate_size", "device"]
    assert init["num_interleaves"].default == 1 and init["preallocate_size"].default == 0


def test_positions_and_names_mean_the_same() -> None:
    tables = make_tables(0, [5, 30], 9, True, 3)
    symbols, indexes = make_symbols(0, (2, 40), tables)
    expected = stream_rows(encode("rans64", 2, tables, symbols, indexes))
    stream = torch_ans.rans64_init_stream(size=2, num_interleaves=2, preallocate_size=64)
    named = {
        "cdfs": tables.cdfs,
        "cdfs_sizes": tables.sizes,
        "offsets": tables.offsets,
        "freq_precision": 9,
        "bypass_coding": True,
        "bypass_precision": 3,
    }
    assert (
        torch_ans.rans64_i2_push(stream=stream, symbols=symbols, indexes=indexes, **named) is None
    )
    assert stream_rows(stream) == expected
    assert torch.equal(torch_ans.rans64_i2_pop(stream=stream, indexes=indexes, **named), symbols)


def test_symbol_precision_is_ignored() -> None:
    tables = make_tables(0, [5, 30], 9)
    symbols, indexes = make_symbols(0, (2, 40), tables)
    expected = stream_rows(encode("rans64", 1, tables, symbols, indexes))
    for value in (8, 1, 99, None):
        args: List[Any] = [*tables.args[:3], value, *tables.args[4:]]
        stream = torch_ans.rans64_init_stream(2)
        torch_ans.rans64_push(stream, symbols, indexes, *args)
        assert stream_rows(stream) == expected
        decoded = torch_ans.rans64_pop(stream, indexes, *args)
        assert torch.equal(decoded, symbols)


def test_defaults_are_16_bits_with_bypass() -> None:
    for family in reference.FAMILIES:
        tables = make_tables(0, [5, 30], max_precision(family))
        symbols, indexes = make_symbols(0, (2, 40), tables)
        stream = init_op(family)(2)
        push_op(family, 1)(stream, symbols, indexes, tables.cdfs, tables.sizes, tables.offsets)
        assert stream_rows(stream) == stream_rows(encode(family, 1, tables, symbols, indexes))
        decoded = pop_op(family, 1)(stream, indexes, tables.cdfs, tables.sizes, tables.offsets)
        assert torch.equal(decoded, symbols)


def test_offsets_none_means_zero() -> None:
    tables = make_tables(0, [5, 30], 9)
    tables.offsets.zero_()
    symbols, indexes = make_symbols(0, (2, 40), tables)
    stream = torch_ans.rans64_init_stream(2)
    torch_ans.rans64_push(stream, symbols, indexes, tables.cdfs, tables.sizes, None, 8, 9)
    assert stream_rows(stream) == stream_rows(encode("rans64", 1, tables, symbols, indexes))
    assert torch.equal(
        torch_ans.rans64_pop(stream, indexes, tables.cdfs, tables.sizes, None, 8, 9), symbols
    )


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_fresh_streams(family: str, lanes: int) -> None:
    form = reference.FAMILIES[family]
    stream = init_op(family)(3, lanes)
    assert stream.dtype == torch.int32 and stream.is_contiguous()
    assert stream.shape == (3, 1 + lanes * form.state_bits // 32)
    fresh = reference.Row.fresh(form, lanes).to_bytes()
    assert stream_rows(stream) == [fresh] * 3
    wide = init_op(family)(3, lanes, 1000)
    assert wide.shape[1] >= stream.shape[1] + 250 and stream_rows(wide) == [fresh] * 3
    assert init_op(family)(0, lanes).shape[0] == 0


def test_dtype_of_decoded_symbols() -> None:
    tables = uniform_tables(20, 8)
    symbols = torch.arange(20, dtype=torch.int32).reshape(1, 20)
    for dtype in (torch.int32, torch.int64):
        stream = encode("rans64", 1, tables, symbols, None)
        decoded = torch_ans.rans64_pop(stream, torch.zeros(1, 20, dtype=dtype), *tables.args)
        assert decoded.dtype == dtype and torch.equal(decoded.to(torch.int32), symbols)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        stream = encode("rans64", 1, tables, symbols, None)
        out = torch.empty(1, 20, dtype=dtype)
        assert torch_ans.rans64_pop(stream, None, *tables.args, out=out) is out
        assert torch.equal(out.to(torch.int32), symbols)


def test_pop_without_indexes_needs_to_know_how_many() -> None:
    tables = uniform_tables(20, 8)
    stream = torch_ans.rans64_init_stream(1)
    with pytest.raises((TypeError, ValueError), match="num_symbols"):
        torch_ans.rans64_pop(stream, None, *tables.args)


# --- prepared tables ---------------------------------------------------------------


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_coding_tables_in_place_of_tensors(family: str, lanes: int) -> None:
    tables = make_tables(0, [5, 30, 2], 9)
    symbols, indexes = make_symbols(0, (2, 70), tables)
    for alias in (False, True):
        expected = stream_rows(encode(family, lanes, tables, symbols, indexes, alias))
        prepared = torch_ans.CodingTables(
            tables.cdfs, tables.sizes, tables.offsets, 9, True, alias=alias
        )
        stream = init_op(family)(2, lanes)
        push_op(family, lanes, alias)(stream, symbols, indexes, prepared)
        assert stream_rows(stream) == expected
        assert torch.equal(pop_op(family, lanes, alias)(stream, indexes, prepared), symbols)
        tables.cdfs.clone().zero_()
        wrong = torch_ans.CodingTables(
            tables.cdfs, tables.sizes, tables.offsets, 9, True, alias=not alias
        )
        with pytest.raises(ValueError, match="alias"):
            push_op(family, lanes, alias)(init_op(family)(2, lanes), symbols, indexes, wrong)


def test_coding_tables_are_independent_of_their_source() -> None:
    tables = make_tables(0, [5, 30], 9)
    symbols, indexes = make_symbols(0, (2, 70), tables)
    expected = stream_rows(encode("rans64", 1, tables, symbols, indexes))
    prepared = torch_ans.CodingTables(tables.cdfs, tables.sizes, tables.offsets, 9, True)
    tables.cdfs.zero_(), tables.offsets.zero_()
    stream = torch_ans.rans64_init_stream(2)
    torch_ans.rans64_push(stream, symbols, indexes, prepared)
    assert stream_rows(stream) == expected


@pytest.mark.parametrize("lanes", [1, 4, 32])
def test_alias_rows_as_torch_ans_passes_them(lanes: int) -> None:
    """A push takes the first of the pair that rans_alias_build_table returns, a pop the second."""
    for alphabet in ([64, 64, 64], [5, 100, 1]):
        tables = make_tables(2, alphabet, 10)
        symbols, indexes = make_symbols(2, (2, 70), tables)
        push_cdfs, pop_cdfs = torch_ans.rans_alias_build_table(tables.cdfs, tables.sizes, 6, 10)
        assert push_cdfs.dtype == pop_cdfs.dtype == torch.int32
        expected = stream_rows(encode("rans64", lanes, tables, symbols, indexes, alias=True))
        rest = (tables.sizes, tables.offsets, 6, 10)
        stream = torch_ans.rans64_init_stream(2, lanes)
        push_op("rans64", lanes, True)(stream, symbols, indexes, push_cdfs, *rest)
        assert stream_rows(stream) == expected
        decoded = pop_op("rans64", lanes, True)(stream, indexes, pop_cdfs, *rest)
        assert torch.equal(decoded, symbols)


def test_alias_rows_hold_what_torch_ans_puts_there() -> None:
    """Each row: the CDF, then the remap of all slots; or four numbers a bucket."""
    tables = make_tables(2, [64, 64], 10)
    remap, table = torch_ans.rans_alias_build_table(
        cdfs=tables.cdfs, cdfs_sizes=tables.sizes, symbol_precision=6, freq_precision=10
    )
    for k, entry in enumerate(tables.oracle(alias=True)):
        assert entry.alias is not None
        assert remap[k, :65].tolist() == table[k, :65].tolist() == list(entry.cdf)
        assert remap[k, 65 : 65 + 1024].tolist() == list(entry.alias.remap)
        buckets = zip(
            entry.alias.cut_slot,
            entry.alias.other,
            entry.alias.self_offset,
            entry.alias.other_offset,
        )
        assert table[k, 65 : 65 + 256].tolist() == [n for bucket in buckets for n in bucket]


@pytest.mark.parametrize("q", [1, 4, 9, 10])
def test_inverse_rows(q: int) -> None:
    tables = make_tables(2, [64, 64, 64], 10)
    rows = torch_ans.rans_build_inverse_cdf(tables.cdfs, 10, q)
    assert rows.shape == (3, 65 + (1 << q)) and rows.dtype == torch.int32
    inverse = torch_ans.utils.inverse_quantized_cdf(tables.cdfs, 10, q)
    for k in range(3):
        expected = reference.inverse_cdf(tables.cdfs[k].tolist(), 10, q)
        assert rows[k].tolist() == tables.cdfs[k].tolist() + expected
        assert inverse[k].tolist() == expected
    one = torch_ans.rans_build_inverse_cdf(tables.cdfs[1], 10, q)
    assert torch.equal(one, rows[1])
    symbols, indexes = make_symbols(2, (2, 70), tables)
    for lanes in (1, 8):
        stream = encode("rans64", lanes, tables, symbols, indexes)
        decoded = invcdf_pop_op("rans64", lanes)(
            stream, indexes, rows, tables.sizes, tables.offsets, 6, 10, inverse_cdf_precision=q
        )
        assert torch.equal(decoded, symbols)


def test_inverse_cdf_precision_is_checked() -> None:
    tables = make_tables(2, [64], 10)
    for q in (0, 11, -1):
        with pytest.raises(ValueError):
            torch_ans.rans_build_inverse_cdf(tables.cdfs, 10, q)
        with pytest.raises(ValueError):
            torch_ans.utils.inverse_quantized_cdf(tables.cdfs, 10, q)


# --- bytes -------------------------------------------------------------------------


def test_byte_strings_and_streams() -> None:
    rows = [b"", b"\x01", b"1234", b"12345", bytes(range(256)) * 3]
    stream = torch_ans.rans_byte_strings_to_stream(rows)
    assert torch.equal(stream, rows_stream(rows))
    assert torch_ans.rans_stream_to_byte_strings(stream) == rows
    wide = torch.full((5, 400), -1, dtype=torch.int32)
    wide[:, : stream.shape[1]] = stream
    assert torch_ans.rans_stream_to_byte_strings(wide) == rows
    empty = torch_ans.rans_byte_strings_to_stream([])
    assert len(empty) == 0 and torch_ans.rans_stream_to_byte_strings(empty) == []


@pytest.mark.parametrize("length_bytes", [1, 2, 4, 8])
def test_merged_bytes(length_bytes: int) -> None:
    merge, split = torch_ans.utils.merge_bytes, torch_ans.utils.split_merged_bytes
    parts = [b"abc", b"", b"\x00" * 200, b"z"]
    plain = b"".join(len(p).to_bytes(length_bytes, "little") + p for p in parts)
    assert merge(parts, length_bytes) == merge(parts, num_bytes_length=length_bytes) == plain
    assert split(plain, length_bytes) == parts
    bare = merge(parts, num_bytes_length=length_bytes, num_segments=4)
    assert bare == plain[: -length_bytes - 1] + b"z"
    assert split(bare, num_bytes_length=length_bytes, num_segments=4) == parts
    assert merge([b"whole"], length_bytes, 1) == b"whole" and split(b"whole", length_bytes, 1) == [
        b"whole"
    ]
    assert merge([], length_bytes) == b"" and split(b"", length_bytes) == []
    if length_bytes == 1:
        with pytest.raises(ValueError):
            merge([b"x" * 256], 1)
    for broken in (plain[:-1], plain + b"\xff", plain[:2]):
        with pytest.raises(torch_ans.CorruptStreamError):
            split(broken, length_bytes)
    with pytest.raises(ValueError):
        merge(parts, 3)
    with pytest.raises(ValueError):
        merge(parts, length_bytes, 3)
