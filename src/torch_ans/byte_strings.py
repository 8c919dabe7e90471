"""Streams as bytes: a string per row, or all rows in one."""

from __future__ import annotations

from typing import Any, Iterable, List, Optional, Sequence, Union

import torch

from . import _core, _native, _stream
from ._memory import ByteSource, data_of, is_bytes_like
from ._native import Data, Stream
from ._numbers import check_int, check_size
from ._options import check_device
from .errors import CorruptStreamError

__all__ = [
    "merge_bytes",
    "rans_byte_strings_to_stream",
    "rans_stream_to_byte_strings",
    "split_merged_bytes",
]

_LENGTH_BYTES = (1, 2, 4, 8)


def rans_stream_to_byte_strings(stream: torch.Tensor) -> List[bytes]:
    r"""The bytes of each row of a stream, as long as its length word says.

    Args:
        stream: int32 (B, columns), contiguous.

    Raises:
        TypeError: not an int32 tensor.
        ValueError: wrong shape or layout. `CorruptStreamError` if a length word is impossible.

    Example:
        >>> import torch_ans
        >>> rans_stream_to_byte_strings(torch_ans.rans32_init_stream(2))
        [b'\x00\x00\x80\x00', b'\x00\x00\x80\x00']
    """
    view = _stream.check_stream(stream)
    if view.memory.is_cuda:
        return split_merged_bytes(_stream.pack(view, (4, False)))
    strings: List[bytes] = []
    for row in range(view.rows):
        try:
            strings.append(_native.pack_row(view, row))
        except ValueError as error:
            raise CorruptStreamError(f"row {row} of the stream: {error}", [row]) from None
    return strings


def rans_byte_strings_to_stream(
    byte_strings: Sequence[Data], device: Union[torch.device, str, None] = None
) -> torch.Tensor:
    r"""The inverse of `rans_stream_to_byte_strings`.

    Args:
        byte_strings: the bytes of each row.
        device: where the stream goes; None: the CPU.

    Returns:
        Int32 (B, columns), just wide enough for the longest row, zero behind the others.

    Raises:
        TypeError: an element is not bytes-like.
        ValueError: a row of more than 2 GiB.

    Example:
        >>> rans_byte_strings_to_stream([b"\x01\x00\x00\x00", b"\x02"])
        tensor([[4, 1],
                [1, 2]], dtype=torch.int32)
    """
    strings, place = check_strings(byte_strings, "byte_strings"), check_device(device)
    longest = max(map(len, strings), default=0)
    if longest > 4 * (_stream.MAX_COLUMNS - 1):
        raise ValueError(f"a row of {longest} bytes is longer than 2 GiB")
    columns = _stream.columns_for(longest)
    view = Stream(_native.allocate((len(strings), columns)).zero_(), len(strings), columns)
    for row, string in enumerate(strings):
        _native.fill_row(string, view, row)
    return view.memory if place is None else view.memory.to(place)


def merge_bytes(
    data: Sequence[Data], num_bytes_length: int = 4, num_segments: Optional[int] = None
) -> bytes:
    r"""Joins byte strings, each behind its length in little endian.

    Args:
        data: the strings.
        num_bytes_length: bytes of a length: 1, 2, 4 or 8.
        num_segments: how many strings there are, if the reader will know it: the last one then
            needs no length.

    Raises:
        TypeError: a string is not bytes-like.
        ValueError: there are not `num_segments` strings, or a length does not fit.

    Example:
        >>> merge_bytes([b"ab", b"c"], num_bytes_length=1)
        b'\x02ab\x01c'
    """
    num_bytes_length = check_length_bytes(num_bytes_length)
    strings = check_strings(data, "data")
    if num_segments is not None and len(strings) != num_segments:
        raise ValueError(f"data must have num_segments={num_segments} strings, got {len(strings)}")
    pieces: List[Data] = []
    for position, string in enumerate(strings):
        if num_segments is None or position < num_segments - 1:
            try:
                pieces.append(len(string).to_bytes(num_bytes_length, "little"))
            except OverflowError:
                raise ValueError(
                    f"data[{position}] has {len(string)} bytes, too many for a length of "
                    f"{num_bytes_length} bytes"
                ) from None
        pieces.append(string)
    return b"".join(pieces)


def split_merged_bytes(
    data: ByteSource, num_bytes_length: int = 4, num_segments: Optional[int] = None
) -> List[bytes]:
    r"""The inverse of `merge_bytes`.

    Raises:
        CorruptStreamError: `data` ends early, or where it should not.
        TypeError: `data` is neither bytes-like nor a uint8 tensor, or a number is no integer.
        ValueError: `num_segments` is negative, or there are no such lengths.

    Example:
        >>> split_merged_bytes(b"\x02abc", num_bytes_length=1, num_segments=2)
        [b'ab', b'c']
    """
    data, num_bytes_length = data_of(data), check_length_bytes(num_bytes_length)
    if num_segments is not None:
        num_segments = check_size(num_segments, "num_segments")
    spans = segment_spans(data, num_bytes_length, num_segments)
    return [bytes(data[start : start + length]) for start, length in spans]


def segment_spans(data: Data, num_bytes_length: int, num_segments: Optional[int]) -> _core.RowSpans:
    """Where the strings of merged bytes are: (start, length) of each."""
    rows = -1 if num_segments is None else num_segments
    try:
        return _core.row_lengths(data, num_bytes_length, rows, num_segments is not None)
    except ValueError as error:
        raise CorruptStreamError(f"encoded data: {error}") from None


def check_length_bytes(value: object, name: str = "num_bytes_length") -> int:
    """Bytes of a length word; ValueError unless 1, 2, 4 or 8."""
    size = check_int(value, name)
    if size not in _LENGTH_BYTES:
        raise ValueError(f"{name} must be one of {_LENGTH_BYTES}, got {size}")
    return size


def check_strings(strings: Any, name: str) -> List[Data]:
    """Several byte strings, as bytes of one dimension each.

    Raises:
        TypeError: they are one string, or one of them is not bytes-like.
        ValueError: one is not contiguous.
    """
    several = isinstance(strings, Iterable) and not isinstance(strings, (str, torch.Tensor))
    if not several or is_bytes_like(strings):
        raise TypeError(f"{name} must be a list of byte strings, got {type(strings).__name__}")
    return [data_of(string, f"{name}[{k}]") for k, string in enumerate(strings)]
