"""The CUDA engine on a real GPU: the CPU's bytes, in every variant.

Skipped without a GPU, unless TORCH_ANS_REQUIRE_CUDA=1 promises one: then these tests fail.
"""

from __future__ import annotations

import os
import pickle
from typing import Iterator, Tuple

import numpy as np
import pytest
import torch

import reference
import tans_reference
import torch_ans
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
    pop_op,
    push_op,
    stream_rows,
)
from torch_ans import CorruptStreamError, TorchANSInterface, _native

pytestmark = pytest.mark.cuda
GPU = torch.device("cuda", 0)


@pytest.fixture(autouse=True)
def gpu() -> None:
    problem = _native.cuda_problem()
    if not problem and not torch.cuda.is_available():
        problem = "torch has no CUDA here"
    if problem and os.environ.get("TORCH_ANS_REQUIRE_CUDA") == "1":
        pytest.fail(problem)
    if problem:
        pytest.skip(problem)


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Any synchronisation by torch is an error."""
    yield
    torch.cuda.set_sync_debug_mode("default")


def on_gpu(tables: Tables) -> Tuple[torch.Tensor, ...]:
    return (tables.cdfs.to(GPU), tables.sizes.to(GPU), tables.offsets.to(GPU), *tables.args[3:])


def host_rows(stream: torch.Tensor) -> list:
    return stream_rows(stream.cpu())


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


@pytest.mark.parametrize("rows", [None, 1, 7])
@pytest.mark.parametrize(
    "impl", ["rans64", "rans32_i4", "rans32_16_i32", "rans64_i8_alias", "tans32", "tans16_i32"]
)
def test_the_interface_end_to_end(impl: str, rows: object) -> None:
    coder = TorchANSInterface(impl, device="cuda", num_parallel_states=rows, freq_precision=14)
    freqs = torch.rand(5, 100, generator=torch.Generator().manual_seed(0)) + 0.01
    coder.init_params(freqs.to(GPU), torch.tensor([100, 3, 50, 99, 2]), torch.arange(5) - 20)
    symbols = torch.randint(-40, 90, (3, 11, 29), generator=torch.Generator().manual_seed(1))
    indexes = torch.randint(0, 5, symbols.shape, generator=torch.Generator().manual_seed(2))
    data = coder.encode_with_indexes(symbols.to(GPU), indexes.to(GPU))
    assert data == coder.encode_with_indexes(symbols, indexes)
    decoded = coder.decode_with_indexes(data, indexes.to(GPU))
    assert decoded.device == GPU and torch.equal(decoded.cpu().long(), symbols)
    with pytest.raises(CorruptStreamError):
        coder.decode_with_indexes(data[:-4], indexes.to(GPU))
    with pytest.raises(ValueError, match="device"):
        coder.encode_with_indexes(symbols.to(GPU), indexes)


def large_work(rows: int) -> Tuple[TorchANSInterface, torch.Tensor]:
    coder = TorchANSInterface(
        "rans32_16_i32", device="cuda", num_parallel_states=rows, dtype=torch.uint8
    )
    coder.init_params(torch.ones(1, 200, device=GPU))
    generator = torch.Generator().manual_seed(rows)
    symbols = torch.randint(0, 200, (3_000_001,), dtype=torch.uint8, generator=generator)
    return coder, symbols


@pytest.mark.parametrize("rows", [1, 7, 3000])
def test_bytes_in_memory_of_the_caller(rows: int) -> None:
    coder, symbols = large_work(rows)
    on_device = symbols.to(GPU)
    expected = coder.encode_symbols(symbols)
    assert coder.encode_symbols(on_device) == expected
    size = len(expected)
    pinned = torch.empty(size + 100, dtype=torch.uint8, pin_memory=True)
    pageable = torch.empty(size + 100, dtype=torch.uint8)
    targets = [pinned, pinned[64:], pinned.numpy(), memoryview(pinned.numpy())[1:]]
    decoded = torch.empty_like(on_device)
    for out in [*targets, pageable, bytearray(size)]:
        memory = out if isinstance(out, torch.Tensor) else torch.frombuffer(out, dtype=torch.uint8)
        memory.fill_(7)
        data = coder.encode_symbols(on_device, out=out)
        assert data == expected and bool((memory[size:] == 7).all())
        for source in (data, memory[:size], bytes(data)):
            decoded.zero_()
            coder.decode_symbols(source, out=decoded)
            memory[:size] += 1  # it has been read: the device does not see this
            assert torch.equal(decoded, on_device)
            memory[:size] -= 1
    short = pinned[: size - 1].fill_(7)
    with pytest.raises(ValueError, match=f"out must have at least {size} bytes, got {size - 1}"):
        coder.encode_symbols(on_device, out=short)
    assert bool((short == 7).all())


def test_pinned_memory_that_is_no_encoded_data() -> None:
    coder, symbols = large_work(50)
    pinned = torch.empty(4_000_000, dtype=torch.uint8, pin_memory=True)
    data = coder.encode_symbols(symbols.to(GPU), out=pinned)
    pinned[:3] = 255  # the first row's length
    for _ in range(3):
        with pytest.raises(CorruptStreamError):
            coder.decode_symbols(data, symbols.shape)
        pinned.random_(0, 255)
    coder.encode_symbols(symbols.to(GPU), out=pinned)
    pinned[5_000:6_000] = 0
    with pytest.raises(CorruptStreamError):
        coder.decode_symbols(data, symbols.shape)


def test_pinned_memory_and_other_streams() -> None:
    coder, symbols = large_work(500)
    expected = coder.encode_symbols(symbols)
    memories = [torch.empty(len(expected), dtype=torch.uint8, pin_memory=True) for _ in range(3)]
    on_device = symbols.to(GPU)
    torch.cuda.synchronize()
    for memory in memories:
        with torch.cuda.stream(torch.cuda.Stream()):
            data = coder.encode_symbols(on_device, out=memory)
            assert data == expected
            decoded = coder.decode_symbols(memory, symbols.shape)
            assert torch.equal(decoded.cpu(), symbols)


def test_a_queue_in_pinned_memory() -> None:
    coder, symbols = large_work(30)
    pinned = torch.empty(8_000_000, dtype=torch.uint8, pin_memory=True)
    results = []
    for more in ({}, {"out": pinned}):
        coder.encode_symbols(symbols.to(GPU), cache=True)
        coder.encode_symbols(symbols.to(GPU), cache=True)
        results.append(coder.flush(**more))
    assert results[0] == results[1]
    coder.set_stream(pinned[: len(results[1])])
    pinned.zero_()  # set_stream does not wait, and has copied the bytes
    for _ in range(2):
        decoded = coder.decode_stream(None, out=torch.empty_like(symbols, device=GPU))
        assert torch.equal(decoded.cpu(), symbols)


def test_nothing_waits(no_waiting: None) -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 1000), tables)
    symbols, indexes = symbols.to(GPU), indexes.to(GPU)
    stream = torch_ans.rans32_16_init_stream(64, 32, 4000, device=GPU)
    torch_ans.rans32_16_i32_push(stream, symbols, indexes, *tables.args)
    torch_ans.rans32_16_i32_pop(stream, indexes, *tables.args)  # the tables are there now
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(3):
        torch_ans.rans32_16_i32_push(stream, symbols, indexes, *tables.args)
    for _ in range(3):
        decoded = torch_ans.rans32_16_i32_pop(stream, indexes, *tables.args)
    torch.cuda.set_sync_debug_mode("default")
    torch_ans.rans_check_stream(stream)
    assert torch.equal(decoded, symbols.to(decoded.dtype))


def test_pops_make_room() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 1000), tables)
    symbols, indexes = symbols.to(GPU), indexes.to(GPU)
    stream = torch_ans.rans32_16_init_stream(64, 32, device=GPU)
    columns = []
    for _ in range(20):
        for _ in range(3):
            torch_ans.rans32_16_i32_push(stream, symbols, indexes, *tables.args)
        for _ in range(3):
            decoded = torch_ans.rans32_16_i32_pop(stream, indexes, *tables.args)
        columns.append(stream.shape[1])
        torch.cuda.synchronize()
    assert columns[5] == columns[-1]
    torch_ans.rans_check_stream(stream)
    assert torch.equal(decoded, symbols.to(decoded.dtype))


def test_other_streams() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 5000), tables)
    expected = stream_rows(encode("rans64", 4, tables, symbols, indexes))
    streams = [torch.cuda.Stream() for _ in range(3)]
    made = []
    for side in streams:
        with torch.cuda.stream(side):
            stream = torch_ans.rans64_init_stream(64, 4, device=GPU)
            torch_ans.rans64_i4_push(stream, symbols.to(GPU), indexes.to(GPU), *tables.args)
            made.append(stream)
    torch.cuda.synchronize()
    assert all(host_rows(stream) == expected for stream in made)


def test_a_captured_graph() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (16, 400), tables)
    symbols, indexes = symbols.to(GPU), indexes.to(GPU)
    fresh = torch_ans.rans64_init_stream(16, 2, 2000, device=GPU)
    stream = torch_ans.rans64_init_stream(16, 2, 2000, device=GPU)
    out = torch.zeros_like(symbols)

    def work() -> None:
        stream.copy_(fresh)
        torch_ans.rans64_i2_push(stream, symbols, indexes, *tables.args)
        torch_ans.rans64_i2_pop(stream, indexes, *tables.args, out=out)

    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    for seed in range(3):
        other, _ = make_symbols(seed, (16, 400), tables)
        symbols.copy_(other.clamp(-5, 5))
        out.zero_()
        graph.replay()
        torch_ans.rans_check_stream(stream)
        assert torch.equal(out, symbols)


def test_what_goes_wrong_is_told_later() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (8, 300), tables)
    stream = torch_ans.rans64_init_stream(8, device=GPU)
    torch_ans.rans64_push(stream, symbols.to(GPU), indexes.to(GPU), *tables.args, check=True)
    before = host_rows(stream)
    wrong = indexes.clone()
    wrong[3, 7] = 9
    torch_ans.rans64_push(stream, symbols.to(GPU), wrong.to(GPU), *tables.args)
    torch_ans.rans64_push(stream, symbols.to(GPU), indexes.to(GPU), *tables.args)
    with pytest.raises(IndexError, match="symbol 7 of row 3"):
        torch_ans.rans_check_stream(stream)
    assert host_rows(stream) == before
    with pytest.raises(IndexError, match=r"indexes\[3, 7\] is 9"):
        torch_ans.rans64_pop(stream, wrong.to(GPU), *tables.args, check=True)
    stream[5, 1:3] = 0
    with pytest.raises(CorruptStreamError) as caught:
        torch_ans.rans64_pop(stream, indexes.to(GPU), *tables.args, check=True)
    assert caught.value.rows == [5]


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


def test_quantising() -> None:
    generator = torch.Generator().manual_seed(4)
    for length in (1, 31, 257, 5000):
        for skew in (1, 5, 30):
            pmf = torch.rand(20, length, generator=generator) ** skew
            pmf[:, 0] += 0.001  # every row has some mass
            expected = torch_ans.rans_pmf_to_quantized_cdf(pmf, 14)
            assert torch.equal(torch_ans.rans_pmf_to_quantized_cdf(pmf.to(GPU), 14).cpu(), expected)
    with pytest.raises(ValueError, match="row 1 of pmf holds a negative value"):
        torch_ans.rans_pmf_to_quantized_cdf(torch.tensor([[1.0], [-1.0]], device=GPU))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("sizes", [[2], [40, 2, 300, 3], [2] * 300, [1500]], ids=len)
def test_tables_made_on_the_device(sizes: list, dtype: torch.dtype) -> None:
    """Every lookup and every kind of image codes as the CPU's tables do, which no one has made."""
    for precision, alias, q in (
        (16, True, None),
        (16, False, None),
        (12, False, 0),
        (11, False, 5),
    ):
        made = make_tables(2, sizes, precision)
        symbols, indexes = make_symbols(3, (9, 400), made)
        here = torch_ans.CodingTables(*made.args[:3], *made.args[4:6], alias=alias)
        tensors = [tensor.to(GPU, dtype) for tensor in made.args[:3]]
        options = {"alias": alias, "inverse_cdf_precision": q}
        tables = torch_ans.CodingTables(*tensors, *made.args[4:6], **options)
        for family, lanes in (("rans64", 1), ("rans32", 32), ("tans32", 4)):
            if family == "tans32" and (
                alias or precision > 15 or len(sizes) * 2**precision > 2**28
            ):
                continue
            digits = made.args[6]
            streams = [init_op(family)(9, lanes, device=d) for d in ("cpu", GPU)]
            push, pop = push_op(family, lanes, alias), pop_op(family, lanes, alias)
            push(streams[0], symbols, indexes, here, bypass_precision=digits)
            operands = symbols.to(GPU), indexes.to(GPU)
            push(streams[1], *operands, tables, bypass_precision=digits, check=True)
            assert host_rows(streams[1]) == stream_rows(streams[0])
            found = pop(streams[1], operands[1], tables, bypass_precision=digits, check=True)
            assert torch.equal(found.cpu(), symbols.to(found.dtype))
        assert tables._native is None and tables.cdfs.device == GPU and tables.nbytes > 0
        assert tables.native.numbers() == here.native.numbers()
        assert pickle.loads(pickle.dumps(tables)).cdfs.device.type == "cpu"


