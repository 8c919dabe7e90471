"""Tables of quantised probabilities: checked once, built once, shared by all calls.

A table is a row of a CDF tensor: strictly increasing from 0 to `cdf[size - 1] == 2**precision`.
Symbol `offset + i` has the probability `(cdf[i + 1] - cdf[i]) / 2**precision`. With bypass coding
the last entry is no symbol but the escape: `size - 2` symbols are coded with the table, every other
integer behind the escape.
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Dict, Optional, Tuple, Union

import torch

from . import _core, _native, _native_tables
from ._native_cuda_tables import DeviceTables
from ._numbers import check_range

__all__ = ["CodingTables"]

_AUTO = -1
_MOST_PRECISION = 16


class CodingTables:
    """K immutable tables, ready for encoding and decoding.

    Building them costs more than a short call: build them once and pass them as `cdfs` to the
    low-level functions (whose own cache finds tensors that did not change) or use
    `TorchANSInterface`, which holds them.

    Args:
        cdfs: integers of shape (K, width), or (width,) for one table; copied. Those on a CUDA
            device are checked there, and what its coders need is built there; the CPU's tables are
            made when something asks for them.
        cdfs_sizes: entries that count in each row, shape (K,); None: all. What lies behind them is
            not read, so that rows with an alias table or an inverse CDF appended may be passed too.
        offsets: the smallest symbol of each table, shape (K,); None: 0.
        freq_precision: bits of the probabilities: rows end at `2**freq_precision`.
        bypass_coding: the last entry of each row is the escape for all other integers.
        alias: code slots in the order of the alias method (other bytes than without).
        inverse_cdf_precision: the decoder's lookup has `2**inverse_cdf_precision` buckets a table;
            None or "auto" for what is fastest, 0 for a plain search. The bytes do not depend on it.

    Raises:
        TypeError: an argument is no integer tensor.
        ValueError: a shape does not fit, or a row is not a CDF (the message names it).

    Example:
        >>> tables = CodingTables(torch.tensor([[0, 3, 8], [0, 4, 8]]), freq_precision=3,
        ...                       bypass_coding=False)
        >>> tables.num_tables
        2
    """

    __slots__ = (
        "__weakref__",
        "_cdfs",
        "_cdfs_sizes",
        "_devices",
        "_native",
        "_offsets",
        "_options",
    )

    @_native.fork_safe
    def __init__(
        self,
        cdfs: torch.Tensor,
        cdfs_sizes: Optional[torch.Tensor] = None,
        offsets: Optional[torch.Tensor] = None,
        freq_precision: int = 16,
        bypass_coding: bool = True,
        *,
        alias: bool = False,
        inverse_cdf_precision: Union[int, str, None] = None,
    ) -> None:
        misfits: Dict[str, torch.Tensor] = {}
        self._cdfs = cdf_rows(cdfs, misfits=misfits)
        (count, width), device = self._cdfs.shape, self._cdfs.device
        self._cdfs_sizes = per_table(cdfs_sizes, "cdfs_sizes", count, width, device, misfits)
        self._offsets = per_table(offsets, "offsets", count, 0, device, misfits)
        freq_precision = check_range(freq_precision, "freq_precision", 1, _MOST_PRECISION)
        lookup = lookup_precision(inverse_cdf_precision, freq_precision)
        self._options = freq_precision, bool(bypass_coding), bool(alias), lookup
        self._devices: Dict[torch.device, DeviceTables] = {}
        self._native: Optional[_core.CodingTables] = None
        if device.type == "cpu":
            self._native = self._build()
        else:
            self._devices[device] = DeviceTables(*self._tensors, self._options, misfits)

    @property
    def _tensors(self) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        return self._cdfs, self._cdfs_sizes, self._offsets

    @_native.fork_safe
    def _build(self) -> _core.CodingTables:
        cdfs, cdfs_sizes, offsets = (tensor.cpu() for tensor in self._tensors)
        return _native_tables.build_tables(cdfs, cdfs_sizes, offsets, *self._options)

    @property
    def native(self) -> _core.CodingTables:
        """The tables in the native module, for coding on the CPU."""
        if self._native is None:
            self._native = self._build()
        return self._native

    def on(self, device: torch.device) -> DeviceTables:
        """The tables on a CUDA device; making them there waits for the device once."""
        found = self._devices.get(device)
        if found is None:
            cdfs, cdfs_sizes, offsets = (tensor.to(device) for tensor in self._tensors)
            found = DeviceTables(cdfs, cdfs_sizes, offsets, self._options, {})
            self._devices[device] = found
        return found

    @property
    def cdfs(self) -> torch.Tensor:
        """The CDF rows, int32 (K, width), on the device that was given. Not to be changed."""
        return self._cdfs

    @property
    def cdfs_sizes(self) -> torch.Tensor:
        """Entries that count in each row, int32 (K,). Not to be changed."""
        return self._cdfs_sizes

    @property
    def offsets(self) -> torch.Tensor:
        """The smallest symbol of each table, int32 (K,). Not to be changed."""
        return self._offsets

    @property
    def num_tables(self) -> int:
        """K."""
        return self._cdfs.shape[0]

    @property
    def freq_precision(self) -> int:
        """Bits of the probabilities."""
        return self._options[0]

    @property
    def bypass_coding(self) -> bool:
        """Whether the last entry of a row is the escape for all other integers."""
        return self._options[1]

    @property
    def alias(self) -> bool:
        """Whether slots are in the order of the alias method."""
        return self._options[2]

    @property
    def nbytes(self) -> int:
        """Bytes of memory that the native tables take, here and on CUDA devices."""
        here = 0 if self._native is None else self._native.nbytes
        return here + sum(tables.nbytes for tables in self._devices.values())

    def __repr__(self) -> str:
        return (
            f"CodingTables(num_tables={self.num_tables}, freq_precision={self.freq_precision}, "
            f"bypass_coding={self.bypass_coding}, alias={self.alias})"
        )

    def __reduce__(self) -> Tuple[Callable[..., CodingTables], Tuple[object, ...]]:
        """Pickles the tensors, in host memory; the native tables are built again."""
        freq_precision, bypass_coding, alias, lookup = self._options
        q = None if lookup == _AUTO else lookup
        make = partial(CodingTables, alias=alias, inverse_cdf_precision=q)
        tensors = (tensor.cpu() for tensor in self._tensors)
        return make, (*tensors, freq_precision, bypass_coding)

    def __copy__(self) -> CodingTables:
        return self

    def __deepcopy__(self, memo: object) -> CodingTables:
        return self


def lookup_precision(value: Union[int, str, None], freq_precision: int) -> int:
    """`inverse_cdf_precision` as the native module wants it: -1 for "auto" and None.

    Raises:
        ValueError: neither "auto", None, nor 0 to `freq_precision`.
    """
    if value is None or (isinstance(value, str) and value.strip().lower() == "auto"):
        return _AUTO
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= freq_precision:
        return value
    raise ValueError(
        f"inverse_cdf_precision must be 'auto', None or an int in 0..{freq_precision} "
        f"(freq_precision), got {value!r}"
    )


_Misfits = Optional[Dict[str, torch.Tensor]]
"""Where narrowing notes what it would have to wait for on a device; None: it waits."""


def cdf_rows(cdfs: object, name: str = "cdfs", misfits: _Misfits = None) -> torch.Tensor:
    """A contiguous int32 (K, width) copy of one or more CDF rows, on their device."""
    tensor = _native.check_integers(cdfs, name, cuda=True)
    if tensor.dim() == 1:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() != 2:
        raise ValueError(f"{name} must have shape (K, width), got shape {tuple(tensor.shape)}")
    return _to_int32(tensor, name, misfits)


def per_table(
    values: Optional[torch.Tensor],
    name: str,
    num_tables: int,
    default: int,
    device: Optional[torch.device] = None,
    misfits: _Misfits = None,
) -> torch.Tensor:
    """A contiguous int32 (K,) copy of one number per table, on `device` (None: in host memory)."""
    if values is None:
        return torch.full((num_tables,), default, dtype=torch.int32, device=device or "cpu")
    tensor = _native.check_integers(values, name, cuda=True).reshape(-1)
    if tensor.shape[0] != num_tables:
        raise ValueError(
            f"{name} must have one entry for each of the {num_tables} tables, got shape "
            f"{tuple(values.shape)}"
        )
    return _to_int32(tensor.to(device or "cpu"), name, misfits)


def _to_int32(tensor: torch.Tensor, name: str, misfits: _Misfits) -> torch.Tensor:
    result = tensor.to(torch.int32, copy=True).contiguous()
    if tensor.dtype == torch.int64:
        misfit = (result != tensor).any()
        if misfits is not None and tensor.is_cuda:
            misfits[name] = misfit
        elif bool(misfit):
            raise ValueError(f"{name} has entries that do not fit into int32")
    return result
