"""What several test files need: seeded tables and symbols, variant names, child processes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Callable, Dict, List, Optional, Sequence, Tuple

import numpy as np
import torch

import reference
import torch_ans
from torch_ans import _core

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
VARIANTS = [(family, lanes) for family in reference.FAMILIES for lanes in reference.LANES]
VARIANT_IDS = ["%s_i%d" % v for v in VARIANTS]
INT64_EXTREMES = [
    -(2**63),
    2**63 - 1,
    -(2**31),
    2**31 - 1,
    -(2**31) - 1,
    2**31,
    -1,
    0,
    2**62,
    -(2**62),
]


def suffix(lanes: int) -> str:
    return "" if lanes == 1 else "_i%d" % lanes


def init_op(family: str) -> Callable[..., torch.Tensor]:
    return getattr(torch_ans, family + "_init_stream")


def push_op(family: str, lanes: int, alias: bool = False) -> Callable[..., None]:
    return getattr(torch_ans, "%s%s%s_push" % (family, "_alias" if alias else "", suffix(lanes)))


def pop_op(family: str, lanes: int, alias: bool = False) -> Callable[..., torch.Tensor]:
    return getattr(torch_ans, "%s%s%s_pop" % (family, "_alias" if alias else "", suffix(lanes)))


def invcdf_pop_op(family: str, lanes: int) -> Callable[..., torch.Tensor]:
    return getattr(torch_ans, "%s%s_invcdf_pop" % (family, suffix(lanes)))


def max_precision(family: str) -> int:
    return reference.FAMILIES[family].max_freq_precision


# --- tables ------------------------------------------------------------------------


@dataclass(frozen=True)
class Tables:
    """Tables as the library takes them, and as the oracle does."""

    cdfs: torch.Tensor
    sizes: torch.Tensor
    offsets: torch.Tensor
    precision: int
    bypass: bool = True
    bypass_precision: int = 4

    @property
    def args(self) -> Tuple[Any, ...]:
        """The arguments of a push or a pop behind symbols and indexes."""
        return (
            self.cdfs,
            self.sizes,
            self.offsets,
            8,  # symbol_precision, which is ignored
            self.precision,
            self.bypass,
            self.bypass_precision,
        )

    def with_bypass(self, bypass: bool, bypass_precision: int = 4) -> Tables:
        return replace(self, bypass=bypass, bypass_precision=bypass_precision)

    def oracle(self, alias: bool = False) -> List[reference.Table]:
        plain = reference.make_tables(
            self.cdfs.tolist(),
            self.sizes.tolist(),
            self.offsets.tolist(),
            self.precision,
            self.bypass,
            self.bypass_precision,
        )
        if not alias:
            return plain
        return [replace(table, alias=cached_alias(table.cdf, table.precision)) for table in plain]


@lru_cache(maxsize=None)
def cached_alias(cdf: Tuple[int, ...], precision: int) -> reference.Alias:
    return reference.build_alias(cdf, precision)


def random_cdf(rng: np.random.Generator, symbols: int, precision: int) -> List[int]:
    """A valid row: the inner boundaries are distinct, and crowd together somewhere."""
    total = 1 << precision
    inner = rng.choice(total - 1, symbols - 1, replace=False) + 1
    if rng.random() < 0.5 and symbols > 1:  # crowd them: most symbols keep a count of one
        inner = np.arange(1, symbols) + int(rng.integers(0, total - symbols + 1))
    return [0, *sorted(int(c) for c in inner), total]


def make_tables(
    seed: int,
    alphabet_sizes: Sequence[int],
    precision: int,
    bypass: bool = True,
    bypass_precision: int = 4,
) -> Tables:
    rng = np.random.default_rng(seed)
    rows = [random_cdf(rng, n, precision) for n in alphabet_sizes]
    width = max(map(len, rows))
    # past a row's end nothing may be read: fill it with what would be noticed
    cdfs = torch.tensor([row + [-7] * (width - len(row)) for row in rows], dtype=torch.int32)
    sizes = torch.tensor([len(row) for row in rows], dtype=torch.int32)
    offsets = torch.from_numpy(rng.integers(-100, 100, len(rows)).astype(np.int32))
    return Tables(cdfs, sizes, offsets, precision, bypass, bypass_precision)


def uniform_tables(symbols: int, precision: int, **options: Any) -> Tables:
    cdf = [(k << precision) // symbols for k in range(symbols + 1)]
    return Tables(
        torch.tensor([cdf], dtype=torch.int32),
        torch.tensor([symbols + 1], dtype=torch.int32),
        torch.zeros(1, dtype=torch.int32),
        precision,
        **options,
    )


def make_symbols(
    seed: int, shape: Tuple[int, ...], tables: Tables, escapes: float = 0.1, far_bits: float = 31.0
) -> Tuple[torch.Tensor, torch.Tensor]:
    """int32 symbols and indexes; where the tables allow it a part of the symbols escapes."""
    rng = np.random.default_rng(seed)
    sizes, offsets = tables.sizes.numpy(), tables.offsets.numpy()
    indexes = rng.integers(0, len(sizes), shape)
    symbols = np.floor(rng.random(shape) * (sizes[indexes] - 1)).astype(np.int64) + offsets[indexes]
    if tables.bypass:
        far = np.floor(np.exp2(rng.random(shape) * far_bits)).astype(np.int64)
        far = np.where(rng.random(shape) < 0.5, far, -far - 1)
        symbols = np.where(rng.random(shape) < escapes, far, symbols)
    symbols = np.clip(symbols, -(2**31), 2**31 - 1)
    return torch.tensor(symbols, dtype=torch.int32), torch.tensor(indexes, dtype=torch.int32)


# --- streams -----------------------------------------------------------------------


def stream_rows(stream: torch.Tensor) -> List[bytes]:
    """The bytes of each row, read by hand."""
    array = stream.numpy()
    return [array[r, 1:].tobytes()[: array[r, 0]] for r in range(array.shape[0])]


def rows_stream(rows: Sequence[bytes]) -> torch.Tensor:
    """A stream tensor made by hand out of the bytes of its rows."""
    columns = 1 + max([-(-len(row) // 4) for row in rows] or [0])
    array = np.zeros((len(rows), columns), dtype=np.int32)
    for r, row in enumerate(rows):
        array[r, 0] = len(row)
        array[r, 1:].view(np.uint8)[: len(row)] = np.frombuffer(row, np.uint8)
    return torch.from_numpy(array)


def encode(
    family: str,
    lanes: int,
    tables: Tables,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    alias: bool = False,
) -> torch.Tensor:
    stream = init_op(family)(symbols.shape[0], lanes)
    push_op(family, lanes, alias)(stream, symbols, indexes, *tables.args)
    return stream


def oracle_rows(
    family: str,
    lanes: int,
    tables: Tables,
    symbols: torch.Tensor,
    indexes: Optional[torch.Tensor],
    alias: bool = False,
) -> List[bytes]:
    pushed = [(symbols.tolist(), None if indexes is None else indexes.tolist())]
    return reference.encode_rows(family, lanes, tables.oracle(alias), pushed)


# --- child processes ---------------------------------------------------------------


def tail_tables() -> Dict[str, List[int]]:
    """The arrays of tail_tables.h by name. Where the text of one ends, zeros follow, as in C++."""
    with open(os.path.join(ROOT, "cpp/include/torch_ans/tail_tables.h"), encoding="utf-8") as file:
        text = file.read()
    steps, scales = (int(number) for number in re.findall(r"constexpr int kTail\w+ = (\d+);", text))
    found = {}
    for name, body in re.findall(r"k(\w+)Tail\[kTailEntries\] = {([^}]*)}", text):
        numbers = [int(number) for number in re.findall(r"\d+", body)]
        found[name.lower()] = numbers + [0] * (steps * scales + 2 - len(numbers))
    return found


def run_child(
    code: str, env: Optional[Dict[str, str]] = None, timeout: float = 240, cwd: Optional[str] = None
) -> str:
    """Run `code` in a new Python; return its stdout. Any crash, hang or error fails."""
    full = dict(os.environ, **(env or {}))
    full["PYTHONPATH"] = os.pathsep.join(filter(None, [HERE, full.get("PYTHONPATH", "")]))
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=full,
        cwd=cwd,
        timeout=timeout,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, "exit status %d\n%s\n%s" % (
        done.returncode,
        done.stdout,
        done.stderr,
    )
    return done.stdout


def other_engines() -> List[Dict[str, str]]:
    """Settings with which other kernels code than those that are chosen here."""
    available = _core.cpu_capabilities()["available"]
    engines = [{"TORCH_ANS_FORCE_ISA": isa} for isa in available[1:]]
    if "avx512" in available:
        engines += [{"TORCH_ANS_SLOW_GATHERS": slow} for slow in "01"]
    return engines


def run_tests(name: str, env: Dict[str, str], select: str = "") -> None:
    """Run a test file, or what `select` (as pytest's -k) leaves of it, in a new Python."""
    arguments = ["-q", "-x", "-p", "no:cacheprovider", "-k", select, os.path.join(HERE, name)]
    code = f"import pytest, sys; sys.exit(pytest.main({arguments}))"
    assert "passed" in run_child(code, env=env)
