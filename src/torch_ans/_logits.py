"""Logits into quantised CDFs, by integers alone (`cpp/FORMAT.md`, "Logits")."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import torch

from . import _native

__all__ = ["quantize_logits"]

_DISTANCE_BITS = 15  # logits count 2**-15
_FRACTION_BITS = 9  # of a distance between two entries of the table
_MOST_DISTANCE = 16 << _DISTANCE_BITS
_FIXED_BITS = 30
_SUM_BITS = 33  # 2**33 * 2**30 still fits 63 bits
_ELEMENTS = 1 << 18
"""Logits that are worked on at once: what they take in between stays in the cache."""


@lru_cache(maxsize=None)
def _tail() -> torch.Tensor:
    """exp(-k / 64) / 2 in multiples of 2**-30, rounded to nearest: kLaplaceTail of the C++ core."""
    entries = [round((Decimal(-k) / 64).exp() * (1 << 29)) for k in range(16 * 64 + 1)]
    return torch.tensor([*entries, entries[-1]], dtype=torch.int64)


@_native.fork_safe
def quantize_logits(logits: torch.Tensor, freq_precision: int) -> torch.Tensor:
    """The CDFs of softmax(logits, -1), where each symbol keeps a slot.

    Args:
        logits: floats of shape (..., S) in host memory.
        freq_precision: P, bits of the probabilities; S is at most 2**P.

    Returns:
        Int32 (..., S + 1), from 0 to 2**P.
    """
    size = logits.shape[-1]
    rows = logits.detach().reshape(-1, size)
    cdf = _native.allocate((rows.shape[0], size + 1))
    step = max(1, _ELEMENTS // size)
    for first in range(0, rows.shape[0], step):
        part = rows[first : first + step]
        cdf[first : first + step, :-1] = _starts(part, (1 << freq_precision) - size)
    cdf[:, -1] = 1 << freq_precision
    return cdf.reshape(*logits.shape[:-1], size + 1)


def _starts(logits: torch.Tensor, spread: int) -> torch.Tensor:
    """C(0) .. C(S - 1) of each row."""
    sums = _weights(logits).cumsum(-1)
    total = sums[:, -1:]
    # Few bits are cut off where there are many symbols; they leave the order of the sums alone.
    shift = (torch.frexp(total.double())[1].long() - _SUM_BITS).clamp_min(0)
    below = torch.zeros_like(sums)
    below[:, 1:] = sums[:, :-1]
    scaled = (below >> shift) << _FIXED_BITS
    fixed = torch.div(scaled, total >> shift, rounding_mode="floor")
    return torch.arange(logits.shape[1]) + (fixed * spread >> _FIXED_BITS)


def _weights(logits: torch.Tensor) -> torch.Tensor:
    """exp(logit - largest logit) in multiples of 2**-29; not less than exp(-16)."""
    most = 2.0**20
    exact = torch.nan_to_num(logits.double(), -most, most, -most).clamp(-most, most)
    counts = (exact * (1 << _DISTANCE_BITS)).trunc().long()
    distance = (counts.amax(-1, keepdim=True) - counts).clamp_max(_MOST_DISTANCE)
    entry, fraction = distance >> _FRACTION_BITS, distance & ((1 << _FRACTION_BITS) - 1)
    tail = _tail()
    here = tail[entry]
    return here - ((here - tail[entry + 1]) * fraction >> _FRACTION_BITS)
