"""The seeded workloads that every benchmark codes: W1 to W6.

A workload is plain NumPy arrays, so that it can be sent to a peer in another environment.
`cdfs{P}` are the same tables quantised to 2**P, for each precision P that some coder needs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Callable, Dict, List, Tuple

import numpy as np
import torch

from torch_ans import rans_pmf_to_quantized_cdf

Arrays = Dict[str, np.ndarray]


@dataclass(frozen=True)
class Workload:
    """Symbols and all that is needed to code them, with what that should cost."""

    name: str
    title: str
    arrays: Arrays
    entropy: float  # bits per symbol of the distribution that the symbols were drawn from
    cross_entropy: float  # bits per symbol of the quantised tables on these very symbols
    bypass: bool = False

    @property
    def size(self) -> int:
        return int(self.arrays["symbols"].size)


def uniform(size: int = 13_107_200) -> Workload:
    """W1: int32 symbols, uniform over 256, one table, no bypass."""
    symbols = np.random.default_rng(1).integers(0, 256, size, dtype=np.int32)
    arrays = {
        "symbols": symbols,
        "indexes": np.zeros(size, np.int32),
        "cdfs_sizes": np.array([257], np.int32),
        "offsets": np.zeros(1, np.int32),
    }
    for precision in (16, 15, 12):
        arrays[f"cdfs{precision}"] = np.arange(
            0, 2**precision + 1, 2 ** (precision - 8), dtype=np.int32
        )[None]
    return Workload("W1", "uniform over 256, one table", arrays, 8.0, 8.0)


def gaussian(size: int = 4_000_000) -> Workload:
    """W2, CompressAI's case: 64 discretised Gaussians with a bypass tail, an index per symbol."""
    rng = np.random.default_rng(2)
    scales = np.exp(np.linspace(math.log(0.11), math.log(256), 64))
    indexes = rng.integers(0, 64, size, dtype=np.int32)
    symbols = np.rint(rng.standard_normal(size) * scales[indexes]).astype(np.int32)
    tail_mass = 1e-9
    halves = np.ceil(scales * -_normal_quantile(tail_mass / 2)).astype(np.int32)
    arrays: Arrays = {
        "symbols": symbols,
        "indexes": indexes,
        "scales": scales[indexes],
        "cdfs_sizes": (2 * halves + 3).astype(np.int32),  # values, the sentinel, and one more edge
        "offsets": -halves,
    }
    rows = [np.append(_gaussian_pmf(scale, half), tail_mass) for scale, half in zip(scales, halves)]
    for precision in (16, 15):
        arrays[f"cdfs{precision}"] = _cdf_rows(rows, precision)
    entropy = float(
        np.mean(
            [
                -(p[p > 0] * np.log2(p[p > 0])).sum()
                for p in (_gaussian_pmf(s, 4 * h) for s, h in zip(scales, halves))
            ]
        )
    )
    return Workload(
        "W2",
        "64 Gaussians, an index per symbol",
        arrays,
        entropy,
        _cross_entropy(arrays, 16),
        bypass=True,
    )


def cdf_per_symbol(levels: int, size: int = 1_000_000) -> Workload:
    """W3, torchac's case: each symbol has a float32 CDF of its own, a discretised logistic."""
    rng = np.random.default_rng(3)
    mean, scale = rng.uniform(0, levels, size), np.exp(rng.uniform(-1, math.log(levels / 4), size))
    cdf = np.empty((size, levels + 1), np.float32)
    for edge in range(levels + 1):
        cdf[:, edge] = 1 / (1 + np.exp((mean - edge) / scale))
    cdf = (cdf - cdf[:, :1]) / (cdf[:, -1:] - cdf[:, :1])
    symbols = np.minimum(
        (cdf[:, 1:] <= rng.random((size, 1), np.float32)).sum(1), levels - 1
    ).astype(np.int16)
    pmf = np.diff(cdf, axis=1)
    chosen = np.maximum(pmf[np.arange(size), symbols], 2.0**-24)
    entropy = float(-(pmf * np.log2(np.maximum(pmf, 2.0**-24))).sum(1).mean())
    return Workload(
        f"W3-{levels}",
        f"a CDF of {levels} levels per symbol",
        {"symbols": symbols, "cdf": cdf},
        entropy,
        float(-np.log2(chosen).mean()),
    )


