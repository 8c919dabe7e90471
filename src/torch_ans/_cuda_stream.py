"""Streams in device memory: what `_stream.py` does, without waiting for the device.

A push or a pop only puts work on the current CUDA stream. Whether it went well is known when the
device is through, so a stream tensor carries a status (`_native_cuda.RowStatus`) that says which
rows have failed; a failed call and all later ones leave the stream as it was. The status is read,
and raised as an exception, where `check=True` or bytes are asked for.

Room needs no look at the rows either: the tensor also carries a bound on the bytes in use, which a
push without escapes cannot exceed. Where escapes need more, the status says so. How many bytes pops
free only the device knows. Where a tensor has grown although it was popped from, pops ask for what
is in use when the bound comes near the room that there is; a push that would grow the tensor looks
whether the answer is there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn, Optional, Tuple, Union

import torch

from . import _core, _native, _native_cuda, _native_cuda_bytes
from ._memory import Target
from ._native import Coding, Data, Stream
from ._status import raise_broken_rows, raise_for_status
from .errors import CorruptStreamError

if TYPE_CHECKING:
    from ._layout import Split
    from ._native_cuda import Answer, Outcome, RowStatus

__all__ = ["check_status", "decode_bytes", "encode_bytes", "new_stream", "pack", "pop", "push"]

MAX_COLUMNS = 1 + (2**31 - 4) // 4

_BROKEN = "their bytes are not what was encoded with these tables and arguments"
_ATTRIBUTE = "_torch_ans_stream"


class _StreamState:
    """What a stream tensor in device memory carries along.

    Attributes:
        status: what became of its rows.
        used: a bound on the bytes behind the length word of any row; None: not known.
        popped: symbols have been taken off.
        asks: the tensor has grown after that.
        asked: the bytes in the longest row after some pop, when the device has come to it.
        pushed_since: a bound on what has been pushed since then.
        captured: a graph pushes to it, and nobody counts its replays.
    """

    __slots__ = ("asked", "asks", "captured", "popped", "pushed_since", "status", "used")

    def __init__(self, status: RowStatus, used: Optional[int]) -> None:
        self.status = status
        self.used = used
        self.popped = self.asks = self.captured = False
        self.asked: Optional[Answer] = None
        self.pushed_since = 0

    def __reduce__(self) -> Tuple[Any, ...]:
        """A tensor takes its state along when it is copied or pickled; an event cannot be."""
        return _StreamState, (self.status, None if self.captured else self.used)


def columns_for(row_bytes: int) -> int:
    """Columns of a row with room for `row_bytes`, the lanes' states included."""
    return min(1 + (row_bytes + 3) // 4, MAX_COLUMNS)


def new_stream(
    codec: _core.Codec, rows: int, spare_bytes: int, device: torch.device
) -> torch.Tensor:
    """Int32 (rows, columns) on `device`: empty rows with room for `spare_bytes` each."""
    columns = columns_for(codec.header_bytes + spare_bytes)
    memory = torch.zeros((rows, columns), dtype=torch.int32, device=device)
    _native_cuda.reset(codec, Stream(memory, rows, columns))
    _state_of(memory).used = codec.header_bytes
    return memory


def _state_of(tensor: torch.Tensor) -> _StreamState:
    """The state that the tensor carries; a new one for a tensor from elsewhere."""
    state = getattr(tensor, _ATTRIBUTE, None)
    if not isinstance(state, _StreamState) or state.status.rows != tensor.shape[0]:
        state = _StreamState(_native_cuda.new_status(tensor.shape[0], tensor.device), None)
        setattr(tensor, _ATTRIBUTE, state)
    return state


def push(
    coding: Coding,
    stream: Stream,
    split: Split,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    check: bool,
    grow: bool = True,
) -> None:
    """Appends symbols to a stream tensor, which with `grow` grows (the same object) if it must."""
    tensor = stream.memory
    _check_columns(coding, stream)
    state = _state_of(tensor)
    state.captured |= _native_cuda.is_capturing()
    source = _native.read_operand(symbols, split)
    index_source = None if indexes is None else _native.read_operand(indexes, split)
    room = _core.max_row_bytes(coding.codec, coding.tables.freq_precision, split.row_length)
    if grow:
        stream = _with_room(stream, state, room)
    _native_cuda.encode(coding, stream, split, source, index_source, state.status)
    if check:
        outcome = _native_cuda.read_status(state.status)
        short = outcome.code == _core.NO_SPACE and columns_for(outcome.needed) < MAX_COLUMNS
        if short and grow:
            state.status.memory.zero_()
            stream = _grow(stream, outcome.needed)
            _native_cuda.encode(coding, stream, split, source, index_source, state.status)
            outcome = _native_cuda.read_status(state.status)
        _raise_unless_ok(outcome, state, split, (coding, symbols, indexes))
    if state.used is not None:
        state.used = min(state.used + room, _capacity(stream))
    state.pushed_since += room


def pop(
    coding: Coding,
    stream: Stream,
    split: Split,
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
    check: bool,
) -> None:
    """Takes the symbols that were pushed last off the rows, into `out`."""
    _check_columns(coding, stream)
    state = _state_of(stream.memory)
    index_source = None if indexes is None else _native.read_operand(indexes, split)
    target = _native.write_operand(out, "out", split)
    _native_cuda.decode(coding, stream, split, index_source, target, state.status, False)
    state.popped = True
    if state.asks:
        room = _core.max_row_bytes(coding.codec, coding.tables.freq_precision, split.row_length)
        _ask_for_room(stream, state, room)
    if check:
        outcome = _native_cuda.read_status(state.status)
        _raise_unless_ok(outcome, state, split, (coding, None, indexes))


def check_status(tensor: torch.Tensor) -> None:
    """Waits for the device and raises what earlier pushes and pops have failed with, if any.

    Raises:
        CorruptStreamError: rows that cannot be decoded.
        IndexError: an index named no table.
        ValueError: a symbol that its table cannot code, or a row that ran out of room.
    """
    state = _state_of(tensor)
    _raise_unless_ok(_native_cuda.read_status(state.status), state, None, None)


def encode_bytes(
    coding: Coding,
    split: Split,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    framing: Tuple[int, bool],
    out: Optional[Target] = None,
) -> Union[bytes, memoryview]:
    """Codes symbols into fresh rows and joins their bytes: one copy of exactly these bytes."""
    codec, tables = coding.codec, coding.tables
    device = symbols.device
    source = _native.read_operand(symbols, split)
    index_source = None if indexes is None else _native.read_operand(indexes, split)
    room = codec.header_bytes + _core.max_row_bytes(codec, tables.freq_precision, split.row_length)
    while True:
        columns = columns_for(room)
        memory = torch.empty((split.rows, columns), dtype=torch.int32, device=device)
        stream = Stream(memory, split.rows, columns)
        state = _StreamState(_native_cuda.new_status(split.rows, device), None)
        _native_cuda.reset(codec, stream)
        _native_cuda.encode(coding, stream, split, source, index_source, state.status)
        plan = _native_cuda_bytes.plan_pack(stream, framing, state.status)
        size, bad_row, failed = _native_cuda_bytes.read_plan(plan)
        if not failed:
            break
        outcome = _native_cuda.read_status(state.status)
        if outcome.code != _core.NO_SPACE or columns_for(outcome.needed) >= MAX_COLUMNS:
            _raise_unless_ok(outcome, state, split, (coding, symbols, indexes))
        room = outcome.needed
    _check_plan(bad_row, framing)
    return _native_cuda_bytes.to_host(_native_cuda_bytes.pack(stream, framing, plan, size), out)


def pack(
    stream: Stream, framing: Tuple[int, bool], out: Optional[Target] = None
) -> Union[bytes, memoryview]:
    """The bytes of a stream's rows, joined; raises what earlier calls have failed with."""
    state = _state_of(stream.memory)
    plan = _native_cuda_bytes.plan_pack(stream, framing, state.status)
    size, bad_row, failed = _native_cuda_bytes.read_plan(plan)
    if failed:
        _raise_unless_ok(_native_cuda.read_status(state.status), state, None, None)
    _check_plan(bad_row, framing)
    return _native_cuda_bytes.to_host(_native_cuda_bytes.pack(stream, framing, plan, size), out)


def unpack(data: Data, spans: _core.RowSpans, stream: Stream) -> None:
    """Fills the rows of a stream tensor, each from its slice of `data`, which is copied at once."""
    packed = _native_cuda_bytes.upload(data, stream.memory.device, borrow=False)
    _native_cuda_bytes.unpack(packed, spans, stream)
    _state_of(stream.memory).used = spans.longest


def decode_bytes(
    coding: Coding,
    data: Data,
    spans: _core.RowSpans,
    split: Split,
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
    packed: Optional[torch.Tensor] = None,
) -> None:
    """Decodes rows that hold exactly the symbols of `out`.

    They are `spans` of `data` or of `packed`, its copy on the device.
    """
    columns = columns_for(max(spans.longest, coding.codec.header_bytes))
    memory = torch.empty((split.rows, columns), dtype=torch.int32, device=out.device)
    stream = Stream(memory, split.rows, columns)
    if packed is None:
        packed = _native_cuda_bytes.upload(data, out.device, borrow=False)
    _native_cuda_bytes.unpack(packed, spans, stream)
    state = _StreamState(_native_cuda.new_status(split.rows, out.device), None)
    index_source = None if indexes is None else _native.read_operand(indexes, split)
    target = _native.write_operand(out, "out", split)
    _native_cuda.decode(coding, stream, split, index_source, target, state.status, True)
    outcome = _native_cuda.read_status(state.status)
    _raise_unless_ok(outcome, state, split, (coding, None, indexes))


def _capacity(stream: Stream) -> int:
    """Bytes behind the length word of a row."""
    return 4 * (stream.columns - 1)


def _check_columns(coding: Coding, stream: Stream) -> None:
    if _capacity(stream) < coding.codec.header_bytes and stream.rows:
        raise_broken_rows(list(range(stream.rows)), stream.rows, "they have no room for states")


def _with_room(stream: Stream, state: _StreamState, room: int) -> Stream:
    """`stream` with `room` bytes behind every row, grown where that is not sure.

    While a graph is being captured a stream stays as it is: it has been preallocated. Later pushes
    beside the graph's wait, and look.
    """
    if not stream.rows or stream.columns == MAX_COLUMNS or _native_cuda.is_capturing():
        return stream
    if state.used is None or state.captured:
        state.used = min(max(int(_longest(stream)), 0), _capacity(stream))
        state.asked = None  # nobody counted what was pushed since
    if _has_room(stream, state, room):
        return stream
    state.asks = state.popped
    return _grow(stream, state.used + room)


def _ask_for_room(stream: Stream, state: _StreamState, room: int) -> None:
    """After a pop: starts to find out what is in use, if a push of `room` bytes needs to know."""
    if _native_cuda.is_capturing() or _has_room(stream, state, room) or state.asked is not None:
        return
    state.asked, state.pushed_since = _native_cuda.ask(_longest(stream)), 0


def _has_room(stream: Stream, state: _StreamState, room: int) -> bool:
    """Whether `room` bytes fit behind those in use, by what is known of them now."""
    used, capacity = state.used, _capacity(stream)
    if used is None:
        return False
    if used + room > capacity and state.asked is not None:
        longest = _native_cuda.answer(state.asked)
        if longest is not None:
            used = min(max(longest, 0) + state.pushed_since, used)
            state.used, state.asked = used, None
    return used + room <= capacity


def _longest(stream: Stream) -> torch.Tensor:
    """The bytes in the longest row, as the rows say."""
    return stream.memory[:, 0].max()


def _grow(stream: Stream, row_bytes: int) -> Stream:
    """Gives the stream tensor larger memory, at least half as much again."""
    tensor, rows, old = stream
    columns = max(columns_for(row_bytes), min(old * 3 // 2, MAX_COLUMNS))
    memory = torch.empty((rows, columns), dtype=torch.int32, device=tensor.device)
    memory[:, :old] = tensor
    tensor.set_(memory)  # type: ignore[call-overload]
    return Stream(tensor, rows, columns)


def _check_plan(bad_row: int, framing: Tuple[int, bool]) -> None:
    if bad_row >= 0:
        raise CorruptStreamError(
            f"row {bad_row} of the stream: its length word is impossible, or does not fit into "
            f"{framing[0]} bytes",
            [bad_row],
        )


_Call = Tuple[Coding, Optional[torch.Tensor], Optional[torch.Tensor]]


def _raise_unless_ok(
    outcome: Outcome, state: _StreamState, split: Optional[Split], call: Optional[_Call]
) -> None:
    """Raises what an outcome means, once: after that the stream's status is clean."""
    if outcome.code == _core.OK:
        return
    state.status.memory.zero_()
    if outcome.code == _core.CORRUPT:
        raise_broken_rows(outcome.broken_rows, state.status.rows, _BROKEN)
    if split is not None and call is not None:
        if outcome.code != _core.NO_SPACE:
            coding, symbols, indexes = call
            position = outcome.row * split.row_length + outcome.position
            limit = None
            if coding.contexts is not None:
                coding.contexts.check_sets()
                limit = coding.contexts.num_indexes
            raise_for_status(outcome.code, position, coding.tables, symbols, indexes, limit)
        if columns_for(outcome.needed) >= MAX_COLUMNS:
            raise_for_status(outcome.code, 0, call[0].tables, None, None)
    _raise_late(outcome)


def _raise_late(outcome: Outcome) -> NoReturn:
    """The failure of a call whose arguments are gone."""
    where = f"symbol {outcome.position} of row {outcome.row}"
    if outcome.code == _core.BAD_INDEX:
        raise IndexError(f"the index of {where} named no table; later calls did nothing")
    if outcome.code == _core.BAD_SYMBOL:
        raise ValueError(
            f"{where} is outside its table and bypass_coding is off; later calls did nothing"
        )
    raise ValueError(
        f"row {outcome.row} of the stream had no room for the escapes that were pushed (it needs "
        f"{outcome.needed} bytes); later calls did nothing. Push with check=True to let it grow, "
        "or preallocate more"
    )
