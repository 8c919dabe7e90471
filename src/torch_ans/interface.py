"""`TorchANSInterface`: tensors of any shape to bytes and back."""

from __future__ import annotations

from typing import Literal, Optional, Sequence, Union, overload

import torch

from ._contexts import ArOffsets
from ._encode_interface import EncodeInterface
from ._memory import ByteSource
from ._row_coder import make_job, make_output
from ._stream_interface import MaybeDtype, MaybeTensor
from .container import Salvaged, pack, unpack

__all__ = ["TorchANSInterface"]


class TorchANSInterface(EncodeInterface):
    """A coder with its tables.

    A tensor of any shape is coded in row-major order, cut into `num_parallel_states` rows (1 if
    None; as many as a stream has when decoding). The bytes are those of torch-ans 0.4.0: each row
    behind its length, except that the last row is bare where `num_parallel_states` is given.

    Wherever `indexes` are asked for, they are integers that broadcast to the symbols, or None where
    there is one table; `out=` of a decoder is a tensor to decode into, and `dtype=` the dtype of a
    new one. `out=` of an encoder is memory to write the bytes to. Encoded data is bytes-like or a
    tensor: uint8 of one dimension, contiguous, in host memory.
    One interface may be used by several threads at once, unless they change its tables, its queue
    (`cache=True`) or its stream (`set_stream`).

    Args:
        impl: a family, `rans64`, `rans32`, `rans32_16`, `tans32`, `tans16` or `tans8`, or a full
            name such as `rans64_i4`, `rans32_16_alias`, `rans32_i8_invcdf` or `tans32_i4`.
        bypass_coding: the last entry of each table is an escape for all other integers.
        bypass_precision: bits of a digit behind the escape.
        num_parallel_states: rows.
        num_interleaves: lanes: 1, 2, 4, 8, 16 or 32.
        num_bytes_code_length: bytes of a row's length: 1, 2, 4 or 8.
        inverse_cdf_precision: log2 of the buckets in the decoder's lookup; None or "auto" for what
            is fastest. It changes no byte.
        alias_sampling: the alias method's order of slots.
        incremental_compile: accepted for callers of torch-ans, and ignored: nothing is compiled.
        freq_precision: bits of the probabilities; the family's maximum where it is more.
        device: where to decode, None (the CPU), "cpu" or a CUDA device, if no tensor tells: symbols
            and indexes are coded on the device where they are.
        dtype: dtype of decoded symbols.
        symbol_precision: accepted for callers of torch-ans, and ignored: any alphabet will do.
        mode: "encdec", "encoder" or "decoder"; accepted likewise: both directions always work.
        check_validity: accepted likewise: arguments are always checked.

    Raises:
        TypeError: an option has the wrong type.
        ValueError: an unknown option or combination; the message lists what exists.

    Example:
        >>> coder = TorchANSInterface("rans64_i4")
        >>> coder.init_params(torch.tensor([[0.1, 0.8, 0.1]]), offsets=torch.tensor([-1]))
        >>> symbols = torch.tensor([[0, 1, -1], [0, 0, 9]])
        >>> data = coder.encode_with_indexes(symbols, torch.zeros_like(symbols))
        >>> coder.decode_with_indexes(data, torch.zeros_like(symbols))
        tensor([[ 0,  1, -1],
                [ 0,  0,  9]], dtype=torch.int32)
    """

    def pack(self, symbols: torch.Tensor, indexes: MaybeTensor = None) -> bytes:
        """Codes symbols into a file that `unpack` reads: `torch_ans.pack` has the details.

        It holds the bytes of `encode_with_indexes` and, in under 64 bytes and 4 a row, the coder,
        shape and dtype, a hash of the tables and checksums.

        Args:
            symbols: integers of any shape and strides.
            indexes: the table of each symbol; None where there is one table.

        Raises:
            IndexError, RuntimeError, TypeError, ValueError: as `encode_with_indexes`.
        """
        if self._contexts is not None:
            raise ValueError("pack takes no ar_tables: its files do not name them")
        job = make_job(symbols, indexes, self.tables)
        return pack(
            self._coder.encode_bytes(job),
            job.tables,
            impl=self.impl,
            shape=symbols.shape,
            dtype=symbols.dtype,
            num_interleaves=self.num_interleaves,
            bypass_precision=self.bypass_precision,
            num_bytes_code_length=self.num_bytes_code_length,
            num_parallel_states=self.num_parallel_states,
        )

    # --- bytes to symbols -------------------------------------------------------------------

    def decode_with_indexes(
        self,
        encoded: ByteSource,
        indexes: MaybeTensor,
        *,
        ar_indexes: MaybeTensor = None,
        ar_offsets: Optional[ArOffsets] = None,
        out: MaybeTensor = None,
        dtype: MaybeDtype = None,
    ) -> torch.Tensor:
        """Decodes bytes that hold as many symbols as there are indexes, and nothing else.

        Args:
            encoded: what `encode_with_indexes` returned. Large data for a CUDA device is read
                where it lies, if that is pinned memory.
            indexes: the table of each symbol. None (one table) needs `out`.
            ar_indexes: as in `encode_with_indexes`.
            ar_offsets: as in `encode_with_indexes`.
            out: integers that get the symbols, in other memory than the indexes.
            dtype: dtype of the result; None: the interface's.

        Returns:
            `out`, or a new tensor of the indexes' shape.

        Raises:
            CorruptStreamError: bytes that were not coded with these tables, or hold more or fewer
                symbols; `rows` lists the rows that are known to be broken.
            IndexError: an index names no table.
            RuntimeError: there are no tables yet.
            TypeError: an argument has the wrong type.
        """
        contexts = self._context_call(ar_indexes, ar_offsets)
        result = make_output(indexes, None, out, dtype or self.dtype)
        self._coder.decode_bytes(self.tables, encoded, indexes, result, contexts)
        return result

    def decode_symbols(
        self,
        encoded: ByteSource,
        size: Union[int, Sequence[int], None] = None,
        *,
        out: MaybeTensor = None,
        dtype: MaybeDtype = None,
    ) -> torch.Tensor:
        """`decode_with_indexes` with the only table, for a shape `size` or that of `out`."""
        result = make_output(None, size, out, dtype or self.dtype, self.device)
        self._coder.decode_bytes(self.tables, encoded, None, result, self._context_call())
        return result

    def decode_with_freqs(
        self,
        encoded: ByteSource,
        freqs: torch.Tensor,
        num_freqs: MaybeTensor = None,
        offsets: MaybeTensor = None,
        *,
        out: MaybeTensor = None,
        dtype: MaybeDtype = None,
    ) -> torch.Tensor:
        """The inverse of `encode_with_freqs`."""
        indexes, tables = self._freqs_tables(freqs, num_freqs, offsets)
        result = make_output(indexes, None, out, dtype or self.dtype)
        self._coder.decode_bytes(tables, encoded, indexes, result)
        return result

    @overload
    def unpack(
        self,
        data: ByteSource,
        indexes: MaybeTensor = ...,
        *,
        out: MaybeTensor = ...,
        dtype: MaybeDtype = ...,
        errors: Literal["strict"] = ...,
    ) -> torch.Tensor: ...

    @overload
    def unpack(
        self,
        data: ByteSource,
        indexes: MaybeTensor = ...,
        *,
        out: MaybeTensor = ...,
        dtype: MaybeDtype = ...,
        errors: Literal["salvage"],
    ) -> Salvaged: ...

    def unpack(
        self,
        data: ByteSource,
        indexes: MaybeTensor = None,
        *,
        out: MaybeTensor = None,
        dtype: MaybeDtype = None,
        errors: str = "strict",
    ) -> Union[torch.Tensor, Salvaged]:
        """Decodes a file of `pack`; any interface with the same tables will do.

        Args:
            data: the file.
            indexes: the table of each symbol, integers that broadcast to the symbols.
            out: integers of the symbols' shape that get the symbols.
            dtype: dtype of the result; None: that of the symbols that were packed.
            errors: "strict" raises at the first damage; "salvage" decodes the other rows and
                returns `Salvaged`.

        Raises:
            CorruptStreamError: the file is damaged; `rows` lists the rows that are.
            TableMismatchError: the file was coded with other tables.
            IndexError, RuntimeError, TypeError, ValueError: as `decode_with_indexes`.
        """
        return unpack(data, self.tables, indexes, out=out, dtype=dtype, errors=errors)

    def set_stream(self, encoded: ByteSource) -> None:
        """Keeps bytes as the stream that `decode_stream` takes symbols off.

        Raises:
            CorruptStreamError: the lengths of the rows do not fit the bytes.
            TypeError: `encoded` is neither bytes-like nor a uint8 tensor.
        """
        self._stream = self._coder.unpack(encoded, self.device)

    def decode_stream(
        self,
        indexes: MaybeTensor,
        *,
        out: MaybeTensor = None,
        dtype: MaybeDtype = None,
    ) -> torch.Tensor:
        """Takes the next symbols off the stream of `set_stream`; more may follow."""
        return self.decode(None, indexes, out=out, dtype=dtype)

    def decode_stream_with_freqs(
        self,
        freqs: torch.Tensor,
        num_freqs: MaybeTensor = None,
        offsets: MaybeTensor = None,
        *,
        out: MaybeTensor = None,
        dtype: MaybeDtype = None,
    ) -> torch.Tensor:
        """`decode_stream` with frequencies of each symbol."""
        return self.decode(None, None, freqs, num_freqs, offsets, out=out, dtype=dtype)
