"""Symbols into bytes and back, each with a distribution of its own."""

from __future__ import annotations

from typing import NamedTuple, Optional, Sequence, Tuple

import torch

from . import _core, _native, _native_models, _stream
from ._arguments import check_dtype, check_freq_precision, new_output
from ._layout import Split, split_rows
from ._memory import ByteSource, data_of
from ._native import Stream
from ._native_models import Model
from ._numbers import check_int
from ._options import check_rows
from ._status import describe_element, raise_broken_rows
from .byte_strings import segment_spans
from .errors import CorruptStreamError
from .variant import is_tans, parse_variant

__all__ = ["Coder", "Distributions", "decode_bytes", "describe_values", "encode_bytes"]

_LENGTH_BYTES = 4
_BROKEN = "its bytes are not what was encoded with these distributions, or a CDF of them decreases"
_MOST_LOW = 1 << 30
_PADDED_WORDS = 1 << 26


class Coder(NamedTuple):
    """What codes, and in how many rows."""

    codec: _core.Codec
    rows: int

    @classmethod
    def choose(cls, impl: str, rows: Optional[int], count: int, freq_precision: int) -> Coder:
        """The coder that a name and the number of symbols mean.

        "auto" is `rans64` with as many lanes and rows as the symbols pay for: each lane costs 8
        bytes. The choice is a part of the format.
        """
        given = check_rows(rows)
        if impl == "auto":
            family, lanes = "rans64", 1 if count < 1 << 12 else 4 if count < 1 << 15 else 8
            most_rows = min(64, max(1, count >> 17))
            given = most_rows if given is None else given
        else:
            variant = parse_variant(impl)
            if variant.alias or variant.invcdf or is_tans(variant.family):
                raise ValueError(
                    f"impl must be a family of rANS with lanes, such as rans64_i4, got {impl}"
                )
            family, lanes = variant.family, variant.lanes or 1
        check_freq_precision(family, freq_precision)
        return cls(_native.get_codec(family, lanes), given or 1)


class Distributions(NamedTuple):
    """A model for symbols of a shape, made of tensors on a device."""

    model: Model
    shape: torch.Size
    device: torch.device


@_native.fork_safe
def describe_values(
    values: Sequence[torch.Tensor], trailing: int, shape: torch.Size
) -> Tuple[Tuple[torch.Tensor, int], ...]:
    """Tensors in host memory with the step from one symbol to the next, as a model wants them.

    Args:
        values: tensors whose shape, but for the last `trailing` dimensions, broadcasts to `shape`.
        trailing: dimensions that belong to one symbol, 0 or 1.
        shape: the symbols' shape.
    """
    described = []
    for given in values:
        tensor = given.detach().resolve_neg()
        own = tensor.shape[tensor.dim() - trailing :]
        width = own.numel()
        if tensor.numel() == width:  # one for all
            described.append((tensor.reshape(-1).cpu().contiguous(), 0))
        else:
            described.append((tensor.cpu().expand(shape + own).contiguous(), width))
    return tuple(described)


def encode_bytes(
    coder: Coder, distributions: Distributions, symbols: torch.Tensor, name: str = "symbols"
) -> bytes:
    """Codes symbols into fresh rows and joins their bytes.

    Raises:
        ValueError: a symbol that its distribution cannot code.
    """
    codec, rows = coder
    model = distributions.model
    split = split_rows(symbols.numel(), rows)
    source = _native.read_operand(symbols, split)
    precision = model.native.freq_precision
    room = _core.max_row_bytes(codec, precision, split.row_length) + codec.header_bytes
    columns = _stream.columns_for(room)
    stream = Stream(_native.allocate((rows, columns)), rows, columns)
    _native.reset(codec, stream)
    code, row, position = _native_models.encode(codec, model, stream, split, source)
    if code == _core.BAD_SYMBOL:
        _raise_bad_symbol(model, name, symbols, row * split.row_length + position)
    if code != _core.OK:
        raise ValueError("a row would pass 2 GiB, the most that its length can say; use more rows")
    return _native.pack(stream, _LENGTH_BYTES, True)


def _raise_bad_symbol(model: Model, name: str, symbols: torch.Tensor, position: int) -> None:
    low, count = model.native.low, model.native.num_symbols
    element = describe_element(name, symbols, position)
    raise ValueError(
        f"{element}, but its distribution codes {low} to {low + count - 1}, and only symbols whose "
        "probability is not 0"
    )


def decode_bytes(
    coder: Coder,
    distributions: Distributions,
    data: ByteSource,
    out: Optional[torch.Tensor],
    dtype: torch.dtype,
) -> torch.Tensor:
    """Decodes rows that hold exactly one symbol for each distribution.

    Raises:
        CorruptStreamError: `data` is not what was encoded with these distributions.
    """
    shape, device = distributions.shape, distributions.device
    result = new_output(out, shape, check_dtype(dtype), device)
    if result.device != device:
        raise ValueError(f"out must be on the device of the distributions, {device}")
    target = result if result.device.type == "cpu" else _native.allocate(shape, result.dtype)
    codec, rows = coder
    data = data_of(data)
    spans = segment_spans(data, _LENGTH_BYTES, rows)
    split = split_rows(target.numel(), rows)
    columns = _stream.row_columns(codec, spans.longest)
    if rows * columns > max(_PADDED_WORDS, len(data)):
        raise CorruptStreamError("the lengths of the rows differ more than any encoder's would")
    stream = Stream(_native.allocate((rows, columns)), rows, columns)
    _native.fill(data, spans, stream)
    _decode(coder, distributions.model, stream, split, target)
    if target is not result:
        result.copy_(target)
    return result


def _decode(coder: Coder, model: Model, stream: Stream, split: Split, target: torch.Tensor) -> None:
    operand = _native.write_operand(target, "out", split)
    code, _, _, broken = _native_models.decode(coder.codec, model, stream, split, operand, True)
    if code != _core.OK:
        raise_broken_rows(broken, split.rows, _BROKEN)


def check_low(value: object) -> int:
    """The smallest symbol of an alphabet; ValueError where it is too far from 0."""
    low = check_int(value, "low")
    if not -_MOST_LOW <= low <= _MOST_LOW:
        raise ValueError(f"low must be in -2**30..2**30, got {low}")
    return low
