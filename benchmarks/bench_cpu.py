"""This project beside its peers on the CPU: every coder verified, then timed in strict turns.

python benchmarks/bench_cpu.py --quick     # a few minutes (make bench)
python benchmarks/bench_cpu.py --full      # every row, more turns (make bench-full)
"""

from __future__ import annotations

import argparse
import datetime
import functools
import os
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Dict, List, Optional, Sequence, Tuple

from tqdm import tqdm

import report
from peers import DEFAULT_CACHE, OURS, Worker, available, environment_python
from timing import Timing, alternate, ratio
from workloads import WORKLOADS, Workload

TORCH_ANS, COMPRESSAI = "torch-ans 0.4.0", "compressai 1.2.8"
CONSTRICTION, TORCHAC, HTSCODECS = "constriction 0.5.0", "torchac 0.9.3", "htscodecs"
Options = Dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A contender: a peer, with the options that its module of coders/ takes."""

    peer: str
    label: str
    options: Options
    group: str = ""  # where it differs from the peer's name

    @property
    def side(self) -> str:
        return self.group or self.peer


@dataclass(frozen=True)
class Comparison:
    """Contenders for one piece of work; what is compared is the fastest of each group."""

    title: str
    workload: str
    entries: Sequence[Entry]
    same_bytes: bool = False  # all contenders must write the same bytes
    targets: Dict[str, Tuple[float, float]] = field(default_factory=dict)


def raw(variant: str, rows: int, precision: int = 16, bypass: bool = True, **more: Any) -> Options:
    return {
        "api": "raw",
        "variant": variant,
        "rows": rows,
        "precision": precision,
        "bypass": bypass,
        **more,
    }


def to_bytes(variant: str, rows: int, precision: int = 16, **more: Any) -> Options:
    return {**raw(variant, rows, precision), "api": "bytes", **more}


def both(options: Options, label: str = "") -> List[Entry]:
    """The same work for this project and for torch-ans."""
    return [Entry(OURS, label, options), Entry(TORCH_ANS, label, options)]


def variants(peer: str, rows: int, bypass: bool, names: Sequence[str], **more: Any) -> List[Entry]:
    """Contenders by name: a variant, with "/P" for its precision and "+lookup" for its lookup."""
    entries = []
    for name in names:
        variant, _, lookup = name.partition("+")
        variant, _, precision = variant.partition("/")
        options = raw(
            variant, rows, int(precision or 16), bypass, lookup=lookup or "search", **more
        )
        suffix = ", out=" if more.get("reuse_output") else ""
        entries.append(Entry(peer, f"{name}, B = {rows}{suffix}", options))
    return entries


def gaussian_comparisons(full: bool, threads: int) -> List[Comparison]:
    one_lane = {1: (2.2, 3.0), 8: (4.0, 5.0), 64: (6.0, 8.0), 1024: (6.0, 8.0)}
    found = [
        Comparison(
            f"W2 rans64, 1 lane, B = {rows}",
            "W2",
            [
                *both(raw("rans64", rows)),
                Entry(OURS, "out=", raw("rans64", rows, reuse_output=True)),
            ],
            True,
            {TORCH_ANS: aim},
        )
        for rows, aim in one_lane.items()
    ]
    found += [
        Comparison(f"W2 rans64, 4 lanes, B = {rows}", "W2", both(raw("rans64_i4", rows)), True)
        for rows in ((1, 8, 64, 1024) if full else (1, 64))
    ]
    ours = [
        "rans64",
        "rans64_i4",
        "rans64_i32",
        "rans32_16/15",
        "rans32_16_i8/15",
        "rans32_16_i32/15",
    ]
    theirs = ["rans64_i4", "rans64_i8", "rans32_16_i4/15"] + (
        ["rans32_16_i8/15", "rans32_i4"] if full else []
    )
    entries = variants(OURS, 64, True, ours) + variants(
        OURS, 64, True, ours[-2:], reuse_output=True
    )
    entries += variants(TORCH_ANS, 64, True, theirs)
    found.append(
        Comparison(
            "W2, best variant of each, B = 64", "W2", entries, False, {TORCH_ANS: (4.0, 7.0)}
        )
    )

    plain, raw_group = "rans64, B = 64", f"{OURS}, raw push and pop"
    entries = [
        Entry(OURS, plain, to_bytes("rans64", 64)),
        Entry(OURS, plain, raw("rans64", 64), raw_group),
    ]
    entries += [Entry(TORCH_ANS, plain, to_bytes("rans64", 64))]
    found.append(
        Comparison(
            "W2 TorchANSInterface to bytes, rans64", "W2", entries, False, {raw_group: (0.9, 0.9)}
        )
    )
    names = [("rans64", 64, 16), ("rans64_i4", 64, 16), ("rans32_16_i32", 64, 15)]
    entries = [Entry(OURS, f"{v}, B = {b}", to_bytes(v, b, p)) for v, b, p in names]
    options = to_bytes(*names[-1], reuse_output=True)
    entries.append(Entry(OURS, f"{names[-1][0]}, B = 64, out=", options))
    names = [("rans64_i4", 1, 16), ("rans64_i4", 64, 16), ("rans64_i8", 64, 16)]
    entries += [Entry(TORCH_ANS, f"{v}, B = {b}", to_bytes(v, b, p)) for v, b, p in names]
    found.append(
        Comparison(
            "W2 TorchANSInterface to bytes, best of each",
            "W2",
            entries,
            False,
            {TORCH_ANS: (8.0, 7.0)},
        )
    )

    entries = [
        Entry(OURS, "rans64, B = 1", to_bytes("rans64", 1)),
        Entry(COMPRESSAI, "lists ready", {}),
    ]
    entries += [
        Entry(COMPRESSAI, "NumPy to lists and back", {"convert": True}),
        Entry(CONSTRICTION, "AnsCoder, QuantizedGaussian", {}),
    ]
    found.append(Comparison("W2 one row to bytes", "W2", entries))

    if threads > 1:
        for variant, rows in (("rans64", 64), ("rans64_i4", 1024)):
            one, all_of_them = raw(variant, rows), raw(variant, rows, threads=threads)
            alone = f"{OURS}, 1 thread"
            entries = [*both(all_of_them, f"{threads} threads"), Entry(OURS, "", one, alone)]
            aims = {alone: (0.9 * threads, 0.9 * threads)}
            found.append(
                Comparison(
                    f"W2 {variant}, B = {rows}, {threads} threads", "W2", entries, True, aims
                )
            )
    return found


def uniform_comparisons(full: bool) -> List[Comparison]:
    ours = ["rans64", "rans64_i4", "rans32_16/15", "rans32_16_i32/15", "rans32_16_i32/12"]
    theirs = ["rans64", "rans64_i4", "rans64_i8", "rans64+alias", "rans64_i4+invcdf", "tans32/12"]
    found = []
    for rows in (1, 8, 256, 4096) if full else (256,):
        entries = variants(OURS, rows, False, ours) + variants(
            OURS, rows, False, ours[-2:], reuse_output=True
        )
        entries += variants(TORCH_ANS, rows, False, theirs if full else theirs[1:])
        found.append(
            Comparison(
                f"W1, best of each, B = {rows}", "W1", entries, False, {TORCH_ANS: (5.0, 5.0)}
            )
        )
    return found


def other_comparisons(full: bool) -> List[Comparison]:
    found = []
    for name in ("W4-hi", "W4-lo"):
        ours = ["rans32_16_i32/12", "rans32_16_i32/15", "rans32_16/12"]
        entries = variants(OURS, 64, False, ours, dtype="uint8", no_indexes=True)
        entries += [Entry(HTSCODECS, f"32x16, {isa}", {"isa": isa}) for isa in ("avx2", "avx512")]
        found.append(
            Comparison(f"{name}, best of each", name, entries, False, {HTSCODECS: (1.6, 1.0)})
        )
    for length in (16, 256, 4096):
        entries = both(to_bytes("rans64", 1), "TorchANSInterface, rans64")
        entries += [
            Entry(OURS, "compat.compressai, prepared CodingTables", {"api": "messages"}),
            Entry(COMPRESSAI, "lists ready", {}),
            Entry(CONSTRICTION, "AnsCoder, QuantizedGaussian", {}),
        ]
        aims = {COMPRESSAI: (100.0, 100.0)} if length == 16 else {}
        found.append(
            Comparison(f"W5 {length} symbols a call", f"W5-{length}", entries, False, aims)
        )
    found += tans_comparisons(full) + following_comparisons(full)
    return found + distribution_comparisons(full)


def tans_comparisons(full: bool) -> List[Comparison]:
    """tANS: ours beside torch-ans', both with the lanes that suit them; then beside our rANS."""
    found = []
    for precision in (10, 11, 12) if full else (10, 12):
        lanes = ("", "_i2", "_i4", "_i8", "_i16", "_i32")
        ours = [f"tans32{suffix}/{precision}" for suffix in (lanes if full else lanes[:3])]
        theirs = [f"tans32{suffix}/{precision}" for suffix in lanes[:4]]
        entries = variants(OURS, 64, False, ours) + variants(TORCH_ANS, 64, False, theirs)
        title = f"tans32 at {precision} bits, best lanes of each"
        found.append(Comparison(title, "W4-tans", entries, False, {TORCH_ANS: (1.5, 2.0)}))
    names = ["tans32/12", "tans32_i4/12"]
    entries = variants(OURS, 64, False, names, dtype="uint8", no_indexes=True)
    options = raw("rans32_16_i32", 64, 12, False, dtype="uint8", no_indexes=True)
    entries += [Entry(OURS, "rans32_16_i32/12, B = 64", options, f"{OURS}, rANS")]
    found.append(Comparison("W4-hi, tANS beside rANS", "W4-hi", entries))
    return found


