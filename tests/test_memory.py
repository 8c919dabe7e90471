"""Memory of the caller: `out=` of encoders, and encoded data that lies in tensors."""

from __future__ import annotations

import array
import mmap
from typing import Any, Callable, Dict, Iterator, List, Optional

import numpy as np
import pytest
import torch

import torch_ans.utils
from helpers import make_symbols, make_tables
from torch_ans import CorruptStreamError, TorchANSInterface
from torch_ans.nn import EntropyCoder

ROOM = 40_000
FILL = 0xA5

TARGETS: Dict[str, Callable[[int], Any]] = {
    "tensor": lambda n: torch.full((n,), FILL, dtype=torch.uint8),
    "slice of a tensor": lambda n: torch.full((n + 7,), FILL, dtype=torch.uint8)[7:],
    "bytearray": lambda n: bytearray([FILL]) * n,
    "memoryview": lambda n: memoryview(bytearray([FILL]) * (n + 3))[3:],
    "numpy": lambda n: np.full(n, FILL, np.uint8),
    "array": lambda n: array.array("B", [FILL]) * n,
    "mmap": lambda n: filled(mmap.mmap(-1, n)),
}


def filled(memory: mmap.mmap) -> mmap.mmap:
    memory[:] = bytes([FILL]) * len(memory)
    return memory


def content(target: Any) -> bytes:
    return target.numpy().tobytes() if isinstance(target, torch.Tensor) else bytes(target)


def coder_of(rows: Optional[int] = None, impl: str = "rans64_i2", **options: Any) -> Any:
    tables = make_tables(3, [40, 7, 200], 12)
    coder = TorchANSInterface(impl, freq_precision=12, num_parallel_states=rows, **options)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    return coder, tables


@pytest.mark.parametrize("rows", [None, 1, 3])
@pytest.mark.parametrize("count", [0, 1, 300, 6000])
@pytest.mark.parametrize("kind", TARGETS)
def test_the_bytes_are_written_to_the_callers_memory(
    kind: str, count: int, rows: Optional[int]
) -> None:
    coder, tables = coder_of(rows)
    symbols, indexes = make_symbols(count, (count,), tables)
    expected = coder.encode_with_indexes(symbols, indexes)
    out = TARGETS[kind](ROOM)
    for _ in range(2):  # it is used again
        data = coder.encode_with_indexes(symbols, indexes, out=out)
        assert isinstance(data, memoryview) and data.format == "B" and not data.readonly
        assert data == expected and len(data) == len(expected)
        assert content(out) == expected + bytes([FILL]) * (ROOM - len(expected))
        assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)
    data[0] ^= 1
    assert content(out)[0] == expected[0] ^ 1


def test_all_calls_that_make_bytes() -> None:
    coder = TorchANSInterface("rans64", num_parallel_states=2)
    coder.init_params(torch.tensor([[5.0, 1, 1]]))
    symbols = torch.randint(0, 3, (4, 50), generator=torch.Generator().manual_seed(0))
    freqs = torch.rand(4, 50, 3, generator=torch.Generator().manual_seed(1)) + 0.1
    module = EntropyCoder("rans64_i4")
    module.init_params(torch.tensor([[5.0, 1, 1]]))
    out = bytearray(2000)
    for encode in (
        lambda **more: coder.encode_symbols(symbols, **more),
        lambda **more: coder.encode_with_freqs(symbols, freqs, **more),
        lambda **more: module.encode(symbols, **more),
    ):
        assert encode(out=out) == encode()
    for _ in range(2):
        coder.encode_symbols(symbols, cache=True)
        coder.encode_with_freqs(symbols, freqs, cache=True)
        data = coder.flush(out=out) if _ else bytes(coder.flush())
        coder.set_stream(data)
        assert torch.equal(coder.decode_stream(None, out=torch.empty_like(symbols)), symbols)
        assert torch.equal(coder.decode_stream_with_freqs(freqs).long(), symbols)
    assert coder.flush(out=out) == b""


