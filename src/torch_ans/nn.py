"""A coder as a module: its tables are buffers, so they are saved, loaded and moved with a model."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Sequence, Union, overload

import torch

from ._memory import ByteSource, ByteTarget, check_target
from ._numbers import check_int
from ._options import check_rows, clamp_freq_precision
from ._row_coder import RowCoder, make_job, make_output
from ._table_cache import cached_tables
from .byte_strings import check_length_bytes
from .ops import operators
from .quantize import quantize_frequencies
from .tables import CodingTables
from .variant import resolve_variant

__all__ = ["EntropyCoder"]

_BUFFERS = ("cdfs", "cdfs_sizes", "offsets")
_Tensor = Optional[torch.Tensor]


class EntropyCoder(torch.nn.Module):
    """`TorchANSInterface` for use inside a model.

    The buffers `cdfs` (K, width), `cdfs_sizes` (K,) and `offsets` (K,), int32, are empty until
    `init_params` or `set_cdfs` is called or a state dict is loaded, which may have tables of any
    size. `encode` and `decode` work where the symbols are, wherever the buffers are. `push` and
    `pop` are operators of torch where it has what they need (`torch_ans.ops`), and keep a compiled
    graph whole.

    Args:
        impl: as for `TorchANSInterface`, likewise the rest.
        bypass_coding: the last entry of each table is an escape for all other integers.
        bypass_precision: bits of a digit behind the escape.
        num_parallel_states: rows of the bytes.
        num_interleaves: lanes.
        num_bytes_code_length: bytes of a row's length.
        alias_sampling: the alias method's order of slots.
        freq_precision: bits of the probabilities.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: an unknown option or combination.

    Example:
        >>> coder = EntropyCoder("rans64_i4")
        >>> coder.init_params(torch.tensor([[0.5, 0.25, 0.25]]))
        >>> symbols = torch.tensor([0, 2, 1, 0])
        >>> other = EntropyCoder("rans64_i4")
        >>> other.load_state_dict(coder.state_dict())
        <All keys matched successfully>
        >>> other.decode(coder.encode(symbols), size=4)
        tensor([0, 2, 1, 0], dtype=torch.int32)
    """

    cdfs: torch.Tensor
    cdfs_sizes: torch.Tensor
    offsets: torch.Tensor

    def __init__(
        self,
        impl: str = "rans64",
        *,
        bypass_coding: bool = True,
        bypass_precision: int = 4,
        num_parallel_states: Optional[int] = None,
        num_interleaves: int = 1,
        num_bytes_code_length: int = 4,
        alias_sampling: bool = False,
        freq_precision: int = 16,
    ) -> None:
        super().__init__()
        family, lanes, self.alias_sampling = resolve_variant(
            impl, num_interleaves, alias_sampling, None
        )
        self.impl = impl
        self.freq_precision = clamp_freq_precision(family, freq_precision)
        self.bypass_coding = bool(bypass_coding)
        self.bypass_precision = check_int(bypass_precision, "bypass_precision")
        rows = check_rows(num_parallel_states)
        length_bytes = check_length_bytes(num_bytes_code_length, "num_bytes_code_length")
        self._coder = RowCoder((family, lanes), self.bypass_precision, rows, length_bytes)
        alias, suffix = "_alias" if self.alias_sampling else "", f"_i{lanes}" if lanes > 1 else ""
        self._stem = f"{family}{alias}{suffix}"
        for name in _BUFFERS:
            self.register_buffer(name, torch.zeros(0, dtype=torch.int32))

    def extra_repr(self) -> str:
        """What `print` shows of the module."""
        return f"{self.impl!r}, freq_precision={self.freq_precision}, tables={len(self.cdfs)}"

    @property
    def tables(self) -> CodingTables:
        """The buffers' tables, checked and prepared; RuntimeError where there are none yet."""
        if not self.cdfs.numel():
            raise RuntimeError(
                "there are no tables yet: call init_params or set_cdfs, or load a state dict"
            )
        buffers = (self.cdfs, self.cdfs_sizes, self.offsets)
        return cached_tables(buffers, self.freq_precision, self.bypass_coding, self.alias_sampling)

    def init_params(
        self, freqs: torch.Tensor, num_freqs: _Tensor = None, offsets: _Tensor = None
    ) -> None:
        """Makes the tables from frequencies, as `TorchANSInterface.init_params`."""
        precision, bypass = self.freq_precision, self.bypass_coding
        cdfs, sizes = quantize_frequencies(freqs, num_freqs, precision, bypass)
        self.set_cdfs(cdfs, sizes, offsets)

    def set_cdfs(
        self, cdfs: torch.Tensor, cdfs_sizes: _Tensor = None, offsets: _Tensor = None
    ) -> None:
        """Sets the tables: quantised CDFs, copied to where the buffers are (see `CodingTables`)."""
        tables = CodingTables(
            cdfs,
            cdfs_sizes,
            offsets,
            self.freq_precision,
            self.bypass_coding,
            alias=self.alias_sampling,
        )
        place = self.cdfs.device
        for name in _BUFFERS:
            setattr(self, name, getattr(tables, name).to(place, copy=True))

    @overload
    def encode(
        self, symbols: torch.Tensor, indexes: _Tensor = ..., *, out: None = ...
    ) -> bytes: ...

    @overload
    def encode(
        self, symbols: torch.Tensor, indexes: _Tensor = ..., *, out: ByteTarget
    ) -> memoryview: ...

    def encode(
        self, symbols: torch.Tensor, indexes: _Tensor = None, *, out: Optional[ByteTarget] = None
    ) -> Union[bytes, memoryview]:
        """The bytes of `TorchANSInterface.encode_with_indexes`."""
        job = make_job(symbols, indexes, self.tables)
        return self._coder.encode_bytes(job, None if out is None else check_target(out))

    def decode(
        self,
        encoded: ByteSource,
        indexes: _Tensor = None,
        *,
        size: Union[int, Sequence[int], None] = None,
        out: _Tensor = None,
        dtype: torch.dtype = torch.int32,
    ) -> torch.Tensor:
        """The inverse of `encode`: a tensor of the indexes' shape, of `size`, or `out`."""
        tables = self.tables
        result = make_output(indexes, size, out, dtype, self.cdfs.device)
        self._coder.decode_bytes(tables, encoded, indexes, result)
        return result

    def push(self, stream: torch.Tensor, symbols: torch.Tensor, indexes: _Tensor = None) -> None:
        """Appends symbols (B, N) to a preallocated stream tensor."""
        operator = getattr(operators, self._stem + "_push")
        operator(stream, symbols, indexes, *self._table_arguments())

    def pop(
        self, stream: torch.Tensor, indexes: _Tensor = None, num_symbols: int = -1
    ) -> torch.Tensor:
        """Takes symbols (B, N) off a stream tensor."""
        operator = getattr(operators, self._stem + "_pop")
        popped: torch.Tensor = operator(
            stream, indexes, *self._table_arguments(), num_symbols=num_symbols
        )
        return popped

    def _table_arguments(self) -> List[Any]:
        options = [8, self.freq_precision, self.bypass_coding, self.bypass_precision]
        return [self.cdfs, self.cdfs_sizes, self.offsets, *options]

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any) -> None:
        for name in _BUFFERS:
            saved, own = state_dict.get(prefix + name), getattr(self, name)
            if isinstance(saved, torch.Tensor) and own.shape != saved.shape:
                setattr(self, name, own.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)
