"""Models: what a distribution per symbol is described with, as the native module reads it."""

from __future__ import annotations

from typing import Dict, List, NamedTuple, Sequence, Tuple

import torch

from . import _core, _native
from ._layout import Split
from ._native import Data, Operand, Stream

__all__ = [
    "REAL_NAMES",
    "Model",
    "decode",
    "decode_arithmetic",
    "encode",
    "encode_arithmetic",
    "make_model",
    "tabulate_logits",
]

REAL_NAMES: Dict[torch.dtype, str] = {
    getattr(torch, name): name
    for name in ("float32", "float64", "float16", "bfloat16", "int16", "int32", "int64")
}
"""The dtypes of what describes distributions."""


class Model(NamedTuple):
    """A native model, and the tensors that own its memory."""

    native: _core.Model
    values: Tuple[torch.Tensor, ...]


def make_model(
    kind: str,
    values: Sequence[Tuple[torch.Tensor, int]],
    low: int,
    num_symbols: int,
    freq_precision: int,
    leaks: bool = True,
    components: int = 1,
) -> Model:
    """A model of contiguous tensors of one dtype.

    Args:
        kind: what the tensors mean.
        values: each with the step from one symbol's distribution to the next, in elements; 0 where
            all symbols share it.
        low: the smallest symbol.
        num_symbols: symbols of each distribution.
        freq_precision: bits of the probabilities.
        leaks: every symbol keeps a slot.
        components: of a mixture.
    """
    native = _core.Model(
        kind,
        REAL_NAMES[values[0][0].dtype],
        [_native.address(tensor) for tensor, _ in values],
        [step for _, step in values],
        low,
        num_symbols,
        freq_precision,
        leaks,
        components,
    )
    return Model(native, tuple(tensor for tensor, _ in values))


def tabulate_logits(model: Model) -> Model:
    """The first distribution of a model of logits as a CDF for all symbols."""
    native = model.native
    edges = _native.allocate((native.num_symbols + 1,))
    _core.find_logit_edges(native, _native.address(edges))
    return make_model("cdf", [(edges, 0)], native.low, native.num_symbols, native.freq_precision)


def encode(
    codec: _core.Codec, model: Model, stream: Stream, split: Split, symbols: Operand
) -> Tuple[int, int, int]:
    """Appends symbols to the rows: (status, row, position). They change only if it is OK."""
    return _core.encode_with_model(
        codec,
        model.native,
        _native.address(stream.memory),
        stream.rows,
        stream.columns,
        symbols[0],
        split.row_length,
        split.total,
        1 if split.rows == 1 else _native.thread_count(),
    )


def decode(
    codec: _core.Codec,
    model: Model,
    stream: Stream,
    split: Split,
    out: Operand,
    require_end: bool,
) -> Tuple[int, int, int, List[int]]:
    """Takes symbols off the rows: (status, row, position, broken rows), as `encode`."""
    return _core.decode_with_model(
        codec,
        model.native,
        _native.address(stream.memory),
        stream.rows,
        stream.columns,
        out[0],
        split.row_length,
        split.total,
        1 if split.rows == 1 else _native.thread_count(),
        require_end,
    )


def encode_arithmetic(model: Model, symbols: Operand, count: int) -> Tuple[int, bytes]:
    """Torchac's bytes, and the first symbol that cannot be coded or -1."""
    return _core.encode_arithmetic(model.native, symbols[0], count)


def decode_arithmetic(model: Model, data: Data, out: Operand, count: int) -> int:
    """Decodes torchac's bytes; the first symbol whose CDF has nothing for them, or -1."""
    return _core.decode_arithmetic(model.native, data, out[0], count)
