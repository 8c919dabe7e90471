"""Checks of arguments that several public functions share."""

from __future__ import annotations

from typing import Optional, Sequence, Tuple, Union

import torch

from . import _core, _native
from ._contexts import ContextCall, index_limit
from ._numbers import check_range, check_size
from ._table_cache import cached_tables
from .tables import CodingTables
from .variant import is_tans


def check_bypass_precision(codec: _core.Codec, value: object) -> int:
    """Bits of a bypass digit; ValueError unless a state can take them."""
    most = codec.max_freq_precision
    if type(value) is int and 1 <= value <= most:
        return value
    return check_range(value, "bypass_precision", 1, most)


def check_freq_precision(family: str, value: object, name: str = "freq_precision") -> int:
    """Bits of probabilities; ValueError unless the family can code them."""
    most = _core.FAMILIES[family].max_freq_precision
    if type(value) is int and 1 <= value <= most:
        return value
    return check_range(value, name, 1, most, f" for {family}")


def check_dtype(value: object, name: str = "dtype") -> torch.dtype:
    """A dtype that symbols may have; TypeError otherwise."""
    if isinstance(value, torch.dtype) and value in _native.INTEGER_NAMES:
        return value
    names = ", ".join(_native.INTEGER_NAMES.values())
    raise TypeError(f"{name} must be an integer torch.dtype ({names}), got {value}")


def index_tensor(
    indexes: Optional[torch.Tensor],
    tables: CodingTables,
    shape: Sequence[int],
    contexts: Optional[ContextCall] = None,
) -> Optional[torch.Tensor]:
    """Indexes as an integer tensor of the symbols' shape, expanded without a copy.

    Raises:
        TypeError: not an integer tensor.
        ValueError: they do not broadcast, or are missing although there are several tables.
    """
    if indexes is None:
        if index_limit(tables, contexts) != 1:
            raise ValueError(
                "indexes may be None only where there is one table, got "
                f"{index_limit(tables, contexts)} tables"
            )
        return None
    _native.check_integers(indexes, "indexes", cuda=True)
    if indexes.shape == shape:
        return indexes
    try:
        return indexes.expand(shape)
    except RuntimeError:
        raise ValueError(
            f"indexes of shape {tuple(indexes.shape)} do not broadcast to the symbols' shape "
            f"{tuple(shape)}"
        ) from None


def new_output(
    out: Optional[torch.Tensor],
    shape: Sequence[int],
    dtype: torch.dtype,
    device: Optional[torch.device] = None,
) -> torch.Tensor:
    """`out`, which must be an integer tensor of this shape, or a new tensor of this dtype."""
    if out is None:
        return _native.allocate(shape, dtype, device)
    _native.check_integers(out, "out", cuda=True)
    if out.shape != shape:
        raise ValueError(f"out must have shape {tuple(shape)}, got {tuple(out.shape)}")
    return out


def pop_shape(
    indexes: Optional[torch.Tensor],
    out: Optional[torch.Tensor],
    rows: int,
    num_symbols: Optional[int],
) -> Tuple[int, int]:
    """The shape (B, N) of what a pop returns.

    Raises:
        TypeError: no argument says what N is.
        ValueError: an argument is not of shape (B, N).
    """
    if num_symbols is not None:
        return rows, check_size(num_symbols, "num_symbols")
    name, given = ("indexes", indexes) if out is None else ("out", out)
    if given is None:
        raise TypeError("without indexes, pop needs out= or num_symbols= to know how many symbols")
    shape = _native.check_tensor(given, name, cuda=True).shape
    if len(shape) != 2:
        raise ValueError(f"{name} must have shape (B, N), got {tuple(shape)}")
    return shape[0], shape[1]


def resolve_tables(
    family: str,
    rows: Tuple[
        Union[torch.Tensor, CodingTables, None], Optional[torch.Tensor], Optional[torch.Tensor]
    ],
    freq_precision: int,
    bypass_coding: bool,
    alias: bool = False,
    inverse_cdf_precision: Union[int, str, None] = None,
) -> CodingTables:
    """The tables that (cdfs, cdfs_sizes, offsets) and the parameters of a low-level call mean.

    Raises:
        TypeError: `cdfs` is neither an integer tensor nor `CodingTables`.
        ValueError: the tables are not valid, or not for this coder.
    """
    cdfs, cdfs_sizes, offsets = rows
    if not isinstance(cdfs, CodingTables):
        freq_precision = check_freq_precision(family, freq_precision)
        return cached_tables(
            (_native.check_integers(cdfs, "cdfs", cuda=True), cdfs_sizes, offsets),
            freq_precision,
            bypass_coding,
            alias,
            inverse_cdf_precision,
            tans=is_tans(family),
        )
    if cdfs_sizes is not None or offsets is not None:
        raise ValueError("cdfs_sizes and offsets must be None where cdfs are CodingTables")
    check_freq_precision(family, cdfs.freq_precision, "freq_precision of the CodingTables")
    if cdfs.alias != alias:
        kind = "alias tables" if alias else "tables without alias"
        raise ValueError(f"this function needs {kind}, got CodingTables with alias={cdfs.alias}")
    return cdfs
