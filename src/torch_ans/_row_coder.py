"""The machinery of `TorchANSInterface`: jobs into rows, rows into bytes, and back."""

from __future__ import annotations

from typing import List, NamedTuple, Optional, Sequence, Tuple, Union

import torch

from . import _core, _native, _native_cuda, _native_cuda_bytes, _native_short, _stream
from ._arguments import check_bypass_precision, index_tensor, new_output
from ._contexts import ContextCall, bind_contexts
from ._layout import Split, split_rows
from ._memory import ByteSource, Target, data_of, place
from ._native import Coding, Stream
from ._numbers import check_sizes
from .byte_strings import segment_spans
from .errors import CorruptStreamError
from .tables import CodingTables

__all__ = ["Job", "RowCoder"]


class Job(NamedTuple):
    """Symbols to code, with the tables as they were when the call was made."""

    symbols: torch.Tensor
    indexes: Optional[torch.Tensor]
    tables: CodingTables
    contexts: Optional[ContextCall] = None


def make_job(
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    tables: CodingTables,
    contexts: Optional[ContextCall] = None,
) -> Job:
    """Checks types and shapes; the values are checked while they are coded."""
    _native.check_integers(symbols, "symbols", cuda=True)
    return Job(symbols, index_tensor(indexes, tables, symbols.shape, contexts), tables, contexts)


def make_output(
    indexes: Optional[torch.Tensor],
    size: Union[int, Sequence[int], None],
    out: Optional[torch.Tensor],
    dtype: torch.dtype,
    device: Optional[torch.device] = None,
) -> torch.Tensor:
    """The tensor to decode into: `out`, or a new one of the shape `size` or the indexes'.

    A new one is where the indexes are or, without any, on `device`.

    Raises:
        TypeError: nothing says the shape, or an argument is no integer tensor.
        ValueError: `out` has another shape.
    """
    if size is None and out is None:
        if indexes is None:
            raise TypeError("without indexes, out= or a size must say how many symbols to decode")
        return _native.allocate_like(_native.check_tensor(indexes, "indexes", cuda=True), dtype)
    if size is None:
        return _native.check_integers(out, "out", cuda=True)
    return new_output(out, torch.Size(check_sizes(size, "size")), dtype, device)


