"""The CUDA engine on a real GPU: the CPU's bytes, in every variant."""

from __future__ import annotations

from typing import Tuple

import numpy as np
import pytest
import torch

import reference
import tans_reference
import torch_ans
from cuda_device import GPU, host_rows, on_gpu
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
    stream_rows,
)
from torch_ans import CorruptStreamError, TorchANSInterface, _native

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("shape", [(1, 1), (3, 0), (5, 37), (70, 333), (2, 5000)], ids=str)
@pytest.mark.parametrize("alias", [False, True], ids=["plain", "alias"])
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_the_cpus_bytes(family: str, lanes: int, alias: bool, shape: Tuple[int, int]) -> None:
    for precision, bypass in ((max_precision(family), True), (11, False)):
        tables = make_tables(precision, [40, 7, 300], precision, bypass)
        symbols, indexes = make_symbols(lanes, shape, tables)
        expected = encode(family, lanes, tables, symbols, indexes, alias)
        args = on_gpu(tables)
        stream = init_op(family)(shape[0], lanes, device=GPU)
        push_op(family, lanes, alias)(stream, symbols.to(GPU), indexes.to(GPU), *args, check=True)
        assert host_rows(stream) == stream_rows(expected)
        assert torch_ans.rans_stream_to_byte_strings(stream) == stream_rows(expected)
        decoded = pop_op(family, lanes, alias)(stream, indexes.to(GPU), *args, check=True)
        assert decoded.device == GPU and torch.equal(decoded.cpu(), symbols.to(decoded.dtype))
        assert host_rows(stream) == stream_rows(init_op(family)(shape[0], lanes))
        again = expected.to(GPU)  # from the CPU's encoder to the GPU's decoder
        decoded = pop_op(family, lanes, alias)(again, indexes.to(GPU), *args, check=True)
        assert torch.equal(decoded.cpu(), symbols.to(decoded.dtype))


@pytest.mark.parametrize("shape", [(1, 1), (3, 0), (5, 37), (70, 333), (2, 5000)], ids=str)
@pytest.mark.parametrize("lanes", reference.LANES)
@pytest.mark.parametrize("family", tans_reference.FAMILIES)
def test_the_cpus_bytes_of_tans(family: str, lanes: int, shape: Tuple[int, int]) -> None:
    most = tans_reference.MAX_FREQ_PRECISION[family]
    for precision, bypass in ((most, True), (most, False), (3, True)):
        tables = make_tables(precision, [5, 7, 2], precision, bypass, 3)
        symbols, indexes = make_symbols(lanes, shape, tables)
        expected = encode(family, lanes, tables, symbols, indexes)
        stream = init_op(family)(shape[0], lanes, device=GPU)
        push, pop = push_op(family, lanes), pop_op(family, lanes)
        push(stream, symbols.to(GPU), indexes.to(GPU), *on_gpu(tables), check=True)
        assert host_rows(stream) == stream_rows(expected)
        push(stream, symbols.to(GPU), indexes.to(GPU), *on_gpu(tables), check=True)
        for again in (stream, expected.to(GPU)):
            decoded = pop(again, indexes.to(GPU), *on_gpu(tables), check=True)
            assert torch.equal(decoded.cpu(), symbols.to(decoded.dtype))
        assert host_rows(stream) == stream_rows(expected)


