"""Fitting tables whose choice follows the symbols, without a network."""

from __future__ import annotations

from typing import NamedTuple, Optional, Tuple

import torch

from ._contexts import ArOffsets, flatten_offsets
from ._native import check_integers
from ._numbers import check_range, check_size
from .quantize import quantize_frequencies

__all__ = ["MarkovTables", "fit_markov_tables"]

_ROUNDS = 12
_MAX_CONTEXTS = 1 << 26


class MarkovTables(NamedTuple):
    """What `set_cdfs(*fit[:3])` and `init_ar_params(*fit[3:])` of an interface take."""

    cdfs: torch.Tensor
    cdfs_sizes: torch.Tensor
    offsets: torch.Tensor
    ar_tables: torch.Tensor
    ar_offsets: Tuple[Tuple[int, ...], ...]


def fit_markov_tables(
    symbols: torch.Tensor,
    num_states: int,
    order: int = 1,
    *,
    ar_offsets: Optional[ArOffsets] = None,
    freq_precision: int = 16,
    bypass_coding: bool = True,
) -> MarkovTables:
    """Fits tables for finite-state autoregressive coding to training symbols.

    Counts how often each symbol follows each context, and groups the contexts into `num_states`
    distributions so that coding the training symbols takes few bits: Lloyd's algorithm with the
    cost in bits as distance (Banerjee et al., "Clustering with Bregman Divergences", 2005), started
    from contexts that each cost the most with those before. Contexts that never came share the
    table that is best for all.

    Args:
        symbols: integers of any shape, in which the coder will see them; every position of the
            flat sequence counts.
        num_states: tables to make, at least 1; fewer where there are fewer contexts.
        order: symbols in a context, 1 to 3.
        ar_offsets: how far back each of them lies, as for `init_ar_params`; None: the last ones.
        freq_precision: bits of the tables' probabilities.
        bypass_coding: append an escape to each table.

    Returns:
        CDFs (K, width), their sizes (K,) and offsets (K,), `ar_tables` (1, 1, C, ..) and the
        offsets.

    Raises:
        TypeError: `symbols` are no integers.
        ValueError: there are none, or a number is out of range.

    Example:
        >>> symbols = torch.arange(1000) % 4
        >>> fit = fit_markov_tables(symbols, num_states=5)
        >>> fit.ar_tables.shape  # one index, and a context for no symbol and for each of 4
        torch.Size([1, 1, 5])
    """
    flat = check_integers(symbols, "symbols").reshape(-1).to(torch.int64)
    states = check_size(num_states, "num_states")
    order = check_range(order, "order", 1, 3)
    freq_precision = check_range(freq_precision, "freq_precision", 1, 16)
    if states < 1 or not flat.numel():
        what = "num_states must be at least 1" if states < 1 else "symbols must not be empty"
        raise ValueError(f"{what}, got {num_states if states < 1 else tuple(symbols.shape)}")
    given = tuple(range(1, order + 1)) if ar_offsets is None else ar_offsets
    low = int(flat.min())
    width = int(flat.max()) - low + 1
    if (width + 1) ** order > _MAX_CONTEXTS:
        raise ValueError(f"symbols have {width} values, too many for contexts of order {order}")
    values = flat - low
    parsed, flat_offsets = flatten_offsets(given, order, symbols.shape)
    ids = torch.zeros_like(values)
    for offset in flat_offsets:
        context = torch.zeros_like(values)
        context[offset:] = values[:-offset] + 1
        ids = ids * (width + 1) + context
    seen, rank = ids.unique(return_inverse=True)  # type: ignore[no-untyped-call]
    counts = torch.bincount(rank * width + values, minlength=len(seen) * width)
    counts = counts.reshape(len(seen), width).to(torch.float32)
    assignment, freqs = _cluster(counts, min(states, len(seen)))
    shape = (1, 1) + (width + 1,) * order
    best = int(_costs(counts.sum(0, keepdim=True), freqs).argmin())
    ar_tables = torch.full(shape, best, dtype=torch.int32, device="cpu")
    ar_tables.view(-1)[seen] = assignment.to(torch.int32)
    cdfs, sizes = quantize_frequencies(freqs, None, freq_precision, bypass_coding)
    return MarkovTables(
        cdfs, sizes, torch.full((len(freqs),), low, device="cpu"), ar_tables, parsed
    )


def _costs(counts: torch.Tensor, freqs: torch.Tensor) -> torch.Tensor:
    """Bits (up to a factor) that each row of counts takes with each row of frequencies."""
    return -counts @ (freqs / freqs.sum(1, keepdim=True)).log().T


def _cluster(counts: torch.Tensor, states: int) -> Tuple[torch.Tensor, torch.Tensor]:
    """(group of each context, frequencies of each group), every frequency above 0."""
    smoothing = 0.1 * (counts.sum(0, keepdim=True) + 1) / (counts.sum() + counts.shape[1])
    own = -(counts * ((counts + smoothing) / (counts + smoothing).sum(1, keepdim=True)).log()).sum(
        1
    )
    freqs = counts[counts.sum(1).argmax()][None] + smoothing
    least = _costs(counts, freqs)[:, 0]
    for _ in range(states - 1):
        worst = counts[(least - own).argmax()][None] + smoothing
        freqs = torch.cat([freqs, worst])
        least = torch.minimum(least, _costs(counts, worst)[:, 0])
    assignment = counts.new_zeros(len(counts), dtype=torch.int64)
    for _ in range(_ROUNDS):
        before, assignment = assignment, _costs(counts, freqs).argmin(1)
        freqs = torch.zeros_like(freqs).index_add_(0, assignment, counts) + smoothing
        if torch.equal(before, assignment):
            break
    return assignment, freqs