@pytest.mark.parametrize(
    "name,place,value",
    [
        ("cdfs", (1, 0), 1),
        ("cdfs", (1, 3), 0),
        ("cdfs", (2, 200), -5),
        ("cdfs", (2, 200), 4095),
        ("cdfs", (0, 5), 2**31 - 1),
        ("cdfs", (2, 250), 2**40),
        ("cdfs_sizes", (1,), 1),
        ("cdfs_sizes", (1,), 252),
        ("cdfs_sizes", (2,), -(2**31)),
        ("offsets", (0,), 2**30 + 1),
        ("offsets", (2,), -(2**40)),
    ],
)
def test_what_is_no_cdf(name: str, place: Tuple[int, ...], value: int) -> None:
    """The CPU's words, and nothing else happens."""
    made = make_tables(2, [40, 7, 200], 12)
    wide = torch.cat([made.cdfs, torch.zeros(3, 251 - made.cdfs.shape[1], dtype=torch.int32)], 1)
    tensors = dict(zip(("cdfs", "cdfs_sizes", "offsets"), (wide, *made.args[1:3])))
    tensors = {key: tensor.to(torch.int64) for key, tensor in tensors.items()}
    tensors[name][place] = value
    messages = []
    for device in ("cpu", GPU):
        with pytest.raises(ValueError) as caught:
            torch_ans.CodingTables(*(t.to(device) for t in tensors.values()), 12)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    stream = torch_ans.rans64_init_stream(1, device=GPU)
    before = host_rows(stream)
    with pytest.raises(ValueError):
        arguments = [t.to(GPU) for t in tensors.values()]
        symbols = torch.zeros((1, 9), dtype=torch.int32, device=GPU)
        torch_ans.rans64_push(stream, symbols, symbols, *arguments, freq_precision=12)
    torch_ans.rans_check_stream(stream)
    assert host_rows(stream) == before


