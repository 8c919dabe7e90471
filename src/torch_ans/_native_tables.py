"""`_native.py` for tables: built, quantised and bound from tensors in host memory."""

from __future__ import annotations

from typing import List, Optional, Tuple

import torch

from . import _core
from ._native import Operand, address, allocate

__all__ = [
    "alias_tables",
    "bind_contexts",
    "build_tables",
    "inverse_cdfs",
    "quantize_pmf",
    "tans_tables",
]


def build_tables(
    cdfs: torch.Tensor,
    cdfs_sizes: torch.Tensor,
    offsets: torch.Tensor,
    freq_precision: int,
    bypass_coding: bool,
    alias: bool,
    inverse_cdf_precision: int,
) -> _core.CodingTables:
    """Native tables of contiguous int32 (K, width), (K,), (K,), which are copied."""
    num_tables, width = cdfs.shape
    return _core.CodingTables(
        address(cdfs),
        num_tables,
        width,
        address(cdfs_sizes),
        address(offsets),
        freq_precision,
        bypass_coding,
        alias,
        inverse_cdf_precision,
    )


def quantize_pmf(
    pmf: torch.Tensor, lengths: Optional[torch.Tensor], freq_precision: int
) -> torch.Tensor:
    """Int32 (K, length + 1) of a contiguous float32 or int64 (K, length) and int32 (K,)."""
    rows, length = pmf.shape
    out = allocate((rows, length + 1))
    name = "float32" if pmf.dtype == torch.float32 else "int64"
    ends = 0 if lengths is None else address(lengths)
    _core.quantize_pmf(address(pmf), name, rows, length, ends, freq_precision, address(out))
    return out


def alias_tables(
    cdfs: torch.Tensor, cdfs_sizes: torch.Tensor, freq_precision: int
) -> Tuple[torch.Tensor, torch.Tensor]:
    """(remap rows, alias rows) of contiguous int32 (K, width) and (K,)."""
    num_tables, width = cdfs.shape
    largest = min(int(cdfs_sizes.max()), width) if num_tables else 2
    remap_width, table_width = _core.alias_widths(largest, freq_precision)
    remap = allocate((num_tables, remap_width)).zero_()
    table = allocate((num_tables, table_width)).zero_()
    source = (address(cdfs), num_tables, width, address(cdfs_sizes), freq_precision)
    _core.build_alias_table(*source, address(remap), remap_width, address(table), table_width)
    return remap, table


def inverse_cdfs(
    cdfs: torch.Tensor, cdfs_sizes: torch.Tensor, freq_precision: int, table_precision: int
) -> torch.Tensor:
    """Int32 (K, width + 2**table_precision): each row followed by its inverse."""
    num_tables, width = cdfs.shape
    out = allocate((num_tables, width + (1 << table_precision)))
    source = (address(cdfs), num_tables, width, address(cdfs_sizes), freq_precision)
    _core.build_inverse_cdf(*source, table_precision, address(out), out.shape[1])
    return out


def tans_tables(cdfs: torch.Tensor, cdfs_sizes: torch.Tensor, table_log: int) -> torch.Tensor:
    """Int32 (K, 3 * 2**table_log + 2 * width) of contiguous int32 (K, width) and (K,)."""
    num_tables, width = cdfs.shape
    out = allocate((num_tables, 3 * (1 << table_log) + 2 * width)).zero_()
    source = (address(cdfs), num_tables, width, address(cdfs_sizes), table_log)
    _core.build_tans_tables(*source, address(out), out.shape[1])
    return out


def bind_contexts(
    ar_tables: torch.Tensor, offsets: List[int], sets: Optional[Operand]
) -> _core.Contexts:
    """What a call needs of contiguous int32 `ar_tables`, which it does not keep alive."""
    shape = list(ar_tables.shape)
    return _core.Contexts(address(ar_tables), shape, offsets, None if sets is None else sets[0])
