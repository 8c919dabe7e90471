"""What symbols cost on the quantised tables, without coding them."""

from __future__ import annotations

from typing import Optional, Tuple

import torch

from . import _core, _native
from ._status import raise_for_status
from .tables import CodingTables

__all__ = ["estimate_bits", "split_bits"]


@_native.fork_safe
def estimate_bits(
    tables: CodingTables,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    bypass_precision: int,
) -> torch.Tensor:
    """Bits of each symbol: `freq_precision - log2(freq)`, and the digits behind an escape.

    Args:
        tables: the tables.
        symbols: integers of any shape.
        indexes: the table of each symbol, of the same shape; None: table 0.
        bypass_precision: bits of a digit behind the escape.

    Returns:
        Float64 of the symbols' shape. The sum is what a coder needs, up to its states (the bits of
        a state per lane and row) and, far below a thousandth, its own rounding.

    Raises:
        IndexError: an index names no table.
        ValueError: a symbol is outside its table, without bypass.
    """
    table_bits, bypass_bits = split_bits(tables, symbols, indexes, bypass_precision)
    return table_bits + bypass_bits


def split_bits(
    tables: CodingTables,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    bypass_precision: int,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """The two parts of `estimate_bits`: of the symbol or the escape itself, and of its digits."""
    device = symbols.device
    _native.check_devices(symbols, "symbols", {"indexes": indexes})
    table = torch.zeros((), dtype=torch.int64, device=device)
    if indexes is not None:
        table = indexes.to(torch.int64)
    bad = (table < 0) | (table >= tables.num_tables)
    if bool(bad.any()):
        raise_for_status(_core.BAD_INDEX, _first(bad), tables, None, indexes)
    value = symbols.to(torch.int64) - tables.offsets.to(device, torch.int64)[table]
    last = tables.cdfs_sizes.to(device, torch.int64)[table] - 2  # the escape, under bypass
    inside = (value >= 0) & (value < last if tables.bypass_coding else value <= last)
    if not tables.bypass_coding and not bool(inside.all()):
        raise_for_status(_core.BAD_SYMBOL, _first(~inside), tables, symbols, indexes)
    slot = torch.where(inside, value, last)
    start = table * tables.cdfs.shape[1] + slot
    flat = tables.cdfs.to(device).reshape(-1)
    freq = (flat[start + 1] - flat[start]).to(torch.float64)
    bits = tables.freq_precision - torch.log2(freq)
    digits = torch.zeros_like(bits)
    escaped = ~inside
    if bool(escaped.any()):
        above = value[escaped] - last.expand(value.shape)[escaped]
        raw = torch.where(value[escaped] < 0, -2 * value[escaped] - 1, 2 * above)
        digits[escaped] = _digit_bits(raw, bypass_precision)
    return bits, digits


def _digit_bits(raw: torch.Tensor, bypass_precision: int) -> torch.Tensor:
    """Bits of raw (64 unsigned bits, as int64): n digits, and n in unary of the largest digit."""
    digits = torch.zeros_like(raw)
    rest = raw
    while bool((rest != 0).any()):
        digits += (rest != 0).to(torch.int64)
        # A logical shift: the arithmetic one copies the sign bit down.
        rest = (rest >> bypass_precision) & ((1 << (64 - bypass_precision)) - 1)
    most = (1 << bypass_precision) - 1
    prefix = torch.div(digits, most, rounding_mode="floor") + 1
    return ((digits + prefix) * bypass_precision).to(torch.float64)


def _first(mask: torch.Tensor) -> int:
    return int(mask.reshape(-1).to(torch.uint8).argmax())
