"""Symbols into stream tensors and back: what `TorchANSInterface` builds on."""

from __future__ import annotations

from typing import List, Optional, Tuple, Union

import torch

from ._arguments import check_dtype
from ._contexts import ArOffsets, ContextCall, Contexts, make_contexts
from ._memory import ByteSource
from ._native import check_tensor
from ._numbers import check_int
from ._options import check_device, check_mode, check_rows, clamp_freq_precision
from ._row_coder import Job, RowCoder, make_job, make_output
from .byte_strings import check_length_bytes
from .estimate import estimate_bits, split_bits
from .quantize import quantize_frequencies
from .report import SizeReport
from .tables import CodingTables, lookup_precision
from .variant import is_tans, resolve_variant

__all__ = ["StreamInterface"]

MaybeTensor = Optional[torch.Tensor]
MaybeDtype = Optional[torch.dtype]


class StreamInterface:
    """Options, tables, and coding with stream tensors; `TorchANSInterface` documents them."""

    def __init__(
        self,
        impl: str = "rans64",
        bypass_coding: bool = True,
        bypass_precision: int = 4,
        num_parallel_states: Optional[int] = None,
        num_interleaves: int = 1,
        num_bytes_code_length: int = 4,
        inverse_cdf_precision: Union[int, str, None] = None,
        alias_sampling: bool = False,
        incremental_compile: Optional[bool] = None,
        *,
        freq_precision: int = 16,
        device: Union[torch.device, str, None] = None,
        dtype: torch.dtype = torch.int32,
        symbol_precision: int = 8,
        mode: str = "encdec",
        check_validity: bool = False,
    ) -> None:
        variant = resolve_variant(impl, num_interleaves, alias_sampling, inverse_cdf_precision)
        family, self.num_interleaves, self.alias_sampling = variant
        self.impl = impl
        self._is_tans = is_tans(family)
        self.freq_precision = clamp_freq_precision(family, freq_precision)
        self.device = check_device(device)
        self.num_parallel_states = check_rows(num_parallel_states)
        self.bypass_coding = bool(bypass_coding)
        self.bypass_precision = check_int(bypass_precision, "bypass_precision")
        lookup_precision(inverse_cdf_precision, self.freq_precision)
        self.inverse_cdf_precision = inverse_cdf_precision
        self.num_bytes_code_length = check_length_bytes(
            num_bytes_code_length, "num_bytes_code_length"
        )
        self.dtype = check_dtype(dtype)
        self.symbol_precision = symbol_precision
        self.mode = check_mode(mode)
        self.check_validity = bool(check_validity)
        self._coder = RowCoder(
            (family, self.num_interleaves),
            self.bypass_precision,
            self.num_parallel_states,
            self.num_bytes_code_length,
        )
        self._tables: Optional[CodingTables] = None
        self._contexts: Optional[Contexts] = None
        self._queue: List[Job] = []
        self._stream: MaybeTensor = None

    # --- tables -----------------------------------------------------------------------------

    def init_params(
        self, freqs: torch.Tensor, num_freqs: MaybeTensor = None, offsets: MaybeTensor = None
    ) -> None:
        """Makes the tables from frequencies, on their device.

        Args:
            freqs: frequencies or probabilities, (K, width); an escape of 1e-10 is appended to each
                row under bypass coding. Every row is quantised over its own entries.
            num_freqs: entries that count in each row, integers (K,); None: all.
            offsets: the smallest symbol of each table, integers (K,); None: 0.

        Raises:
            TypeError: an argument is no tensor of numbers.
            ValueError: a shape does not fit, or a row cannot be quantised.
        """
        self._tables = self._tables_from(freqs, num_freqs, offsets)

    def set_cdfs(
        self, cdfs: torch.Tensor, cdfs_sizes: MaybeTensor = None, offsets: MaybeTensor = None
    ) -> None:
        """Sets the tables: quantised CDFs, copied on their device (see `CodingTables`)."""
        self._tables = self._tables_of(cdfs, cdfs_sizes, offsets)

    def init_ar_params(
        self, ar_tables: MaybeTensor, ar_offsets: Optional[ArOffsets] = None
    ) -> None:
        """Lets the tables follow the symbols (finite-state autoregressive coding).

        From now on `encode_with_indexes`, `encode_symbols` and their like code symbol i with table
        `ar_tables[ar_index[i], index[i], c_1, .. c_order]`, where c_k is 1 more than symbol
        `i - offset_k` is above the offset of the table that coded it, at least 0 and at most what
        `ar_tables` has room for; 0 where there is no such symbol before it in its row. Decoding
        keeps to that inside the coder's loop: no network is called between two symbols.

        Args:
            ar_tables: which table, integers (sets, indexes, C_1, .. C_order), order 1 to 3. None:
                indexes name tables again.
            ar_offsets: for each context how far back its symbol lies: a number of symbols, or a
                step in each of the last dimensions. With symbols of shape (C, H, W), the previous
                channel is (1, 0, 0), the previous row (0, 1, 0) and the previous column (0, 0, 1).
                No offset is shorter than the number of lanes.

        Raises:
            TypeError: an argument has the wrong type.
            ValueError: a shape or a value is impossible.

        Example:
            >>> from torch_ans import TorchANSInterface
            >>> coder = TorchANSInterface("rans64")
            >>> coder.init_params(torch.tensor([[8.0, 1.0], [1.0, 8.0]]))
            >>> coder.init_ar_params(torch.tensor([[[0, 0, 1]]]), 1)  # as the last symbol was
            >>> symbols = torch.tensor([0, 0, 0, 1, 1, 1, 1, 0])
            >>> data = coder.encode_symbols(symbols)
            >>> bool((coder.decode_symbols(data, 8) == symbols).all())
            True
        """
        if ar_tables is None:
            self._contexts = None
            return
        if ar_offsets is None:
            raise ValueError("ar_offsets must be given with ar_tables, got None")
        self._contexts = make_contexts(ar_tables, ar_offsets)

    def _context_call(
        self, ar_indexes: MaybeTensor = None, ar_offsets: Optional[ArOffsets] = None
    ) -> Optional[ContextCall]:
        if self._contexts is None:
            if ar_indexes is not None or ar_offsets is not None:
                raise RuntimeError("there are no ar_tables yet: call init_ar_params first")
            return None
        return ContextCall(self._contexts.replace_offsets(ar_offsets), ar_indexes)

    @property
    def tables(self) -> CodingTables:
        """The tables; RuntimeError before `init_params` or `set_cdfs`."""
        if self._tables is None:
            raise RuntimeError("there are no tables yet: call init_params or set_cdfs first")
        return self._tables

    @property
    def cdfs(self) -> torch.Tensor:
        """The CDF rows, int32 (K, width), on the device that was given. Not to be changed."""
        return self.tables.cdfs

    @property
    def cdfs_sizes(self) -> torch.Tensor:
        """Entries that count in each row, int32 (K,). Not to be changed."""
        return self.tables.cdfs_sizes

    @property
    def offsets(self) -> torch.Tensor:
        """The smallest symbol of each table, int32 (K,). Not to be changed."""
        return self.tables.offsets

    def estimate_bits(self, symbols: torch.Tensor, indexes: MaybeTensor = None) -> torch.Tensor:
        """Bits that each symbol costs on the quantised tables, float64 of the symbols' shape.

        Raises:
            IndexError: an index names no table.
            ValueError: a symbol is outside its table, without bypass.
        """
        job = make_job(symbols, indexes, self.tables)
        return estimate_bits(job.tables, job.symbols, job.indexes, self.bypass_precision)

    def report(
        self, encoded: ByteSource, indexes: MaybeTensor = None, *, symbols: MaybeTensor = None
    ) -> SizeReport:
        """What the size of encoded bytes is made of, and why it exceeds the estimate.

        Args:
            encoded: what `encode_with_indexes` or `encode_symbols` returned.
            indexes: the table of each symbol; None where there is one table.
            symbols: what was encoded; None: it is decoded, where there are indexes. With neither,
                the report has the bytes alone.

        Raises:
            CorruptStreamError: bytes that were not coded by this interface.
            IndexError, RuntimeError, TypeError, ValueError: as `estimate_bits`.
        """
        lengths, row_bytes = self._coder.measure(encoded)
        rows, codec = len(row_bytes), self._coder.codec
        states = rows * codec.header_bytes
        spare = codec.lower_bound.bit_length() - 1
        parts = (rows, codec.lanes, lengths, states, sum(row_bytes) - states, spare)
        if symbols is None and indexes is not None:
            symbols = make_output(indexes, None, None, torch.int64)
            self._coder.decode_bytes(self.tables, encoded, indexes, symbols)
        if symbols is None:
            return SizeReport(*parts)
        job = make_job(symbols, indexes, self.tables)
        table_bits, bypass_bits = split_bits(
            job.tables, job.symbols, job.indexes, self.bypass_precision
        )
        escapes = int((bypass_bits > 0).sum())
        costs = (float(table_bits.sum()), float(bypass_bits.sum()))
        return SizeReport(*parts, symbols.numel(), escapes, *costs)

    # --- stream tensors ---------------------------------------------------------------------

    def encode(
        self,
        symbols: torch.Tensor,
        dist_indexes: MaybeTensor = None,
        dist_freqs: MaybeTensor = None,
        dist_num_freqs: MaybeTensor = None,
        dist_min: MaybeTensor = None,
        cache: bool = False,
    ) -> MaybeTensor:
        """Codes symbols into a new stream tensor.

        Args:
            symbols: integers of any shape.
            dist_indexes: the table of each symbol; None and no `dist_freqs`: the only table.
            dist_freqs: frequencies of each symbol instead, the symbols' shape and (width,).
            dist_num_freqs: entries of `dist_freqs` that count, the symbols' shape; None: all.
            dist_min: the smallest symbol, the symbols' shape; None: 0.
            cache: put them into the queue for `encode_flush` instead.

        Returns:
            Int32 (rows, columns); None if `cache`.

        Raises:
            IndexError: an index names no table.
            RuntimeError: there are no tables yet.
            TypeError: an argument is no integer tensor.
            ValueError: a shape does not fit, or a symbol is outside its table, without bypass.
        """
        if dist_freqs is None:
            job = make_job(symbols, dist_indexes, self.tables, self._context_call())
        else:
            job = self._freqs_job(symbols, dist_freqs, dist_num_freqs, dist_min)
        if cache:
            self._queue.append(job)
            return None
        return self._coder.encode_stream([job], self.num_parallel_states or 1)

    def encode_flush(self) -> MaybeTensor:
        """Codes the queue into a stream, to be decoded in the order in which it was queued.

        The stream has `num_parallel_states` rows or, if that is None, as many as the first
        dimension of the job that was queued last. The queue is empty after that, unless it fails.

        Returns:
            Int32 (rows, columns); None if nothing was queued.
        """
        stream = self._encode_queue()
        self.reset_cache()
        return stream

    def reset_cache(self) -> None:
        """Empties the queue."""
        self._queue = []

    def decode(
        self,
        stream: MaybeTensor = None,
        dist_indexes: MaybeTensor = None,
        dist_freqs: MaybeTensor = None,
        dist_num_freqs: MaybeTensor = None,
        dist_min: MaybeTensor = None,
        *,
        out: MaybeTensor = None,
        dtype: MaybeDtype = None,
    ) -> torch.Tensor:
        """Takes symbols off a stream tensor, which shrinks in place and may hold more.

        Args:
            stream: int32 (rows, columns); None: that of `set_stream`.
            dist_indexes: as in `encode`, likewise the next three.
            dist_freqs: frequencies of each symbol.
            dist_num_freqs: entries of `dist_freqs` that count.
            dist_min: the smallest symbol.
            out: integers that get the symbols; needed without indexes and frequencies.
            dtype: dtype of the result; None: the interface's.

        Returns:
            `out`, or a new tensor of the shape of the indexes, or of the frequencies without their
            last dimension.

        Raises:
            CorruptStreamError: rows that cannot be decoded; the stream is as it was.
            IndexError: an index names no table.
            RuntimeError: there are no tables yet, or no stream.
            TypeError: an argument has the wrong type.
            ValueError: a shape does not fit.
        """
        if stream is None:
            if self._stream is None:
                raise RuntimeError("there is no stream yet: pass one or call set_stream first")
            stream = self._stream
        if dist_freqs is None:
            tables = self.tables
        else:
            dist_indexes, tables = self._freqs_tables(dist_freqs, dist_num_freqs, dist_min)
        contexts = self._context_call() if dist_freqs is None else None
        result = make_output(dist_indexes, None, out, dtype or self.dtype)
        self._coder.decode_stream(tables, stream, dist_indexes, result, contexts)
        return result

    # --- helpers ----------------------------------------------------------------------------

    def _encode_queue(self) -> MaybeTensor:
        if not self._queue:
            return None
        return self._coder.encode_stream(self._queue, self._coder.rows_of(self._queue))

    def _tables_of(
        self, cdfs: torch.Tensor, cdfs_sizes: MaybeTensor, offsets: MaybeTensor
    ) -> CodingTables:
        return CodingTables(
            cdfs,
            cdfs_sizes,
            offsets,
            self.freq_precision,
            self.bypass_coding,
            alias=self.alias_sampling,
            inverse_cdf_precision=0 if self._is_tans else self.inverse_cdf_precision,
        )

    def _tables_from(
        self, freqs: torch.Tensor, num_freqs: MaybeTensor, offsets: MaybeTensor
    ) -> CodingTables:
        cdfs, sizes = quantize_frequencies(
            freqs, num_freqs, self.freq_precision, self.bypass_coding
        )
        return self._tables_of(cdfs, sizes, offsets)

    def _freqs_tables(
        self, freqs: torch.Tensor, num_freqs: MaybeTensor, offsets: MaybeTensor
    ) -> Tuple[torch.Tensor, CodingTables]:
        """An index per symbol, and the tables of frequencies of shape (..., width)."""
        shape = check_tensor(freqs, "freqs", cuda=True).shape
        if not shape:
            raise ValueError("freqs must have the symbols' shape and one dimension more, got ()")
        rows = freqs.reshape(shape[:-1].numel(), shape[-1])
        tables = self._tables_from(rows, num_freqs, offsets)
        indexes = torch.arange(rows.shape[0], device=freqs.device)
        return indexes.reshape(shape[:-1]), tables

    def _freqs_job(
        self,
        symbols: torch.Tensor,
        freqs: torch.Tensor,
        num_freqs: MaybeTensor,
        offsets: MaybeTensor,
    ) -> Job:
        indexes, tables = self._freqs_tables(freqs, num_freqs, offsets)
        if check_tensor(symbols, "symbols", cuda=True).shape != indexes.shape:
            raise ValueError(
                f"freqs must have the symbols' shape and one dimension more, got "
                f"{tuple(freqs.shape)} for symbols of shape {tuple(symbols.shape)}"
            )
        return make_job(symbols, indexes, tables)
