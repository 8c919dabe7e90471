"""Probabilities into tables of integers, and tables into what a decoder looks up."""

from __future__ import annotations

from typing import Optional, Tuple

import torch

from . import _native, _native_cuda_tables, _native_tables
from ._numbers import check_range
from .tables import cdf_rows, per_table

__all__ = [
    "inverse_quantized_cdf",
    "pmf_to_quantized_cdf_batched",
    "quantize_frequencies",
    "rans_alias_build_table",
    "rans_build_inverse_cdf",
    "rans_pmf_to_quantized_cdf",
    "tans_build_tables",
    "tans_cdfs",
]

TAIL_MASS = 1e-10
"""The probability that torch-ans gives to the escape before quantisation."""

_MAX_PRECISION = 16
_MAX_TABLE_LOG = 15


@_native.fork_safe
def rans_pmf_to_quantized_cdf(pmfs: torch.Tensor, precision: int = 16) -> torch.Tensor:
    """Quantises probabilities so that each symbol keeps a count of at least 1.

    One rounding (`round(p * 2**precision)`), the rest integer arithmetic: the same rows everywhere,
    and the same as those of CompressAI's `pmf_to_quantized_cdf`.

    Args:
        pmfs: probabilities, floats of shape (..., length), taken as float32; or counts, integers,
            taken as they are. They need not sum to 1.
        precision: bits of the result, 1 to 16; at most `2**precision` symbols fit.

    Returns:
        Int32 (..., length + 1): from 0 to `2**precision`, strictly increasing.

    Raises:
        TypeError: `pmfs` is no tensor of numbers.
        ValueError: a row is negative, not finite, sums to zero, or has too many symbols.

    Example:
        >>> rans_pmf_to_quantized_cdf(torch.tensor([0.5, 0.25, 0.25]), precision=4)
        tensor([ 0,  8, 12, 16], dtype=torch.int32)
    """
    tensor = _native.check_tensor(pmfs, "pmfs", cuda=True)
    precision = check_range(precision, "precision", 1, _MAX_PRECISION)
    if tensor.dim() < 1 or tensor.shape[-1] < 1:
        raise ValueError(f"pmfs must have shape (..., length), got {tuple(tensor.shape)}")
    length = tensor.shape[-1]
    rows = tensor.numel() // length
    if tensor.is_floating_point():
        flat = tensor.detach().resolve_neg().reshape(rows, length).to(torch.float32).contiguous()
    else:
        integers = _native.check_integers(tensor, "pmfs", cuda=True)
        flat = integers.reshape(rows, length).to(torch.int64)
    quantize = _native_cuda_tables.quantize_pmf if tensor.is_cuda else _native_tables.quantize_pmf
    cdf = quantize(flat.contiguous(), None, precision)
    return cdf.reshape(*tensor.shape[:-1], length + 1)


@_native.fork_safe
def pmf_to_quantized_cdf_batched(
    pmf: torch.Tensor,
    precision: int = 16,
    add_tail: bool = True,
    tail_mass: float = TAIL_MASS,
    normalize: bool = True,
) -> torch.Tensor:
    """Quantises the rows of a batch, with an escape symbol at their end.

    Args:
        pmf: floats of shape (K, length).
        precision: bits of the result.
        add_tail: append the escape's probability.
        tail_mass: what is appended.
        normalize: divide by the row's sum first. (Quantisation does so in any case.)

    Returns:
        Int32 (K, length + 2), or (K, length + 1) without a tail.

    Raises:
        TypeError: `pmf` is no float tensor.
        ValueError: it has another shape, or cannot be quantised.

    Example:
        >>> pmf_to_quantized_cdf_batched(torch.tensor([[0.5, 0.5]]), precision=4)
        tensor([[ 0,  7, 15, 16]], dtype=torch.int32)
    """
    tensor = _native.check_tensor(pmf, "pmf", cuda=True)
    if not tensor.is_floating_point():
        raise TypeError(f"pmf must have a floating dtype, got {tensor.dtype}")
    if tensor.dim() != 2:
        raise ValueError(f"pmf must have shape (K, length), got {tuple(tensor.shape)}")
    rows = tensor.detach().to("cpu", torch.float32)  # sums of floats depend on the device
    if add_tail:
        tail = torch.full((rows.shape[0], 1), tail_mass, dtype=torch.float32, device="cpu")
        rows = torch.cat([rows, tail], dim=1)
    if normalize:
        rows = rows / rows.sum(1, keepdim=True)
    return rans_pmf_to_quantized_cdf(rows.to(tensor.device), precision)


