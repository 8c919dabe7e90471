"""Symbols into the rows of a stream and back: room, growth, and what may go wrong.

A push first takes the room that its symbols need without escapes, and asks the native module what
the escapes need only where that was too little. Nothing of a stream changes unless a call succeeds.
"""

from __future__ import annotations

from typing import Iterator, List, NoReturn, Optional, Tuple, Union

import torch

from . import _core, _cuda_stream, _native
from ._layout import Split, split_rows
from ._memory import Target, written
from ._native import Coding, Data, Stream
from ._status import raise_broken_rows, raise_for_status
from .errors import CorruptStreamError

MAX_COLUMNS = 1 + (2**31 - 4) // 4
"""Columns of the longest row whose length in bytes fits the int32 length word."""

_PADDED_WORDS = 1 << 26
"""Memory that padded rows may take (256 MiB), or 4 times the data, where that is more."""

_LONG_COLUMNS = 1 << 20
"""Rows of more columns than these are worth whole pages of 2 MiB, although they are never full."""

_BROKEN_LENGTH = "its length word is less than the lanes' states or more than its columns"
_BROKEN_SYMBOLS = "its bytes are not what was encoded with these tables and arguments"


def columns_for(row_bytes: int) -> int:
    """Columns of a row with room for `row_bytes`, the lanes' states included."""
    return min(1 + (row_bytes + 3) // 4, MAX_COLUMNS)


class Workspace:
    """Memory for a stream that lives only during a call, kept for the next one.

    Safe when several threads use it at once: `list.pop` and `list.append` are atomic, so that each
    thread has a buffer of its own, and there are as many as there were calls at the same time.
    """

    KEPT_WORDS = 1 << 26
    """A larger buffer (256 MiB) is not kept."""

    def __init__(self) -> None:
        self._free: List[torch.Tensor] = []

    def take(self, rows: int, columns: int) -> torch.Tensor:
        """An int32 tensor of at least `rows * columns` elements, with any content."""
        words = rows * columns
        try:
            buffer = self._free.pop()
            if buffer.numel() >= words:
                return buffer
        except IndexError:
            pass
        return _native.allocate((max(words + words // 4, 1024),), filled=columns > _LONG_COLUMNS)

    def give(self, buffer: torch.Tensor) -> None:
        """Hands a buffer back for a later call."""
        if buffer.numel() <= self.KEPT_WORDS:
            self._free.append(buffer)


@_native.fork_safe
def new_stream(
    codec: _core.Codec, rows: int, spare_bytes: int = 0, device: Optional[torch.device] = None
) -> torch.Tensor:
    """Int32 (rows, columns): empty rows with room for `spare_bytes` each."""
    if device is not None and device.type == "cuda":
        return _cuda_stream.new_stream(codec, rows, spare_bytes, device)
    columns = columns_for(codec.header_bytes + spare_bytes)
    memory = _native.allocate((rows, columns)).zero_()
    _native.reset(codec, Stream(memory, rows, columns))
    return memory


def check_stream(stream: object) -> Stream:
    """A stream tensor that the native module can work on in place.

    Raises:
        TypeError: not a tensor, or not int32.
        ValueError: not on the CPU, not contiguous, or not of shape (B, columns).
    """
    tensor = _native.check_tensor(stream, "stream", cuda=True)
    if tensor.dtype != torch.int32:
        raise TypeError(f"stream must have dtype torch.int32, got {tensor.dtype}")
    shape = tensor.shape
    if len(shape) != 2 or not 1 <= shape[1] <= MAX_COLUMNS:
        raise ValueError(
            f"stream must have shape (B, columns) with columns in 1..{MAX_COLUMNS}, got shape "
            f"{tuple(shape)}"
        )
    if not tensor.is_contiguous():
        raise ValueError(
            f"stream must be contiguous, because it is used in place; got strides {tensor.stride()}"
        )
    return Stream(tensor, shape[0], shape[1])


def push(
    coding: Coding,
    tensor: torch.Tensor,
    split: Split,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    check: bool = False,
    grow: bool = True,
) -> None:
    """Appends symbols to a stream tensor, which with `grow` grows (the same object) if it must.

    On a CUDA device what went wrong is raised here only with `check`: see `_cuda_stream`.
    """
    stream = check_stream(tensor)
    check_rows(stream, split)
    if _native.any_cuda(tensor, symbols, indexes):
        _native.check_devices(tensor, "stream", {"symbols": symbols, "indexes": indexes})
        return _cuda_stream.push(coding, stream, split, symbols, indexes, check, grow)
    source = _native.read_operand(symbols, split)
    index_source = None if indexes is None else _native.read_operand(indexes, split)
    room = _core.max_row_bytes(coding.codec, coding.tables.freq_precision, split.row_length)
    target = _grown(stream, room) if grow else stream
    status = _native.encode(coding, target, split, source, index_source)
    if status[0] == _core.NO_SPACE and not grow:
        raise ValueError(
            f"stream is full: preallocate more than its {stream.columns} columns (preallocate_size "
            "of init_stream, in bytes)"
        )
    if status[0] == _core.NO_SPACE:
        room += _native.escape_bytes(coding, split, source, index_source)
        target = _grown(stream, room)
        status = _native.encode(coding, target, split, source, index_source)
    if status[0] != _core.OK:
        _raise_push(coding, split, status, symbols, indexes)
    if target is not stream:
        tensor.set_(target.memory)  # type: ignore[call-overload]


def encode_bytes(
    coding: Coding,
    workspace: Workspace,
    split: Split,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    framing: Tuple[int, bool],
    out: Optional[Target] = None,
) -> Union[bytes, memoryview]:
    """Codes symbols into fresh rows and joins their bytes (`framing`, `out`: see `pack`)."""
    if _native.any_cuda(symbols, indexes):
        _native.check_devices(symbols, "symbols", {"indexes": indexes})
        return _cuda_stream.encode_bytes(coding, split, symbols, indexes, framing, out)
    source = _native.read_operand(symbols, split)
    index_source = None if indexes is None else _native.read_operand(indexes, split)
    codec, tables = coding.codec, coding.tables
    room = codec.header_bytes + _core.max_row_bytes(codec, tables.freq_precision, split.row_length)
    stream = _fresh(codec, workspace, split.rows, room)
    status = _native.encode(coding, stream, split, source, index_source)
    if status[0] == _core.NO_SPACE:
        room += _native.escape_bytes(coding, split, source, index_source)
        stream = _fresh(codec, workspace, split.rows, room)
        status = _native.encode(coding, stream, split, source, index_source)
    if status[0] != _core.OK:
        _raise_push(coding, split, status, symbols, indexes)
    data = pack(stream, framing, out)
    workspace.give(stream.memory)
    return data


def pop(
    coding: Coding,
    stream: Stream,
    split: Split,
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
    require_end: bool = False,
    check: bool = False,
) -> None:
    """Takes the symbols that were pushed last off the rows, into `out` (`check`: as in `push`).

    Raises:
        CorruptStreamError: some rows are broken; the stream is as it was.
        IndexError: an index names no table; the stream is as it was.
    """
    check_rows(stream, split)
    if _native.any_cuda(stream.memory, indexes, out):
        _native.check_devices(stream.memory, "stream", {"indexes": indexes, "out": out})
        return _cuda_stream.pop(coding, stream, split, indexes, out, check)
    index_source = None if indexes is None else _native.read_operand(indexes, split)
    target = _native.write_operand(out, "out", split)
    code, row, position, broken = _native.decode(
        coding, stream, split, index_source, target, require_end
    )
    if code == _core.OK:
        return
    if code == _core.CORRUPT:
        raise_broken_rows(broken, split.rows, _BROKEN_SYMBOLS)
    place = row * split.row_length + position
    raise_for_status(code, place, coding.tables, None, indexes, _limit(coding))


def decode_bytes(
    coding: Coding,
    workspace: Workspace,
    data: Data,
    spans: _core.RowSpans,
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
    on_device: Optional[torch.Tensor] = None,
) -> None:
    """Decodes rows (`spans` of `data`, or of its copy) that hold exactly the symbols of `out`.

    In memory all rows are as long as the longest. A forged file could make that far more than its
    own size, so rows that differ that much are decoded a few at a time.
    """
    most_words = max(_PADDED_WORDS, len(data))  # 4 times the data
    split = split_rows(out.numel(), len(spans))
    columns = row_columns(coding.codec, spans.longest)
    if _native.any_cuda(out, indexes):
        _native.check_devices(out, "out", {"indexes": indexes})
        return _cuda_stream.decode_bytes(coding, data, spans, split, indexes, out, on_device)
    if split.rows * columns <= most_words:
        stream = Stream(workspace.take(split.rows, columns), split.rows, columns)
        _native.fill(data, spans, stream)
        pop(coding, stream, split, indexes, out, require_end=True)
        workspace.give(stream.memory)
        return
    flat_indexes = None if indexes is None else indexes.reshape(-1)
    symbols = _native.allocate((out.numel(),), out.dtype)
    broken: List[int] = []
    for start, end in _row_groups(coding.codec, spans, most_words):
        first, past = (min(row * split.row_length, split.total) for row in (start, end))
        group = Split(end - start, split.row_length, past - first)
        some = spans.part(start, end)
        columns = row_columns(coding.codec, some.longest)
        memory = _native.allocate((group.rows, columns))
        stream = Stream(memory, group.rows, columns)
        _native.fill(data, some, stream)
        part = None if flat_indexes is None else flat_indexes[first:past]
        try:
            pop(coding, stream, group, part, symbols[first:past], require_end=True)
        except CorruptStreamError as error:
            broken += [start + row for row in error.rows]
    out.copy_(symbols.reshape(out.shape))
    if broken:
        raise_broken_rows(broken, split.rows, _BROKEN_SYMBOLS)


def _row_groups(
    codec: _core.Codec, spans: _core.RowSpans, most_words: int
) -> Iterator[Tuple[int, int]]:
    """Cuts rows into ranges [start, end) that take at most `most_words`, or one row."""
    start = widest = 0
    for row, (_, length) in enumerate(spans):
        columns = row_columns(codec, length)
        if row > start and max(widest, columns) * (row + 1 - start) > most_words:
            yield start, row
            start, widest = row, 0
        widest = max(widest, columns)
    yield start, len(spans)


def pack(
    stream: Stream, framing: Tuple[int, bool], out: Optional[Target] = None
) -> Union[bytes, memoryview]:
    """The rows' bytes joined (`framing`: see `_native.pack`), or what was written of `out`."""
    if stream.memory.is_cuda:
        return _cuda_stream.pack(stream, framing, out)
    if out is None:
        return _native.pack(stream, *framing)
    return written(out, _native.pack_into(stream, *framing, out))


def fill(data: Data, spans: _core.RowSpans, stream: Stream) -> None:
    """Writes slices of `data` as the rows of `stream`."""
    if stream.memory.is_cuda:
        _cuda_stream.unpack(data, spans, stream)
    else:
        _native.fill(data, spans, stream)


def check_rows(stream: Stream, split: Split) -> None:
    """Raises ValueError unless the symbols fall into as many rows as the stream has."""
    if stream.rows != split.rows:
        raise ValueError(f"stream has {stream.rows} rows, but the symbols have {split.rows}")
    if split.total and not split.rows:
        raise CorruptStreamError(f"the stream has no row for {split.total} symbols")


@_native.fork_safe
def _grown(stream: Stream, room: int) -> Stream:
    """`stream`, or a larger copy, with `room` bytes behind the longest row.

    A copy has at least half as many columns again: many small pushes take linear time.
    """
    if not stream.rows:
        return stream
    capacity = 4 * (stream.columns - 1)
    used = max(_native.longest_row(stream), 0)
    if used > capacity:  # in a larger copy it would pass for a good one
        broken = (stream.memory[:, 0] > capacity).nonzero().reshape(-1).tolist()
        raise_broken_rows(broken, stream.rows, _BROKEN_LENGTH)
    if used + room <= capacity or stream.columns == MAX_COLUMNS:
        return stream
    columns = max(columns_for(used + room), min(stream.columns * 3 // 2, MAX_COLUMNS))
    memory = _native.allocate((stream.rows, columns))
    filled = columns_for(used)
    memory[:, :filled] = stream.memory[:, :filled]
    memory[:, filled:] = 0  # a push that fails later on may clear what it wrote behind the rows
    return Stream(memory, stream.rows, columns)


def _fresh(codec: _core.Codec, workspace: Workspace, rows: int, row_bytes: int) -> Stream:
    """Empty rows in memory whose rest, which may be most of it, is not cleared."""
    columns = columns_for(row_bytes)
    stream = Stream(workspace.take(rows, columns), rows, columns)
    _native.reset(codec, stream)
    return stream


def row_columns(codec: _core.Codec, longest: int) -> int:
    """Columns for rows of up to `longest` bytes; CorruptStreamError if that is too long."""
    if longest > 4 * (MAX_COLUMNS - 1):
        raise CorruptStreamError(f"a row of {longest} bytes is longer than 2 GiB")
    return columns_for(max(longest, codec.header_bytes))


def _raise_push(
    coding: Coding,
    split: Split,
    status: Tuple[int, int, int],
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
) -> NoReturn:
    code, row, position = status
    if code == _core.CORRUPT:
        raise_broken_rows([row], split.rows, _BROKEN_LENGTH)
    place = row * split.row_length + position
    raise_for_status(code, place, coding.tables, symbols, indexes, _limit(coding))


def _limit(coding: Coding) -> Optional[int]:
    return None if coding.contexts is None else coding.contexts.num_indexes