def following_comparisons(full: bool) -> List[Comparison]:
    """The same bytes with the table of each symbol given, and found from the symbol before it."""
    found = []
    names = ["rans64/16", "rans32_16/15", "tans32/12"] + (["rans32/16"] if full else [])
    for name in names:
        told = f"{OURS}, tables given"
        entries = variants(OURS, 64, False, [name], follow=True, reuse_output=True)
        entries += [Entry(OURS, e.label, {**e.options, "follow": False}, told) for e in entries]
        title = f"W6 order 1, {name}, B = 64"
        found.append(Comparison(title, "W6", entries, True, {told: (0.8, 0.5)}))
    return found


def distribution_comparisons(full: bool) -> List[Comparison]:
    found = []
    for levels in (25, 64, 256):
        entries = [Entry(OURS, "encode_float_cdf", {"api": "cdfs", "format": "torch_ans"})]
        entries += [Entry(TORCHAC, "float CDFs", {})]
        entries += [Entry(CONSTRICTION, "Categorical(perfect=False)", {})]
        if full and levels < 256:
            options = {"api": "freqs", "variant": "rans64"}
            entries += [Entry(TORCH_ANS, "encode_with_freqs", options)]
        aims = {TORCHAC: (10.0, 10.0), CONSTRICTION: (2.0, 2.0)}
        found.append(Comparison(f"W3 {levels} levels", f"W3-{levels}", entries, False, aims))
        entries = [Entry(OURS, 'format="torchac"', {"api": "cdfs", "format": "torchac"})]
        entries += [Entry(TORCHAC, "float CDFs", {})]
        aims = {TORCHAC: (1.0, 1.0)}
        found.append(
            Comparison(f"W3 {levels} levels, torchac's bytes", f"W3-{levels}", entries, True, aims)
        )
    entries = [Entry(OURS, "encode_gaussian", {"api": "gaussians"})]
    entries += [Entry(CONSTRICTION, "AnsCoder, QuantizedGaussian", {})]
    aims = {CONSTRICTION: (10.0, 10.0)}
    found.append(Comparison("W2, a Gaussian for each symbol", "W2", entries, False, aims))
    return found


