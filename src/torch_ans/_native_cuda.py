"""What `_native.py` is for host memory: where CUDA tensors become pointers.

Work is put on torch's current stream of the tensors' device, in memory from torch's allocator, and
nothing here waits for it but `wait`, `read_status`, `read_plan`, `to_list` and `to_host`. What
became of a push or a pop is a tensor, too (`RowStatus`).
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Tuple, Union

import torch

from . import _core
from ._memory import Target, written
from ._native import Coding, Data, Operand, Stream, cuda_engine, thread_count

if TYPE_CHECKING:
    from ._layout import Split

__all__ = [
    "Plan",
    "RowStatus",
    "decode",
    "encode",
    "is_capturing",
    "new_status",
    "pack",
    "plan_pack",
    "quantize_pmf",
    "read_plan",
    "read_status",
    "reset",
    "to_host",
    "unpack",
    "upload",
    "wait",
]

_RESULT_WORDS = 3
"""int64 words of a row's result: status, position, end."""

_PIECE = 1 << 24
"""Bytes that are copied at a time where that is done twice."""

_WORTH_ASKING = 1 << 20
"""Bytes from which on it is asked whether a device can read memory itself."""


class RowStatus(NamedTuple):
    """What became of a stream's rows since it was last read.

    `memory` is int64: the number of rows that have failed, then status, position and end of each.
    A row that has failed is left alone by later calls.
    """

    memory: torch.Tensor
    rows: int


class Outcome(NamedTuple):
    """A status as `_native.encode` and `_native.decode` report it, and the bytes a row needs."""

    code: int
    row: int
    position: int
    broken_rows: List[int]
    needed: int


class Plan(NamedTuple):
    """How the rows of a stream are going to be packed."""

    starts: torch.Tensor  # int64 (rows + 1,)
    summary: torch.Tensor  # int64 (3,), pinned: bytes, bad row, failed rows


def engine() -> Any:
    """The native engine, which `check_tensor` has found to be there."""
    return cuda_engine()


def guard(device: torch.device) -> AbstractContextManager[Any]:
    """Makes `device` the current one for a while."""
    return torch.cuda.device(device)


def queue(device: torch.device) -> Tuple[int, int]:
    """Device number and handle of torch's current stream there."""
    stream = torch.cuda.current_stream(device)
    return stream.device_index, stream.cuda_stream


def wait(device: torch.device) -> None:
    """Waits until the current stream is through."""
    torch.cuda.current_stream(device).synchronize()


def to_list(numbers: torch.Tensor) -> List[int]:
    """The numbers of a tensor on a device; waits until the current stream has written them."""
    found: List[int] = numbers.tolist()
    return found


def mark(device: torch.device) -> torch.cuda.Event:
    """What `follow` waits for: all work on the current stream so far."""
    event: torch.cuda.Event = torch.cuda.current_stream(device).record_event()
    return event


def follow(event: torch.cuda.Event, memories: List[torch.Tensor]) -> None:
    """Lets the current stream wait for what another one has done to `memories`.

    A graph that is being captured cannot: `torch.cuda.graph` has waited for all streams before.
    """
    if not is_capturing():
        torch.cuda.current_stream(memories[0].device).wait_event(event)
    keep(memories)


def keep(memories: List[torch.Tensor]) -> None:
    """Memory of other streams is not to be used again before the current one is through."""
    for memory in memories:
        memory.record_stream(torch.cuda.current_stream(memory.device))


def is_capturing() -> bool:
    """Whether a CUDA graph is being recorded: then nothing may wait."""
    return torch.cuda.is_current_stream_capturing()


