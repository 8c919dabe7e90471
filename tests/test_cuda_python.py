"""The Python side of CUDA without a GPU: an engine that works in host memory stands in for it.

Tested here are the arguments that reach the engine, room and growth, what a status becomes, and the
errors where CUDA is missing. What kernels do is for test_cuda_twin.py and test_cuda_gpu.py.
"""

from __future__ import annotations

import copy
import ctypes
import pickle
import struct
import weakref
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List, NamedTuple, Optional, Tuple

import pytest
import torch

import torch_ans
from helpers import Tables, encode, make_symbols, make_tables, stream_rows
from torch_ans import (
    CorruptStreamError,
    TorchANSInterface,
    _contexts,
    _core,
    _cuda_stream,
    _native,
    _native_cuda,
    _native_cuda_bytes,
    _native_cuda_tables,
    _stream,
)
from torch_ans._layout import Split, split_rows
from torch_ans._native import Coding
from torch_ans._native_cuda_tables import DeviceTables

QUEUE = (3, 77)
"""Device number and stream handle that the engine is to be told."""


def read_int32(address: int) -> int:
    return int.from_bytes(ctypes.string_at(address, 4), "little", signed=True)


class HostTables(NamedTuple):
    """Stands in for the native description of tables on a device."""

    tables: Any

    def image_bytes(self, codec: Any) -> int:
        return 16