@pytest.mark.parametrize("one_offset", [True, False])
@pytest.mark.parametrize("offsets", [(32,), (33, 64), (32, 64, 97)], ids=str)
@pytest.mark.parametrize("family,lanes", [*VARIANTS, ("tans32", 1), ("tans16", 8), ("tans8", 32)])
def test_tables_that_follow_the_symbols(
    family: str, lanes: int, offsets: Tuple[int, ...], one_offset: bool
) -> None:
    tables = make_tables(3, [3, 9, 5], 7, True, 3)
    if one_offset:
        tables.offsets[:] = -2
    generator = torch.Generator().manual_seed(len(offsets))
    shape = (5, 400)
    symbols, _ = make_symbols(lanes, shape, tables)
    indexes, sets = (torch.randint(0, n, shape, generator=generator) for n in (4, 2))
    sizes = [7, 3, 4][: len(offsets)]
    ar_tables = torch.randint(0, 3, (2, 4, *sizes), generator=generator)
    back = [max(1, offset * lanes // 32) for offset in offsets]
    more = {"ar_tables": ar_tables, "ar_offsets": back}
    expected = init_op(family)(5, lanes)
    push, pop = push_op(family, lanes), pop_op(family, lanes)
    push(expected, symbols, indexes, *tables.args, ar_indexes=sets, **more)
    more["ar_indexes"] = sets.to(GPU)
    stream = init_op(family)(5, lanes, device=GPU)
    push(stream, symbols.to(GPU), indexes.to(GPU), *tables.args, check=True, **more)
    assert host_rows(stream) == stream_rows(expected)
    decoded = pop(stream, indexes.to(GPU), *tables.args, check=True, **more)
    assert torch.equal(decoded.cpu(), symbols.to(decoded.dtype))
    for name, bad in (("indexes", indexes), ("ar_indexes", sets)):
        wrong = bad.clone()
        wrong[2, 60] = 4
        chosen = {"indexes": indexes.to(GPU), **more, name: wrong.to(GPU)}
        with pytest.raises(IndexError, match=name):
            push(stream, symbols.to(GPU), chosen.pop("indexes"), *tables.args, check=True, **chosen)


def test_an_interface_whose_tables_follow_the_symbols() -> None:
    coder = TorchANSInterface("tans32", device="cuda", num_parallel_states=3, freq_precision=10)
    coder.init_params(torch.rand(4, 30, generator=torch.Generator().manual_seed(0)) + 0.01)
    generator = torch.Generator().manual_seed(1)
    coder.init_ar_params(torch.randint(0, 4, (1, 1, 31, 31), generator=generator), [(1, 0), (0, 1)])
    symbols = torch.randint(0, 30, (12, 40), generator=generator)
    data = coder.encode_symbols(symbols.to(GPU))
    assert data == coder.encode_symbols(symbols)
    assert torch.equal(coder.decode_symbols(data, (12, 40)).cpu().long(), symbols)


@pytest.mark.parametrize("q", [0, 1, 5, "auto"])
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_every_lookup(family: str, lanes: int, q: object) -> None:
    tables = make_tables(7, [1000, 2, 60], 12)
    symbols, indexes = make_symbols(1, (9, 1000), tables)
    stream = encode(family, lanes, tables, symbols, indexes).to(GPU)
    more = {"inverse_cdf_precision": q, "check": True}
    decoded = invcdf_pop_op(family, lanes)(stream, indexes.to(GPU), *tables.args, **more)
    assert torch.equal(decoded.cpu(), symbols.to(decoded.dtype))


@pytest.mark.parametrize("lanes", [1, 8, 32])
@pytest.mark.parametrize("rows", [1, 31, 5000])
def test_many_rows_and_one_table(rows: int, lanes: int) -> None:
    """Enough of them that tables are copied to shared memory."""
    tables = make_tables(3, [200], 12)
    symbols, indexes = make_symbols(3, (rows, 640), tables)
    expected = encode("rans32_16", lanes, tables, symbols, indexes)
    narrow = symbols.to(GPU)
    stream = init_op("rans32_16")(rows, lanes, device=GPU)
    push_op("rans32_16", lanes)(stream, narrow, None, *tables.args, check=True)
    assert host_rows(stream) == stream_rows(expected)
    out = torch.empty_like(narrow)
    pop_op("rans32_16", lanes)(stream, None, *tables.args, out=out, check=True)
    assert torch.equal(out, narrow)


@pytest.mark.parametrize("bypass", [False, True], ids=["closed", "bypass"])
@pytest.mark.parametrize("precision", [9, 12, 15])
@pytest.mark.parametrize(
    "dtype,sizes,offset",
    [
        (torch.uint8, [90], 3),
        (torch.uint8, [257], 0),
        (torch.uint8, [1], 7),
        (torch.int32, [90], 3),
        (torch.int32, [90, 3, 2, 200, 41], 3),
    ],
    ids=["bytes", "all bytes", "one byte", "words", "indexed"],
)
def test_plain_kernels(
    dtype: torch.dtype, sizes: list, offset: int, precision: int, bypass: bool
) -> None:
    """Symbols side by side, enough of them for the tables' copies in shared memory."""
    tables = make_tables(4, sizes, precision, bypass)
    tables.offsets.fill_(offset)
    shape = (1500, 1333) if precision < 15 else (2600, 5001)
    symbols, indexes = make_symbols(4, shape, tables, escapes=0.0005)
    symbols = symbols.clamp(0, 255).to(dtype)
    given = indexes if len(sizes) > 1 else None
    expected = encode("rans32_16", 32, tables, symbols, indexes)
    on_device = [None if t is None else t.to(GPU) for t in (symbols, given)]
    stream = init_op("rans32_16")(shape[0], 32, device=GPU)
    push_op("rans32_16", 32)(stream, *on_device, *tables.args, check=True)
    assert host_rows(stream) == stream_rows(expected)
    out = torch.empty_like(on_device[0])
    pop_op("rans32_16", 32)(stream, on_device[1], *tables.args, out=out, check=True)
    assert torch.equal(out, on_device[0])


@pytest.mark.parametrize("dtype", list(_native.INTEGER_NAMES), ids=str)
@pytest.mark.parametrize("lanes", [1, 4, 32])
def test_dtypes_and_strides(dtype: torch.dtype, lanes: int) -> None:
    tables = make_tables(5, [60, 90, 20], 12, True)
    rng = np.random.default_rng(0)
    symbols = torch.from_numpy(rng.integers(0, 100, (4, 210))).to(dtype)
    index = torch.tensor([0, 2, 1, 1, 0, 2, 0]).to(dtype)  # one of each 30 columns
    indexes = index.repeat_interleave(30).expand(4, 210)
    expected = encode("rans64", lanes, tables, symbols.to(torch.int64), indexes.to(torch.int32))
    strided = torch.zeros(4, 420, dtype=dtype, device=GPU)[:, ::2]
    strided.copy_(symbols)
    expanded = index.to(GPU)[None, :, None].expand(4, 7, 30)
    stream = init_op("rans64")(4, lanes, device=GPU)
    push = push_op("rans64", lanes)
    push(stream, strided, indexes.to(GPU), *tables.args, check=True)
    assert host_rows(stream) == stream_rows(expected)
    interface = TorchANSInterface("rans64", num_interleaves=lanes, freq_precision=12)
    interface.set_cdfs(*tables.args[:3])
    shaped = strided.reshape(4, 7, 30)
    data = interface.encode_with_indexes(shaped, expanded)
    assert data == interface.encode_with_indexes(shaped.cpu(), expanded.cpu())
    out = torch.zeros(4, 420, dtype=dtype, device=GPU)[:, ::2]
    pop_op("rans64", lanes)(stream, indexes.to(GPU), *tables.args, out=out, check=True)
    assert torch.equal(out, strided)


@pytest.mark.parametrize("lanes", [1, 4, 32])
@pytest.mark.parametrize("family", ["rans32_16", "tans32"])
def test_hostile_streams(family: str, lanes: int) -> None:
    """The rows that the CPU blames, whatever the bytes."""
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (50, 200), tables)
    good = encode(family, lanes, tables, symbols, indexes)
    rng = np.random.default_rng(lanes)
    for _ in range(10):
        bad = good.clone()
        bytes_of = bad.numpy().view(np.uint8)
        for row in range(0, 50, 3):
            at = rng.integers(0, bytes_of.shape[1], 9)
            bytes_of[row, at] = rng.integers(0, 256, 9)
        broken = []
        for where in ("cpu", GPU):
            try:
                pop = pop_op(family, lanes)
                pop(bad.to(where, copy=True), indexes.to(where), *tables.args, check=True)
                broken.append([])
            except CorruptStreamError as error:
                broken.append(error.rows)
        assert broken[0] == broken[1]