class Bench:
    """Runs comparisons; starts each peer's worker when it is first needed."""

    def __init__(self, cache: Path, turns: int, stack: ExitStack) -> None:
        self._cache, self._turns, self._stack = cache, turns, stack
        self._workers: Dict[str, Worker] = {}
        self._workload: Optional[Workload] = None
        self._workload_key = ""

    def worker(self, name: str) -> Worker:
        if name not in self._workers:
            self._workers[name] = self._stack.enter_context(Worker(name, self._cache))
        return self._workers[name]

    def workload(self, name: str) -> Workload:
        if self._workload is None or self._workload_key != name:
            self._workload, self._workload_key = WORKLOADS[name](), name
        return self._workload

    def run(self, comparison: Comparison, progress: tqdm[Any]) -> report.Result:
        work = self.workload(comparison.workload)
        entries = [entry for entry in comparison.entries if available(entry.peer)]
        keys, numbers, measured, digests = [], [], [], set()
        for entry in entries:
            progress.set_description(
                f"{comparison.title}: {entry.side}, {entry.label}"[:70].ljust(70)
            )
            worker = self.worker(entry.peer)
            worker.load(comparison.workload, work.arrays)
            checked = worker.prepare(comparison.workload, entry.options)
            keys.append(checked["key"])
            numbers.append(checked["symbols"])
            digests.add(checked["digest"])
            measured.append(
                report.Measured(entry.side, entry.label, entry.options, checked["bits"])
            )
        if comparison.same_bytes and len(digests) != 1:
            raise AssertionError(f"{comparison.title}: the contenders' bytes differ")
        timings: Dict[str, List[Timing]] = {}
        for direction in report.DIRECTIONS:
            progress.set_description(f"{comparison.title}: {direction}"[:70].ljust(70))
            runs = {
                str(k): functools.partial(self.worker(entry.peer).run, key, direction)
                for k, (entry, key) in enumerate(zip(entries, keys))
            }
            found = alternate(runs, self._turns, progress.update)
            timings[direction] = [found[str(k)] for k in range(len(entries))]
            for entry_result, number, timing in zip(measured, numbers, timings[direction]):
                entry_result.seconds[direction] = list(timing.seconds)
                entry_result.msym[direction] = number / timing.median / 1e6
                entry_result.spread[direction] = timing.spread
        for worker in self._workers.values():
            worker.forget()
        ratios = self._ratios(comparison, [entry.side for entry in entries], timings)
        return report.Result(
            comparison.title,
            comparison.workload,
            work.size,
            work.entropy,
            work.cross_entropy,
            measured,
            ratios,
        )

    @staticmethod
    def _ratios(
        comparison: Comparison, sides: List[str], timings: Dict[str, List[Timing]]
    ) -> List[report.Ratio]:
        def best(group: str, direction: str) -> Timing:
            return min(
                (t for side, t in zip(sides, timings[direction]) if side == group),
                key=lambda t: t.median,
            )

        ratios = []
        for group in dict.fromkeys(sides):
            if group != OURS and OURS in sides:
                encode, decode = (ratio(best(OURS, d), best(group, d)) for d in report.DIRECTIONS)
                ratios.append(report.Ratio(group, encode, decode, comparison.targets.get(group)))
        return ratios


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Measure this project beside its peers on the CPU."
    )
    profile = parser.add_mutually_exclusive_group()
    profile.add_argument("--quick", action="store_true", help="the main rows, few turns (default)")
    profile.add_argument("--full", action="store_true", help="every row, more turns")
    parser.add_argument("--only", default="", help="run the comparisons whose title contains this")
    parser.add_argument(
        "--turns", type=int, default=0, help="turns per contender (default: 5, or 11 with --full)"
    )
    parser.add_argument("--isa", default="", help="force ours to scalar, avx2 or avx512")
    parser.add_argument(
        "--cache", type=Path, default=DEFAULT_CACHE, help="folder of the peers' environments"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path(__file__).parent / "results",
        help="folder of the results",
    )
    parser.add_argument(
        "--name", default="", help="name of the result files (default: cpu-PROFILE)"
    )
    return parser.parse_args()


