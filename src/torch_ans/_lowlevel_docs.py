"""The docstrings of the functions that `lowlevel` makes."""

from __future__ import annotations

from typing import Dict

__all__ = ["DOCS"]

_INIT = """Makes a stream of empty rows.

Args:
    size: B, the number of rows.
    num_interleaves: lanes of the coder: 1, 2, 4, 8, 16 or 32, as in the name of its push and pop.
    preallocate_size: bytes of room in each row, beyond the lanes' states. A push makes more room
        where it needs it.
    device: where the stream goes; None: the CPU.

Returns:
    Int32 (B, columns). Column 0 is the number of bytes that follow, the lanes' states are next.

Raises:
    ValueError: `size` or `preallocate_size` is negative, or there is no such number of lanes.
"""

_TABLES = """    cdfs: quantised CDFs, integers (K, width) or (width,): `cdf[0] == 0`, strictly
        increasing, up to `2**freq_precision`. Or `CodingTables`, which say everything down to
        `bypass_coding`. On a CUDA device they are checked and made into tables there.
    cdfs_sizes: entries that count in each row of `cdfs`, integers (K,); None: all of them.
    offsets: the smallest symbol of each table, integers (K,); None: 0.
    symbol_precision: accepted for callers of torch-ans, and ignored.
    freq_precision: bits of the probabilities.
    bypass_coding: the last symbol of each table is an escape: any integer can be coded.
    bypass_precision: bits of a digit behind the escape."""

_PUSH = f"""Appends symbols to a stream, in place.

A row is coded last symbol first, so that the next pop returns the symbols in order. Several pushes
into one stream pop in reverse order. Tables made from tensors that did not change since one of the
last calls are found in a cache.

Args:
    stream: int32 (B, columns), contiguous. Where it is too small, the same tensor object gets a
        larger memory; other tensors that shared its old one no longer do.
    symbols: integers (B, N), any strides.
    indexes: which table each symbol uses: integers that broadcast to (B, N) and are read as they
        are, expanded or not. None: the only table.
{_TABLES}
    used_bytes: accepted for callers of torch-ans, and ignored.
    check: on a CUDA device, wait and raise what went wrong (and let rows grow for escapes), rather
        than leave that to `rans_check_stream`. On the CPU this is always done.
    ar_tables: tables that follow the symbols: see `TorchANSInterface.init_ar_params`.
    ar_offsets: how far back each context lies, with `ar_tables`.
    ar_indexes: the set of `ar_tables` for each symbol, integers that broadcast to (B, N).

Raises:
    CorruptStreamError: a length word of the stream is impossible.
    IndexError: an index names no table.
    TypeError: an argument has the wrong type or dtype.
    ValueError: a shape does not fit, a CDF is not valid, a symbol is outside its table without
        bypass, or a row would pass 2 GiB. In all these cases the stream is as it was.
"""

_POP = f"""Takes the symbols that were pushed last off a stream, whose length words shrink in place.

Args:
    stream: int32 (B, columns), contiguous.
    indexes: which table each symbol uses, integers (B, N), any strides. None: the only table; then
        `out` or `num_symbols` says what N is.
{_TABLES}
    inverse_cdf_precision: where the name says `invcdf` the lookup has
        `2**inverse_cdf_precision` buckets a table; "auto" or -1 for what is fastest, 0 for a plain
        search. The symbols do not depend on it. Ignored elsewhere.
    out: integers (B, N) that get the symbols, in memory of their own; a symbol that does not fit
        its dtype is an error.
    num_symbols: N, where there are no indexes.
    check: on a CUDA device, wait and raise what went wrong, rather than leave that to
        `rans_check_stream`. On the CPU this is always done.
    ar_tables: tables that follow the symbols: see `TorchANSInterface.init_ar_params`.
    ar_offsets: how far back each context lies, with `ar_tables`.
    ar_indexes: the set of `ar_tables` for each symbol, integers that broadcast to (B, N).

Returns:
    `out`, or a new tensor (B, N): int64 if `indexes` is int64, else int32.

Raises:
    CorruptStreamError: rows that cannot be decoded (its `rows` lists them).
    IndexError: an index names no table.
    TypeError: an argument has the wrong type or dtype.
    ValueError: a shape does not fit, or a CDF is not valid. In all these cases the stream is as it
        was; `out` may have been written.
"""

DOCS: Dict[str, str] = {"stream": _INIT, "push": _PUSH, "pop": _POP}
"""By the last word of a function's name."""