def geometric_bytes(
    entropy: float, name: str, size: int = 64 << 20, precisions: Tuple[int, ...] = (15, 12)
) -> Workload:
    """W4: bytes around 128, two-sided geometric, one static table; `entropy` bits a byte."""
    low, high = 0.0, 1.0
    for _ in range(60):
        ratio = (low + high) / 2
        low, high = (ratio, high) if _entropy(_two_sided(ratio)) < entropy else (low, ratio)
    frequencies = np.rint(_two_sided(ratio) * 65536).astype(np.int64)
    frequencies[128] += 65536 - frequencies.sum()
    drawn = np.random.default_rng(4).integers(0, 65536, size, dtype=np.uint16)
    symbols = np.repeat(np.arange(256), frequencies).astype(np.uint8)[drawn]
    used = np.flatnonzero(frequencies)
    counts = frequencies[used[0] : used[-1] + 1].astype(np.float64)
    arrays: Arrays = {
        "symbols": symbols,
        "cdfs_sizes": np.array([len(counts) + 1], np.int32),
        "offsets": np.array([used[0]], np.int32),
    }
    for precision in precisions:
        arrays[f"cdfs{precision}"] = _best_cdf(counts / counts.sum(), precision)[None]
    return Workload(
        name,
        f"bytes of {entropy} bits",
        arrays,
        _entropy(frequencies / 65536),
        _cross_entropy(arrays, 12),
    )


def tans_bytes() -> Workload:
    """W4-hi, but short, for coders that must be given an index for each symbol."""
    work = geometric_bytes(4.506, "W4-tans", 4 << 20, (12, 11, 10))
    return replace(work, arrays={**work.arrays, "indexes": np.zeros(work.size, np.int32)})


def markov_chains(rows: int = 64, length: int = 62_500, levels: int = 64) -> Workload:
    """W6: rows of Markov chains; the table of a symbol follows from the one before it.

    `indexes` are those tables, for coders that have to be told; `ar_tables` let ours find them.
    """
    rng = np.random.default_rng(6)
    means, scales = rng.permutation(levels), np.exp(rng.uniform(0, 2.5, levels))
    weights = np.exp(-np.abs(np.arange(levels) - means[:, None]) / scales[:, None])
    edges = (weights / weights.sum(1, keepdims=True)).cumsum(1)[:, :-1]
    symbols, uniform = np.zeros((rows, length), np.int32), rng.random((length, rows, 1))
    for i in range(1, length):
        symbols[:, i] = (edges[symbols[:, i - 1]] < uniform[i]).sum(1)
    indexes = np.concatenate([np.zeros((rows, 1), np.int32), symbols[:, :-1] + 1], 1)
    counts = np.zeros((levels + 1, levels))
    np.add.at(counts, (indexes, symbols), 1)
    pmfs = counts / counts.sum(1, keepdims=True)
    arrays: Arrays = {
        "symbols": symbols.reshape(-1),
        "indexes": indexes.reshape(-1),
        "cdfs_sizes": np.full(levels + 1, levels + 1, np.int32),
        "offsets": np.zeros(levels + 1, np.int32),
        "ar_tables": np.arange(levels + 1, dtype=np.int32).reshape(1, 1, -1),
        "ar_offsets": np.ones(1, np.int64),
    }
    for precision in (16, 15, 12):
        arrays[f"cdfs{precision}"] = np.stack([_best_cdf(pmf, precision) for pmf in pmfs])
    return Workload(
        "W6",
        "Markov chains, a table for each symbol before",
        arrays,
        float(np.dot([_entropy(pmf) for pmf in pmfs], counts.sum(1)) / counts.sum()),
        _cross_entropy(arrays, 16),
    )


