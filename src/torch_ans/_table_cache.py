"""The tables that low-level calls used last, so that they need not be built for every call."""

from __future__ import annotations

import threading
import weakref
from typing import Dict, Hashable, List, NamedTuple, Optional, Tuple, Union

import torch

from .quantize import tans_cdfs
from .tables import CodingTables

__all__ = ["cached_tables"]


def cached_tables(
    tensors: Tuple[torch.Tensor, Optional[torch.Tensor], Optional[torch.Tensor]],
    freq_precision: int,
    bypass_coding: bool,
    alias: bool = False,
    inverse_cdf_precision: Union[int, str, None] = None,
    tans: bool = False,
) -> CodingTables:
    """`CodingTables` of (cdfs, cdfs_sizes, offsets), from the cache if none of them changed.

    With `tans`, `cdfs` may also be what `tans_build_tables` made of them.

    A tensor is the same if it is the same object with the same memory, shape and version counter.
    (The version counter does not see writes through a NumPy array that shares the memory.)
    """
    given = [tensor for tensor in tensors if tensor is not None]
    try:
        identity = tuple([(id(t), t._version, t.data_ptr(), t.shape) for t in given])
    except (AttributeError, RuntimeError):  # no tensor, or an inference tensor without a version
        identity = ()
    present = (tensors[1] is None, tensors[2] is None)
    key = (identity, present, freq_precision, bypass_coding, alias, inverse_cdf_precision, tans)
    tables = _cache.find(key) if identity else None
    if tables is None:
        if tans:
            inverse_cdf_precision = 0
        cdfs = tans_cdfs(tensors[0], tensors[1], freq_precision) if tans else tensors[0]
        tables = CodingTables(
            cdfs,
            *tensors[1:],
            freq_precision,
            bypass_coding,
            alias=alias,
            inverse_cdf_precision=inverse_cdf_precision,
        )
        if identity:
            _cache.keep(key, tables, given)
    return tables


class _Entry(NamedTuple):
    tables: CodingTables
    sources: List[weakref.ref[torch.Tensor]]


class _TableCache:
    """The tables used last, by what they were made from; forgotten with their tensors."""

    SIZE = 16

    def __init__(self) -> None:
        self._entries: Dict[Hashable, _Entry] = {}
        self._lock = threading.RLock()

    def find(self, key: Hashable) -> Optional[CodingTables]:
        """The tables under this key, which become the most recently used."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        with self._lock:
            self._entries[key] = entry
        return entry.tables

    def keep(self, key: Hashable, tables: CodingTables, sources: List[torch.Tensor]) -> None:
        """Adds an entry that lives as long as the tensors; drops the oldest beyond `SIZE`."""

        def forget(_: object) -> None:
            self._entries.pop(key, None)

        entry = _Entry(tables, [weakref.ref(tensor, forget) for tensor in sources])
        with self._lock:
            self._entries[key] = entry
            while len(self._entries) > self.SIZE:
                self._entries.pop(next(iter(self._entries)), None)


_cache = _TableCache()