class HostEngine:
    """The native CUDA engine's functions, on addresses of host memory."""

    SUMMARY_WORDS = 8
    INFO_BYTES = 16

    def __init__(self) -> None:
        self.calls: List[str] = []
        self.through = True
        self._planned: Dict[int, Any] = {}

    def unavailable_because(self) -> str:
        return ""

    def mark(self, device: torch.device) -> Any:
        """An event, which has come when the device is `through`."""
        self.calls.append("mark")
        return SimpleNamespace(query=lambda: self.through)

    def _enter(self, name: str, queue: Tuple[int, int]) -> None:
        assert queue == QUEUE
        self.calls.append(name)

    def plan_tables(self, *arguments: Any) -> None:
        """The summary's first word is where the tables, or what is wrong with them, are kept."""
        *rows, _, summary = arguments[:-2]
        self._enter("plan_tables", arguments[-2:])
        number = len(self._planned)
        try:
            self._planned[number] = _core.CodingTables(*rows)
        except ValueError as error:
            self._planned[number] = error
        ctypes.memmove(summary, struct.pack("<8q", number, *range(7)), 64)

    def DeviceTables(self, summary: List[int], count: int, width: int, *options: Any) -> Any:
        tables = self._planned[summary[0]]
        if isinstance(tables, ValueError):
            raise tables
        assert tables.num_tables == count and tables.freq_precision == options[0]
        return HostTables(tables)

    def fill_tables(self, codec: Any, tables: Any, *rest: Any) -> None:
        _, _, _, image = rest[:4]
        self._enter("fill_tables", rest[4:])
        ctypes.memmove(image, codec.family.ljust(16).encode(), 16)

    def context_scratch_bytes(self, rows: int, row_length: int, push: bool) -> int:
        return rows * row_length * (6 if push else 2)

    def init_stream(self, codec: Any, stream: int, rows: int, columns: int, *queue: int) -> None:
        self._enter("init_stream", queue)
        _core.init_stream(codec, stream, rows, columns)

    @staticmethod
    def _report(results: int, failed: int, row: int, code: int, position: int, end: int) -> None:
        ctypes.memmove(results + 24 * row, struct.pack("<iiqq", code, 0, position, end), 24)
        count = read_int32(failed) + 1
        ctypes.memmove(failed, struct.pack("<i", count), 4)

    def encode(self, codec: Any, tables: Any, image: int, *rest: Any) -> None:
        stream, rows, columns, symbols, indexes, length, total, digits = rest[:8]
        contexts, _, headers, results, failed = rest[8:13]
        self._enter("encode", rest[13:])
        assert headers and ctypes.string_at(image, 4) == codec.family[:4].encode()
        if read_int32(failed):
            return
        tables = tables.tables
        code, row, position = _core.encode(
            codec,
            tables,
            stream,
            rows,
            columns,
            symbols,
            indexes,
            length,
            total,
            digits,
            1,
            contexts,
        )[:3]
        if code == _core.NO_SPACE:
            needed = 4 * columns + _core.escape_bytes(
                codec, tables, symbols, indexes, rows, length, total, digits, contexts
            )
            self._report(results, failed, row, code, 0, needed)
        elif code != _core.OK:
            self._report(results, failed, row, code, position, 0)

    def decode(self, codec: Any, tables: Any, image: int, *rest: Any) -> None:
        stream, rows, columns, out, indexes, length, total, digits = rest[:8]
        contexts, scratch, _, results, failed = rest[8:13]
        self._enter("decode", rest[13:15])
        assert contexts is None or scratch
        if read_int32(failed):
            return
        code, row, position, broken = _core.decode(
            codec,
            tables.tables,
            stream,
            rows,
            columns,
            indexes,
            out,
            length,
            total,
            digits,
            1,
            rest[15],
            contexts,
        )
        for name in broken or ([row] if code != _core.OK else []):
            self._report(results, failed, name, code, position, 0)

    def plan_pack(self, stream: int, rows: int, columns: int, *rest: Any) -> None:
        length_bytes, bare_last, starts, failed, _, plan = rest[:6]
        self._enter("plan_pack", rest[6:])
        bad, at, found = -1, 0, []
        for row in range(rows):
            found.append(at)
            length = read_int32(stream + 4 * columns * row)
            if not 0 <= length <= 4 * columns - 4:
                bad = row if bad < 0 else bad
                continue
            at += length + (0 if bare_last and row == rows - 1 else length_bytes)
        ctypes.memmove(starts, struct.pack("<%dq" % (rows + 1), *found, at), 8 * rows + 8)
        failures = read_int32(failed) if failed else 0
        ctypes.memmove(plan, struct.pack("<qqq", at, bad, failures), 24)

    def pack(self, stream: int, rows: int, columns: int, *rest: Any) -> None:
        length_bytes, bare_last, _, packed = rest[:4]
        self._enter("pack", rest[4:])
        data = _core.pack_stream(stream, rows, columns, length_bytes, bare_last, 1)
        ctypes.memmove(packed, data, len(data))

    def unpack(self, packed: int, spans: int, stream: int, rows: int, *rest: int) -> None:
        (columns,) = rest[:1]
        self._enter("unpack", rest[1:])
        numbers = struct.unpack("<%dq" % (2 * rows), ctypes.string_at(spans, 16 * rows))
        for row in range(rows):
            start, length = numbers[2 * row : 2 * row + 2]
            data = ctypes.string_at(packed + start, length)
            span = _core.RowSpans([(0, length)])
            _core.fill_stream(data, span, stream + 4 * columns * row, 1, columns, 1)

    def quantize_pmf(self, pmf: int, dtype: str, rows: int, length: int, *rest: int) -> None:
        lengths, precision, out, statuses = rest[:4]
        self._enter("quantize_pmf", rest[4:])
        ctypes.memset(statuses, 0, 4 * rows)
        try:
            _core.quantize_pmf(pmf, dtype, rows, length, lengths, precision, out)
        except ValueError:
            ctypes.memmove(statuses + 4 * (rows - 1), struct.pack("<i", 2), 4)


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[HostEngine]:
    native = HostEngine()
    monkeypatch.setattr(_native_cuda, "engine", lambda: native)
    monkeypatch.setattr(_native_cuda, "guard", lambda device: nullcontext())
    monkeypatch.setattr(_native_cuda, "queue", lambda device: QUEUE)
    monkeypatch.setattr(_native_cuda, "wait", lambda device: native.calls.append("wait"))
    monkeypatch.setattr(_native_cuda, "is_capturing", lambda: False)
    monkeypatch.setattr(_native_cuda, "mark", native.mark)
    monkeypatch.setattr(
        _native_cuda, "pinned", lambda size, dtype=torch.uint8: torch.empty(size, dtype=dtype)
    )
    yield native


