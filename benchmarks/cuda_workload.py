"""A workload of bench_cuda.py on the device, as every coder there is given it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Dict, List, Tuple

import numpy as np
import torch


def split_variant(variant: str) -> Tuple[str, int]:
    """'rans32_16_i4' as ('rans32_16', 4)."""
    family, _, lanes = variant.partition("_i")
    return family, int(lanes or 1)


@dataclass
class CudaWorkload:
    """Symbols and indexes, (rows, length), and the tables of the precision that a family takes."""

    symbols: torch.Tensor
    indexes: torch.Tensor
    tables: List[torch.Tensor]
    precision: int
    bypass: bool

    @property
    def one_table(self) -> bool:
        return len(self.tables[0]) == 1


def load_workload(path: str, variant: str, rows: int, dtype: str, precision: int) -> CudaWorkload:
    """The workload in a file of `save_workloads`, repeated, without what a row would be short of.

    `precision` 0: what the family is usually run at.
    """
    arrays: Dict[str, Any] = dict(np.load(path))
    family, _ = split_variant(variant)
    precision = precision or {"rans32_16": 15, "tans32": 12}.get(family, 16)

    def shaped(name: str, dtype: str) -> torch.Tensor:
        flat = torch.from_numpy(arrays[name]).to("cuda", getattr(torch, dtype))
        flat = flat.repeat(int(arrays["times"]))
        length = flat.numel() // rows
        return flat[: rows * length].reshape(rows, length).contiguous()

    names = (f"cdfs{precision}", "cdfs_sizes", "offsets")
    return CudaWorkload(
        shaped("symbols", dtype),
        shaped("indexes", "int32"),
        [torch.from_numpy(arrays[name]).to("cuda") for name in names],
        precision,
        bool(arrays["bypass"]),
    )