def pinned(size: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    """Host memory that a device reads and writes itself."""
    return torch.empty(size, dtype=dtype, device="cpu", pin_memory=True)


def is_pinned(memory: torch.Tensor) -> bool:
    """Whether host memory of any owner is such memory."""
    return memory.is_pinned()


# --- push and pop --------------------------------------------------------------------------------


def new_status(rows: int, device: torch.device) -> RowStatus:
    """The status of rows that nothing has happened to."""
    return RowStatus(torch.zeros(1 + _RESULT_WORDS * rows, dtype=torch.int64, device=device), rows)


def reset(codec: _core.Codec, stream: Stream) -> None:
    """Makes every row of `stream` empty: a length word and the lanes' first states."""
    device = stream.memory.device
    with guard(device):
        engine().init_stream(
            codec, stream.memory.data_ptr(), stream.rows, stream.columns, *queue(device)
        )


def encode(
    coding: Coding,
    stream: Stream,
    split: Split,
    symbols: Operand,
    indexes: Optional[Operand],
    status: RowStatus,
) -> None:
    """Appends symbols to the rows, unless one of them fails or has failed."""
    scratch = _Scratch(coding, stream, split, push=True)
    with guard(stream.memory.device):
        engine().encode(*_arguments(coding, stream, split, symbols, indexes, status, scratch))


def decode(
    coding: Coding,
    stream: Stream,
    split: Split,
    indexes: Optional[Operand],
    out: Operand,
    status: RowStatus,
    require_end: bool,
) -> None:
    """Takes symbols off the rows, unless one of them fails or has failed."""
    scratch = _Scratch(coding, stream, split, push=False)
    with guard(stream.memory.device):
        arguments = _arguments(coding, stream, split, out, indexes, status, scratch)
        engine().decode(*arguments, require_end)


class _Scratch:
    """Memory that the kernels of a call need.

    It is to be held until they are launched; then no allocator gives it away before they are
    through.
    """

    def __init__(self, coding: Coding, stream: Stream, split: Split, push: bool) -> None:
        codec, _, _, contexts = coding
        context_bytes = 0
        if contexts is not None:
            context_bytes = engine().context_scratch_bytes(split.rows, split.row_length, push)
        device = stream.memory.device
        header_bytes = max(split.rows * codec.header_bytes, 1)
        self.headers = torch.empty(header_bytes, dtype=torch.uint8, device=device)
        self.contexts = torch.empty(context_bytes, dtype=torch.uint8, device=device)


def _arguments(
    coding: Coding,
    stream: Stream,
    split: Split,
    symbols: Operand,
    indexes: Optional[Operand],
    status: RowStatus,
    scratch: _Scratch,
) -> Tuple[Any, ...]:
    codec, tables, bypass_precision, contexts = coding
    device = stream.memory.device
    on_device = tables.on(device)
    image = on_device.image(codec)
    results = status.memory.data_ptr()
    return (
        codec,
        on_device.native,
        image.data_ptr(),
        stream.memory.data_ptr(),
        stream.rows,
        stream.columns,
        symbols[0],
        None if indexes is None else indexes[0],
        split.row_length,
        split.total,
        bypass_precision,
        None if contexts is None else contexts.native,
        scratch.contexts.data_ptr(),
        scratch.headers.data_ptr(),
        results + 8,
        results,
        *queue(device),
    )


def read_status(status: RowStatus) -> Outcome:
    """Waits and tells what became of the rows: bad arguments first, then broken rows."""
    if int(status.memory[0]) == 0:
        return Outcome(_core.OK, -1, -1, [], 0)
    results = status.memory.cpu()[1:].reshape(-1, _RESULT_WORDS)
    codes = results[:, 0] & 0xFFFFFFFF
    for wanted in ((_core.BAD_INDEX, _core.BAD_SYMBOL), (_core.CORRUPT,), (_core.NO_SPACE,)):
        rows = torch.zeros_like(codes, dtype=torch.bool)
        for code in wanted:
            rows |= codes == code
        found: List[int] = rows.nonzero().reshape(-1).tolist()
        if found:
            row = found[0]
            broken = found if wanted == (_core.CORRUPT,) else []
            needed = int(results[rows, 2].max())
            return Outcome(int(codes[row]), row, int(results[row, 1]), broken, needed)
    return Outcome(_core.OK, -1, -1, [], 0)


# --- bytes ---------------------------------------------------------------------------------------


def plan_pack(stream: Stream, framing: Tuple[int, bool], status: Optional[RowStatus]) -> Plan:
    """Starts to lay out the rows as bytes; `read_plan` tells how many there are."""
    device = stream.memory.device
    starts = torch.empty(stream.rows + 1, dtype=torch.int64, device=device)
    bad_row = torch.empty(1, dtype=torch.int64, device=device)
    summary = pinned(3, torch.int64)
    failed = 0 if status is None else status.memory.data_ptr()
    with guard(device):
        engine().plan_pack(
            stream.memory.data_ptr(),
            stream.rows,
            stream.columns,
            *framing,
            starts.data_ptr(),
            failed,
            bad_row.data_ptr(),
            summary.data_ptr(),
            *queue(device),
        )
    return Plan(starts, summary)


def read_plan(plan: Plan) -> Tuple[int, int, int]:
    """Waits, and returns (bytes, first row with an impossible length or -1, failed rows)."""
    wait(plan.starts.device)
    size, bad_row, failed = plan.summary.tolist()
    return size, bad_row, failed


def pack(stream: Stream, framing: Tuple[int, bool], plan: Plan, size: int) -> torch.Tensor:
    """The rows as planned: uint8 (size,) on the device."""
    device = stream.memory.device
    packed = torch.empty(size, dtype=torch.uint8, device=device)
    with guard(device):
        engine().pack(
            stream.memory.data_ptr(),
            stream.rows,
            stream.columns,
            *framing,
            plan.starts.data_ptr(),
            packed.data_ptr(),
            *queue(device),
        )
    return packed


def to_host(packed: torch.Tensor, out: Optional[Target] = None) -> Union[bytes, memoryview]:
    """The bytes of a uint8 tensor on a device, in one copy to pinned memory.

    That is `out`, where it is pinned; else the host copies them once more.
    """
    size = packed.numel()
    if out is not None:
        _core.check_room(out, size)
    target = None if out is None or not size else _pinned_memory(out, size)
    host = pinned(size) if target is None else target
    host.copy_(packed, non_blocking=True)
    wait(packed.device)
    if out is None:
        return _core.make_bytes(host.data_ptr(), size, thread_count())
    if target is None:
        _core.write_bytes(host.numpy(), out, thread_count())
    return written(out, size)


def upload(data: Data, device: torch.device, borrow: bool = True) -> torch.Tensor:
    """Starts to copy bytes to a device: uint8 there.

    With `borrow` they are read where they lie, if that is pinned memory. Then they must not change
    until the current stream is through; else they are copied to such memory first.
    """
    size, view = len(data), memoryview(data)
    if borrow and size >= _WORTH_ASKING and not view.readonly:
        source = _pinned_memory(data, size)
        if source is not None:
            return source.to(device, non_blocking=True)
    host, packed = pinned(size), torch.empty(size, dtype=torch.uint8, device=device)
    for start in range(0, size, _PIECE):  # the device copies a piece, the host the next one
        piece = slice(start, start + _PIECE)
        _core.read_bytes(view[piece], host[piece].data_ptr(), thread_count())
        packed[piece].copy_(host[piece], non_blocking=True)
    return packed


def _pinned_memory(memory: Union[Data, Target], size: int) -> Optional[torch.Tensor]:
    """The first bytes of writable memory, if a device can read and write it itself."""
    tensor = torch.frombuffer(memory, dtype=torch.uint8, count=size)
    return tensor if is_pinned(tensor) else None


def unpack(packed: torch.Tensor, spans: _core.RowSpans, stream: Stream) -> None:
    """Writes slices of bytes on the device as the rows of `stream`."""
    device = stream.memory.device
    table = pinned(2 * len(spans), torch.int64)
    spans.write(table.data_ptr())
    table = table.to(device, non_blocking=True)
    with guard(device):
        engine().unpack(
            packed.data_ptr(),
            table.data_ptr(),
            stream.memory.data_ptr(),
            stream.rows,
            stream.columns,
            *queue(device),
        )


# --- quantising ----------------------------------------------------------------------------------

_QUANTIZE_PROBLEMS = (
    "",
    "holds a value that is not finite",
    "holds a negative value",
    "holds a value too large to quantise: normalise it",
    "has no mass: all its values round to zero",
    "has more symbols than 2**precision slots",
    "has a length outside the tensor",
)


def quantize_pmf(
    pmf: torch.Tensor, lengths: Optional[torch.Tensor], freq_precision: int
) -> torch.Tensor:
    """As `_native_tables.quantize_pmf`, on the device; waits to see whether all rows are well."""
    rows, length = pmf.shape
    device = pmf.device
    out = torch.empty((rows, length + 1), dtype=torch.int32, device=device)
    statuses = torch.empty(rows, dtype=torch.int32, device=device)
    with guard(device):
        engine().quantize_pmf(
            pmf.data_ptr(),
            "float32" if pmf.dtype == torch.float32 else "int64",
            rows,
            length,
            0 if lengths is None else lengths.data_ptr(),
            freq_precision,
            out.data_ptr(),
            statuses.data_ptr(),
            *queue(device),
        )
    bad = statuses.cpu().nonzero().reshape(-1)
    if bad.numel():
        row = int(bad[0])
        raise ValueError(f"row {row} of pmf {_QUANTIZE_PROBLEMS[int(statuses[row])]}")
    return out