class RowCoder:
    """Codes jobs in rows with one codec and one framing of bytes.

    Args:
        variant: family and lanes of the coder.
        bypass_precision: bits of a digit behind an escape.
        num_rows: rows of every stream; None: 1, or what a stream has.
        length_bytes: bytes of a row's length in front of it.
    """

    def __init__(
        self,
        variant: Tuple[str, int],
        bypass_precision: int,
        num_rows: Optional[int],
        length_bytes: int,
    ) -> None:
        self._settings = (variant, bypass_precision, num_rows, length_bytes)
        self._codec = _native.get_codec(*variant)
        self._bypass_precision = check_bypass_precision(self._codec, bypass_precision)
        self._num_rows = num_rows
        self._length_bytes = length_bytes
        self._framing = (length_bytes, num_rows is not None)
        # In front of the only row of a short call; the only one of a fixed number is bare.
        self._short_length = {None: length_bytes, 1: 0}.get(num_rows)
        self._workspace = _stream.Workspace()

    def __reduce__(self) -> Tuple[type, Tuple[object, ...]]:
        """Pickles the settings: codec and workspace are made again."""
        return type(self), self._settings

    def encode_bytes(self, job: Job, out: Optional[Target] = None) -> Union[bytes, memoryview]:
        """The bytes of one job in fresh rows, or the part of `out` where they are."""
        symbols, indexes, tables, contexts = job
        if contexts is None and self._short_length is not None:
            coder = (self._codec, tables, self._bypass_precision, self._short_length)
            data = _native_short.encode(coder, symbols, indexes)
            if data is not None:
                return data if out is None else place(data, out)
        split = split_rows(symbols.numel(), self._num_rows or 1)
        coding = self._coding(tables, symbols.shape, split, contexts, symbols.device)
        return _stream.encode_bytes(
            coding, self._workspace, split, symbols, indexes, self._framing, out
        )

    def _coding(
        self,
        tables: CodingTables,
        shape: Sequence[int],
        split: Split,
        contexts: Optional[ContextCall],
        device: torch.device,
    ) -> Coding:
        bound = bind_contexts(contexts, self._codec, tables, shape, split, device)
        return Coding(self._codec, tables, self._bypass_precision, bound)

    def decode_bytes(
        self,
        tables: CodingTables,
        data: ByteSource,
        indexes: Optional[torch.Tensor],
        out: torch.Tensor,
        contexts: Optional[ContextCall] = None,
    ) -> None:
        """Decodes bytes that hold the symbols of `out` and nothing else."""
        indexes = index_tensor(indexes, tables, out.shape, contexts)
        if contexts is None and self._short_length is not None:
            coder = (self._codec, tables, self._bypass_precision, self._short_length)
            if _native_short.decode(coder, data, indexes, out):
                return
        data = data_of(data)
        on_device = _native_cuda_bytes.upload(data, out.device) if _native.any_cuda(out) else None
        try:
            spans = segment_spans(data, self._length_bytes, self._num_rows)
            split = split_rows(out.numel(), len(spans))
            if split.total and not split.rows:
                raise CorruptStreamError(f"encoded data has no row for {split.total} symbols")
            coding = self._coding(tables, out.shape, split, contexts, out.device)
            _stream.decode_bytes(coding, self._workspace, data, spans, indexes, out, on_device)
        finally:
            if on_device is not None:  # the caller's memory may still be read
                _native_cuda.wait(out.device)

    def encode_stream(self, jobs: Sequence[Job], rows: int) -> torch.Tensor:
        """A new stream with the jobs, the first one to be decoded first."""
        device = jobs[-1].symbols.device if jobs else None
        stream = _stream.new_stream(self._codec, rows, device=device)
        for symbols, indexes, tables, contexts in reversed(jobs):
            split = split_rows(symbols.numel(), rows)
            coding = self._coding(tables, symbols.shape, split, contexts, symbols.device)
            _stream.push(coding, stream, split, symbols, indexes)
        return stream

    def decode_stream(
        self,
        tables: CodingTables,
        stream: torch.Tensor,
        indexes: Optional[torch.Tensor],
        out: torch.Tensor,
        contexts: Optional[ContextCall] = None,
    ) -> None:
        """Takes the symbols of `out` off a stream, which may hold more."""
        view = _stream.check_stream(stream)
        if self._num_rows not in (None, view.rows):
            raise ValueError(
                f"stream has {view.rows} rows, but num_parallel_states is {self._num_rows}"
            )
        indexes = index_tensor(indexes, tables, out.shape, contexts)
        split = split_rows(out.numel(), view.rows)
        coding = self._coding(tables, out.shape, split, contexts, out.device)
        _stream.pop(coding, view, split, indexes, out)

    def pack(self, stream: torch.Tensor, out: Optional[Target] = None) -> Union[bytes, memoryview]:
        """The rows' bytes joined, or the part of `out` where they are."""
        return _stream.pack(_stream.check_stream(stream), self._framing, out)

    @property
    def codec(self) -> _core.Codec:
        """The native coder."""
        return self._codec

    def measure(self, encoded: ByteSource) -> Tuple[int, List[int]]:
        """Bytes of all lengths of encoded data, and the bytes of each row."""
        data = data_of(encoded)
        spans = segment_spans(data, self._length_bytes, self._num_rows)
        sizes = [size for _, size in spans]
        for row, size in enumerate(sizes):
            if size < self._codec.header_bytes:
                raise CorruptStreamError(
                    f"row {row} has {size} bytes, fewer than its states: "
                    f"{self._codec.header_bytes}",
                    [row],
                )
        return len(data) - sum(sizes), sizes

    def unpack(self, encoded: ByteSource, device: Optional[torch.device] = None) -> torch.Tensor:
        """A stream of the rows that encoded data holds."""
        data = data_of(encoded)
        spans = segment_spans(data, self._length_bytes, self._num_rows)
        rows, columns = len(spans), _stream.row_columns(self._codec, spans.longest)
        memory = _native.allocate((rows, columns), device=device)
        _stream.fill(data, spans, Stream(memory, rows, columns))
        return memory

    def rows_of(self, jobs: List[Job]) -> int:
        """Rows for a queue of jobs: `num_rows`, or as many as the last job's first dimension."""
        if self._num_rows is not None:
            return self._num_rows
        shape = jobs[-1].symbols.shape
        return max(shape[0], 1) if len(shape) else 1
