"""Writes the golden files of `torch_ans.pack`, version 1, into ``packed_v1``.

    python tests/golden/make_packed.py

They were made when the format was new, and are decoded, and made again byte for byte, by every
release since. To be run only to add a file: the script refuses to change one.
"""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

import numpy as np
import torch

import torch_ans

FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "packed_v1")
SEED = 20261120

CASES: List[Dict[str, Any]] = [
    {"name": "rans64", "impl": "rans64", "shape": [3, 5], "rows": None, "dtype": "int32"},
    {"name": "rans64_i4_rows", "impl": "rans64_i4", "shape": [2, 3, 21], "rows": 5},
    {"name": "rans32_i8", "impl": "rans32_i8", "shape": [4, 70], "rows": 4, "dtype": "int64"},
    {"name": "rans32_16_i32", "impl": "rans32_16_i32", "shape": [700], "rows": 2},
    {
        "name": "no_bypass",
        "impl": "rans32_16",
        "shape": [2, 200],
        "rows": 2,
        "bypass": False,
        "dtype": "uint8",
    },
    {
        "name": "alias",
        "impl": "rans64_alias_i2",
        "shape": [90],
        "rows": 3,
        "bypass": False,
        "dtype": "int16",
    },
    {"name": "long_row", "impl": "rans32", "shape": [1, 400], "rows": None, "digits": 7},
    {"name": "empty", "impl": "rans64", "shape": [0, 4], "rows": 1},
]


def interface(case: Dict[str, Any]) -> torch_ans.TorchANSInterface:
    """The coder of a case, with its tables."""
    coder = torch_ans.TorchANSInterface(
        case["impl"],
        freq_precision=case["freq_precision"],
        num_parallel_states=case["rows"],
        bypass_coding=case["bypass"],
        bypass_precision=case["digits"],
    )
    coder.set_cdfs(*(torch.tensor(case[key]) for key in ("cdfs", "cdfs_sizes", "offsets")))
    return coder


def fill_in(case: Dict[str, Any], rng: np.random.Generator) -> Dict[str, Any]:
    """The case with tables, indexes and symbols."""
    case = {"dtype": "int32", "bypass": True, "digits": 4, "freq_precision": 11, **case}
    total = 1 << case["freq_precision"]
    sizes = [6, 40, 17] if case["bypass"] else [5, 39, 16]
    cdfs = np.full((3, 40), total)
    for row, size in zip(cdfs, sizes):
        inner = np.sort(rng.choice(np.arange(1, total), size - 2, replace=False))
        row[:size] = [0, *inner, total]
    case["cdfs"], case["cdfs_sizes"] = cdfs.tolist(), sizes
    case["offsets"] = [0, 3, 7] if case["dtype"] == "uint8" else [-2, 3, -7]
    count = int(np.prod(case["shape"]))
    indexes = rng.integers(0, 3, count)
    most = np.asarray(sizes)[indexes] - (2 if case["bypass"] else 1)
    symbols = rng.integers(0, most) + np.asarray(case["offsets"])[indexes]
    if case["bypass"]:
        far = rng.integers(0, 12, count) == 0
        symbols = np.where(
            far, rng.integers(-(2**31), 2**31, count) >> rng.integers(0, 32, count), symbols
        )
    case["indexes"], case["symbols"] = indexes.tolist(), symbols.tolist()
    return case


def pack(case: Dict[str, Any]) -> bytes:
    """The file of a case."""
    dtype = getattr(torch, case["dtype"])
    symbols = torch.tensor(case["symbols"], dtype=dtype).reshape(case["shape"])
    return interface(case).pack(
        symbols, torch.tensor(case["indexes"], dtype=torch.int32).reshape(case["shape"])
    )


def main() -> None:
    """Writes what is missing."""
    rng = np.random.default_rng(SEED)
    os.makedirs(FOLDER, exist_ok=True)
    cases = [fill_in(case, rng) for case in CASES]
    for case in cases:
        path = os.path.join(FOLDER, case["name"] + ".bin")
        data = pack(case)
        if os.path.exists(path):
            with open(path, "rb") as file:
                if file.read() != data:
                    raise SystemExit(f"{path} would change: a golden file never does")
            continue
        with open(path, "wb") as file:
            file.write(data)
    with open(os.path.join(FOLDER, "cases.json"), "w", encoding="utf-8") as file:
        json.dump(cases, file)
        file.write("\n")


if __name__ == "__main__":
    main()
