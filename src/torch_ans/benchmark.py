"""How the number of rows changes the speed: `python -m torch_ans.benchmark`.

Codes symbols uniform over 256 with one table, split into more and more rows, and prints a table of
rows against time and throughput. Each case is verified, then warmed up; figures are medians.

    python -m torch_ans.benchmark --impl rans64 rans32_16 --lanes 1 32 --threads 1
    python -m torch_ans.benchmark --mode pop --sizes 1 64 4096 --json rows.json --plot rows.png
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Optional, Sequence

import torch

from . import __version__, _core, lowlevel
from ._options import check_device
from .variant import parse_variant

__all__ = ["Row", "main", "measure"]

DEFAULT_SIZES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


class Row(NamedTuple):
    """One line of the table. Throughputs count the decoded symbols."""

    impl: str
    mode: str
    rows: int
    seconds: float
    megabytes: float
    """10**6 bytes of int32 a second."""
    msymbols: float
    """10**6 symbols a second."""
    bits: float
    """Coded bits of a symbol, states included."""


class _Case:
    """A stream that is pushed to and popped from again and again."""

    def __init__(self, impl: str, rows: int, symbols: int, device: torch.device) -> None:
        name = parse_variant(impl)
        lanes = name.lanes or 1
        suffix = f"_i{lanes}" if lanes > 1 else ""
        family = name.family + ("_alias" if name.alias else "")
        self._push = getattr(lowlevel, f"{family}{suffix}_push")
        self._pop = getattr(lowlevel, f"{family}{suffix}{'_invcdf' * name.invcdf}_pop")
        precision = _core.FAMILIES[name.family].max_freq_precision
        generator = torch.Generator().manual_seed(rows)
        shape = (rows, max(symbols // rows, 1))
        options: Dict[str, Any] = {"dtype": torch.int32}
        bits = min(8, precision)  # 7 for tans8
        self.symbols = torch.randint(2**bits, shape, generator=generator, **options).to(device)
        self._indexes = torch.zeros_like(self.symbols)
        self._out = torch.empty_like(self.symbols)
        cdf = torch.arange(0, 2**precision + 1, 2 ** (precision - bits), **options)
        self._tables = (
            cdf[None].to(device),
            torch.tensor([2**bits + 1], **options).to(device),
            torch.zeros(1, **options).to(device),
            8,  # symbol_precision, which is ignored
            precision,
            False,  # no bypass
        )
        make = getattr(lowlevel, f"{name.family}_init_stream")
        self.stream: torch.Tensor = make(rows, lanes).to(device)
        self._fresh = self.stream.clone()
        self.push()  # grows the stream, once and for all
        self.full = self.stream[:, : self._fresh.shape[1]].clone()
        if not torch.equal(self.pop(), self.symbols):
            raise RuntimeError(f"{impl} with {rows} rows: the decoded symbols differ")

    def push(self) -> None:
        self._push(self.stream, self.symbols, self._indexes, *self._tables)

    def pop(self) -> torch.Tensor:
        decoded: torch.Tensor = self._pop(self.stream, self._indexes, *self._tables, out=self._out)
        return decoded

    def empty(self) -> None:
        """Makes the stream as it was before a push; its memory stays."""
        self.stream[:, : self._fresh.shape[1]] = self._fresh

    def refill(self) -> None:
        """Makes the stream as it was before a pop, which leaves the words where they are."""
        self.stream[:, : self.full.shape[1]] = self.full

    def push_and_pop(self) -> None:
        self.push()
        self.pop()


def measure(
    impl: str,
    mode: str,
    rows: int,
    *,
    symbols: int,
    repeat: int = 5,
    device: str = "cpu",
) -> Row:
    """Times one case on `torch.get_num_threads()` threads.

    Args:
        impl: name of a coder, such as `rans64_i4`.
        mode: "push", "pop" or "both".
        rows: rows of the stream.
        symbols: symbols in all of them together; rounded down to a multiple of `rows`.
        repeat: timed runs after one warm-up run.
        device: where to code.

    Returns:
        Medians over the runs.

    Raises:
        ValueError: there is no such coder, or it can't code there.
        RuntimeError: the decoded symbols differ.

    Example:
        >>> measure("rans64", "push", 4, symbols=4096, repeat=1).rows
        4
    """
    case = _Case(impl, rows, symbols, torch.device(device))
    used = int(case.full[:, 0].sum())
    runs: Dict[str, Callable[[], object]] = {
        "push": case.push,
        "pop": case.pop,
        "both": case.push_and_pop,
    }
    seconds = []
    for _ in range(repeat + 1):
        case.refill() if mode == "pop" else case.empty()
        _wait_for(case.stream)
        start = time.perf_counter()
        runs[mode]()
        _wait_for(case.stream)
        seconds.append(time.perf_counter() - start)
    median, count = statistics.median(seconds[1:]), case.symbols.numel()
    speed = count / median / 1e6
    return Row(impl, mode, rows, median, 4 * speed, speed, 8 * used / count)


def _wait_for(stream: torch.Tensor) -> None:
    if stream.is_cuda:
        torch.cuda.synchronize(stream.device)


def _print_row(row: Row) -> None:
    print(
        f"{row.impl:20} {row.mode:5} {row.rows:6} {1e3 * row.seconds:10.2f} ms"
        f" {row.megabytes:9.1f} MB/s {row.msymbols:9.1f} Msym/s {row.bits:8.3f} bits",
        flush=True,
    )


def _plot(rows: Sequence[Row], path: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(8, 5), constrained_layout=True)
    for key in dict.fromkeys((row.impl, row.mode) for row in rows):
        line = [row for row in rows if (row.impl, row.mode) == key]
        sizes, speeds = [row.rows for row in line], [row.msymbols for row in line]
        axis.plot(sizes, speeds, "o-", label=" ".join(key))
    axis.set_xscale("log", base=2)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("rows")
    axis.set_ylabel("10^6 symbols a second")
    axis.grid(alpha=0.3)
    axis.legend()
    figure.savefig(path, dpi=120)


def _parse_arguments(arguments: Optional[Sequence[str]]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m torch_ans.benchmark",
        description="Measure how the number of rows changes the speed of coding.",
    )
    add = parser.add_argument
    add("--impl", nargs="+", default=["rans64"], help="coders: rans64, rans32_16_i8, ...")
    add("--lanes", nargs="+", type=int, help="code with each --impl in so many lanes")
    add("--device", default="cpu", help="where to code (default: cpu)")
    add("--mode", choices=["push", "pop", "both"], nargs="+", default=["push", "pop"])
    add("--sizes", nargs="+", type=int, default=DEFAULT_SIZES, help="numbers of rows")
    add("--data-mb", type=float, default=50.0, help="2**20 bytes of int32 symbols (default: 50)")
    add("--threads", type=int, help="CPU threads (default: torch.get_num_threads())")
    add("--repeat", type=int, default=5, help="timed runs of each case (default: 5)")
    add("--json", type=Path, metavar="PATH", help="write the table as JSON")
    add("--plot", type=Path, metavar="PATH", help="draw the table (needs matplotlib)")
    options = parser.parse_args(arguments)
    numbers = [*options.sizes, options.repeat, options.data_mb, options.threads or 1]
    if not all(0 < number < math.inf for number in numbers):
        parser.error("--sizes, --data-mb, --threads and --repeat must be positive")
    try:
        check_device(options.device)
        for impl in options.impl:
            parse_variant(impl)
        options.impl = [name for impl in options.impl for name in _names(impl, options.lanes)]
    except ValueError as error:
        parser.error(str(error))
    if torch.device(options.device).type == "cuda" and not torch.cuda.is_available():
        parser.error("--device: torch finds no CUDA device here")
    if options.plot:
        try:
            import matplotlib  # noqa: F401
        except ImportError:
            parser.error("--plot needs matplotlib: pip install matplotlib")
    return options


def _names(impl: str, lanes: Optional[Sequence[int]]) -> List[str]:
    """`impl` with each number of lanes; as it is where none are given."""
    if lanes is None:
        return [impl]
    if parse_variant(impl).lanes is not None:
        raise ValueError(f"--lanes: {impl} already says how many")
    names = [f"{impl}_i{n}" if n > 1 else impl for n in lanes]
    for name in names:
        parse_variant(name)
    return names


def main(arguments: Optional[Sequence[str]] = None) -> int:
    """Runs the command line; returns the exit status."""
    options = _parse_arguments(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    symbols = int(options.data_mb * 2**20 / 4)
    print(
        f"torch_ans {__version__}, torch {torch.__version__}, {options.device}, "
        f"{torch.get_num_threads()} threads, {_core.cpu_capabilities()['isa']}"
    )
    print(f"{'impl':20} {'mode':5} {'rows':>6} {'time':>13} {'int32':>14} {'symbols':>16}")
    found: List[Row] = []
    for impl in options.impl:
        for mode in options.mode:
            for rows in options.sizes:
                row = measure(
                    impl,
                    mode,
                    rows,
                    symbols=symbols,
                    repeat=options.repeat,
                    device=options.device,
                )
                _print_row(row)
                found.append(row)
    if options.json:
        data = {"threads": torch.get_num_threads(), "rows": [row._asdict() for row in found]}
        options.json.write_text(json.dumps(data, indent=1) + "\n")
    if options.plot:
        _plot(found, options.plot)
    return 0


if __name__ == "__main__":
    sys.exit(main())