def main() -> None:
    options = parse_arguments()
    if options.isa:
        os.environ["TORCH_ANS_FORCE_ISA"] = options.isa
    profile, turns = (
        ("full", options.turns or 11) if options.full else ("quick", options.turns or 5)
    )
    threads = (
        len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    )
    comparisons = gaussian_comparisons(options.full, threads) + uniform_comparisons(options.full)
    comparisons += other_comparisons(options.full)
    comparisons = [c for c in comparisons if options.only.lower() in c.title.lower()]
    entries = [entry for comparison in comparisons for entry in comparison.entries]
    used = [peer for peer in dict.fromkeys(entry.peer for entry in entries) if available(peer)]
    for peer in tqdm(used, desc="environments of the peers", unit="peer"):
        environment_python(peer, options.cache)
    results = []
    with ExitStack() as stack:
        bench = Bench(options.cache, turns, stack)
        machine = report.describe_machine(bench.worker(OURS).describe())
        total = 2 * (turns + 1) * sum(entry.peer in used for entry in entries)
        with tqdm(total=total, unit="run") as progress:
            for comparison in comparisons:
                results.append(bench.run(comparison, progress))
                for found in results[-1].ratios:
                    times = f"encode {found.encode:.2f} x, decode {found.decode:.2f} x"
                    progress.write(f"{comparison.title}: {times} {found.group}")
    run = {"profile": profile, "turns": turns, "date": datetime.date.today().isoformat()}
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / (options.name or f"cpu-{profile}")
    report.write_json(path.with_suffix(".json"), machine, run, results)
    path.with_suffix(".md").write_text(report.markdown(machine, run, results))
    report.plot(path.with_suffix(".png"), machine, run, results)
    print(report.markdown(machine, run, results))


if __name__ == "__main__":
    main()
