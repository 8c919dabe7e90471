"""What low-level calls made of tensors last, so that it need not be made for every call."""

from __future__ import annotations

import threading
import weakref
from typing import Dict, Generic, Hashable, List, Optional, Sequence, Tuple, TypeVar, Union

import torch

from .quantize import tans_cdfs
from .tables import CodingTables

__all__ = ["TensorCache", "cached_tables", "identity_of"]

_Made = TypeVar("_Made")


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
    """
    given = [tensor for tensor in tensors if tensor is not None]
    identity = identity_of(given)
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


def identity_of(tensors: Sequence[torch.Tensor]) -> Tuple[Hashable, ...]:
    """What changes when one of the tensors does; () where that cannot be told.

    A tensor is the same if it is the same object with the same memory, shape and version counter.
    (The version counter does not see writes through `tensor.data`, or through a NumPy array that
    shares the memory.)
    """
    try:
        return tuple([(id(t), t._version, t.data_ptr(), t.shape) for t in tensors])
    except (AttributeError, RuntimeError):  # no tensor, or an inference tensor without a version
        return ()


class TensorCache(Generic[_Made]):
    """What was made of tensors last, under a key with their identity; forgotten with them."""

    SIZE = 16

    def __init__(self) -> None:
        self._entries: Dict[Hashable, Tuple[_Made, List[weakref.ref[torch.Tensor]]]] = {}
        self._lock = threading.RLock()

    def find(self, key: Hashable) -> Optional[_Made]:
        """What is under this key, which becomes the most recently used."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return None
        with self._lock:
            self._entries[key] = entry
        return entry[0]

    def keep(self, key: Hashable, made: _Made, sources: Sequence[torch.Tensor]) -> None:
        """Adds an entry that lives as long as the tensors; drops the oldest beyond `SIZE`."""

        def forget(_: object) -> None:
            self._entries.pop(key, None)

        entry = made, [weakref.ref(tensor, forget) for tensor in sources]
        with self._lock:
            self._entries[key] = entry
            while len(self._entries) > self.SIZE:
                self._entries.pop(next(iter(self._entries)), None)


_cache: TensorCache[CodingTables] = TensorCache()
