"""Symbols to bytes: the encoding half of `TorchANSInterface`, which documents its options."""

from __future__ import annotations

from typing import Literal, Optional, Union, overload

import torch

from ._contexts import ArOffsets
from ._memory import ByteTarget, check_target
from ._row_coder import Job, make_job
from ._stream_interface import MaybeTensor, StreamInterface

__all__ = ["EncodeInterface"]

MaybeTarget = Optional[ByteTarget]
MaybeBytes = Union[bytes, memoryview, None]


class EncodeInterface(StreamInterface):
    """The calls that make bytes."""

    @overload
    def encode_with_indexes(
        self,
        symbols: torch.Tensor,
        indexes: MaybeTensor,
        cache: Literal[False] = ...,
        *,
        ar_indexes: MaybeTensor = ...,
        ar_offsets: Optional[ArOffsets] = ...,
        out: None = ...,
    ) -> bytes: ...

    @overload
    def encode_with_indexes(
        self,
        symbols: torch.Tensor,
        indexes: MaybeTensor,
        cache: Literal[False] = ...,
        *,
        ar_indexes: MaybeTensor = ...,
        ar_offsets: Optional[ArOffsets] = ...,
        out: ByteTarget,
    ) -> memoryview: ...

    @overload
    def encode_with_indexes(
        self,
        symbols: torch.Tensor,
        indexes: MaybeTensor,
        cache: bool,
        *,
        ar_indexes: MaybeTensor = ...,
        ar_offsets: Optional[ArOffsets] = ...,
        out: None = ...,
    ) -> Optional[bytes]: ...

    def encode_with_indexes(
        self,
        symbols: torch.Tensor,
        indexes: MaybeTensor,
        cache: bool = False,
        *,
        ar_indexes: MaybeTensor = None,
        ar_offsets: Optional[ArOffsets] = None,
        out: MaybeTarget = None,
    ) -> MaybeBytes:
        """Codes symbols, each with the table that its index names.

        Args:
            symbols: integers of any shape and strides.
            indexes: the table of each symbol.
            cache: put them into the queue for `flush` instead; the tensors are not copied.
            ar_indexes: after `init_ar_params`, the set of `ar_tables` for each symbol, integers
                that broadcast to the symbols; None: the first.
            ar_offsets: other offsets than those of `init_ar_params`.
            out: memory for the bytes, to be used again and again: a uint8 tensor in host memory, a
                bytearray, memoryview, NumPy array or mmap, of one dimension, contiguous and
                writable. Large data is written much faster than to new memory; a CUDA device
                copies straight into pinned memory.

        Returns:
            The bytes, or a memoryview of that part of `out` where they are; None if `cache`.

        Raises:
            IndexError: an index names no table.
            RuntimeError: there are no tables yet.
            TypeError: an argument is no integer tensor, or `out` is no memory.
            ValueError: a shape does not fit, or a symbol is outside its table, without bypass; or
                `out` is too small: it stays as it is, and the message says how many bytes it takes.
        """
        contexts = self._context_call(ar_indexes, ar_offsets)
        return self._finish(make_job(symbols, indexes, self.tables, contexts), cache, out)

    @overload
    def encode_symbols(
        self, symbols: torch.Tensor, cache: Literal[False] = ..., *, out: None = ...
    ) -> bytes: ...

    @overload
    def encode_symbols(
        self, symbols: torch.Tensor, cache: Literal[False] = ..., *, out: ByteTarget
    ) -> memoryview: ...

    @overload
    def encode_symbols(
        self, symbols: torch.Tensor, cache: bool, *, out: None = ...
    ) -> Optional[bytes]: ...

    def encode_symbols(
        self, symbols: torch.Tensor, cache: bool = False, *, out: MaybeTarget = None
    ) -> MaybeBytes:
        """`encode_with_indexes` with the only table.

        Example:
            >>> from torch_ans import TorchANSInterface
            >>> coder = TorchANSInterface()
            >>> coder.init_params(torch.tensor([[0.1, 0.8, 0.1]]))
            >>> memory = torch.empty(1000, dtype=torch.uint8)  # pin_memory=True: for a GPU
            >>> symbols = torch.tensor([0, 1, 1, 2])
            >>> data = coder.encode_symbols(symbols, out=memory)
            >>> data == coder.encode_symbols(symbols)
            True
            >>> coder.decode_symbols(data, size=4)
            tensor([0, 1, 1, 2], dtype=torch.int32)
        """
        job = make_job(symbols, None, self.tables, self._context_call())
        return self._finish(job, cache, out)

    @overload
    def encode_with_freqs(
        self,
        symbols: torch.Tensor,
        freqs: torch.Tensor,
        num_freqs: MaybeTensor = ...,
        offsets: MaybeTensor = ...,
        cache: Literal[False] = ...,
        *,
        out: None = ...,
    ) -> bytes: ...

    @overload
    def encode_with_freqs(
        self,
        symbols: torch.Tensor,
        freqs: torch.Tensor,
        num_freqs: MaybeTensor = ...,
        offsets: MaybeTensor = ...,
        cache: Literal[False] = ...,
        *,
        out: ByteTarget,
    ) -> memoryview: ...

    @overload
    def encode_with_freqs(
        self,
        symbols: torch.Tensor,
        freqs: torch.Tensor,
        num_freqs: MaybeTensor = ...,
        offsets: MaybeTensor = ...,
        *,
        cache: bool,
        out: None = ...,
    ) -> Optional[bytes]: ...

    def encode_with_freqs(
        self,
        symbols: torch.Tensor,
        freqs: torch.Tensor,
        num_freqs: MaybeTensor = None,
        offsets: MaybeTensor = None,
        cache: bool = False,
        *,
        out: MaybeTarget = None,
    ) -> MaybeBytes:
        """Codes each symbol with frequencies of its own.

        Args:
            symbols: integers of any shape.
            freqs: frequencies, the symbols' shape and (width,); see `init_params`.
            num_freqs: entries that count, the symbols' shape; None: all.
            offsets: the smallest symbol, the symbols' shape; None: 0.
            cache: put them into the queue for `flush` instead.
            out: memory for the bytes, as in `encode_with_indexes`.

        Returns:
            As `encode_with_indexes`. The interface's own tables stay as they are.
        """
        return self._finish(self._freqs_job(symbols, freqs, num_freqs, offsets), cache, out)

    @overload
    def flush(self, *, out: None = ...) -> bytes: ...

    @overload
    def flush(self, *, out: ByteTarget) -> memoryview: ...

    def flush(self, *, out: MaybeTarget = None) -> Union[bytes, memoryview]:
        """Codes the queue: the bytes decode in the order in which the jobs were queued.

        Args:
            out: memory for the bytes, as in `encode_with_indexes`. The queue is kept if it is too
                small.
        """
        target = None if out is None else check_target(out)
        stream = self._encode_queue()
        if stream is None:
            return b"" if target is None else memoryview(target)[:0]
        data = self._coder.pack(stream, target)
        self.reset_cache()
        return data

    def _finish(self, job: Job, cache: bool, out: MaybeTarget) -> MaybeBytes:
        if not cache:
            return self._coder.encode_bytes(job, None if out is None else check_target(out))
        if out is not None:
            raise ValueError("out must be None with cache=True: flush(out=...) writes the bytes")
        self._queue.append(job)
        return None
