"""Operators of torch: `torch.ops.torch_ans.rans64_i4_push` and its like, for `torch.compile`.

They are the low-level functions under the same names, with the arguments of torch-ans' operators;
a graph that calls them does not break. Shapes must be known without running anything, so

* a push never lets a stream grow: one that is full is an error. Preallocate it
  (`preallocate_size` of the init function).
* a pop has `num_symbols` for where there are no indexes, and returns int32 (int64 where the
  indexes are int64).

There are none on torch before 2.4, which has no `torch.library.register_fake`.

Example:
    >>> import torch, torch_ans
    >>> cdfs = torch.tensor([[0, 30000, 60000, 65535, 65536]], dtype=torch.int32)
    >>> tables = (cdfs, torch.tensor([5]), torch.tensor([0]))
    >>> symbols = torch.tensor([[0, 1, 2, 7]])
    >>> indexes = torch.zeros_like(symbols)
    >>> stream = torch_ans.rans64_init_stream(1, preallocate_size=200)
    >>> if available():
    ...     torch.ops.torch_ans.rans64_push(stream, symbols, indexes, *tables)
    ...     symbols = torch.ops.torch_ans.rans64_pop(stream, indexes, *tables)
    >>> symbols
    tensor([[0, 1, 2, 7]])
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Callable, Iterator, Optional, Tuple

import torch

from . import _core, _native, _stream
from ._arguments import (
    check_bypass_precision,
    index_tensor,
    new_output,
    pop_shape,
    resolve_tables,
)
from ._layout import Split
from ._numbers import check_size

__all__ = ["available"]

_SHARED = (
    "Tensor? indexes=None, Tensor? cdfs=None, Tensor? cdfs_sizes=None, Tensor? offsets=None, "
    "int symbol_precision=8, int freq_precision={precision}, bool bypass_coding=True, "
    "int bypass_precision=4, "
)
_PUSH = "(Tensor(a!) stream, Tensor symbols, " + _SHARED + "int used_bytes=-1) -> ()"
_POP = (
    "(Tensor(a!) stream, " + _SHARED + "int inverse_cdf_precision=-1, *, int num_symbols=-1) "
    "-> Tensor"
)
_Tensor = Optional[torch.Tensor]


def available() -> bool:
    """Whether this torch has what the operators need."""
    return hasattr(torch.library, "register_fake")


def _make_push(codec: _core.Codec, alias: bool) -> Callable[..., None]:
    def push(
        stream: torch.Tensor,
        symbols: torch.Tensor,
        indexes: _Tensor = None,
        cdfs: _Tensor = None,
        cdfs_sizes: _Tensor = None,
        offsets: _Tensor = None,
        symbol_precision: int = 8,
        freq_precision: int = codec.max_freq_precision,
        bypass_coding: bool = True,
        bypass_precision: int = 4,
        used_bytes: int = -1,
    ) -> None:
        rows = (cdfs, cdfs_sizes, offsets)
        tables = resolve_tables(codec.family, rows, freq_precision, bypass_coding, alias)
        _native.check_integers(symbols, "symbols", cuda=True)
        split = Split(*_two_dimensions(symbols, "symbols"), symbols.numel())
        indexes = index_tensor(indexes, tables, symbols.shape)
        coding = _native.Coding(codec, tables, check_bypass_precision(codec, bypass_precision))
        check = _can_wait(stream)
        _stream.push(coding, stream, split, symbols, indexes, check, grow=False)

    return push


def _make_pop(codec: _core.Codec, alias: bool, chooses_lookup: bool) -> Callable[..., torch.Tensor]:
    def pop(
        stream: torch.Tensor,
        indexes: _Tensor = None,
        cdfs: _Tensor = None,
        cdfs_sizes: _Tensor = None,
        offsets: _Tensor = None,
        symbol_precision: int = 8,
        freq_precision: int = codec.max_freq_precision,
        bypass_coding: bool = True,
        bypass_precision: int = 4,
        inverse_cdf_precision: int = -1,
        *,
        num_symbols: int = -1,
    ) -> torch.Tensor:
        lookup = inverse_cdf_precision if chooses_lookup and inverse_cdf_precision != -1 else None
        tables = resolve_tables(
            codec.family,
            (cdfs, cdfs_sizes, offsets),
            freq_precision,
            bypass_coding,
            alias,
            lookup,
        )
        view = _stream.check_stream(stream)
        shape = pop_shape(indexes, None, view.rows, None if num_symbols == -1 else num_symbols)
        indexes = index_tensor(indexes, tables, shape)
        out = new_output(None, shape, _result_dtype(indexes), stream.device)
        split = Split(shape[0], shape[1], shape[0] * shape[1])
        coding = _native.Coding(codec, tables, check_bypass_precision(codec, bypass_precision))
        _stream.pop(coding, view, split, indexes, out, check=_can_wait(stream))
        return out

    return pop


def _fake_push(*args: Any, **kwargs: Any) -> None:
    """A push returns nothing."""


def _fake_pop(
    stream: torch.Tensor, indexes: _Tensor = None, *args: Any, num_symbols: int = -1, **kwargs: Any
) -> torch.Tensor:
    """What a pop returns: the shape of its indexes, or a row of symbols for each row."""
    if indexes is None or num_symbols != -1:
        shape = (stream.shape[0], check_size(num_symbols, "num_symbols"))
    else:
        shape = _two_dimensions(indexes, "indexes")
    return stream.new_empty(shape, dtype=_result_dtype(indexes))


def _two_dimensions(tensor: torch.Tensor, name: str) -> Tuple[int, int]:
    if tensor.dim() != 2:
        raise ValueError(f"{name} must have shape (B, N), got {tuple(tensor.shape)}")
    return tensor.shape[0], tensor.shape[1]


def _result_dtype(indexes: _Tensor) -> torch.dtype:
    wide = indexes is not None and indexes.dtype == torch.int64
    return torch.int64 if wide else torch.int32


def _can_wait(stream: torch.Tensor) -> bool:
    """Whether a CUDA device may be waited for: not while a graph is captured."""
    return not (stream.is_cuda and torch.cuda.is_current_stream_capturing())


def _operators() -> Iterator[Tuple[str, str, Callable[..., Any], Callable[..., Any]]]:
    """Name, schema, function and fake of each operator."""
    for family, traits in _core.FAMILIES.items():
        push_schema, pop_schema = (
            schema.format(precision=traits.max_freq_precision) for schema in (_PUSH, _POP)
        )
        for lanes in _core.LANES:
            codec = _native.get_codec(family, lanes)
            suffix = "" if lanes == 1 else f"_i{lanes}"
            for alias, stem in ((False, family), (True, family + "_alias")):
                yield f"{stem}{suffix}_push", push_schema, _make_push(codec, alias), _fake_push
                yield f"{stem}{suffix}_pop", pop_schema, _make_pop(codec, alias, False), _fake_pop
            invcdf_pop = _make_pop(codec, False, True)
            yield f"{family}{suffix}_invcdf_pop", pop_schema, invcdf_pop, _fake_pop


def _register() -> object:
    """Defines the operators; they live as long as what is returned."""
    make_library: Any = torch.library.Library  # without types
    library = make_library("torch_ans", "FRAGMENT")
    for name, schema, function, fake in _operators():
        library.define(name + schema)
        library.impl(name, function, "CompositeExplicitAutograd")
        # As register_fake does, which looks at the stack each time: importing would take 5 ms more.
        library.impl(name, fake, "Meta")
    return library


if available():
    _library = _register()
    operators: Any = torch.ops.torch_ans
else:  # what stands behind them
    operators = SimpleNamespace(**{name: function for name, _, function, _ in _operators()})
