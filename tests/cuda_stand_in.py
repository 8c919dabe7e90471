"""An engine in host memory that stands in for the native CUDA engine, and work for it."""

from __future__ import annotations

import ctypes
import struct
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import pytest
import torch

import torch_ans
from helpers import Tables, encode, make_symbols, make_tables
from torch_ans import _core, _cuda_stream, _native, _native_cuda, _stream
from torch_ans._layout import Split
from torch_ans._native import Coding

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


def stand_in(monkeypatch: pytest.MonkeyPatch) -> HostEngine:
    """Puts a HostEngine, and memory of the host, in the place of CUDA."""
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
    return native


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

    def push(self, stream: torch.Tensor, check: bool = False, grow: bool = True) -> None:
        view = _stream.check_stream(stream)
        _cuda_stream.push(self.coding, view, self.split, self.symbols, self.indexes, check, grow)

    def pop(
        self, stream: torch.Tensor, check: bool = False, indexes: Optional[torch.Tensor] = None
    ) -> torch.Tensor:
        out = torch.zeros_like(self.symbols)
        view = _stream.check_stream(stream)
        chosen = self.indexes if indexes is None else indexes
        _cuda_stream.pop(self.coding, view, self.split, chosen, out, check)
        return out


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