class Work:
    """Symbols of some tables, and what coding them takes."""

    def __init__(self, family: str, lanes: int, shape: Tuple[int, int], **more: Any) -> None:
        self.tables: Tables = make_tables(3, [40, 7, 200], 12, **more)
        self.symbols, self.indexes = make_symbols(5, shape, self.tables)
        native = torch_ans.CodingTables(*self.tables.args[:3], *self.tables.args[4:6])
        self.coding = Coding(_native.get_codec(family, lanes), native, self.tables.args[6])
        self.split = Split(shape[0], shape[1], self.symbols.numel())
        self.expected = encode(family, lanes, self.tables, self.symbols, self.indexes)

    def stream(self, spare: int = 0) -> torch.Tensor:
        return _cuda_stream.new_stream(
            self.coding.codec, self.split.rows, spare, torch.device("cpu")
        )

    def push(self, stream: torch.Tensor, check: bool = False) -> None:
        view = _stream.check_stream(stream)
        _cuda_stream.push(self.coding, view, self.split, self.symbols, self.indexes, check)

    def pop(
        self, stream: torch.Tensor, check: bool = False, indexes: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        out = torch.zeros_like(self.symbols)
        view = _stream.check_stream(stream)
        chosen = self.indexes if indexes is None else indexes
        _cuda_stream.pop(self.coding, view, self.split, chosen, out, check)
        return out


CODERS = [("rans64", 1), ("rans32", 4), ("rans32_16", 32), ("tans32", 1), ("tans16", 8)]


@pytest.mark.parametrize("family,lanes", CODERS)
def test_push_and_pop_without_waiting(engine: HostEngine, family: str, lanes: int) -> None:
    work = Work(family, lanes, (3, 500))
    stream = work.stream(3000)
    memory = stream.data_ptr()
    work.push(stream)
    assert stream_rows(stream) == stream_rows(work.expected)
    assert torch.equal(work.pop(stream), work.symbols)
    assert stream.data_ptr() == memory
    made = ["plan_tables", "fill_tables", "mark"]
    assert engine.calls == ["init_stream", *made, "encode", "decode"]
    _cuda_stream.check_status(stream)


def test_memory_of_a_call_lives_until_its_launch(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes what has been given back before that, another thread say, would write to it."""
    taken: List[weakref.ref[torch.Tensor]] = []
    empty = torch.empty

    def remembered(*arguments: Any, **options: Any) -> torch.Tensor:
        memory = empty(*arguments, **options)
        taken.append(weakref.ref(memory))
        return memory

    def launching(call: Any) -> Any:
        def launch(*arguments: Any) -> None:
            alive = [memory() for memory in taken]
            addresses = [memory.data_ptr() for memory in alive if memory is not None]
            assert set(arguments[12:14]) <= set(addresses)
            call(*arguments)

        return launch

    work = Work("rans64", 4, (2, 300))
    stream = work.stream()
    work.push(stream)
    work.pop(stream)
    monkeypatch.setattr(engine, "encode", launching(engine.encode))
    monkeypatch.setattr(engine, "decode", launching(engine.decode))
    monkeypatch.setattr(torch, "empty", remembered)
    work.push(stream)
    work.pop(stream)


def test_streams_grow_without_a_look_at_them(engine: HostEngine) -> None:
    work = Work("rans64", 4, (2, 300))
    stream = work.stream()
    for _ in range(5):
        work.push(stream)
    assert engine.calls.count("fill_tables") == 1 and "wait" not in engine.calls
    for _ in range(5):
        assert torch.equal(work.pop(stream), work.symbols)


@pytest.mark.parametrize("check", [False, True])
def test_pops_make_room(engine: HostEngine, check: bool) -> None:
    """A stream that is pushed and popped in turns grows while the device is behind, and no more."""
    work = Work("rans64", 4, (2, 300))
    stream = work.stream()
    engine.through = False
    for _ in range(6):
        work.push(stream, check)
        assert torch.equal(work.pop(stream, check), work.symbols)
    for copied in (copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))):
        work.push(copied, check)
        assert torch.equal(work.pop(copied, check), work.symbols)
    engine.through = True
    columns = []
    for _ in range(40):
        work.push(stream, check)
        work.push(stream, check)
        for _ in range(2):
            assert torch.equal(work.pop(stream, check), work.symbols)
        columns.append(stream.shape[1])
    assert columns[2] == columns[-1] and "wait" not in engine.calls
    for _ in range(20):
        work.push(stream, check)
    assert stream.shape[1] > columns[-1]
    for _ in range(20):
        assert torch.equal(work.pop(stream, check), work.symbols)


def test_a_stream_from_elsewhere(engine: HostEngine) -> None:
    work = Work("rans32", 2, (4, 100))
    stream = work.stream().clone()
    work.push(stream)
    assert stream_rows(stream) == stream_rows(work.expected)


@pytest.mark.parametrize("check", [False, True])
def test_no_room_for_escapes(engine: HostEngine, check: bool) -> None:
    work = Work("rans64", 1, (2, 50))
    work.symbols += 10**6
    stream = work.stream()
    before = stream_rows(stream)
    if check:
        work.push(stream, check=True)
        assert torch.equal(work.pop(stream, check=True), work.symbols)
        return
    work.push(stream)
    assert stream_rows(stream) == before
    work.push(stream)  # does nothing: the first failure stays
    with pytest.raises(ValueError, match="no room for the escapes"):
        _cuda_stream.check_status(stream)
    _cuda_stream.check_status(stream)  # raised once


@pytest.mark.parametrize("check", [False, True])
def test_bad_indexes(engine: HostEngine, check: bool) -> None:
    work = Work("rans32_16", 8, (3, 64))
    stream = work.stream()
    work.push(stream)
    wrong = work.indexes.clone()
    wrong[1, 5] = 3
    if check:
        with pytest.raises(IndexError, match=r"indexes\[1, 5\] is 3"):
            work.pop(stream, True, wrong)
    else:
        work.pop(stream, False, wrong)
        with pytest.raises(IndexError, match="symbol 5 of row 1"):
            _cuda_stream.check_status(stream)
    assert torch.equal(work.pop(stream, True), work.symbols)


def test_broken_rows_are_named(engine: HostEngine) -> None:
    work = Work("rans64", 1, (4, 64))
    stream = work.stream()
    work.push(stream)
    stream[[1, 3], 1:3] = 0
    with pytest.raises(CorruptStreamError) as caught:
        work.pop(stream, check=True)
    assert caught.value.rows == [1, 3]
    narrow = torch.zeros((2, 1), dtype=torch.int32)
    split = Split(2, 5, 10)
    with pytest.raises(CorruptStreamError):
        _cuda_stream.push(
            work.coding, _stream.check_stream(narrow), split, work.symbols[:2, :5], None, False
        )


@pytest.mark.parametrize("rows,escapes", [(1, False), (3, False), (3, True)])
def test_bytes_take_one_copy(engine: HostEngine, rows: int, escapes: bool) -> None:
    work = Work("rans64", 2, (5, 77))
    symbols = work.symbols + (10**9 if escapes else 0)
    interface = TorchANSInterface(
        "rans64_i2", freq_precision=12, num_parallel_states=rows, bypass_precision=4
    )
    interface.set_cdfs(*work.tables.args[:3])
    expected = interface.encode_with_indexes(symbols, work.indexes)
    coding = Coding(work.coding.codec, interface.tables, 4)
    split = split_rows(symbols.numel(), rows)
    data = _cuda_stream.encode_bytes(coding, split, symbols, work.indexes, (4, True))
    assert data == expected
    assert engine.calls.count("encode") == (2 if escapes else 1)
    assert engine.calls.count("pack") == 1
    out = torch.zeros_like(symbols)
    spans = torch_ans.byte_strings.segment_spans(data, 4, rows)
    _cuda_stream.decode_bytes(coding, data, spans, split, work.indexes, out)
    assert torch.equal(out, symbols) and engine.calls.count("unpack") == 1
    with pytest.raises(CorruptStreamError):
        cut = _core.RowSpans([(start, length - 4) for start, length in spans])
        _cuda_stream.decode_bytes(coding, data, cut, split, work.indexes, out)


class Pinned:
    """Memory that is said to be pinned, and where host and device copy to and from."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.addresses: List[int] = []
        self.staged: List[int] = []
        monkeypatch.setattr(_native_cuda, "is_pinned", lambda t: t.data_ptr() in self.addresses)
        monkeypatch.setattr(_native_cuda, "pinned", self._stage)

    def _stage(self, size: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
        made = torch.empty(size, dtype=dtype)
        if dtype == torch.uint8:
            self.staged.append(size)
        return made


@pytest.mark.parametrize("rows", [None, 3])
def test_bytes_in_memory_of_the_caller(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch, rows: Optional[int]
) -> None:
    """Pinned memory is copied to and from directly, other memory through such memory."""
    pinned = Pinned(monkeypatch)
    monkeypatch.setattr(_native_cuda_bytes, "_WORTH_ASKING", 100)
    work = Work("rans64", 2, (5, 1777))
    interface = TorchANSInterface("rans64_i2", freq_precision=12, num_parallel_states=rows)
    interface.set_cdfs(*work.tables.args[:3])
    symbols, indexes = work.symbols, work.indexes
    expected = interface.encode_with_indexes(symbols, indexes)
    size = len(expected)
    monkeypatch.setattr(_native, "any_cuda", lambda *tensors: True)
    assert interface.encode_with_indexes(symbols, indexes) == expected
    assert pinned.staged == [size]
    memory = torch.zeros(size + 50, dtype=torch.uint8)
    for out in (memory, memory.numpy(), memoryview(memory.numpy()), bytearray(size)):
        del pinned.staged[:]
        data = interface.encode_with_indexes(symbols, indexes, out=out)
        assert data == expected and pinned.staged == [size]
        decoded = interface.decode_with_indexes(data, indexes)
        assert torch.equal(decoded, symbols) and pinned.staged == [size, size]
    pinned.addresses.append(memory.data_ptr())
    del pinned.staged[:]
    for out in (memory, memory.numpy(), memoryview(memory.numpy())):
        memory.zero_()
        data = interface.encode_with_indexes(symbols, indexes, out=out)
        assert data == expected and not memory[size:].any()
        for source in (data, memory[:size]):
            del engine.calls[:]
            assert torch.equal(interface.decode_with_indexes(source, indexes), symbols)
            assert engine.calls[-1] == "wait"  # the memory is the caller's again
    assert not pinned.staged
    for source in (expected, data.toreadonly()):  # bytes are never asked
        assert torch.equal(interface.decode_with_indexes(source, indexes), symbols)
    assert pinned.staged == [size, size]
    monkeypatch.setattr(_native_cuda_bytes, "_PIECE", 1000)
    monkeypatch.setattr(_native_cuda_bytes, "_WORTH_ASKING", size + 1)
    assert torch.equal(interface.decode_with_indexes(data, indexes), symbols)
    assert pinned.staged == [size, size, size]


def test_memory_of_the_caller_and_errors(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = Pinned(monkeypatch)
    monkeypatch.setattr(_native_cuda_bytes, "_WORTH_ASKING", 1)
    work = Work("rans64", 2, (5, 1777))
    interface = TorchANSInterface("rans64_i2", freq_precision=12, num_parallel_states=3)
    interface.set_cdfs(*work.tables.args[:3])
    symbols, indexes = work.symbols, work.indexes
    size = len(interface.encode_with_indexes(symbols, indexes))
    monkeypatch.setattr(_native, "any_cuda", lambda *tensors: True)
    for is_pinned in (False, True):
        out = torch.full((size - 1,), 7, dtype=torch.uint8)
        if is_pinned:
            pinned.addresses.append(out.data_ptr())
        with pytest.raises(ValueError, match=f"out must have at least {size} bytes, got"):
            interface.encode_with_indexes(symbols, indexes, out=out)
        assert bool((out == 7).all())
    out = torch.full((size,), 7, dtype=torch.uint8)
    pinned.addresses.append(out.data_ptr())
    with pytest.raises(CorruptStreamError):  # impossible lengths: found while the copy runs
        interface.decode_with_indexes(out, indexes)
    assert engine.calls[-1] == "wait"
    interface.encode_with_indexes(symbols, indexes, out=out)
    wrong = indexes.clone()
    wrong[1, 5] = 3
    with pytest.raises(IndexError, match=r"indexes\[1, 5\] is 3"):
        interface.decode_with_indexes(out, wrong)
    assert engine.calls[-1] == "wait"
    none = interface.encode_with_indexes(symbols[:0], indexes[:0], out=out)
    assert none == interface.encode_with_indexes(symbols[:0], indexes[:0])
    stream = interface.encode_flush()
    assert stream is None and interface.flush(out=out) == b""


def test_streams_are_packed_into_memory_of_the_caller(engine: HostEngine) -> None:
    work = Work("rans64", 1, (2, 40))
    stream = work.stream()
    work.push(stream)
    view = _stream.check_stream(stream)
    expected = _cuda_stream.pack(view, (4, False))
    out = bytearray(5000)
    assert _cuda_stream.pack(view, (4, False), out) == expected
    assert _cuda_stream.pack(_stream.Stream(stream[:0], 0, 1), (4, False), out) == b""


def test_bytes_of_bad_arguments(engine: HostEngine) -> None:
    work = Work("rans64", 1, (2, 40))
    work.indexes[0, 7] = -1
    with pytest.raises(IndexError, match=r"indexes\[0, 7\] is -1"):
        _cuda_stream.encode_bytes(work.coding, work.split, work.symbols, work.indexes, (4, False))


def test_packing_raises_what_a_push_has_failed_with(engine: HostEngine) -> None:
    work = Work("rans64", 1, (2, 40))
    stream = work.stream()
    work.indexes[1, 3] = 99
    work.push(stream)
    with pytest.raises(IndexError, match="symbol 3 of row 1"):
        _cuda_stream.pack(_stream.check_stream(stream), (4, False))
    stream[1, 0] = -5
    with pytest.raises(CorruptStreamError, match="row 1"):
        _cuda_stream.pack(_stream.check_stream(stream), (4, False))


def test_tables_that_follow_the_symbols(engine: HostEngine) -> None:
    work = Work("tans16", 2, (3, 80))
    ar_tables = torch.randint(0, 3, (2, 3, 9), generator=torch.Generator().manual_seed(0))
    sets = torch.randint(0, 2, (3, 80), generator=torch.Generator().manual_seed(1))
    call = _contexts.call_contexts(ar_tables, 5, sets)
    assert call is not None and _contexts.call_contexts(ar_tables, 5, None) is not None
    codec, tables, digits, _ = work.coding
    cpu = torch.device("cpu")
    bound = _contexts.bind_contexts(call, codec, tables, (3, 80), work.split, cpu)
    assert bound is not None
    work.coding = Coding(codec, tables, digits, bound)
    stream = work.stream()
    work.push(stream, check=True)
    expected = torch_ans.tans16_init_stream(3, 2)
    more = {"ar_tables": ar_tables, "ar_offsets": 5, "ar_indexes": sets}
    torch_ans.tans16_i2_push(expected, work.symbols, work.indexes, *work.tables.args, **more)
    assert stream_rows(stream) == stream_rows(expected)
    assert torch.equal(work.pop(stream, check=True), work.symbols)
    sets[1, 3] = 2  # on a GPU nothing has looked at it before the kernel does
    work.coding = work.coding._replace(contexts=bound._replace(ar_indexes=sets))
    with pytest.raises(IndexError, match="ar_indexes must name one of the 2 sets"):
        work.pop(stream, check=True)


def test_contexts_are_remembered() -> None:
    ar_tables = torch.zeros(1, 1, 4, dtype=torch.int64)
    first = _contexts.call_contexts(ar_tables, 1, None)
    again = _contexts.call_contexts(ar_tables, 2, None)
    assert first and again and again.contexts.tables is first.contexts.tables
    assert (first.contexts.offsets, again.contexts.offsets) == (((1,),), ((2,),))
    ar_tables[0, 0, 0] = 1
    changed = _contexts.call_contexts(ar_tables, 1, None)
    assert changed and changed.contexts.largest == 1


def tables_of(tables: Tables, **misfits: bool) -> DeviceTables:
    cdfs, sizes, offsets = tables.args[:3]
    flags = {name: torch.tensor(misfit) for name, misfit in misfits.items()}
    options = (12, True, False, -1)
    return DeviceTables(cdfs, sizes, offsets, options, flags)


def test_tables_are_built_once_for_each_kind(engine: HostEngine) -> None:
    tables = tables_of(make_tables(3, [40, 7, 200], 12), cdfs=False)
    codecs = [_native.get_codec(f, 1) for f in ("rans64", "rans32", "rans32_16", "tans32", "tans8")]
    images = [tables.image(codec) for codec in codecs]
    assert images[1] is images[2] and images[3] is images[4] and images[0] is not images[1]
    assert engine.calls == ["plan_tables", *["fill_tables", "mark"] * 3]
    assert tables.nbytes > 4 * 3 * 202


def test_images_of_other_streams(engine: HostEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = tables_of(make_tables(3, [40, 7, 200], 12))
    image = tables.image(_native.get_codec("rans64", 1))
    other, followed, kept = (3, 78), [], []
    monkeypatch.setattr(_native_cuda, "queue", lambda device: other)
    monkeypatch.setattr(_native_cuda, "follow", lambda event, memory: followed.extend(memory))
    monkeypatch.setattr(_native_cuda, "keep", lambda memory: kept.extend(memory))
    monkeypatch.setattr(engine, "_enter", lambda name, queue: engine.calls.append(name))
    assert tables.image(_native.get_codec("rans64", 4)) is image
    assert len(followed) == 1 and followed[0] is image and not kept
    tables.image(_native.get_codec("tans32", 1))
    assert len(followed) == 1 and len(kept) == 2  # CDFs and places belong to the first stream


def test_the_cpus_tables_are_made_when_asked_for() -> None:
    """As those of CDFs on a device are."""
    made = make_tables(3, [40, 7, 200], 12)
    symbols, indexes = make_symbols(5, (2, 90), made)
    expected = encode("rans64", 1, made, symbols, indexes)
    tables = torch_ans.CodingTables(*made.args[:3], *made.args[4:6])
    numbers, nbytes = tables.native.numbers(), tables.nbytes
    tables._native = None
    assert tables.nbytes == 0 and (tables.num_tables, tables.freq_precision) == (3, 12)
    stream = torch_ans.rans64_init_stream(2)
    torch_ans.rans64_push(stream, symbols, indexes, tables, bypass_precision=made.args[6])
    assert stream_rows(stream) == stream_rows(expected)
    assert tables.native.numbers() == numbers and tables.nbytes >= nbytes > 0


def test_tables_that_are_no_cdfs(engine: HostEngine) -> None:
    tables = make_tables(3, [40, 7, 200], 12)
    tables.cdfs[1, 3] = 0
    with pytest.raises(ValueError, match=r"cdfs\[1, 3\] must be above the entry before it"):
        tables_of(tables)
    with pytest.raises(ValueError, match="offsets has entries that do not fit into int32"):
        tables_of(tables, cdfs=False, offsets=True)


def test_tables_while_a_graph_is_captured(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of(make_tables(3, [40, 7, 200], 12))
    tables.image(_native.get_codec("rans64", 1))
    monkeypatch.setattr(_native_cuda, "is_capturing", lambda: True)
    tables.image(_native.get_codec("rans64", 8))
    for make in (
        lambda: tables.image(_native.get_codec("rans32", 1)),
        lambda: tables_of(make_tables(3, [40], 12)),
    ):
        with pytest.raises(RuntimeError, match="use them once before a CUDA graph"):
            make()


def test_quantising(engine: HostEngine) -> None:
    pmf = torch.rand(4, 50)
    expected = torch_ans.rans_pmf_to_quantized_cdf(pmf, 12)
    assert torch.equal(_native_cuda_tables.quantize_pmf(pmf, None, 12), expected)
    pmf[3, 2] = -1
    with pytest.raises(ValueError, match="row 3 of pmf holds a negative value"):
        _native_cuda_tables.quantize_pmf(pmf, None, 12)


# --- where CUDA is missing ------------------------------------------------------------------------


def cuda_tensor() -> Any:
    return SimpleNamespace(is_cuda=True, device=torch.device("cuda:0"))


def test_no_engine_in_this_build(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "cuda_engine", lambda: None)
    with pytest.raises(ValueError, match=r"stream is on device cuda:0.*FORCE_CUDA=1.*stream.cpu"):
        _native._check_device(cuda_tensor(), "stream", True)
    with pytest.raises(ValueError, match="device is 'cuda', but this build"):
        TorchANSInterface(device="cuda")


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = SimpleNamespace(unavailable_because=lambda: "driver version is insufficient")
    monkeypatch.setattr(_native, "cuda_engine", lambda: broken)
    for make in (
        lambda: _native._check_device(cuda_tensor(), "symbols", True),
        lambda: TorchANSInterface(device="cuda:0"),
        lambda: torch_ans.rans64_init_stream(1, device="cuda"),
    ):
        with pytest.raises(ValueError, match="driver cannot be used: driver version"):
            make()


def test_other_devices() -> None:
    with pytest.raises(ValueError, match="CPU and on CUDA"):
        torch_ans.rans_check_stream(torch.zeros(1, 3, dtype=torch.int32, device="meta"))
    with pytest.raises(ValueError, match="'meta'"):
        TorchANSInterface(device="meta")
    assert TorchANSInterface(device="cpu").device == torch.device("cpu")


def test_tensors_on_several_devices() -> None:
    first, other = torch.zeros(1), torch.zeros(1, device="meta")
    _native.check_devices(first, "stream", {"symbols": first, "indexes": None})
    with pytest.raises(ValueError, match="indexes must be on the device of stream, cpu, got meta"):
        _native.check_devices(first, "stream", {"symbols": first, "indexes": other})


def test_what_this_build_says() -> None:
    engine = _native.cuda_engine()
    if engine is None or torch.cuda.is_available():
        return
    assert engine.built_for and engine.ROW_RESULT_BYTES == 24
    assert "driver cannot be used" in _native.cuda_problem()
    assert (engine.SUMMARY_WORDS, engine.INFO_BYTES) == (8, 16)


def summary(*fault: int) -> List[int]:
    """Of 2 tables: 6 entries, 8 buckets, offsets and symbols 0 to 1, and a fault of the first."""
    words = struct.unpack("<2q", struct.pack("<4i", *fault)) if fault else (0, 0)
    return [6, 8, 0, 0, 1, 0 if fault else -1, *words]


@pytest.mark.skipif(_native.cuda_engine() is None, reason="built without CUDA")
def test_what_the_engine_makes_of_a_summary() -> None:
    make = _native.cuda_engine().DeviceTables
    tables = make(summary(), 2, 3, 3, True, False, -1)
    sizes = {f: tables.image_bytes(_native.get_codec(f, 1)) for f in _core.FAMILIES}
    assert sizes["rans32"] == sizes["rans32_16"] < sizes["rans64"]
    assert sizes["tans32"] == sizes["tans16"] == sizes["tans8"]
    with pytest.raises(ValueError, match=r"cdfs\[0, 2\] must be 2\*\*freq_precision = 8, got 7"):
        make(summary(4, 2, 7, 0), 2, 3, 3, True, False, -1)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA: "):
            _native.cuda_engine().plan_tables(0, 2, 3, 0, 0, 3, True, False, -1, 0, 0, 0, 0)
        with pytest.raises(RuntimeError, match="CUDA: "):
            _native.cuda_engine().fill_tables(
                _native.get_codec("rans64", 1), tables, 0, 3, 0, 0, 0, 0
            )
    with pytest.raises(ValueError, match=r"freq_precision must be in 1\.\.16, got 17"):
        _native.cuda_engine().plan_tables(0, 2, 3, 0, 0, 17, True, False, -1, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="8 words"):
        make([1], 2, 3, 3, True, False, -1)
    with pytest.raises(ValueError, match="tANS takes no alias tables"):
        make(summary(), 2, 3, 3, True, True, -1).image_bytes(_native.get_codec("tans32", 1))
    with pytest.raises(ValueError, match=r"at most 2\*\*32 slots"):
        make(summary(), 1 << 17, 3, 16, True, True, -1).image_bytes(_native.get_codec("rans64", 1))
