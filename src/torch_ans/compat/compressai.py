"""CompressAI's entropy coder: `compressai.ans` and `pmf_to_quantized_cdf`, the same bytes, faster.

`RansEncoder`, `BufferedRansEncoder` and `RansDecoder` have the methods, the arguments and the bytes
of `compressai.ans` 1.2.8. Beyond that, integers may be NumPy arrays or tensors, which are read
where they lie, and `cdfs` may be `torch_ans.CodingTables`, with `cdfs_sizes` and `offsets` left
out: that is the fastest for short calls. Bad bytes and bad arguments raise an exception.

`install()` puts these into CompressAI itself, so that its models use them.

The coder is range ANS with a 64-bit state and 32-bit words (J. Duda, Asymmetric numeral systems,
2013; F. Giesen, Interleaved entropy coders, 2014); escapes are Exp-Golomb-like digits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, List, Optional, Sequence, TypeVar

import numpy as np
import torch

from .. import _core
from .._layout import Split
from .._messages import (
    CODEC,
    Message,
    check_data,
    check_sizes,
    decode_array,
    decode_list,
    decode_message,
    decode_tensor,
    encode_message,
    encode_parts,
)
from .._native import Data, check_integers
from .._native_messages import Integers
from ..quantize import rans_pmf_to_quantized_cdf
from ..tables import CodingTables
from ._install import Installation, install, uninstall
from ._tables import Cdfs, find_tables

if TYPE_CHECKING:
    Array = np.ndarray[Any, Any]
    _Integers = TypeVar("_Integers", Sequence[int], "Array", torch.Tensor)

__all__ = [
    "BufferedRansEncoder",
    "Installation",
    "RansDecoder",
    "RansEncoder",
    "install",
    "pmf_to_quantized_cdf",
    "uninstall",
]


class RansEncoder:
    """Codes symbols into bytes, each call on its own.

    Example:
        >>> symbols, indexes = [2, 1, -70], [0, 0, 1]  # -70 is outside its table: an escape
        >>> tables = ([[0, 40000, 65000, 65535, 65536], [0, 65535, 65536]], [5, 3], [0, -4])
        >>> data = RansEncoder().encode_with_indexes(symbols, indexes, *tables)
        >>> RansDecoder().decode_with_indexes(data, indexes, *tables)
        [2, 1, -70]
    """

    _tables: Optional[CodingTables] = None  # that passed the checks

    def encode_with_indexes(
        self,
        symbols: Integers,
        indexes: Integers,
        cdfs: Cdfs,
        cdfs_sizes: Optional[Integers] = None,
        offsets: Optional[Integers] = None,
    ) -> bytes:
        """Codes symbols, each with the table that its index names.

        Args:
            symbols: integers: a list, or an array or a tensor of any shape.
            indexes: the table of each symbol, as many as there are symbols.
            cdfs: K rows from 0 to `2**16`, the last symbol of each the escape; or `CodingTables`.
            cdfs_sizes: entries that count in each row, K integers.
            offsets: the smallest symbol of each table, K integers.

        Raises:
            IndexError: an index names no table.
            TypeError: something else than integers.
            ValueError: tables that are not valid, or not as many indexes as symbols.
        """
        tables = self._tables
        if tables is None or cdfs is not tables or cdfs_sizes is not None or offsets is not None:
            tables = find_tables(cdfs, cdfs_sizes, offsets)
            self._tables = tables if cdfs is tables else None
        return encode_message(tables, symbols, indexes)


class BufferedRansEncoder:
    """Collects the symbols of several calls; `flush` codes them, to be decoded in their order.

    Example:
        >>> tables = ([[0, 40000, 65000, 65535, 65536]], [5], [0])
        >>> encoder, decoder = BufferedRansEncoder(), RansDecoder()
        >>> encoder.encode_with_indexes([0, 1], [0, 0], *tables)
        >>> encoder.encode_with_indexes([2], [0], *tables)
        >>> decoder.set_stream(encoder.flush())
        >>> decoder.decode_stream([0], *tables), decoder.decode_stream([0, 0], *tables)
        ([0], [1, 2])
    """

    def __init__(self) -> None:
        self._parts: List[Message] = []

    def encode_with_indexes(
        self,
        symbols: Integers,
        indexes: Integers,
        cdfs: Cdfs,
        cdfs_sizes: Optional[Integers] = None,
        offsets: Optional[Integers] = None,
    ) -> None:
        """Appends a copy of the symbols; arguments and errors as in `RansEncoder`."""
        tables = find_tables(cdfs, cdfs_sizes, offsets)
        check_sizes(symbols, indexes)
        self._parts.append((tables, _copy(symbols, "symbols"), _copy(indexes, "indexes")))

    def flush(self) -> bytes:
        """The bytes of all that was collected; the encoder is empty after that.

        Raises:
            IndexError: an index names no table; the encoder stays as it was.
        """
        data = encode_parts(self._parts)
        self._parts = []
        return data


class RansDecoder:
    """Decodes what the encoders wrote.

    Decoded symbols come as the indexes do: a list for a list, an int32 array or tensor of the same
    shape for an array or a tensor.
    """

    def __init__(self) -> None:
        self._stream: Optional[_core.MessageReader] = None
        self._tables: Optional[CodingTables] = None  # that passed the checks

    def decode_with_indexes(
        self,
        encoded: Data,
        indexes: _Integers,
        cdfs: Cdfs,
        cdfs_sizes: Optional[Integers] = None,
        offsets: Optional[Integers] = None,
    ) -> _Integers:
        """Decodes the first symbols of `encoded`, one for each index.

        Args:
            encoded: what an encoder returned.
            indexes: the table of each symbol.
            cdfs: as for `RansEncoder`, likewise the rest.
            cdfs_sizes: entries that count in each row.
            offsets: the smallest symbol of each table.

        Raises:
            CorruptStreamError: bytes that were not coded with these tables.
            IndexError: an index names no table.
            TypeError: an argument has the wrong type.
            ValueError: tables that are not valid.
        """
        encoded = check_data(encoded, "encoded")
        tables, plain = self._tables, cdfs_sizes is None and offsets is None
        if tables is not None and cdfs is tables and plain and type(indexes) is list:
            return decode_message(tables, encoded, indexes)  # for short calls
        reader = _core.MessageReader(CODEC, (encoded,))
        found: _Integers = self._decode(reader, indexes, cdfs, cdfs_sizes, offsets)
        return found

    def set_stream(self, encoded: Data) -> None:
        """Keeps a copy of bytes for `decode_stream`."""
        self._stream = _core.MessageReader(CODEC, (check_data(encoded, "encoded"),))

    def decode_stream(
        self,
        indexes: _Integers,
        cdfs: Cdfs,
        cdfs_sizes: Optional[Integers] = None,
        offsets: Optional[Integers] = None,
    ) -> _Integers:
        """Decodes the next symbols of the stream of `set_stream`; errors leave it as it was.

        Raises:
            RuntimeError: there is no stream yet. The others are those of `decode_with_indexes`.
        """
        if self._stream is None:
            raise RuntimeError("there is no stream yet: call set_stream first")
        found: _Integers = self._decode(self._stream, indexes, cdfs, cdfs_sizes, offsets)
        return found

    def _decode(
        self,
        reader: _core.MessageReader,
        indexes: Any,
        cdfs: Cdfs,
        cdfs_sizes: Optional[Integers],
        offsets: Optional[Integers],
    ) -> Any:
        tables = self._tables
        if tables is None or cdfs is not tables or cdfs_sizes is not None or offsets is not None:
            tables = find_tables(cdfs, cdfs_sizes, offsets)
            self._tables = tables if cdfs is tables else None
        if isinstance(indexes, torch.Tensor):
            source = check_integers(indexes, "indexes")
            out = torch.empty(indexes.shape, dtype=torch.int32, device="cpu")
            return decode_tensor(reader, tables, source, out, Split(1, out.numel(), out.numel()))
        if isinstance(indexes, np.ndarray):
            return decode_array(reader, tables, indexes)
        return decode_list(reader, tables, indexes)


def pmf_to_quantized_cdf(pmf: Any, precision: int = 16) -> Any:
    """Quantises the probabilities of one table so that each symbol keeps a count of at least 1.

    Args:
        pmf: probabilities, taken as float32: a list, or a 1-D array or tensor.
        precision: bits of the result, 1 to 16.

    Returns:
        From 0 to `2**precision`, one entry more than `pmf`: a list for a list, an int32 array or
        tensor for an array or a tensor.

    Raises:
        TypeError: `pmf` holds no numbers.
        ValueError: it is empty, negative, not finite or zero, or has too many symbols.

    Example:
        >>> pmf_to_quantized_cdf([0.5, 0.25, 0.25], 4)
        [0, 8, 12, 16]
    """
    if isinstance(pmf, torch.Tensor):
        return rans_pmf_to_quantized_cdf(pmf, precision)
    try:
        array = np.array(pmf, dtype=np.float32)
    except (TypeError, ValueError) as error:
        raise TypeError(f"pmf must be a list of floats, an array or a tensor: {error}") from None
    if array.ndim != 1:
        raise ValueError(f"pmf must have one dimension, got shape {array.shape}")
    cdf = rans_pmf_to_quantized_cdf(torch.from_numpy(array), precision)
    return cdf.numpy() if isinstance(pmf, np.ndarray) else cdf.tolist()


def _copy(values: Integers, name: str) -> Integers:
    if isinstance(values, torch.Tensor):
        return values.clone()
    if isinstance(values, np.ndarray):
        return values.copy()
    return _core.IntList(values, name)
