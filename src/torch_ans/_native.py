"""Where tensors become pointers: coding calls here, the rest in the other `_native_*.py`.

The native module knows no torch: it gets addresses, sizes and strides. Everything that a pointer
cannot say for itself (device, dtype, layout, and who keeps the memory alive) is settled here.
"""

from __future__ import annotations

import ctypes
import os
from functools import lru_cache, wraps
from typing import (
    TYPE_CHECKING,
    Any,
    Callable,
    Dict,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
    TypeVar,
    Union,
    cast,
)

import torch

from . import _core
from ._layout import Split, row_layout

if TYPE_CHECKING:
    from ._contexts import BoundContexts
    from .tables import CodingTables

_Function = TypeVar("_Function", bound=Callable[..., Any])

Data = Union[bytes, bytearray, memoryview]
"""Bytes-like; a memoryview is of bytes in one dimension."""

Operand = Tuple[_core.IntArray, torch.Tensor]
"""Integers as the native module reads them, and the tensor that owns their memory."""

INTEGER_NAMES: Dict[torch.dtype, str] = {
    getattr(torch, name): name
    for name in ("uint8", "int8", "uint16", "int16", "int32", "int64")
    if hasattr(torch, name)  # uint16 came with torch 2.3
}
"""The dtypes of symbols and indexes, with the names that the native module gives them."""

_HAS_IS_CPU = hasattr(torch.Tensor, "is_cpu")
"""From torch 1.13 on; four times as fast as a look at the device."""

_LARGE = 1 << 20
"""Elements, words or bytes from which on what memory costs is worth a thought."""

_forked = False


def _after_fork_in_child() -> None:
    global _forked
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def thread_count() -> int:
    """Threads to use: torch's number, or 1 in a forked child, where OpenMP's pool is gone."""
    return 1 if _forked else torch.get_num_threads()


def fork_safe(function: _Function) -> _Function:
    """Keeps torch to one thread while `function` runs in a forked child.

    There an operation of torch on a large tensor would wait for threads that only the parent has.
    """

    @wraps(function)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if not _forked:
            return function(*args, **kwargs)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return function(*args, **kwargs)
        finally:
            torch.set_num_threads(threads)

    return cast(_Function, wrapper)


class Coding(NamedTuple):
    """What a push and its pop have in common."""

    codec: _core.Codec
    tables: CodingTables
    bypass_precision: int
    contexts: Optional[BoundContexts] = None


class Stream(NamedTuple):
    """`rows * columns` int32 words at the start of a contiguous CPU tensor."""

    memory: torch.Tensor
    rows: int
    columns: int


@lru_cache(maxsize=None)
def get_codec(family: str, lanes: int) -> _core.Codec:
    """The coder of a family with this many lanes; raises ValueError that lists what exists."""
    return _core.Codec(family, lanes)


def allocate(
    shape: Sequence[int],
    dtype: torch.dtype = torch.int32,
    device: Optional[torch.device] = None,
    filled: bool = True,
) -> torch.Tensor:
    """A new tensor with any content; MemoryError, where torch raises RuntimeError, if it fails.

    It is in host memory where there is no `device`, whatever torch's default device is. Without
    `filled` much of it will never be written, and need not exist.
    """
    try:
        tensor = torch.empty(shape, dtype=dtype, device=device or "cpu")
    except RuntimeError as error:
        raise MemoryError(
            f"no memory for a tensor of shape {tuple(shape)} and {dtype}: {error}"
        ) from None
    if filled and tensor.numel() >= _LARGE:
        _prefer_huge_pages(tensor)
    return tensor


