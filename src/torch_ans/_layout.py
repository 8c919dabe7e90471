"""How the elements of a strided tensor fall into the rows of a batch.

The native module reads symbols and indexes where they lie: element `i` of row `r` is at
`r * row_stride + (i // inner_size) * outer_stride + (i % inner_size) * inner_stride`. That covers
contiguous tensors, slices, and expanded ones such as an index per channel, shape (B, C, H, W) with
strides (0, 1, 0, 0) in B rows: row_stride 0, outer_stride 1, inner_stride 0, inner_size H * W.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Iterable, List, NamedTuple, Optional, Sequence, Tuple

__all__ = ["RowLayout", "Split", "row_layout", "split_rows"]

_Dim = Tuple[int, int]  # size, stride in elements


class Split(NamedTuple):
    """A flat sequence of `total` symbols cut into `rows` rows.

    Row `r` holds the symbols `r * row_length` to `min((r + 1) * row_length, total)`: the last rows
    are short, or empty, where `total < rows * row_length`.
    """

    rows: int
    row_length: int
    total: int


class RowLayout(NamedTuple):
    """Where the elements of a row lie. Strides in elements."""

    row_stride: int
    outer_stride: int
    inner_stride: int
    inner_size: int


def split_rows(total: int, rows: int) -> Split:
    """Cuts `total` symbols into `rows` rows, all as long as the first except the last ones.

    Example:
        >>> split_rows(10, 4)
        Split(rows=4, row_length=3, total=10)
    """
    return Split(rows, -(-total // rows) if rows else 0, total)


@lru_cache(maxsize=64)
def row_layout(
    shape: Tuple[int, ...], strides: Tuple[int, ...], split: Split
) -> Optional[RowLayout]:
    """The layout of a tensor with these sizes and strides, or None where two levels are too few.

    Args:
        shape: sizes of the tensor, whose product is `split.total`.
        strides: strides of the tensor in elements, 0 where it is expanded.
        split: how its elements, in row-major order, fall into rows.

    Example:
        >>> row_layout((2, 3, 5), (0, 1, 0), Split(2, 15, 30))
        RowLayout(row_stride=0, outer_stride=1, inner_stride=0, inner_size=5)
    """
    rows, row_length, total = split
    if total == 0:
        return RowLayout(0, 0, 0, 1)
    dims = _merge(zip(shape, strides))
    if len(dims) <= 1:  # one step from each element to the next, across rows too
        step = dims[0][1] if dims else 0
        return RowLayout(row_length * step, 0, step, row_length)
    if total != rows * row_length:
        return None
    parts = _cut(dims, rows)
    if parts is None:
        return None
    row_dims, inside = _merge(parts[0]), _merge(parts[1])
    if len(row_dims) > 1 or len(inside) > 2:
        return None
    row_stride = row_dims[0][1] if row_dims else 0
    outer_stride = inside[0][1] if len(inside) == 2 else 0
    inner_size, inner_stride = inside[-1] if inside else (1, 0)
    return RowLayout(row_stride, outer_stride, inner_stride, inner_size)


def _merge(dims: Iterable[_Dim]) -> List[_Dim]:
    """Joins neighbouring dimensions that one stride can walk; drops those of size 1."""
    merged: List[_Dim] = []
    for size, stride in dims:
        if size == 1:
            continue
        if merged and merged[-1][1] == stride * size:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    return merged


def _cut(dims: Sequence[_Dim], rows: int) -> Optional[Tuple[List[_Dim], List[_Dim]]]:
    """Cuts the dimensions where the rows end; None where a row ends inside an uneven one."""
    row_dims: List[_Dim] = []
    inside: List[_Dim] = []
    left = rows
    for size, stride in dims:
        if left == 1:
            inside.append((size, stride))
        elif left % size == 0:
            row_dims.append((size, stride))
            left //= size
        elif size % left == 0:
            row_dims.append((left, stride * (size // left)))
            inside.append((size // left, stride))
            left = 1
        else:
            return None
    return row_dims, inside
