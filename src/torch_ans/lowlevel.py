"""The low-level functions: every coder by its name, on stream tensors.

A stream is an int32 tensor of shape (B, columns): B independent rows, the first column of each the
number of bytes that follow it. For each family (`rans64`, `rans32`, `rans32_16`, `tans32`,
`tans16`, `tans8`) and number of lanes (suffix `_i2` to `_i32`, none for one lane) there are

* `{family}_init_stream(size, num_interleaves=1, preallocate_size=0)`
* `{family}{_iN}_push(...)` and `{family}{_iN}_pop(...)`

and for the families of rANS, since the table of tANS is its lookup,

* `{family}_alias{_iN}_push(...)` and `{family}_alias{_iN}_pop(...)`, slots in alias order
* `{family}{_iN}_invcdf_pop(...)`, which chooses the size of the decoder's lookup

They are made from the registry of the native module: a family added there appears here.

Example:
    >>> import torch_ans
    >>> cdfs = torch.tensor([[0, 30000, 60000, 65535, 65536]], dtype=torch.int32)
    >>> sizes, offsets = torch.tensor([5]), torch.tensor([0])
    >>> symbols = torch.tensor([[0, 1, 2, 7], [1, 1, 0, -3]])  # 7 and -3 take the bypass
    >>> indexes = torch.zeros_like(symbols)
    >>> stream = torch_ans.rans64_init_stream(2)
    >>> torch_ans.rans64_push(stream, symbols, indexes, cdfs, sizes, offsets)
    >>> bool((torch_ans.rans64_pop(stream, indexes, cdfs, sizes, offsets) == symbols).all())
    True
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable, Dict, Optional, Tuple, Union

import torch

from . import _core, _cuda_stream, _native, _stream
from ._arguments import (
    check_bypass_precision,
    index_tensor,
    new_output,
    pop_shape,
    resolve_tables,
)
from ._contexts import ArOffsets, ContextCall, bind_contexts, call_contexts
from ._layout import Split
from ._lowlevel_docs import DOCS
from ._numbers import check_int, check_size
from ._options import check_device
from .byte_strings import rans_byte_strings_to_stream, rans_stream_to_byte_strings
from .quantize import (
    rans_alias_build_table,
    rans_build_inverse_cdf,
    rans_pmf_to_quantized_cdf,
    tans_build_tables,
)
from .tables import CodingTables
from .variant import is_tans

_Tables = Union[torch.Tensor, CodingTables]
_Function = Callable[..., Any]

if TYPE_CHECKING:

    def __getattr__(name: str) -> _Function:
        """The functions made below, for a type checker."""


def rans_check_stream(stream: torch.Tensor) -> None:
    """Raises what earlier pushes to and pops from a stream on a CUDA device have failed with.

    They return before the device has begun, so this waits for it. Where one fails, it and all that
    follow leave the stream as it was, until this (or a call with `check=True`, or one that makes
    bytes of the stream) raises an exception. For a stream in host memory there is nothing to do.

    Args:
        stream: int32 (B, columns).

    Raises:
        CorruptStreamError: rows that cannot be decoded.
        IndexError: an index named no table.
        ValueError: a symbol that its table cannot code, or a row that ran out of room.
    """
    view = _stream.check_stream(stream)
    if view.memory.is_cuda:
        _cuda_stream.check_status(view.memory)


def _make_init_stream(family: str) -> _Function:
    def init_stream(
        size: int,
        num_interleaves: int = 1,
        preallocate_size: int = 0,
        *,
        device: Union[torch.device, str, None] = None,
    ) -> torch.Tensor:
        codec = _native.get_codec(family, check_int(num_interleaves, "num_interleaves"))
        spare = check_size(preallocate_size, "preallocate_size")
        return _stream.new_stream(codec, check_size(size, "size"), spare, check_device(device))

    return init_stream


def _make_push(family: str, lanes: int, alias: bool, default_precision: int) -> _Function:
    codec = _native.get_codec(family, lanes)

    def push(
        stream: torch.Tensor,
        symbols: torch.Tensor,
        indexes: Optional[torch.Tensor] = None,
        cdfs: Optional[_Tables] = None,
        cdfs_sizes: Optional[torch.Tensor] = None,
        offsets: Optional[torch.Tensor] = None,
        symbol_precision: int = 8,
        freq_precision: int = default_precision,
        bypass_coding: bool = True,
        bypass_precision: int = 4,
        used_bytes: int = -1,
        *,
        check: bool = False,
        ar_tables: Optional[torch.Tensor] = None,
        ar_offsets: Optional[ArOffsets] = None,
        ar_indexes: Optional[torch.Tensor] = None,
    ) -> None:
        del symbol_precision, used_bytes  # for torch-ans' callers
        rows = (cdfs, cdfs_sizes, offsets)
        tables = resolve_tables(family, rows, freq_precision, bypass_coding, alias)
        _native.check_integers(symbols, "symbols", cuda=True)
        if symbols.dim() != 2:
            raise ValueError(f"symbols must have shape (B, N), got {tuple(symbols.shape)}")
        split = Split(symbols.shape[0], symbols.shape[1], symbols.numel())
        call = call_contexts(ar_tables, ar_offsets, ar_indexes)
        indexes = index_tensor(indexes, tables, symbols.shape, call)
        contexts = bind_contexts(call, codec, tables, symbols.shape, split, symbols.device)
        digits = check_bypass_precision(codec, bypass_precision)
        coding = _native.Coding(codec, tables, digits, contexts)
        _stream.push(coding, stream, split, symbols, indexes, check)

    return push


def _pop(
    coding: Tuple[_core.Codec, CodingTables, int],
    stream: torch.Tensor,
    indexes: Optional[torch.Tensor],
    out: Optional[torch.Tensor],
    num_symbols: Optional[int],
    check: bool,
    call: Optional[ContextCall] = None,
) -> torch.Tensor:
    codec, tables, bypass_precision = coding
    view = _stream.check_stream(stream)
    shape = pop_shape(indexes, out, view.rows, num_symbols)
    indexes = index_tensor(indexes, tables, shape, call)
    wide = indexes is not None and indexes.dtype == torch.int64
    result = new_output(out, shape, torch.int64 if wide else torch.int32, view.memory.device)
    split = Split(shape[0], shape[1], shape[0] * shape[1])
    contexts = bind_contexts(call, codec, tables, shape, split, result.device)
    digits = check_bypass_precision(codec, bypass_precision)
    full = _native.Coding(codec, tables, digits, contexts)
    _stream.pop(full, view, split, indexes, result, check=check)
    return result


def _make_pop(family: str, lanes: int, alias: bool, default_precision: int) -> _Function:
    codec = _native.get_codec(family, lanes)

    def pop(
        stream: torch.Tensor,
        indexes: Optional[torch.Tensor] = None,
        cdfs: Optional[_Tables] = None,
        cdfs_sizes: Optional[torch.Tensor] = None,
        offsets: Optional[torch.Tensor] = None,
        symbol_precision: int = 8,
        freq_precision: int = default_precision,
        bypass_coding: bool = True,
        bypass_precision: int = 4,
        inverse_cdf_precision: Union[int, str, None] = -1,
        *,
        out: Optional[torch.Tensor] = None,
        num_symbols: Optional[int] = None,
        check: bool = False,
        ar_tables: Optional[torch.Tensor] = None,
        ar_offsets: Optional[ArOffsets] = None,
        ar_indexes: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        del symbol_precision, inverse_cdf_precision
        rows = (cdfs, cdfs_sizes, offsets)
        tables = resolve_tables(family, rows, freq_precision, bypass_coding, alias)
        coding = (codec, tables, bypass_precision)
        call = call_contexts(ar_tables, ar_offsets, ar_indexes)
        return _pop(coding, stream, indexes, out, num_symbols, check, call)

    return pop


def _make_invcdf_pop(family: str, lanes: int, default_precision: int) -> _Function:
    codec = _native.get_codec(family, lanes)

    def invcdf_pop(
        stream: torch.Tensor,
        indexes: Optional[torch.Tensor] = None,
        cdfs: Optional[_Tables] = None,
        cdfs_sizes: Optional[torch.Tensor] = None,
        offsets: Optional[torch.Tensor] = None,
        symbol_precision: int = 8,
        freq_precision: int = default_precision,
        bypass_coding: bool = True,
        bypass_precision: int = 4,
        inverse_cdf_precision: Union[int, str, None] = -1,
        *,
        out: Optional[torch.Tensor] = None,
        num_symbols: Optional[int] = None,
        check: bool = False,
    ) -> torch.Tensor:
        del symbol_precision
        rows = (cdfs, cdfs_sizes, offsets)
        lookup = None if inverse_cdf_precision == -1 else inverse_cdf_precision
        tables = resolve_tables(
            family, rows, freq_precision, bypass_coding, inverse_cdf_precision=lookup
        )
        return _pop((codec, tables, bypass_precision), stream, indexes, out, num_symbols, check)

    return invcdf_pop


def _make_functions() -> Dict[str, _Function]:
    made: Dict[str, _Function] = {}
    for family, traits in _core.FAMILIES.items():
        precision = traits.max_freq_precision
        made[f"{family}_init_stream"] = _make_init_stream(family)
        for lanes in _core.LANES:
            suffix = "" if lanes == 1 else f"_i{lanes}"
            made[f"{family}{suffix}_push"] = _make_push(family, lanes, False, precision)
            made[f"{family}{suffix}_pop"] = _make_pop(family, lanes, False, precision)
            if is_tans(family):
                continue
            made[f"{family}_alias{suffix}_push"] = _make_push(family, lanes, True, precision)
            made[f"{family}_alias{suffix}_pop"] = _make_pop(family, lanes, True, precision)
            made[f"{family}{suffix}_invcdf_pop"] = _make_invcdf_pop(family, lanes, precision)
    for name, function in made.items():
        function.__name__ = function.__qualname__ = name
        function.__module__ = __name__
        function.__doc__ = DOCS[name.rsplit("_", 1)[1]]
    return made


_FUNCTIONS = _make_functions()
globals().update(_FUNCTIONS)

__all__ = [
    "rans_alias_build_table",
    "rans_build_inverse_cdf",
    "rans_byte_strings_to_stream",
    "rans_check_stream",
    "rans_pmf_to_quantized_cdf",
    "rans_stream_to_byte_strings",
    "tans_build_tables",
    *_FUNCTIONS,
]