def allocate_like(tensor: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """`allocate` with the shape of a tensor, from which torch takes it twice as fast."""
    try:
        made = torch.empty_like(tensor, dtype=dtype, memory_format=torch.contiguous_format)
    except RuntimeError:
        return allocate(tensor.shape, dtype)
    if made.numel() >= _LARGE:
        _prefer_huge_pages(made)
    return made


def _prefer_huge_pages(tensor: torch.Tensor) -> None:
    """Fresh memory is filled in much less time where the system gives it in large pages."""
    if on_host(tensor):
        _core.prefer_huge_pages(tensor.data_ptr(), tensor.numel() * tensor.element_size())


def cuda_engine() -> Any:
    """The native CUDA engine; None where it was not built."""
    return getattr(_core, "cuda", None)


def cuda_problem() -> str:
    """Why no CUDA device can be used, for an error message; empty if one can."""
    engine = cuda_engine()
    if engine is None:
        return (
            "this build of torch_ans codes on the CPU only (to change that, reinstall it with "
            "nvcc on PATH and FORCE_CUDA=1)"
        )
    reason: str = engine.unavailable_because()
    return reason and f"the CUDA driver cannot be used: {reason}"


def on_host(tensor: torch.Tensor) -> bool:
    """Whether a tensor is in host memory."""
    return tensor.is_cpu if _HAS_IS_CPU else tensor.device.type == "cpu"


def check_tensor(value: object, name: str, cuda: bool = False) -> torch.Tensor:
    """Returns `value` if it is a strided tensor in host memory or, with `cuda`, on a CUDA device.

    Raises:
        TypeError: it is no tensor.
        ValueError: it lives on another device, or is not strided.
    """
    if not isinstance(value, torch.Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}")
    if not on_host(value):
        _check_device(value, name, cuda)
    if value.layout is not torch.strided:
        raise ValueError(f"{name} must be a dense tensor, got layout {value.layout}")
    return value


def _check_device(tensor: torch.Tensor, name: str, cuda: bool) -> None:
    problem = "torch_ans works on the CPU and on CUDA devices"
    if tensor.is_cuda:
        problem = cuda_problem() or ("" if cuda else "this is done on the CPU")
    if problem:
        raise ValueError(f"{name} is on device {tensor.device}, but {problem}; pass {name}.cpu()")


def any_cuda(*tensors: Optional[torch.Tensor]) -> bool:
    """Whether one of the tensors is on a CUDA device."""
    for tensor in tensors:  # noqa: SIM110 - any() takes twice as long
        if tensor is not None and tensor.is_cuda:
            return True
    return False


def check_devices(tensor: torch.Tensor, name: str, others: Dict[str, Any]) -> None:
    """ValueError unless the other tensors (or None) are on the device of `tensor`."""
    for other, value in others.items():
        if value is not None and value.device != tensor.device:
            raise ValueError(
                f"{other} must be on the device of {name}, {tensor.device}, got {value.device}"
            )


def check_integers(value: object, name: str, cuda: bool = False) -> torch.Tensor:
    """Like `check_tensor`, for a tensor of one of `INTEGER_NAMES`; TypeError otherwise."""
    tensor = check_tensor(value, name, cuda)
    if tensor.dtype not in INTEGER_NAMES:
        raise TypeError(
            f"{name} must have an integer dtype ({', '.join(INTEGER_NAMES.values())}), "
            f"got {tensor.dtype}"
        )
    return tensor


def read_operand(tensor: torch.Tensor, split: Split) -> Operand:
    """Integers to read, in place wherever two strides inside a row suffice, else from a copy."""
    if not tensor.is_contiguous():
        layout = row_layout(tensor.shape, tensor.stride(), split)
        if layout is not None:
            name = INTEGER_NAMES[tensor.dtype]
            return _core.IntArray(address(tensor), name, *layout), tensor
        tensor = _copy(tensor)
    return _contiguous(tensor, split.row_length)


def write_operand(tensor: torch.Tensor, name: str, split: Split) -> Operand:
    """Integers to write; raises ValueError where the layout of `tensor` does not allow it."""
    if tensor.is_contiguous():
        return _contiguous(tensor, split.row_length)
    layout = row_layout(tensor.shape, tensor.stride(), split)
    overlaps = any(s == 0 and n > 1 for n, s in zip(tensor.shape, tensor.stride()))
    if layout is None or overlaps:
        raise ValueError(
            f"{name} cannot be written in place: pass a contiguous tensor, got shape "
            f"{tuple(tensor.shape)} with strides {tensor.stride()} for {split.rows} rows"
        )
    return _core.IntArray(address(tensor), INTEGER_NAMES[tensor.dtype], *layout), tensor


@fork_safe
def _copy(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.contiguous()


def _contiguous(tensor: torch.Tensor, length: int) -> Operand:
    name = INTEGER_NAMES[tensor.dtype]
    return _core.IntArray(address(tensor), name, length, 0, 1, length or 1), tensor


def address(tensor: torch.Tensor) -> int:
    """Where a tensor's first element is.

    Raises:
        ValueError: it has elements, but no memory: a fake tensor, or one whose storage was freed.
    """
    pointer = tensor.data_ptr()
    if not pointer and tensor.numel():
        raise ValueError(f"a tensor of shape {tuple(tensor.shape)} has no memory")
    return pointer


def longest_row(stream: Stream) -> int:
    """The largest length word of a stream with at least one row."""
    if stream.rows == 1:  # for short calls: 10 times as fast as torch
        return ctypes.c_int32.from_address(address(stream.memory)).value
    return int(stream.memory[:, 0].max())


def reset(codec: _core.Codec, stream: Stream) -> None:
    """Makes every row of `stream` empty: a length word and the lanes' first states."""
    _core.init_stream(codec, address(stream.memory), stream.rows, stream.columns)


def encode(
    coding: Coding, stream: Stream, split: Split, symbols: Operand, indexes: Optional[Operand]
) -> Tuple[int, int, int]:
    """Appends symbols to the rows: (status, row, position). They change only if it is OK."""
    return _core.encode(
        coding.codec,
        coding.tables.native,
        address(stream.memory),
        stream.rows,
        stream.columns,
        symbols[0],
        None if indexes is None else indexes[0],
        split.row_length,
        split.total,
        coding.bypass_precision,
        1 if split.rows == 1 else thread_count(),
        None if coding.contexts is None else coding.contexts.native,
    )


def decode(
    coding: Coding,
    stream: Stream,
    split: Split,
    indexes: Optional[Operand],
    out: Operand,
    require_end: bool,
) -> Tuple[int, int, int, List[int]]:
    """Takes symbols off the rows: (status, row, position, broken rows), as `encode`."""
    return _core.decode(
        coding.codec,
        coding.tables.native,
        address(stream.memory),
        stream.rows,
        stream.columns,
        None if indexes is None else indexes[0],
        out[0],
        split.row_length,
        split.total,
        coding.bypass_precision,
        1 if split.rows == 1 else thread_count(),
        require_end,
        None if coding.contexts is None else coding.contexts.native,
    )


def escape_bytes(coding: Coding, split: Split, symbols: Operand, indexes: Optional[Operand]) -> int:
    """The most bytes that bypass digits may add to a row."""
    return _core.escape_bytes(
        coding.codec,
        coding.tables.native,
        symbols[0],
        None if indexes is None else indexes[0],
        *split,
        coding.bypass_precision,
        None if coding.contexts is None else coding.contexts.native,
    )


def _copiers(stream: Stream) -> int:
    """Threads that copy the rows of a stream to bytes or back."""
    return thread_count() if stream.rows * stream.columns >= _LARGE else 1


def pack(stream: Stream, length_bytes: int, bare_last: bool) -> bytes:
    """The rows' bytes joined, each behind its length."""
    memory, rows, columns = stream
    return _core.pack_stream(
        address(memory), rows, columns, length_bytes, bare_last, _copiers(stream)
    )


def pack_into(stream: Stream, length_bytes: int, bare_last: bool, out: object) -> int:
    """`pack` to the beginning of writable memory: how many bytes; ValueError if it is too small."""
    memory, rows, columns = stream
    return _core.pack_stream_into(
        address(memory), rows, columns, length_bytes, bare_last, _copiers(stream), out
    )


def pack_row(stream: Stream, row: int) -> bytes:
    """The bytes of one row."""
    start = address(stream.memory) + 4 * row * stream.columns
    return _core.pack_stream(start, 1, stream.columns, 0, False, 1)


def fill(data: Data, spans: _core.RowSpans, stream: Stream) -> None:
    """Writes slices of `data` as the rows of `stream`."""
    memory, rows, columns = stream
    _core.fill_stream(data, spans, address(memory), rows, columns, _copiers(stream))


def fill_row(data: Data, stream: Stream, row: int) -> None:
    """Writes `data` as one row of `stream`."""
    start = address(stream.memory) + 4 * row * stream.columns
    _core.fill_row(data, start, stream.columns)