def small_messages(length: int, messages: int) -> Workload:
    """W5: W2 cut into messages of `length` symbols, to see what a call costs."""
    base = gaussian(length * messages)
    return Workload(
        f"W5-{length}",
        f"messages of {length} symbols",
        {**base.arrays, "length": np.array(length)},
        base.entropy,
        base.cross_entropy,
        bypass=True,
    )


WORKLOADS: Dict[str, Callable[[], Workload]] = {
    "W1": uniform,
    "W2": gaussian,
    "W3-25": lambda: cdf_per_symbol(25),
    "W3-64": lambda: cdf_per_symbol(64),
    "W3-256": lambda: cdf_per_symbol(256),
    "W4-hi": lambda: geometric_bytes(4.506, "W4-hi"),
    "W4-lo": lambda: geometric_bytes(1.003, "W4-lo"),
    "W4-tans": tans_bytes,
    "W5-16": lambda: small_messages(16, 256),
    "W5-256": lambda: small_messages(256, 64),
    "W5-4096": lambda: small_messages(4096, 16),
    "W6": markov_chains,
}


def _normal_quantile(p: float) -> float:
    return float(torch.special.ndtri(torch.tensor(p, dtype=torch.float64)))


def _gaussian_pmf(scale: float, half: int) -> np.ndarray:
    edges = torch.arange(-half, half + 1, dtype=torch.float64).abs()
    upper, lower = (
        torch.special.ndtr((0.5 - edges) / scale),
        torch.special.ndtr((-0.5 - edges) / scale),
    )
    pmf: np.ndarray = (upper - lower).numpy()
    return pmf


def _two_sided(ratio: float) -> np.ndarray:
    weights: np.ndarray = ratio ** np.abs(np.arange(256) - 128.0)
    pmf: np.ndarray = weights / weights.sum()
    return pmf


def _entropy(pmf: np.ndarray) -> float:
    used = pmf[pmf > 0]
    return float(-(used * np.log2(used)).sum())


def _cdf_rows(rows: List[np.ndarray], precision: int) -> np.ndarray:
    """Quantises each pmf to a row of one int32 array; unused columns hold 2**precision."""
    cdfs = np.full((len(rows), max(map(len, rows)) + 1), 2**precision, np.int32)
    for cdf, pmf in zip(cdfs, rows):
        cdf[: len(pmf) + 1] = rans_pmf_to_quantized_cdf(
            torch.tensor(pmf, dtype=torch.float32), precision
        ).numpy()
    return cdfs


def _best_cdf(pmf: np.ndarray, precision: int) -> np.ndarray:
    """The cheapest table for a pmf: one count after another to or from where it matters most."""
    freq = np.maximum(np.rint(pmf * 2**precision), 1)
    while freq.sum() != 2**precision:
        step = np.sign(2**precision - freq.sum())
        cost = np.where(freq + step >= 1, -pmf * np.log2(np.maximum(freq + step, 1) / freq), np.inf)
        freq[np.argmin(cost)] += step
    return np.append(0, np.cumsum(freq)).astype(np.int32)


def _cross_entropy(arrays: Arrays, precision: int) -> float:
    """Mean bits of the symbols; one outside its table counts as the sentinel."""
    cdfs, size = arrays[f"cdfs{precision}"], arrays["symbols"].size
    indexes = arrays.get("indexes", np.zeros(1, np.int32))
    bits = precision - np.log2(np.maximum(np.diff(cdfs.astype(np.int64)), 1))
    total = 0.0
    for begin in range(0, size, 1 << 20):
        index = np.broadcast_to(indexes, size)[begin : begin + (1 << 20)]
        value = (
            arrays["symbols"][begin : begin + (1 << 20)].astype(np.int64) - arrays["offsets"][index]
        )
        sentinel = arrays["cdfs_sizes"][index] - 2
        total += float(
            bits[index, np.where((value < 0) | (value > sentinel), sentinel, value)].sum()
        )
    return total / size
