"""An envelope for coded symbols that are kept: `pack` and `unpack`.

The bytes that a coder writes say nothing about themselves. A packed file does: which coder, shape
and dtype, the hash of the tables, and a CRC-32C for each row, so that other tables and flipped bits
are noticed. The format is in cpp/FORMAT.md ("Packed files"); files of version 1 stay readable.

What a file does not hold is what the model gives: the tables and the index of each symbol. A wrong
index is not noticed, unless the row happens to contradict it.
"""

from __future__ import annotations

import hashlib
import operator
from typing import List, Literal, NamedTuple, Optional, Sequence, Tuple, Union, overload
from weakref import WeakKeyDictionary

import torch

from . import _core, _native, _stream
from ._arguments import check_bypass_precision, check_dtype, index_tensor, new_output
from ._layout import split_rows
from ._memory import ByteSource, data_of, is_bytes_like
from ._native import Coding, Data
from ._numbers import check_sizes
from ._options import check_rows
from ._status import raise_broken_rows
from .byte_strings import check_length_bytes, check_strings, segment_spans
from .errors import CorruptStreamError, TableMismatchError
from .tables import CodingTables
from .variant import resolve_variant

__all__ = ["PackedHeader", "Salvaged", "pack", "packed_header", "unpack"]

Encoded = Union[bytes, bytearray, memoryview, Sequence[bytes], torch.Tensor]

_DAMAGED = "their bytes are not what was packed: the checksum differs or the file is cut off"


class PackedHeader(NamedTuple):
    """What a packed file says about itself."""

    family: str
    lanes: int
    freq_precision: int
    bypass_precision: Optional[int]
    """Bits of a digit behind an escape; None: no bypass coding."""
    alias: bool
    dtype: str
    """Of the symbols that were packed, such as "int32"."""
    tables_hash: bytes
    """8 bytes of BLAKE2b over the tables."""
    shape: Tuple[int, ...]
    rows: int
    damaged_rows: List[int]
    """Rows whose checksum does not match."""


class Salvaged(NamedTuple):
    """What `unpack(..., errors="salvage")` could read."""

    symbols: torch.Tensor
    """The symbols; 0 where they are lost."""
    intact: torch.Tensor
    """Bool, the symbols' shape: False where they are lost."""
    broken_rows: List[int]
    """The rows that are lost, ascending; empty for a file without damage."""


class _Opened(NamedTuple):
    header: PackedHeader
    spans: _core.RowSpans
    extra: int


def pack(
    encoded: Encoded,
    tables: CodingTables,
    *,
    impl: str,
    shape: Sequence[int],
    dtype: torch.dtype = torch.int32,
    num_interleaves: int = 1,
    bypass_precision: int = 4,
    num_bytes_code_length: int = 4,
    num_parallel_states: Optional[int] = None,
) -> bytes:
    """Puts coded symbols into an envelope that says how to decode them and notices damage.

    `TorchANSInterface.pack` codes and packs in one call, and knows all of these arguments.

    Args:
        encoded: what a coder made of one tensor: the bytes of `encode_with_indexes`, a stream
            tensor, or the byte string of each row (`rans_stream_to_byte_strings`).
        tables: the tables they were coded with; the file holds their hash.
        impl: the coder, such as "rans64" or "rans32_16_i8".
        shape: shape of the symbols.
        dtype: dtype that `unpack` gives them.
        num_interleaves: lanes, where `impl` does not say.
        bypass_precision: bits of a digit behind an escape, as when coding.
        num_bytes_code_length: of bytes: bytes of a row's length, as when coding.
        num_parallel_states: of bytes: the number of rows, if it was given when coding.

    Returns:
        The file. With a 4-byte CRC a row it is under 64 bytes longer than `encoded` is as bytes
        (shapes of up to 14 dimensions).

    Raises:
        CorruptStreamError: `encoded` does not hold whole rows.
        TypeError: an argument has the wrong type.
        ValueError: an argument has no possible value.

    Example:
        >>> tables = CodingTables(torch.tensor([[0, 3, 8]]), freq_precision=3, bypass_coding=False)
        >>> import torch_ans
        >>> stream = torch_ans.rans64_init_stream(2)
        >>> torch_ans.rans64_push(stream, torch.tensor([[0, 1], [1, 1]]), None, tables)
        >>> data = pack(stream, tables, impl="rans64", shape=(2, 2))
        >>> unpack(data, tables)
        tensor([[0, 1],
                [1, 1]], dtype=torch.int32)
    """
    if not isinstance(tables, CodingTables):
        raise TypeError(f"tables must be CodingTables, got {type(tables).__name__}")
    family, lanes, _ = resolve_variant(impl, num_interleaves, tables.alias, None)
    sizes = check_sizes(shape, "shape")
    numel = _numel(sizes)
    if numel is None or len(sizes) > _MOST_DIMS:
        raise ValueError(f"shape must be that of a tensor, got {tuple(sizes)}")
    data, spans = _row_spans(encoded, num_bytes_code_length, check_rows(num_parallel_states))
    if numel and not spans:
        raise ValueError(f"encoded has no row for symbols of shape {tuple(sizes)}")
    codec = _native.get_codec(family, lanes)
    digits = check_bypass_precision(codec, bypass_precision) if tables.bypass_coding else 0
    name = _native.INTEGER_NAMES[check_dtype(dtype)]
    precision = tables.freq_precision
    fields = (family, lanes, precision, digits, tables.alias, name, _tables_hash(tables), sizes)
    return _core.pack_container(fields, data, spans)


