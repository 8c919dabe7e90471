"""Messages, CompressAI's byte strings: rows whose words stand in the reverse order.

Like `_native`, this is where what the caller has becomes what the native module takes. Lists and
NumPy arrays it takes as they are: arrays are read where they lie.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Union

import torch

from . import _core, _native
from ._layout import Split

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = ["Integers", "Part", "decode", "encode", "latents", "operand", "read_tables"]

Integers = Union[Sequence[int], "Array", torch.Tensor]
"""Integers of any shape: a list, which is copied, or an array, which is read where it lies."""

Operand = Union[_core.IntArray, Sequence[int], "Array"]

Part = Tuple[_core.CodingTables, Union[Operand, _core.Latents], Optional[Operand], int]
"""Tables, symbols, indexes, and the symbols of a row (0: as many as there are in a list)."""

Outcome = Union[List[int], Tuple[int, int, int, List[int]]]
"""The symbols, or (status, row, position, broken rows)."""


def operand(values: Integers, name: str, split: Split) -> Tuple[Operand, object]:
    """Integers as the native module takes them, and what keeps their memory alive."""
    if isinstance(values, torch.Tensor):
        return _native.read_operand(_native.check_integers(values, name), split)
    return values, values


def latents(values: torch.Tensor, means: Optional[torch.Tensor]) -> _core.Latents:
    """Contiguous float32 tensors in host memory, of one shape, in place of symbols."""
    return _core.Latents(_native.address(values), 0 if means is None else _native.address(means))


def encode(
    codec: _core.Codec, parts: Sequence[Part], rows: int, bypass_precision: int
) -> Union[List[bytes], Tuple[int, int, int, int]]:
    """The message of each row, or (status, part, row, position); the first part decodes first."""
    threads = 1 if rows == 1 else _native.thread_count()
    return _core.encode_messages(codec, parts, rows, bypass_precision, threads)


def decode(
    reader: _core.MessageReader,
    tables: _core.CodingTables,
    indexes: Optional[Operand],
    out: Union[torch.Tensor, _core.Latents],
    split: Split,
    bypass_precision: int,
) -> Outcome:
    """Takes symbols off messages, into a contiguous int32 tensor or `latents`."""
    threads = 1 if split.rows == 1 else _native.thread_count()
    length = split.row_length
    target = (
        _core.IntArray(_native.address(out), "int32", length, 0, 1, length or 1)
        if isinstance(out, torch.Tensor)
        else out
    )
    return reader.decode(tables, indexes, target, length, bypass_precision, threads)


def read_tables(lists: _core.TableLists) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Int32 (K, width), (K,) and (K,): CDFs, sizes and offsets of tables given as lists."""
    count = lists.num_tables
    cdfs = _native.allocate((count, lists.width))
    sizes, offsets = _native.allocate((count,)), _native.allocate((count,))
    lists.fill(_native.address(cdfs), _native.address(sizes), _native.address(offsets))
    return cdfs, sizes, offsets
