"""What `_native.py` is for host memory: where CUDA tensors become pointers.

Work is put on torch's current stream of the tensors' device, in memory from torch's allocator, and
nothing here waits for it but `wait`, `read_status` and `to_list`. What became of a push or a pop is
a tensor, too (`RowStatus`). Bytes and tables have files of their own.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, List, NamedTuple, Optional, Tuple

import torch

from . import _core
from ._native import Coding, Operand, Stream, cuda_engine

if TYPE_CHECKING:
    from ._layout import Split

__all__ = [
    "Answer",
    "RowStatus",
    "answer",
    "ask",
    "decode",
    "encode",
    "is_capturing",
    "new_status",
    "read_status",
    "reset",
    "wait",
]

_RESULT_WORDS = 3
"""int64 words of a row's result: status, position, end."""


class RowStatus(NamedTuple):
    """What became of a stream's rows since it was last read.

    `memory` is int64: the number of rows that have failed, then status, position and end of each.
    A row that has failed is left alone by later calls.
    """

    memory: torch.Tensor
    rows: int


class Answer(NamedTuple):
    """A number that a device has been asked for."""

    number: torch.Tensor  # pinned
    known: torch.cuda.Event


class Outcome(NamedTuple):
    """A status as `_native.encode` and `_native.decode` report it, and the bytes a row needs."""

    code: int
    row: int
    position: int
    broken_rows: List[int]
    needed: int


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


def ask(number: torch.Tensor) -> Answer:
    """Starts to copy a number to the host."""
    copy = pinned(1, number.dtype).copy_(number, non_blocking=True)
    return Answer(copy, mark(number.device))


def answer(asked: Answer) -> Optional[int]:
    """The number, if the device has come to it by now."""
    known: bool = asked.known.query()  # type: ignore[no-untyped-call]
    return int(asked.number) if known else None


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