def packed_header(data: ByteSource) -> PackedHeader:
    """Reads what a packed file says about itself, and verifies its checksums.

    Raises:
        CorruptStreamError: no packed file, or its head is damaged.
        TypeError: `data` is neither bytes-like nor a uint8 tensor.
    """
    return _open(data_of(data, "packed data")).header


@overload
def unpack(
    data: ByteSource,
    tables: CodingTables,
    indexes: Optional[torch.Tensor] = ...,
    *,
    out: Optional[torch.Tensor] = ...,
    dtype: Optional[torch.dtype] = ...,
    errors: Literal["strict"] = ...,
) -> torch.Tensor: ...


@overload
def unpack(
    data: ByteSource,
    tables: CodingTables,
    indexes: Optional[torch.Tensor] = ...,
    *,
    out: Optional[torch.Tensor] = ...,
    dtype: Optional[torch.dtype] = ...,
    errors: Literal["salvage"],
) -> Salvaged: ...


@overload
def unpack(
    data: ByteSource,
    tables: CodingTables,
    indexes: Optional[torch.Tensor] = ...,
    *,
    out: Optional[torch.Tensor] = ...,
    dtype: Optional[torch.dtype] = ...,
    errors: str,
) -> Union[torch.Tensor, Salvaged]: ...


def unpack(
    data: ByteSource,
    tables: CodingTables,
    indexes: Optional[torch.Tensor] = None,
    *,
    out: Optional[torch.Tensor] = None,
    dtype: Optional[torch.dtype] = None,
    errors: str = "strict",
) -> Union[torch.Tensor, Salvaged]:
    """Decodes a packed file.

    Its head says the coder and the shape. A file from elsewhere may claim any shape, and a table
    of one symbol codes any number of them in no bytes: `packed_header` tells the shape beforehand,
    and `indexes` or `out` fix it.

    Args:
        data: what `pack` returned, or a uint8 tensor of it in host memory.
        tables: the same tables.
        indexes: the table of each symbol, integers that broadcast to the symbols; None where there
            is one table.
        out: integers of the symbols' shape that get the symbols.
        dtype: dtype of the result; None: that of the symbols that were packed.
        errors: "strict" raises at the first damage; "salvage" decodes the other rows.

    Returns:
        The symbols; with `errors="salvage"`, `Salvaged`, which also says what is lost.

    Raises:
        CorruptStreamError: the file is damaged: `rows` lists the rows that are, and is empty where
            the damage is in the head, which nothing can be salvaged without.
        IndexError: an index names no table.
        TableMismatchError: the file was coded with other tables.
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit, or `errors` is neither.
    """
    if errors not in ("strict", "salvage"):
        raise ValueError(f"errors must be 'strict' or 'salvage', got {errors!r}")
    if not isinstance(tables, CodingTables):
        raise TypeError(f"tables must be CodingTables, got {type(tables).__name__}")
    data = data_of(data, "packed data")
    header, spans, extra = _open(data)
    _check_tables(header, tables)
    if errors == "strict":
        if header.damaged_rows:
            raise_broken_rows(header.damaged_rows, header.rows, _DAMAGED)
        if extra:
            raise CorruptStreamError(f"packed data: {extra} byte(s) are left behind its last row")
    size = torch.Size(header.shape)
    indexes = index_tensor(indexes, tables, size)
    result = new_output(out, size, check_dtype(dtype) if dtype else _packed_dtype(header))
    broken = _decode(header, (data, spans), tables, indexes, result, errors == "salvage")
    if errors == "strict":
        return result
    return _blank(result, header.rows, broken)


