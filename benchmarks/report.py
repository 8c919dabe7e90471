"""What a benchmark run leaves behind: JSON with every figure, a Markdown table and a plot."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

DIRECTIONS = ("encode", "decode")


@dataclass
class Measured:
    """One contender of a comparison."""

    group: str  # contenders of one group compete, and the fastest counts
    label: str
    options: Dict[str, Any]
    bits: float  # per symbol, with all headers
    seconds: Dict[str, List[float]] = field(default_factory=dict)
    msym: Dict[str, float] = field(default_factory=dict)  # median, 10**6 symbols a second
    spread: Dict[str, float] = field(default_factory=dict)  # interquartile range over the median


@dataclass
class Ratio:
    """How many times faster this project is than a group, best contender of each."""

    group: str
    encode: float
    decode: float
    target: Optional[Tuple[float, float]]


@dataclass
class Result:
    """One comparison."""

    title: str
    workload: str
    symbols: int
    entropy: float
    cross_entropy: float
    measured: List[Measured]
    ratios: List[Ratio]


def _first_line(*command: str) -> str:
    try:
        found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return "none"
    return found.splitlines()[0] if found else "none"


def describe_machine(capabilities: Dict[str, Any]) -> Dict[str, Any]:
    """The hardware and software that a figure depends on; no names of hosts or folders."""
    import numpy
    import torch

    model = platform.processor() or platform.machine()
    if Path("/proc/cpuinfo").is_file():
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next(
            (x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), model
        )
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    libc = " ".join(platform.libc_ver())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": model,
        "usable cores": threads,
        "memory": f"{memory:.0f} GiB",
        "isa": capabilities,
        "os": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}, {libc}",
        "compiler": _first_line("g++", "--version"),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": numpy.__version__,
    }


def write_json(
    path: Path, machine: Dict[str, Any], run: Dict[str, Any], results: List[Result]
) -> None:
    data = {"machine": machine, "run": run, "comparisons": [asdict(result) for result in results]}
    path.write_text(json.dumps(data, indent=1) + "\n")


def _speed(measured: Measured, direction: str) -> str:
    spread = f" ± {100 * measured.spread[direction]:.0f} %"
    speed = measured.msym[direction]
    return (
        f"{speed:.0f}" if speed >= 100 else f"{speed:.1f}" if speed >= 10 else f"{speed:.2f}"
    ) + spread


def markdown(machine: Dict[str, Any], run: Dict[str, Any], results: List[Result]) -> str:
    """The whole run as text: the ratios first, then every speed."""
    lines = [f"# CPU benchmark, {run['profile']} profile", ""]
    lines += [f"- {name}: {value}" for name, value in {**machine, **run}.items()]
    lines += [
        "",
        "## How many times faster than each peer",
        "",
        "Best contender of each side; above 1 is in favour of this project.",
        "",
    ]
    lines += ["| work | against | encode | decode | aim |", "|---|---|--:|--:|--:|"]
    for result in results:
        for ratio in result.ratios:
            aim = " / ".join(f"{value:g}" for value in ratio.target) if ratio.target else ""
            speeds = f"{ratio.encode:.2f} | {ratio.decode:.2f}"
            lines.append(f"| {result.title} | {ratio.group} | {speeds} | {aim} |")
    lines += ["", "## Speeds", "", "10^6 symbols a second: median ± interquartile range.", ""]
    lines += ["| work | coder | encode | decode | bits per symbol |", "|---|---|--:|--:|--:|"]
    for result in results:
        bound = f"entropy {result.entropy:.3f}, tables {result.cross_entropy:.3f}"
        lines.append(f"| **{result.title}** ({result.symbols:,} symbols) | | | | {bound} |")
        for entry in result.measured:
            name = entry.group + (f", {entry.label}" if entry.label else "")
            speeds = " | ".join(_speed(entry, direction) for direction in DIRECTIONS)
            lines.append(f"| | {name} | {speeds} | {entry.bits:.4f} |")
    return "\n".join(lines) + "\n"


def plot(path: Path, machine: Dict[str, Any], run: Dict[str, Any], results: List[Result]) -> None:
    """Horizontal bars of the ratios to the peers, one pair for each comparison and peer."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    rows = [(result.title, ratio) for result in results for ratio in result.ratios][::-1]
    figure, axis = plt.subplots(figsize=(11, 1.8 + 0.42 * len(rows)), layout="constrained")
    for offset, direction, colour in ((0.2, "encode", "#3461c9"), (-0.2, "decode", "#e08a2c")):
        values = [getattr(ratio, direction) for _, ratio in rows]
        places = [k + offset for k in range(len(rows))]
        widths = [value - 1 for value in values]  # from 1, to the left where the peer is faster
        bars = axis.barh(places, widths, 0.38, left=1, color=colour, label=direction)
        axis.bar_label(bars, [f"{value:.3g}" for value in values], padding=3, fontsize=8)
        aims = [
            (ratio.target[DIRECTIONS.index(direction)], y)
            for (_, ratio), y in zip(rows, places)
            if ratio.target
        ]
        if aims:
            axis.plot(
                [x for x, _ in aims],
                [y for _, y in aims],
                "k|",
                markersize=9,
                label="aim" if offset > 0 else None,
            )
    axis.set_yticks(
        range(len(rows)), [f"{title}\nagainst {ratio.group}" for title, ratio in rows], fontsize=8
    )
    axis.set_xscale("log")
    axis.margins(x=0.08, y=0.01)
    axis.axvline(1, color="0.4", linewidth=1)
    axis.set_xlabel("times faster than the peer in the same run (log scale)")
    axis.set_title(
        f"{machine['cpu']}, {machine['isa'].get('isa', '')}; {run['profile']} profile", fontsize=10
    )
    axis.legend(loc="lower right")
    figure.savefig(path, dpi=110)
