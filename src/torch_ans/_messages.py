"""Symbols into messages, CompressAI's byte strings, and back; on CUDA devices too.

A message is a row of one lane of rans64 with 16-bit probabilities and bypass digits of 4 bits: its
state, then its words in the reverse of the order in which they left (cpp/FORMAT.md).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from . import _core, _cuda_stream, _native, _native_messages
from ._arguments import index_tensor
from ._layout import Split
from ._memory import data_of
from ._native import Coding, Data
from ._native_messages import Integers, Outcome, Part
from ._status import raise_broken_rows, raise_for_status
from .byte_strings import split_merged_bytes
from .tables import CodingTables

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

FREQ_PRECISION, BYPASS_PRECISION = 16, 4
CODEC = _native.get_codec("rans64", 1)

_STATE_BYTES = 8
_BROKEN = "its bytes are not what was encoded with these tables"
_PADDED_BYTES = 1 << 28
"""Memory that messages of different lengths may take together, or 4 times their own size."""

Message = Tuple[CodingTables, Integers, Integers]
"""Tables, symbols, and the table of each symbol."""


def check_tables(tables: CodingTables) -> CodingTables:
    """ValueError unless these are tables as CompressAI's coder uses them."""
    native = tables.native
    if native.freq_precision == FREQ_PRECISION and native.bypass_coding and not native.alias:
        return tables
    raise ValueError(
        "cdfs must be CodingTables with freq_precision=16, bypass_coding=True and alias=False, as "
        f"CompressAI's coder has them, got {tables!r}"
    )


def encode_message(tables: CodingTables, symbols: Integers, indexes: Integers) -> bytes:
    """One message; `encode_messages` of one part, for short calls."""
    if isinstance(symbols, torch.Tensor) or isinstance(indexes, torch.Tensor):
        return encode_parts([(tables, symbols, indexes)])
    found = _core.encode_message(CODEC, tables.native, symbols, indexes, BYPASS_PRECISION)
    if isinstance(found, bytes):
        return found
    raise_for_status(found[0], found[1], tables, _flat_tensor(symbols), _flat_tensor(indexes))


def encode_parts(parts: Sequence[Message]) -> bytes:
    """One message with several sequences of symbols, the first to be decoded first.

    Raises:
        IndexError: an index names no table.
        TypeError: a list or an array holds something else than integers.
        ValueError: there are not as many indexes as symbols.
    """
    operands: List[Part] = []
    kept: List[object] = []
    for tables, symbols, indexes in parts:
        count = check_sizes(symbols, indexes)
        split = Split(1, count, count)
        source, owner = _native_messages.operand(symbols, "symbols", split)
        index_source, index_owner = _native_messages.operand(indexes, "indexes", split)
        operands.append((tables.native, source, index_source, count))
        kept += [owner, index_owner]
    found = _native_messages.encode(CODEC, operands, 1, BYPASS_PRECISION)
    if isinstance(found, list):
        return found[0]
    status, number, _, position = found
    tables, symbols, indexes = parts[number]
    raise_for_status(status, position, tables, _flat_tensor(symbols), _flat_tensor(indexes))


def encode_rows(
    tables: CodingTables, symbols: torch.Tensor, indexes: Optional[torch.Tensor]
) -> List[bytes]:
    """A message for each element of the first dimension.

    Args:
        tables: the tables.
        symbols: integers of shape (B, ...).
        indexes: the table of each symbol, integers that broadcast to the symbols.

    Raises:
        IndexError: an index names no table.
        TypeError: an argument is no integer tensor.
        ValueError: a shape does not fit.
    """
    _native.check_integers(symbols, "symbols", cuda=True)
    indexes = index_tensor(indexes, tables, symbols.shape)
    split = _split_of(symbols)
    if _native.any_cuda(symbols, indexes):
        _native.check_devices(symbols, "symbols", {"indexes": indexes})
        coding = Coding(CODEC, tables, BYPASS_PRECISION)
        data = _cuda_stream.encode_bytes(coding, split, symbols, indexes, (4, False))
        return [_reverse_words(row) for row in split_merged_bytes(data)]
    source, _owner = _native.read_operand(symbols, split)
    return _encode_split(tables, source, symbols, indexes, split)