def _decode(
    header: PackedHeader,
    source: Tuple[Data, _core.RowSpans],
    tables: CodingTables,
    indexes: Optional[torch.Tensor],
    result: torch.Tensor,
    salvage: bool,
) -> List[int]:
    """Fills `result`; the rows that are broken, which raise unless `salvage`."""
    data, spans = source
    codec = _native.get_codec(header.family, header.lanes)
    for row in header.damaged_rows:
        spans.clear(row)  # a row without states, which the coder passes over
    coding = Coding(codec, tables, header.bypass_precision or 4)
    try:
        _stream.decode_bytes(coding, _stream.Workspace(), data, spans, indexes, result)
    except CorruptStreamError as error:
        if not salvage:
            raise
        return error.rows
    return header.damaged_rows


def _blank(symbols: torch.Tensor, rows: int, broken: List[int]) -> Salvaged:
    """Zeroes the symbols of broken rows."""
    row_length = split_rows(symbols.numel(), rows).row_length
    intact = torch.ones(symbols.numel(), dtype=torch.bool, device="cpu")
    flat = symbols.reshape(-1)  # a copy, where the strides of `out=` need one
    for row in broken:
        lost = slice(row * row_length, (row + 1) * row_length)
        intact[lost] = False
        flat[lost].zero_()  # torch.where knows no uint16 in some versions
    if broken and not symbols.is_contiguous():
        symbols.copy_(flat.view(symbols.shape))
    return Salvaged(symbols, intact.reshape(symbols.shape), list(broken))


def _open(data: Data) -> _Opened:
    try:
        fields, spans, damaged, extra = _core.unpack_container(data)
    except ValueError as error:
        raise CorruptStreamError(f"packed data: {error}") from None
    family, lanes, freq_precision, digits, alias, dtype, tables_hash, shape = fields
    header = PackedHeader(
        family,
        lanes,
        freq_precision,
        digits or None,
        alias,
        dtype,
        tables_hash,
        tuple(shape),
        len(spans),
        damaged,
    )
    if not header.rows and _numel(shape):
        raise CorruptStreamError(f"packed data: no row for symbols of shape {tuple(shape)}")
    return _Opened(header, spans, extra)


def _check_tables(header: PackedHeader, tables: CodingTables) -> None:
    for name, packed, given in (
        ("freq_precision", header.freq_precision, tables.freq_precision),
        ("bypass_coding", header.bypass_precision is not None, tables.bypass_coding),
        ("alias", header.alias, tables.alias),
    ):
        if packed != given:
            raise TableMismatchError(
                f"the file was coded with tables of {name}={packed}, got {name}={given}"
            )
    given_hash = _tables_hash(tables)
    if given_hash != header.tables_hash:
        raise TableMismatchError(
            f"the file was coded with other tables: their hash is {header.tables_hash.hex()}, that "
            f"of the tables given is {given_hash.hex()}"
        )


_hashes: WeakKeyDictionary[CodingTables, bytes] = WeakKeyDictionary()


def _tables_hash(tables: CodingTables) -> bytes:
    """BLAKE2b (8 bytes) of precision, K and, for each table, its size, offset and CDF entries."""
    digest = _hashes.get(tables)
    if digest is None:
        digest = hashlib.blake2b(tables.native.numbers(), digest_size=8).digest()
        _hashes[tables] = digest
    return digest


def _row_spans(
    encoded: Encoded, length_bytes: int, num_rows: Optional[int]
) -> Tuple[Data, _core.RowSpans]:
    """Bytes, and where the rows are in them."""
    if isinstance(encoded, torch.Tensor):
        view = _stream.check_stream(encoded)
        try:
            encoded = _stream.pack(view, (4, False))
        except ValueError as error:
            raise CorruptStreamError(f"encoded: {error}") from None
        return encoded, segment_spans(encoded, 4, None)
    if is_bytes_like(encoded):
        encoded, length_bytes = data_of(encoded), check_length_bytes(length_bytes)
        return encoded, segment_spans(encoded, length_bytes, num_rows)
    strings = check_strings(encoded, "encoded")
    spans: List[Tuple[int, int]] = []
    end = 0
    for string in strings:
        spans.append((end, len(string)))
        end += len(string)
    return b"".join(strings), _core.RowSpans(spans)


def _packed_dtype(header: PackedHeader) -> torch.dtype:
    for dtype, name in _native.INTEGER_NAMES.items():
        if name == header.dtype:
            return dtype
    raise ValueError(f"this torch has no dtype {header.dtype}, that of the file: pass dtype=")


_MOST_DIMS = 64


def _numel(sizes: Sequence[int]) -> Optional[int]:
    """The number of elements; None where it, or that of the sizes that are not 0, is too large."""
    product = 1
    for size in sizes:
        product *= operator.index(size) or 1
    if product >= 2**63:
        return None
    return 0 if 0 in sizes else product
