"""The tables that callers of CompressAI's coder pass with every call, prepared once."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, List, Optional, Sequence, Tuple, Union

import numpy as np
import torch

from .. import _core
from .._messages import FREQ_PRECISION, check_tables
from .._native_messages import Integers, read_tables
from .._table_cache import cached_tables
from ..tables import CodingTables

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]

__all__ = ["Cdfs", "find_tables"]

Cdfs = Union[CodingTables, Sequence[Sequence[int]], "Array", torch.Tensor]

_KEPT = 8
_MOST_ENTRIES = 1 << 20
"""Larger tables are taken for distributions of single symbols: used once, and not kept."""

_lock = threading.Lock()
_lists: List[Tuple[_core.TableLists, CodingTables]] = []
_arrays: List[Tuple[Tuple[Array, ...], CodingTables]] = []


def find_tables(
    cdfs: Cdfs, cdfs_sizes: Optional[Integers], offsets: Optional[Integers]
) -> CodingTables:
    """`CodingTables` of a call's arguments, from a cache if they have not changed.

    Tensors are recognised by identity and version, lists by the ints that they hold, and arrays by
    their numbers: all may be changed between calls.

    Args:
        cdfs: prepared tables, or rows of CDFs: lists, or an array or a tensor (K, width).
        cdfs_sizes: entries that count in each row; None with prepared tables.
        offsets: the smallest symbol of each table; None with prepared tables.

    Raises:
        TypeError: an argument is missing, or holds something else than integers.
        ValueError: the tables are not valid.
    """
    if isinstance(cdfs, CodingTables):
        if cdfs_sizes is not None or offsets is not None:
            raise ValueError("cdfs_sizes and offsets must be None where cdfs are CodingTables")
        return check_tables(cdfs)
    if cdfs_sizes is None or offsets is None:
        raise TypeError("cdfs_sizes and offsets may be left out only where cdfs are CodingTables")
    arguments = (cdfs, cdfs_sizes, offsets)
    tensors = [isinstance(value, torch.Tensor) for value in arguments]
    arrays = [isinstance(value, np.ndarray) for value in arguments]
    if not any(tensors) and not any(arrays):
        return _from_lists(arguments)
    if all(tensors):
        return cached_tables(arguments, FREQ_PRECISION, True)  # type: ignore[arg-type]
    return _from_arrays(tuple([_to_array(value) for value in arguments]))


def _from_lists(arguments: Tuple[Any, Any, Any]) -> CodingTables:
    for known, tables in _lists:
        if known.holds(*arguments):
            return tables
    lists = _core.TableLists(*arguments)
    if lists.num_entries > _MOST_ENTRIES:
        return CodingTables(*read_tables(lists), FREQ_PRECISION, inverse_cdf_precision=0)
    entry = (lists, next((tables for known, tables in _lists if known.equals(lists)), None))
    tables = entry[1] or CodingTables(*read_tables(lists), FREQ_PRECISION)
    with _lock:  # the same numbers in other objects take the place of those
        _lists[:] = [(lists, tables), *[e for e in _lists if e[1] is not tables]][:_KEPT]
    return tables


def _from_arrays(arrays: Tuple[Array, ...]) -> CodingTables:
    for known, tables in _arrays:
        if all(map(np.array_equal, known, arrays)):
            return tables
    copies = tuple([np.array(array) for array in arrays])
    cdfs, sizes, offsets = map(torch.from_numpy, copies)
    tables = CodingTables(cdfs, sizes, offsets, FREQ_PRECISION)
    with _lock:
        _arrays[:] = [(copies, tables), *_arrays][:_KEPT]
    return tables


def _to_array(values: Any) -> Array:
    array: Array = values.cpu().numpy() if isinstance(values, torch.Tensor) else np.asarray(values)
    return array