def encode_latents(
    tables: CodingTables,
    values: torch.Tensor,
    means: Optional[torch.Tensor],
    indexes: Optional[torch.Tensor],
) -> List[bytes]:
    """`encode_rows` of values without their means, rounded to even as by `torch.round`.

    Both are contiguous float32 in host memory, of shape (B, ...). What no int32 holds becomes the
    lowest, NaN included.
    """
    indexes = index_tensor(indexes, tables, values.shape)
    source = _native_messages.latents(values, means)
    return _encode_split(tables, source, None, indexes, _split_of(values))


def _encode_split(
    tables: CodingTables,
    source: Union[_native_messages.Operand, _core.Latents],
    symbols: Optional[torch.Tensor],
    indexes: Optional[torch.Tensor],
    split: Split,
) -> List[bytes]:
    index_source, _owner = (None, None) if indexes is None else _native.read_operand(indexes, split)
    part = (tables.native, source, index_source, split.row_length)
    found = _native_messages.encode(CODEC, [part], split.rows, BYPASS_PRECISION)
    if isinstance(found, list):
        return found
    status, _, row, position = found
    raise_for_status(status, row * split.row_length + position, tables, symbols, indexes)


def decode_rows(
    tables: CodingTables,
    messages: Sequence[Data],
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
    means: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """The inverse of `encode_rows`, into `out`: contiguous int32 of shape (B, ...).

    Or that of `encode_latents`: `out` is contiguous float32 in host memory, and so are `means`.

    Raises:
        CorruptStreamError: messages that cannot be decoded; `rows` lists them.
        IndexError: an index names no table.
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit.
    """
    split = _split_of(out)
    if len(messages) != split.rows:
        raise ValueError(f"expected {split.rows} byte strings, got {len(messages)}")
    messages = [check_data(message, f"strings[{row}]") for row, message in enumerate(messages)]
    indexes = index_tensor(indexes, tables, out.shape)
    if _native.any_cuda(out, indexes):
        _native.check_devices(out, "out", {"indexes": indexes})
        return _decode_cuda(tables, messages, indexes, out)
    longest, total = max(map(len, messages), default=0), sum(map(len, messages))
    if len(messages) > 1 and len(messages) * longest > max(_PADDED_BYTES, 4 * total):
        for row in range(split.rows):  # a forged batch must not take far more memory than its size
            part = None if indexes is None else indexes[row : row + 1]
            mean = None if means is None else means[row : row + 1]
            _decode_together(tables, messages[row : row + 1], part, out[row : row + 1], mean)
        return out
    return _decode_together(tables, messages, indexes, out, means)


def _decode_together(
    tables: CodingTables,
    messages: Sequence[Data],
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
    means: Optional[torch.Tensor],
) -> torch.Tensor:
    reader = _core.MessageReader(CODEC, messages)
    return decode_tensor(reader, tables, indexes, out, _split_of(out), means)


def decode_tensor(
    reader: _core.MessageReader,
    tables: CodingTables,
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
    split: Split,
    means: Optional[torch.Tensor] = None,
) -> torch.Tensor:
    """Takes symbols off messages, into `out`: contiguous int32, or float32, in host memory."""
    source, _owner = (None, None) if indexes is None else _native.read_operand(indexes, split)
    target = _native_messages.latents(out, means) if out.is_floating_point() else out
    found = _native_messages.decode(reader, tables.native, source, target, split, BYPASS_PRECISION)
    raise_if_failed(found, tables, indexes, split)
    return out


def decode_message(tables: CodingTables, message: Data, indexes: List[int]) -> List[int]:
    """The first symbols of a message, one for each index."""
    found = _core.decode_message(CODEC, tables.native, message, indexes, BYPASS_PRECISION)
    if isinstance(found, list):
        return found
    raise_if_failed(found, tables, indexes, Split(1, 0, 0))
    return []


def decode_list(
    reader: _core.MessageReader, tables: CodingTables, indexes: Union[Sequence[int], Array]
) -> List[int]:
    """Takes a symbol for each index off a message."""
    found = reader.decode(tables.native, indexes, None, 0, BYPASS_PRECISION, 1)
    if isinstance(found, list):
        return found
    raise_if_failed(found, tables, indexes, Split(1, 0, 0))
    return []


def decode_array(reader: _core.MessageReader, tables: CodingTables, indexes: Array) -> Array:
    """Takes a symbol for each index off a message, as int32 of the indexes' shape."""
    out = np.empty(indexes.shape, np.int32)
    found = reader.decode(tables.native, indexes, out, 0, BYPASS_PRECISION, 1)
    raise_if_failed(found, tables, indexes, Split(1, 0, 0))
    return out


def raise_if_failed(
    found: Outcome, tables: CodingTables, indexes: Optional[Integers], split: Split
) -> None:
    """Raises what a status of `MessageReader.decode` means."""
    if isinstance(found, list) or found[0] == _core.OK:
        return
    status, row, position, broken = found
    if status == _core.CORRUPT:
        raise_broken_rows(broken, split.rows, _BROKEN)
    flat = None if indexes is None else _flat_tensor(indexes)
    raise_for_status(status, row * split.row_length + position, tables, None, flat)


def _decode_cuda(
    tables: CodingTables,
    messages: Sequence[Data],
    indexes: Optional[torch.Tensor],
    out: torch.Tensor,
) -> torch.Tensor:
    rows = [_reverse_words(message) for message in messages]
    spans: List[Tuple[int, int]] = []
    for row in rows:
        spans.append((sum(spans[-1]) if spans else 0, len(row)))
    coding = Coding(CODEC, tables, BYPASS_PRECISION)
    data, places = b"".join(rows), _core.RowSpans(spans)
    _cuda_stream.decode_bytes(coding, data, places, _split_of(out), indexes, out)
    return out


def _reverse_words(data: Data) -> bytes:
    """A message as the bytes of a row, and the other way round."""
    head, words = bytes(data[:_STATE_BYTES]), bytes(data[_STATE_BYTES:])
    if len(words) % 4:
        return head + words  # broken, and the decoder will say so
    return head + np.frombuffer(words, "<u4")[::-1].tobytes()


def check_data(data: object, name: str) -> Data:
    """Bytes-like data, of one dimension; TypeError otherwise."""
    if isinstance(data, (bytes, bytearray)):
        return data
    if isinstance(data, memoryview):
        return data_of(data, name)
    raise TypeError(f"{name} must be bytes-like, got {type(data).__name__}")


def size_of(values: Integers, name: str) -> int:
    """How many integers there are; TypeError for what has no size."""
    if isinstance(values, torch.Tensor):
        return values.numel()
    if isinstance(values, np.ndarray):
        return values.size
    try:
        return len(values)
    except TypeError:
        raise TypeError(
            f"{name} must be a list of ints, a NumPy array or a tensor, got {type(values).__name__}"
        ) from None


def check_sizes(symbols: Integers, indexes: Integers) -> int:
    """How many symbols there are; ValueError unless there are as many indexes."""
    count, num_indexes = size_of(symbols, "symbols"), size_of(indexes, "indexes")
    if count != num_indexes:
        raise ValueError(
            f"indexes must have one element for each of the {count} symbols, got {num_indexes}"
        )
    return count


def _split_of(tensor: torch.Tensor) -> Split:
    if not tensor.dim():
        raise ValueError("symbols must have shape (B, ...), got ()")
    rows = tensor.shape[0]
    return Split(rows, tensor.numel() // rows if rows else 0, tensor.numel())


def _flat_tensor(values: Integers) -> torch.Tensor:
    """The integers as a tensor, for an error message."""
    if isinstance(values, torch.Tensor):
        return values.reshape(-1)
    return torch.from_numpy(np.array(values).astype(np.int64)).reshape(-1)