def test_from_probabilities_to_bytes_on_the_device() -> None:
    pmf = torch.rand(7, 60, generator=torch.Generator().manual_seed(5)) ** 4
    cdfs = torch_ans.rans_pmf_to_quantized_cdf(pmf.to(GPU), 14)
    symbols = torch.randint(0, 60, (4, 500), generator=torch.Generator().manual_seed(6))
    indexes = torch.randint(0, 7, (4, 500), generator=torch.Generator().manual_seed(7))
    data = []
    for device in ("cpu", GPU):
        for bypass in (True, False):
            options = {"device": device, "freq_precision": 14, "bypass_coding": bypass}
            coder = TorchANSInterface("rans32_16_i8", **options)
            if bypass:
                coder.init_params(pmf.to(device))
            else:
                coder.set_cdfs(cdfs.to(device))
            assert coder.cdfs.device == torch.device(device)
            data.append(coder.encode_with_indexes(symbols.to(device), indexes.to(device)))
    assert data[:2] == data[2:]
    assert coder.tables._native is None  # no one has asked the host for tables
    assert coder.pack(symbols.to(GPU), indexes.to(GPU))  # their hash does


def test_tables_of_other_streams_and_graphs() -> None:
    made = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 500), made)
    expected = stream_rows(encode("rans64", 4, made, symbols, indexes))
    operands = symbols.to(GPU), indexes.to(GPU)
    options = {"bypass_precision": made.args[6], "check": True}
    torch.cuda.synchronize()
    for _ in range(5):
        with torch.cuda.stream(torch.cuda.Stream()):
            tables = torch_ans.CodingTables(*on_gpu(made)[:3], *made.args[4:6])
            stream = torch_ans.rans64_init_stream(64, 4, device=GPU)
            torch_ans.rans64_i4_push(stream, *operands, tables, **options)
        with torch.cuda.stream(torch.cuda.Stream()):
            other = torch_ans.rans64_init_stream(64, 4, device=GPU)
            torch_ans.rans64_i4_push(other, *operands, tables, **options)
        assert host_rows(stream) == expected and host_rows(other) == expected
    fresh = torch_ans.CodingTables(*on_gpu(made)[:3], *made.args[4:6])
    stream = torch_ans.rans64_init_stream(64, 1, 4000, device=GPU)
    graph = torch.cuda.graph(torch.cuda.CUDAGraph())
    with pytest.raises(RuntimeError, match="use them once before a CUDA graph"), graph:
        torch_ans.rans64_push(stream, *operands, fresh)


def test_another_gpu() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU")
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (8, 300), tables)
    other = torch.device("cuda", 1)
    stream = torch_ans.rans64_init_stream(8, device=other)
    torch_ans.rans64_push(stream, symbols.to(other), indexes.to(other), *tables.args, check=True)
    assert host_rows(stream) == stream_rows(encode("rans64", 1, tables, symbols, indexes))
    assert torch.cuda.current_device() == 0
