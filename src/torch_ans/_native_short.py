"""Few symbols in one row, tensors to bytes and back: one native call, and little before it.

What is unusual, or wrong, is left to the long way round (`_stream`), which also says what it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Optional, Tuple

import torch

from . import _core
from ._native import INTEGER_NAMES, address

if TYPE_CHECKING:
    from .tables import CodingTables

    Coder = Tuple[_core.Codec, CodingTables, int, int]

__all__ = ["MOST_SYMBOLS", "decode", "encode"]

MOST_SYMBOLS = 4096
"""Longer calls give the GIL away, and the way to the native module is nothing to them."""


def encode(coder: Coder, symbols: torch.Tensor, indexes: Optional[torch.Tensor]) -> Optional[bytes]:
    """A row behind its length; None: take the long way.

    Args:
        coder: codec and tables, the bits of a bypass digit, the bytes of the length (0: none).
        symbols: integers.
        indexes: integers of the same shape, or None where there is one table.
    """
    count = symbols.numel()
    if count > MOST_SYMBOLS or not _is_plain(symbols):
        return None
    if indexes is not None and not _is_plain(indexes):
        return None
    codec, tables, bypass_precision, length_bytes = coder
    return _core.encode_short_row(
        codec,
        tables.native,
        symbols.data_ptr() or address(symbols),
        INTEGER_NAMES[symbols.dtype],
        0 if indexes is None or not count else indexes.data_ptr() or address(indexes),
        "int32" if indexes is None else INTEGER_NAMES[indexes.dtype],
        count,
        bypass_precision,
        length_bytes,
    )


def decode(coder: Coder, data: object, indexes: Optional[torch.Tensor], out: torch.Tensor) -> bool:
    """Decodes a row of `encode` into `out`; False: take the long way, `out` holds anything."""
    count = out.numel()
    if count > MOST_SYMBOLS or not _is_plain(out):
        return False
    if indexes is not None and not _is_plain(indexes):
        return False
    if not isinstance(data, (bytes, bytearray)) and not (
        isinstance(data, memoryview) and data.c_contiguous
    ):
        return False
    codec, tables, bypass_precision, length_bytes = coder
    return _core.decode_short_row(
        codec,
        tables.native,
        data,
        0 if indexes is None or not count else indexes.data_ptr() or address(indexes),
        "int32" if indexes is None else INTEGER_NAMES[indexes.dtype],
        out.data_ptr() or address(out),
        INTEGER_NAMES[out.dtype],
        count,
        bypass_precision,
        length_bytes,
    )


def _is_plain(tensor: torch.Tensor) -> bool:
    return tensor.is_contiguous() and not tensor.is_cuda