@pytest.mark.parametrize("rows,count", [(None, 300), (None, 6000), (3, 900)])
@pytest.mark.parametrize("kind", TARGETS)
def test_memory_that_is_too_small_stays_as_it_is(
    kind: str, rows: Optional[int], count: int
) -> None:
    coder, tables = coder_of(rows)
    symbols, indexes = make_symbols(1, (count,), tables)
    expected = coder.encode_with_indexes(symbols, indexes)
    size = len(expected)
    out = TARGETS[kind](size - 1)
    with pytest.raises(ValueError, match=rf"out must have at least {size} bytes, got {size - 1}$"):
        coder.encode_with_indexes(symbols, indexes, out=out)
    assert content(out) == bytes([FILL]) * (size - 1)
    out = TARGETS[kind](size)
    assert coder.encode_with_indexes(symbols, indexes, out=out) == expected


@pytest.mark.parametrize("count", [300, 6000])
def test_a_bytearray_can_grow_where_the_error_is_handled(count: int) -> None:
    coder, tables = coder_of()
    symbols, indexes = make_symbols(1, (count,), tables)
    out = bytearray(3)
    try:
        coder.encode_with_indexes(symbols, indexes, out=out)
    except ValueError:
        out += bytes(ROOM)
    data = coder.encode_with_indexes(symbols, indexes, out=out)
    assert data == coder.encode_with_indexes(symbols, indexes)


def test_the_queue_is_kept_where_memory_is_too_small() -> None:
    coder, tables = coder_of(2)
    symbols, indexes = make_symbols(1, (90,), tables)
    expected = coder.encode_with_indexes(symbols, indexes)
    coder.encode_with_indexes(symbols, indexes, cache=True)
    with pytest.raises(ValueError, match="out must have at least"):
        coder.flush(out=bytearray(20))
    with pytest.raises(TypeError, match="out must be"):
        coder.flush(out="memory")
    assert coder.flush(out=bytearray(ROOM)) == expected
    assert coder.flush() == b""


def test_memory_of_the_symbols_themselves() -> None:
    """They have been read before the first byte is written."""
    coder = TorchANSInterface("rans64", bypass_coding=False, num_parallel_states=2)
    coder.init_params(torch.ones(1, 20))
    symbols = torch.randint(0, 20, (9000,), dtype=torch.uint8)
    expected, kept = coder.encode_symbols(symbols), symbols.clone()
    data = coder.encode_symbols(symbols, out=symbols)
    assert data == expected
    decoded = coder.decode_symbols(data, out=symbols)
    assert decoded is symbols and torch.equal(symbols, kept)


class ReadOnly(bytes):
    """Another object with a read-only buffer."""


def read_only(values: Any) -> np.ndarray:
    made = np.array(values, np.uint8)
    made.flags.writeable = False
    return made


@pytest.mark.parametrize(
    "error,words,make",
    [
        (ValueError, "writable", lambda: bytes(ROOM)),
        (ValueError, "writable", lambda: ReadOnly(ROOM)),
        (ValueError, "writable", lambda: memoryview(bytes(ROOM))),
        (ValueError, "writable", lambda: read_only([0] * ROOM)),
        (ValueError, "writable", lambda: mmap.mmap(-1, ROOM, access=mmap.ACCESS_READ)),
        (ValueError, "format 'i'", lambda: np.zeros(ROOM, np.int32)),
        (ValueError, "format 'b'", lambda: np.zeros(ROOM, np.int8)),
        (ValueError, "shape", lambda: np.zeros((2, ROOM), np.uint8)),
        (ValueError, "strides", lambda: np.zeros(2 * ROOM, np.uint8)[::2]),
        (ValueError, "strides", lambda: np.zeros(ROOM, np.uint8)[::-1]),
        (ValueError, "strides", lambda: memoryview(bytearray(2 * ROOM))[::2]),
        (TypeError, "uint8", lambda: torch.zeros(ROOM, dtype=torch.int8)),
        (TypeError, "uint8", lambda: torch.zeros(ROOM)),
        (ValueError, "dimension", lambda: torch.zeros(2, ROOM, dtype=torch.uint8)),
        (ValueError, "contiguous", lambda: torch.zeros(2 * ROOM, dtype=torch.uint8)[::2]),
        (ValueError, "contiguous", lambda: torch.zeros(1, dtype=torch.uint8).expand(ROOM)),
        (ValueError, "meta", lambda: torch.zeros(ROOM, dtype=torch.uint8, device="meta")),
        (TypeError, "str", lambda: "memory"),
        (TypeError, "int", lambda: ROOM),
        (TypeError, "list", lambda: [0] * ROOM),
    ],
)
def test_what_is_no_memory_for_bytes(error: type, words: str, make: Callable[[], Any]) -> None:
    coder, tables = coder_of()
    symbols, indexes = make_symbols(1, (90,), tables)
    with pytest.raises(error, match=words) as caught:
        coder.encode_with_indexes(symbols, indexes, out=make())
    assert str(caught.value).startswith("out must")


