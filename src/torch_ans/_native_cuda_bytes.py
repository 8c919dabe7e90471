"""`_native_cuda.py` for bytes: a stream's rows joined on a CUDA device, on the host, and back."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple, Union

import torch

from . import _core, _native_cuda
from ._memory import Target, written
from ._native import Data, Stream, thread_count
from ._native_cuda import RowStatus

__all__ = ["Plan", "pack", "plan_pack", "read_plan", "to_host", "unpack", "upload"]

_PIECE = 1 << 24
"""Bytes that are copied at a time where that is done twice."""

_WORTH_ASKING = 1 << 20
"""Bytes from which on it is asked whether a device can read memory itself."""


class Plan(NamedTuple):
    """How the rows of a stream are going to be packed."""

    starts: torch.Tensor  # int64 (rows + 1,)
    summary: torch.Tensor  # int64 (3,), pinned: bytes, bad row, failed rows


def plan_pack(stream: Stream, framing: Tuple[int, bool], status: Optional[RowStatus]) -> Plan:
    """Starts to lay out the rows as bytes; `read_plan` tells how many there are."""
    device = stream.memory.device
    starts = torch.empty(stream.rows + 1, dtype=torch.int64, device=device)
    bad_row = torch.empty(1, dtype=torch.int64, device=device)
    summary = _native_cuda.pinned(3, torch.int64)
    failed = 0 if status is None else status.memory.data_ptr()
    with _native_cuda.guard(device):
        _native_cuda.engine().plan_pack(
            stream.memory.data_ptr(),
            stream.rows,
            stream.columns,
            *framing,
            starts.data_ptr(),
            failed,
            bad_row.data_ptr(),
            summary.data_ptr(),
            *_native_cuda.queue(device),
        )
    return Plan(starts, summary)


def read_plan(plan: Plan) -> Tuple[int, int, int]:
    """Waits, and returns (bytes, first row with an impossible length or -1, failed rows)."""
    _native_cuda.wait(plan.starts.device)
    size, bad_row, failed = plan.summary.tolist()
    return size, bad_row, failed


def pack(stream: Stream, framing: Tuple[int, bool], plan: Plan, size: int) -> torch.Tensor:
    """The rows as planned: uint8 (size,) on the device."""
    device = stream.memory.device
    packed = torch.empty(size, dtype=torch.uint8, device=device)
    with _native_cuda.guard(device):
        _native_cuda.engine().pack(
            stream.memory.data_ptr(),
            stream.rows,
            stream.columns,
            *framing,
            plan.starts.data_ptr(),
            packed.data_ptr(),
            *_native_cuda.queue(device),
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
    host = _native_cuda.pinned(size) if target is None else target
    host.copy_(packed, non_blocking=True)
    _native_cuda.wait(packed.device)
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
    host, packed = _native_cuda.pinned(size), torch.empty(size, dtype=torch.uint8, device=device)
    for start in range(0, size, _PIECE):  # the device copies a piece, the host the next one
        piece = slice(start, start + _PIECE)
        _core.read_bytes(view[piece], host[piece].data_ptr(), thread_count())
        packed[piece].copy_(host[piece], non_blocking=True)
    return packed


def _pinned_memory(memory: Union[Data, Target], size: int) -> Optional[torch.Tensor]:
    """The first bytes of writable memory, if a device can read and write it itself."""
    tensor = torch.frombuffer(memory, dtype=torch.uint8, count=size)
    return tensor if _native_cuda.is_pinned(tensor) else None


def unpack(packed: torch.Tensor, spans: _core.RowSpans, stream: Stream) -> None:
    """Writes slices of bytes on the device as the rows of `stream`."""
    device = stream.memory.device
    table = _native_cuda.pinned(2 * len(spans), torch.int64)
    spans.write(table.data_ptr())
    table = table.to(device, non_blocking=True)
    with _native_cuda.guard(device):
        _native_cuda.engine().unpack(
            packed.data_ptr(),
            table.data_ptr(),
            stream.memory.data_ptr(),
            stream.rows,
            stream.columns,
            *_native_cuda.queue(device),
        )
