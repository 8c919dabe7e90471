"""CDFs of logits as `cpp/FORMAT.md` has them, by torch's integers: an oracle for many rows."""

from __future__ import annotations

from decimal import Decimal

import torch

__all__ = ["quantize_logits"]


def _tail() -> torch.Tensor:
    """exp(-k / 64) / 2 in multiples of 2**-30, rounded to nearest."""
    entries = [round((Decimal(-k) / 64).exp() * (1 << 29)) for k in range(16 * 64 + 1)]
    return torch.tensor([*entries, entries[-1]], dtype=torch.int64)


TAIL = _tail()


def quantize_logits(logits: torch.Tensor, freq_precision: int) -> torch.Tensor:
    """Int32 (N, S + 1), from 0 to 2**freq_precision, of floats of shape (N, S)."""
    rows, size = logits.shape
    sums = _weights(logits).cumsum(-1)
    total = sums[:, -1:]
    shift = (torch.frexp(total.double())[1].long() - 33).clamp_min(0)
    below = torch.zeros_like(sums)
    below[:, 1:] = sums[:, :-1]
    fixed = torch.div((below >> shift) << 30, total >> shift, rounding_mode="floor")
    cdf = torch.full((rows, size + 1), 1 << freq_precision)
    cdf[:, :-1] = torch.arange(size) + (fixed * ((1 << freq_precision) - size) >> 30)
    return cdf.int()


def _weights(logits: torch.Tensor) -> torch.Tensor:
    """exp(logit - largest logit) in multiples of 2**-29; not less than exp(-16)."""
    most = 2.0**20
    exact = torch.nan_to_num(logits.double(), -most, most, -most).clamp(-most, most)
    counts = (exact * (1 << 15)).trunc().long()
    distance = (counts.amax(-1, keepdim=True) - counts).clamp_max(16 << 15)
    entry, fraction = distance >> 9, distance & 511
    here = TAIL[entry]
    return here - ((here - TAIL[entry + 1]) * fraction >> 9)