def test_memory_for_what_is_only_queued() -> None:
    coder, tables = coder_of()
    symbols, indexes = make_symbols(1, (90,), tables)
    with pytest.raises(ValueError, match="out must be None with cache=True"):
        coder.encode_with_indexes(symbols, indexes, cache=True, out=bytearray(ROOM))
    assert coder.flush() == b""


def test_a_call_that_fails_writes_nothing() -> None:
    coder, tables = coder_of(2, bypass_coding=False)
    symbols, indexes = make_symbols(1, (9000,), tables, escapes=0)
    symbols[8000] = 10**6
    out = TARGETS["tensor"](ROOM)
    with pytest.raises(ValueError, match=r"symbols\[8000\]"):
        coder.encode_with_indexes(symbols, indexes, out=out)
    assert content(out) == bytes([FILL]) * ROOM


# --- encoded data in other memory -----------------------------------------------------------------


def sources(data: bytes) -> Iterator[Any]:
    """The same bytes in other objects."""
    tensor = torch.tensor(list(data), dtype=torch.uint8)
    yield tensor
    yield torch.cat([torch.zeros(3, dtype=torch.uint8), tensor])[3:]
    yield bytearray(data)
    yield memoryview(data)
    yield memoryview(bytearray(data) + bytes(9))[:-9]
    yield np.frombuffer(data, np.uint8)
    yield array.array("B", data)
    if data:
        memory = mmap.mmap(-1, len(data))
        memory[:] = data
        yield memory
    if len(data) % 4 == 0:
        yield memoryview(data).cast("I")
        yield memoryview(data).cast("B", (len(data) // 4, 4))


@pytest.mark.parametrize("rows", [None, 1, 3])
@pytest.mark.parametrize("count", [0, 300, 6000])
def test_encoded_data_may_lie_anywhere(count: int, rows: Optional[int]) -> None:
    coder, tables = coder_of(rows)
    symbols, indexes = make_symbols(count, (count,), tables)
    data = coder.encode_with_indexes(symbols, indexes)
    packed = coder.pack(symbols, indexes)
    report = coder.report(data, indexes)
    for source in sources(data):
        assert torch.equal(coder.decode_with_indexes(source, indexes), symbols)
        coder.set_stream(source)
        assert torch.equal(coder.decode_stream(indexes), symbols)
        assert coder.report(source, indexes) == report
        strings = torch_ans.utils.split_merged_bytes(source, 4, rows)
        assert strings == torch_ans.utils.split_merged_bytes(data, 4, rows)
    for source in sources(packed):
        assert torch.equal(coder.unpack(source, indexes), symbols)
        assert torch_ans.packed_header(source) == torch_ans.packed_header(packed)
    with pytest.raises(CorruptStreamError):
        coder.decode_with_indexes(torch.tensor(list(data[:-1]), dtype=torch.uint8), indexes)


def test_other_decoders_read_tensors() -> None:
    symbols = torch.randint(0, 20, (5000,))
    cdf = torch.rand(5000, 21).sort(-1).values
    for data in sources(torch_ans.encode_cdf(symbols, cdf)):
        assert torch.equal(torch_ans.decode_cdf(data, cdf).long(), symbols)
    means, scales = torch.randn(5000) * 9, torch.rand(5000) + 0.2
    for data in sources(torch_ans.encode_gaussian(symbols, means, scales, -99, 99)):
        assert torch.equal(torch_ans.decode_gaussian(data, means, scales, -99, 99).long(), symbols)
    module = EntropyCoder("rans64_i4")
    module.init_params(torch.ones(1, 20))
    for data in sources(module.encode(symbols)):
        assert torch.equal(module.decode(data, size=5000).long(), symbols)


@pytest.mark.parametrize(
    "error,words,data",
    [
        (TypeError, "uint8", torch.zeros(100, dtype=torch.int32)),
        (TypeError, "uint8", torch.zeros(100)),
        (ValueError, "dimension", torch.zeros(10, 10, dtype=torch.uint8)),
        (ValueError, "contiguous", torch.zeros(100, dtype=torch.uint8)[::2]),
        (ValueError, "meta", torch.zeros(100, dtype=torch.uint8, device="meta")),
        (ValueError, "contiguous", memoryview(bytes(100))[::2]),
        (ValueError, "contiguous", np.zeros((10, 10), np.uint8).T),
        (TypeError, "bytes-like", "text"),
        (TypeError, "bytes-like", [1, 2, 3]),
        (TypeError, "bytes-like", None),
    ],
)
def test_what_is_no_encoded_data(error: type, words: str, data: Any) -> None:
    coder, tables = coder_of()
    _, indexes = make_symbols(1, (90,), tables)
    calls: List[Callable[[], Any]] = [
        lambda: coder.decode_with_indexes(data, indexes),
        lambda: coder.set_stream(data),
        lambda: coder.report(data, indexes),
        lambda: coder.unpack(data, indexes),
        lambda: torch_ans.packed_header(data),
        lambda: torch_ans.utils.split_merged_bytes(data),
    ]
    for call in calls:
        with pytest.raises(error, match=words) as caught:
            call()
        assert str(caught.value).startswith(("encoded data must", "packed data must"))


# --- much of it -----------------------------------------------------------------------------------


@pytest.mark.parametrize("rows", [None, 2, 50, 4000])
def test_large_data_is_the_same_with_threads(rows: Optional[int]) -> None:
    """Copies are cut into pieces."""
    coder = TorchANSInterface("rans64_i4", num_parallel_states=rows, dtype=torch.uint8)
    coder.init_params(torch.ones(1, 250))
    symbols = torch.randint(0, 250, (5_500_000,), dtype=torch.uint8)
    before = torch.get_num_threads()
    made, out = [], torch.empty(6_000_000, dtype=torch.uint8)
    try:
        for threads in (1, 3):
            torch.set_num_threads(threads)
            made.append(coder.encode_symbols(symbols))
            view = coder.encode_symbols(symbols, out=out)
            assert view == made[0]
            for data in (made[-1], view):
                assert torch.equal(coder.decode_symbols(data, symbols.shape), symbols)
        assert made[0] == made[1] and len(made[0]) > 5_000_000
        packed = coder.pack(symbols)
        assert torch.equal(coder.unpack(packed, dtype=torch.uint8), symbols)
    finally:
        torch.set_num_threads(before)


def test_large_memory() -> None:
    """Large enough for huge pages."""
    coder = TorchANSInterface("rans32_16_i32", num_parallel_states=2, bypass_coding=False)
    coder.init_params(torch.ones(1, 256))
    symbols = torch.randint(0, 256, (1 << 16,), dtype=torch.uint8).repeat(530)
    data = coder.encode_symbols(symbols)
    assert len(data) > 1 << 25
    assert coder.encode_symbols(symbols, out=bytearray(len(data))) == data
    decoded = coder.decode_symbols(data, symbols.shape)
    assert torch.equal(decoded, symbols.int())
