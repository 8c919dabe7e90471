"""What a status of the native module means to a Python user: which exception, in which words."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, NoReturn, Optional, Sequence, Tuple

from . import _core
from .errors import CorruptStreamError, TorchANSError

if TYPE_CHECKING:
    import torch

    from .tables import CodingTables

__all__ = ["describe_element", "raise_broken_rows", "raise_for_status"]

_ROWS_NAMED = 8
"""How many broken rows a message lists; the exception's `rows` holds them all."""


def raise_for_status(
    code: int,
    position: int,
    tables: CodingTables,
    symbols: Optional[torch.Tensor],
    indexes: Optional[torch.Tensor],
    num_indexes: Optional[int] = None,
) -> NoReturn:
    """Raises what a status other than OK means.

    Args:
        code: the status.
        position: where, as an offset into the flat (row-major) sequence of symbols.
        tables: the tables that were used.
        symbols: what was encoded; None when decoding.
        indexes: the index of each symbol, in the same order; None when all use table 0.
        num_indexes: where contexts choose the tables, what an index must be below.

    Raises:
        IndexError: an index names no table.
        ValueError: a symbol that its table cannot code, or a row that would pass 2 GiB.
    """
    if code == _core.BAD_INDEX and indexes is not None:
        limit = tables.num_tables if num_indexes is None else num_indexes
        raise IndexError(
            f"{describe_element('indexes', indexes, position)}, expected an index of one of the "
            f"{limit} tables, 0 to {limit - 1}"
        )
    if code == _core.BAD_SYMBOL and symbols is not None and num_indexes is not None:
        raise ValueError(
            f"{describe_element('symbols', symbols, position)}, but the table that its contexts "
            "choose does not code it and bypass_coding is False"
        )
    if code == _core.BAD_SYMBOL and symbols is not None:
        table = 0 if indexes is None else int(_item(indexes, position))
        low = int(tables.offsets[table])
        high = low + int(tables.cdfs_sizes[table]) - 2
        raise ValueError(
            f"{describe_element('symbols', symbols, position)}, but table {table} codes {low} to "
            f"{high} and bypass_coding is {tables.bypass_coding}"
        )
    if code == _core.NO_SPACE:
        raise ValueError(
            "a row of the stream would pass 2 GiB, the most that its length word can say; "
            "use more rows"
        )
    raise TorchANSError(f"the native module returned status {code}")


def raise_broken_rows(rows: Sequence[int], total: int, detail: str) -> NoReturn:
    """Raises `CorruptStreamError` for rows that no encoder wrote with these tables."""
    named: List[str] = [str(row) for row in rows[:_ROWS_NAMED]]
    if len(rows) > _ROWS_NAMED:
        named.append("...")
    noun = "row" if len(rows) == 1 else "rows"
    raise CorruptStreamError(
        f"{len(rows)} of {total} rows of the stream cannot be decoded: {noun} "
        f"{', '.join(named)} ({detail})",
        rows,
    )


def _item(tensor: torch.Tensor, position: int) -> float:
    """One element by its offset into the row-major sequence, without a copy of the tensor."""
    return tensor[_coordinates(tensor, position)].item()


def _coordinates(tensor: torch.Tensor, position: int) -> Tuple[int, ...]:
    coordinates: List[int] = []
    for size in reversed(tensor.shape):
        position, coordinate = divmod(position, size)
        coordinates.append(coordinate)
    return tuple(reversed(coordinates))


def describe_element(name: str, tensor: torch.Tensor, position: int) -> str:
    """Names one element and its value: `indexes[2, 5] is 70`."""
    where = ", ".join(map(str, _coordinates(tensor, position)))
    return f"{name}[{where}] is {_item(tensor, position)}"