@_native.fork_safe
def quantize_frequencies(
    freqs: torch.Tensor, num_freqs: Optional[torch.Tensor], precision: int, tail: bool
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Tables of K distributions of different lengths, each quantised over its own entries.

    The probabilities are torch-ans': a tail of 1e-10 is appended to the frequencies, which are then
    divided, as float32, by their sum.

    Args:
        freqs: frequencies, floats or integers of shape (K, width).
        num_freqs: entries that count in each row, integers (K,); None: all.
        precision: bits of the result.
        tail: append an escape symbol to each row.

    Returns:
        (cdfs, cdfs_sizes): int32 (K, width + 1 or 2) and (K,), on the device of `freqs`.

    Raises:
        TypeError: an argument is no tensor of numbers.
        ValueError: a shape does not fit, or a row cannot be quantised.
    """
    tensor = _native.check_tensor(freqs, "freqs", cuda=True).detach().resolve_neg().cpu()
    if tensor.dim() == 1:
        tensor = tensor.unsqueeze(0)
    if tensor.dim() != 2 or tensor.shape[1] < 1:
        raise ValueError(f"freqs must have shape (K, width), got {tuple(freqs.shape)}")
    if not tensor.is_floating_point():
        _native.check_integers(tensor, "freqs")
    count, width = tensor.shape
    lengths = per_table(num_freqs, "num_freqs", count, width)
    bad = (lengths < 1) | (lengths > width)
    if bool(bad.any()):
        row = int(bad.nonzero()[0])
        raise ValueError(f"num_freqs[{row}] must be in 1..{width}, got {int(lengths[row])}")
    rows = tensor.to(torch.float32)
    if tail:
        rows = torch.cat([rows, rows.new_zeros((count, 1))], dim=1)
    if bool((lengths < width).any()):
        behind = torch.arange(rows.shape[1], device="cpu") >= lengths.unsqueeze(1)
        rows = rows.masked_fill(behind, 0.0)
    if tail:
        rows = rows.scatter(1, lengths.to(torch.int64).unsqueeze(1), TAIL_MASS)
        lengths = lengths + 1
    rows = rows / rows.sum(-1, keepdim=True)  # on the CPU: sums of floats depend on the device
    rows, lengths = rows.contiguous().to(freqs.device), lengths.to(freqs.device)
    quantize = _native_cuda_tables.quantize_pmf if freqs.is_cuda else _native_tables.quantize_pmf
    return quantize(rows, lengths, precision), lengths + 1


@_native.fork_safe
def rans_alias_build_table(
    cdfs: torch.Tensor,
    cdfs_sizes: Optional[torch.Tensor] = None,
    symbol_precision: int = 8,
    freq_precision: int = 16,
) -> Tuple[torch.Tensor, torch.Tensor]:
    """Appends to each CDF row what the alias method needs, for torch-ans' callers.

    The `..._alias_push` and `..._alias_pop` functions here take plain CDFs as well, and build
    their tables from them.

    Args:
        cdfs: integers (K, width).
        cdfs_sizes: entries that count in each row, integers (K,); None: all.
        symbol_precision: ignored: alphabets of any size are padded with empty buckets.
        freq_precision: bits of the probabilities.

    Returns:
        (for push, for pop): int32 rows that start with the CDF.

    Raises:
        TypeError: an argument is no integer tensor.
        ValueError: a row is not a CDF (the message names it).
    """
    del symbol_precision
    freq_precision = check_range(freq_precision, "freq_precision", 1, _MAX_PRECISION)
    rows = cdf_rows(cdfs).cpu()
    sizes = per_table(cdfs_sizes, "cdfs_sizes", *rows.shape)
    push, pop = _native_tables.alias_tables(rows, sizes, freq_precision)
    return (push[0], pop[0]) if cdfs.dim() == 1 else (push, pop)


@_native.fork_safe
def rans_build_inverse_cdf(
    cdfs: torch.Tensor, freq_precision: int = 16, table_precision: Optional[int] = None
) -> torch.Tensor:
    """Appends its inverse to each CDF row.

    Args:
        cdfs: integers (K, width) or (width,).
        freq_precision: bits of the probabilities.
        table_precision: q: the inverse has `2**q` entries, entry i the symbol of the slot
            `i << (freq_precision - q)`. None: `freq_precision`.

    Returns:
        Int32 of shape (K, width + 2**q) or (width + 2**q,).

    Raises:
        TypeError: `cdfs` is no integer tensor.
        ValueError: a row is not a CDF, or `table_precision` is not in 1 to `freq_precision`.

    Example:
        >>> rans_build_inverse_cdf(torch.tensor([0, 1, 4]), freq_precision=2)
        tensor([0, 1, 4, 0, 1, 1, 1], dtype=torch.int32)
    """
    freq_precision = check_range(freq_precision, "freq_precision", 1, _MAX_PRECISION)
    q = freq_precision if table_precision is None else table_precision
    q = check_range(q, "table_precision", 1, freq_precision, " (freq_precision)")
    rows = cdf_rows(cdfs).cpu()
    ends = (rows >= 1 << freq_precision).to(torch.int32)
    # A row counts up to the first entry that reaches 2**freq_precision: the rest is padding.
    found = ends.any(1) if rows.shape[1] else ends.new_zeros(rows.shape[0], dtype=torch.bool)
    whole = torch.tensor(rows.shape[1], device="cpu")
    sizes = torch.where(found, ends.argmax(1) + 1, whole)
    table = _native_tables.inverse_cdfs(rows, sizes.to(torch.int32), freq_precision, q)
    return table[0] if cdfs.dim() == 1 else table


def inverse_quantized_cdf(
    quantized_cdf: torch.Tensor, freq_precision: int = 16, table_precision: Optional[int] = None
) -> torch.Tensor:
    """The inverse alone: `rans_build_inverse_cdf` without the CDF in front, in its dtype.

    Example:
        >>> inverse_quantized_cdf(torch.tensor([0, 1, 4]), freq_precision=2)
        tensor([0, 1, 1, 1])
    """
    table = rans_build_inverse_cdf(quantized_cdf, freq_precision, table_precision)
    return table[..., quantized_cdf.shape[-1] :].to(quantized_cdf.dtype)


@_native.fork_safe
def tans_build_tables(
    cdfs: torch.Tensor, cdfs_sizes: Optional[torch.Tensor], table_log: int
) -> torch.Tensor:
    """The tables of tANS, in torch-ans' layout, which `{family}_push` and `_pop` take as `cdfs`.

    They take the CDFs themselves just as well, and keep what they build of them. Symbols are spread
    over the slots as in Finite State Entropy (Collet, 2013), after Duda, "Asymmetric numeral
    systems" (2013).

    Args:
        cdfs: quantised CDFs, integers (K, width) or (width,), up to `2**table_log`.
        cdfs_sizes: entries that count in each row, integers (K,); None: all.
        table_log: log2 of the slots N of a table, 1 to 15: the freq_precision.

    Returns:
        Int32 (K, 3 N + 2 width). A row holds, for each symbol's slots in turn, the state that
        names the slot; for each slot `bits << 16 | state`: how many bits a decoder reads and adds
        to which state (less N); the symbol of each slot; and for each symbol two numbers for the
        encoder, `(x + first) >> 16` being the bits that leave state x and `(x >> bits) + second`
        the entry of the next state. Zeros follow.

    Raises:
        TypeError: an argument is no integer tensor.
        ValueError: a row is not a CDF, or `table_log` is out of range.

    Example:
        >>> tans_build_tables(torch.tensor([[0, 1, 2, 4]]), None, 2)[0, 8:12]
        tensor([0, 1, 2, 2], dtype=torch.int32)
    """
    rows = cdf_rows(cdfs).cpu()
    sizes = per_table(cdfs_sizes, "cdfs_sizes", rows.shape[0], rows.shape[1])
    table_log = check_range(table_log, "table_log", 1, _MAX_TABLE_LOG)
    return _native_tables.tans_tables(rows, sizes, table_log).to(cdfs.device)


def tans_cdfs(
    cdfs: torch.Tensor, cdfs_sizes: Optional[torch.Tensor], freq_precision: int
) -> torch.Tensor:
    """`cdfs`, or the CDFs that `tans_build_tables` was given, where these are its tables.

    Raises:
        ValueError: they look like its tables, but are not.
    """
    slots = 1 << freq_precision
    width = (cdfs.shape[-1] - 3 * slots) // 2 if cdfs.dim() == 2 else 0
    if width < 2 or not cdfs.shape[0] or int(cdfs[0, 0]) == 0:
        return cdfs
    names = cdfs[:, 2 * slots : 3 * slots].to(torch.int64).clamp(0, width - 2)
    counts = torch.zeros((cdfs.shape[0], width), dtype=torch.int64, device=cdfs.device)
    counts[:, 1:].scatter_add_(1, names, torch.ones_like(names))
    rows = counts.cumsum(1).to(torch.int32)
    sizes = None if cdfs_sizes is None else cdfs_sizes.to(cdfs.device)
    if not torch.equal(tans_build_tables(rows, sizes, freq_precision), cdfs):
        raise ValueError(
            f"cdfs must be CDFs or what tans_build_tables makes of them for freq_precision "
            f"{freq_precision} and the same cdfs_sizes"
        )
    return rows
