"""Measures coding on an NVIDIA GPU, beside torch-ans 0.4.0 and nvCOMP's ANS in the same run.

    make bench-cuda
    python benchmarks/bench_cuda.py --peer-python PYTHON   # one with torch-ans for CUDA

Workloads are those of workloads.py, repeated until they fill the device. Every contender lives in a
process of its own and they take turns; each first codes the workload there and back, verified.
torch-ans has one for each of its look-ups, and nvCOMP several sizes of chunks: both are taken at
their best, each way.
`push` and `pop` are kernel time by CUDA events, with streams that have their room; `to bytes` and
`from bytes` are the interface's calls by the wall clock, from tensors on the device to new `bytes`,
and back to new tensors; `to memory` and `from memory` use memory again: pinned `out=`, and `out=`
for the symbols. "Times its parts" is such a call beside the sum of its kernels and of the copy of
the packed bytes, by CUDA events in the same turns: `pack, copy` is what comes behind push, `copy,
unpack` what comes before pop.
GB/s of symbols count what is read or written per symbol as uint8 or int32; the fraction is of the
bandwidth of a copy on the same device. Making the tables is the wall clock from CDFs on the device
to what its kernels read. nvCOMP, which has no tables given to it, takes part where
symbols are bytes. Results go to results/cuda-NAME.json and .md.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence, Set

import numpy as np
import torch

from cuda_events import copy_bandwidth, event_seconds
from cuda_workload import load_workload, split_variant

HERE = Path(__file__).resolve().parent
TORCH_ANS, NVCOMP = "torch-ans", "nvCOMP"
INSTALLS = {
    TORCH_ANS: ["--no-build-isolation", "--no-binary", "torch-ans", "torch-ans==0.4.0"],
    NVCOMP: ["nvidia-libnvcomp-cu13==6.0.0.12"],
}
CODERS = {TORCH_ANS: "torch_ans_cuda_coder", NVCOMP: "nvcomp_coder"}
LOOKUPS = {TORCH_ANS: ("search", "invcdf"), NVCOMP: ("",)}  # no case has tables for its alias
PACK, UNPACK = "pack, copy", "copy, unpack"
CALLS = {
    "to bytes": ("push", PACK),
    "from bytes": ("pop", UNPACK),
    "to memory": ("push", PACK),
    "from memory": ("pop", UNPACK),
}
DIRECTIONS = ("push", "pop", PACK, UNPACK, *CALLS)

# Workload, dtype of the symbols, variant, rows, precision (0: the family's). Peers take part as far
# as they have such a variant. With "+ar" the tables, eight of the same kind, follow the symbols.
CASES = [
    *(("W1", "int32", "rans32_16_i32", rows, 0) for rows in (256, 2048, 8192)),
    *(("W2", "int32", "rans32_16_i32", rows, 0) for rows in (256, 2048, 8192)),
    *(("W4 hi", "uint8", "rans32_16_i32", rows, 0) for rows in (2048, 8192)),
    *(("W4 hi", "uint8", "rans32_16_i32", rows, 12) for rows in (4096, 8192)),
    ("W4 lo", "uint8", "rans32_16_i32", 8192, 0),
    *(("W2", "int32", variant, 8192, 0) for variant in ("rans32_i32", "rans64_i32")),
    ("W2", "int32", "rans32_16_i4", 8192, 0),
    ("W2", "int32", "rans64", 16384, 0),
    ("W1", "int32", "rans64", 16384, 0),
    *(("W4 hi", "uint8", variant, 8192, 0) for variant in ("tans32_i32", "tans32_i4", "tans32")),
    *(("W4 hi", "uint8", variant, 16384, 0) for variant in ("rans32_16+ar", "tans32+ar")),
]


# --- the process that codes -----------------------------------------------------------------------


class Case:
    """A workload on the device, and what one turn of each direction does."""

    def __init__(self, path: str, variant: str, rows: int, dtype: str, precision: int) -> None:
        import torch_ans

        self.device = torch.device("cuda")
        variant, _, follows = variant.partition("+")
        self.variant, self.rows = variant, rows
        family, self.lanes = split_variant(variant)
        work = load_workload(path, variant, rows, dtype, precision)
        self.symbols, self.indexes, self.tables = work.symbols, work.indexes, work.tables
        self.precision, self.bypass, self.one_table = work.precision, work.bypass, work.one_table
        self.more: Dict[str, Any] = {}
        if follows:
            self._follow_symbols()
        self._push = getattr(torch_ans, f"{variant}_push")
        self._pop = getattr(torch_ans, f"{variant}_pop")
        self._make = getattr(torch_ans, f"{family}_init_stream")
        self._restart()
        self.push()
        self.full = self.stream.clone()
        self.out = torch.empty_like(self.symbols)
        self.pop()
        if not torch.equal(self.out, self.symbols):
            raise AssertionError(f"{variant} does not give the symbols back")
        self.bits = 8 * float(self.full[:, 0].double().sum()) / self.symbols.numel()
        self._prepare_bytes(torch_ans)

    def _restart(self) -> None:
        """Empty rows with room for all symbols, of which the library knows."""
        room = 3 * self.symbols.shape[1] + 1024
        self.stream = self._make(self.rows, self.lanes, room, device=self.device)

    def _follow_symbols(self) -> None:
        """Eight copies of the table, chosen by the lane's last symbol."""
        self.tables = [t.expand(8, *t.shape[1:]).contiguous() for t in self.tables]
        contexts = torch.arange(int(self.tables[1].max()), device=self.device) % 8
        self.more = {"ar_tables": contexts.reshape(1, 1, -1), "ar_offsets": self.lanes}

    def _arguments(self) -> List[Any]:
        return [*self.tables, 8, self.precision, self.bypass, 4]

    def push(self) -> None:
        indexes = None if self.one_table else self.indexes
        self._push(self.stream, self.symbols, indexes, *self._arguments(), **self.more)

    def pop(self) -> None:
        indexes = None if self.one_table else self.indexes
        self._pop(self.stream, indexes, *self._arguments(), out=self.out, **self.more)

    def _prepare_bytes(self, torch_ans: Any) -> None:
        self.coder = torch_ans.TorchANSInterface(
            self.variant,
            freq_precision=self.precision,
            num_interleaves=self.lanes,
            num_parallel_states=self.rows,
            bypass_coding=self.bypass,
            device="cuda",
        )
        self.coder.set_cdfs(*self.tables)
        if self.more:
            self.coder.init_ar_params(self.more["ar_tables"], self.lanes)
        self.to_bytes()
        self.from_bytes()
        self._prepare_memory(torch_ans)
        self.tables_seconds = self._time_tables(torch_ans)

    def _time_tables(self, torch_ans: Any) -> float:
        """From CDFs on the device to an image of tables there."""
        codec = torch_ans._native.get_codec(self.variant.partition("_i")[0], self.lanes)
        times: List[float] = []
        for _ in range(12):
            torch.cuda.synchronize()
            start = time.perf_counter()
            made = torch_ans.CodingTables(*self.tables, self.precision, self.bypass)
            made.on(self.device).image(codec)
            torch.cuda.synchronize()
            times.append(time.perf_counter() - start)
        return statistics.median(times[2:])

    def _prepare_memory(self, torch_ans: Any) -> None:
        self.native = torch_ans._native_cuda_bytes
        self.memory = torch.empty(len(self.data), dtype=torch.uint8, pin_memory=True)
        self.view = torch_ans._stream.check_stream(self.full)
        self.spans = torch_ans.byte_strings.segment_spans(self.data, 4, self.rows)
        self.out.zero_()
        self.to_memory()
        self.from_memory()
        self.pack_and_copy()
        torch.cuda.synchronize()
        if self.memory.numpy().tobytes() != self.data or not torch.equal(self.out, self.symbols):
            raise AssertionError(f"{self.variant} does not give the same in memory used again")

    def _decode(self, data: Any, out: Optional[torch.Tensor]) -> None:
        options = {"out": out, "dtype": self.symbols.dtype}
        if self.one_table:
            self.coder.decode_symbols(data, self.symbols.shape, **options)
        else:
            self.coder.decode_with_indexes(data, self.indexes, **options)

    def _encode(self, out: Optional[torch.Tensor] = None) -> Any:
        indexes = None if self.one_table else self.indexes
        return self.coder.encode_with_indexes(self.symbols, indexes, out=out)

    def to_bytes(self) -> None:
        self.data = self._encode()

    def from_bytes(self) -> None:
        self._decode(self.data, None)

    def to_memory(self) -> None:
        self._encode(self.memory)

    def from_memory(self) -> None:
        self._decode(self.memory, self.out)

    def pack_and_copy(self) -> None:
        """What the device has to do behind push."""
        framing, size = (4, True), self.memory.numel()
        plan = self.native.plan_pack(self.view, framing, None)
        packed = self.native.pack(self.view, framing, plan, size)
        self.memory.copy_(packed, non_blocking=True)

    def copy_and_unpack(self) -> None:
        """What it has to do before pop."""
        packed = self.memory.to(self.device, non_blocking=True)
        self.native.unpack(packed, self.spans, self.view)

    def seconds(self, direction: str) -> float:
        """One turn."""
        if direction == "push":
            self._restart()
            return event_seconds(self.push)
        if direction == "pop":
            self.stream.copy_(self.full)
            return event_seconds(self.pop)
        if direction in (PACK, UNPACK):
            return event_seconds(self.pack_and_copy if direction == PACK else self.copy_and_unpack)
        call = getattr(self, direction.replace(" ", "_"))
        torch.cuda.synchronize()
        start = time.perf_counter()
        call()
        torch.cuda.synchronize()
        return time.perf_counter() - start


def serve(who: str) -> None:
    """Answers a line of JSON with a line of JSON."""
    make: Any = Case
    who, _, lookup = who.partition(":")
    more = [lookup] if lookup else []
    if who in CODERS:
        make = importlib.import_module(f"coders.{CODERS[who]}").Case
    case: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        try:
            if "prepare" in request:
                case = None
                torch.cuda.empty_cache()
                case = make(*request["prepare"], *more)
                reply: Dict[str, Any] = {
                    "bits": case.bits,
                    "symbols": case.symbols.numel(),
                    "tables": getattr(case, "tables_seconds", -1.0),
                }
            elif "bandwidth" in request:
                reply = {"bandwidth": copy_bandwidth()}
            else:
                reply = {"seconds": case.seconds(request["run"]) if case else -1.0}
        except Exception as error:
            reply = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(reply), flush=True)


# --- the process that measures --------------------------------------------------------------------


class Contender:
    """A coder in a process of its own; in a new one after an error, which may cost it its GPU."""

    def __init__(self, python: str, who: str = "ours") -> None:
        self._command = [python, __file__, "--serve", who]
        self._process: Optional[subprocess.Popen[str]] = None

    def ask(self, **request: Any) -> Dict[str, Any]:
        if self._process is None:
            pipe = subprocess.PIPE
            self._process = subprocess.Popen(self._command, stdin=pipe, stdout=pipe, text=True)
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the contender has no pipes")
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        reply: Dict[str, Any] = json.loads(line) if line else {"error": "the process has ended"}
        if "error" in reply:
            self.close()
        return reply

    def close(self) -> None:
        if self._process is not None and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait()
        self._process = None


def build_peer(who: str, cache: Path) -> Optional[str]:
    """A Python with the peer in it, torch-ans built from its sdist; None where that fails."""
    folder = cache.resolve() / f"{who}-cuda"
    python = folder / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", "--system-site-packages", folder], check=True)
        # The packages of the environment that this runs in, too: torch, NumPy, setuptools.
        (site,) = (folder / "lib").glob("python*/site-packages")
        (site / "outer.pth").write_text(f"{Path(np.__file__).resolve().parent.parent}\n")
    environment = {**os.environ, "WITH_CUDA": "1", "FORCE_CUDA": "1"}
    command = [python, "-m", "pip", "install", "-q", "--no-deps", *INSTALLS[who]]
    done = subprocess.run(command, env=environment, check=False)
    return str(python) if done.returncode == 0 else None


def save_workloads(folder: Path, symbols: int, wanted: Set[str]) -> Dict[str, str]:
    """The wanted workloads as files, and how often they are repeated for about so many symbols."""
    from workloads import gaussian, geometric_bytes, uniform

    paths: Dict[str, str] = {}
    makers: Dict[str, Callable[[], Any]] = {
        "W1": uniform,
        "W2": gaussian,
        "W4 hi": lambda: geometric_bytes(4.506, "hi"),
        "W4 lo": lambda: geometric_bytes(1.003, "lo"),
    }
    for name in sorted(wanted):
        workload = makers[name]()
        arrays = dict(workload.arrays)
        size = workload.size
        arrays["symbols"] = arrays["symbols"].reshape(-1)
        arrays["indexes"] = arrays.get("indexes", np.zeros(size, np.int32)).reshape(-1)
        arrays["times"] = np.array(max(1, symbols // size))
        paths[name] = str(folder / (name.replace(" ", "") + ".npz"))
        np.savez(paths[name], bypass=np.array(workload.bypass), **arrays)
    return paths


def measure(
    case: Sequence[Any], path: str, contenders: Dict[str, Contender], turns: int
) -> Dict[str, Any]:
    name, dtype, variant, rows, precision = case
    result: Dict[str, Any] = {"workload": name, "dtype": dtype, "variant": variant, "rows": rows}
    result["precision"] = precision
    ready: Dict[str, Contender] = {}
    for who, contender in contenders.items():
        reply = contender.ask(prepare=[path, variant, rows, dtype, precision])
        result[who] = {**reply, **{direction: [] for direction in DIRECTIONS}}
        if "error" not in reply:
            ready[who] = contender
    for turn in range(turns + 2):
        for direction in DIRECTIONS:
            for who, contender in ready.items():
                seconds = contender.ask(run=direction).get("seconds", -1.0)
                if turn >= 2 and seconds > 0:
                    result[who][direction].append(seconds)
    return result


def at_its_best(result: Dict[str, Any], who: str, direction: str) -> Optional[float]:
    """The median time of a peer, with the look-up that is fastest in this direction."""
    times = [
        statistics.median(found[direction])
        for name, found in result.items()
        if name.partition(":")[0] == who and found.get(direction)
    ]
    return min(times, default=None)


def table(results: List[Dict[str, Any]], bandwidth: float) -> str:
    lines = [
        f"Copy bandwidth {bandwidth / 1e9:.0f} GB/s (read and written). Medians of the turns.",
        "",
        "| workload | variant | rows | direction | Gsym/s | GB/s symbols | GB/s payload | of copy "
        "| times its parts | times torch-ans | times nvCOMP |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        ours = result["ours"]
        if "error" in ours:
            lines.append(f"| {result['workload']} | {result['variant']} | error: {ours['error']} |")
            continue
        width = 1 if result["dtype"] == "uint8" else 4
        bits = f", {result['precision']} bits" if result["precision"] else ""
        index = 0 if result["workload"] != "W2" else 4
        for direction in DIRECTIONS:
            seconds = statistics.median(ours[direction])
            parts = sum(statistics.median(ours[part]) for part in CALLS.get(direction, ()))
            of_parts = f"{seconds / parts:.2f}" if parts else "-"
            speed = ours["symbols"] / seconds
            moved = speed * (width + index + ours["bits"] / 8)
            times = " | ".join(
                f"{theirs / seconds:.2f}" if theirs else "-"
                for theirs in (at_its_best(result, who, direction) for who in CODERS)
            )
            lines.append(
                f"| {result['workload']} {result['dtype']} | {result['variant']}{bits} "
                f"| {result['rows']} "
                f"| {direction} | {speed / 1e9:.2f} | {speed * width / 1e9:.0f} "
                f"| {speed * ours['bits'] / 8e9:.1f} | {moved / bandwidth:.2f} | {of_parts} "
                f"| {times} |"
            )
    made = {
        f"{result['workload']} {result['variant'].partition('_i')[0]}": result["ours"]["tables"]
        for result in results
        if "error" not in result["ours"]
    }
    lines += ["", "| tables made on the device | microseconds |", "|---|---|"]
    lines += [f"| {name} | {seconds * 1e6:.0f} |" for name, seconds in made.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--serve", metavar="WHO", help=argparse.SUPPRESS)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--symbols", type=int, default=1 << 28, help="symbols of a workload")
    parser.add_argument("--only", default="", help="cases with one of these, comma-separated")
    parser.add_argument("--peer-python", help="a Python that has torch-ans for CUDA; or 'none'")
    parser.add_argument("--cache", type=Path, default=HERE / ".peers")
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return 0
    if not torch.cuda.is_available():
        print(
            "bench-cuda: no NVIDIA GPU here (torch.cuda.is_available() is False); nothing measured"
        )
        return 0
    from torch_ans import _native

    if _native.cuda_problem():
        print(f"bench-cuda: {_native.cuda_problem()}")
        return 1
    contenders = {"ours": Contender(sys.executable)}
    for who in INSTALLS:
        given = options.peer_python if who == TORCH_ANS else None
        peer = given or build_peer(who, options.cache)
        if peer and peer != "none":
            for lookup in LOOKUPS[who]:
                name = f"{who}:{lookup}" if lookup else who
                contenders[name] = Contender(peer, name)
        else:
            print(f"bench-cuda: {who} could not be installed here; it is left out")
    name = torch.cuda.get_device_name().replace(" ", "-")
    bandwidth = contenders["ours"].ask(bandwidth=True)["bandwidth"]
    results: List[Dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        parts = options.only.split(",")
        chosen = [case for case in CASES if any(part in " ".join(map(str, case)) for part in parts)]
        paths = save_workloads(Path(folder), options.symbols, {case[0] for case in chosen})
        for case in chosen:
            results.append(measure(case, paths[case[0]], contenders, options.turns))
    for contender in contenders.values():
        contender.close()
    text = table(results, bandwidth)
    print(text)
    record = {"device": name, "torch": torch.__version__, "bandwidth": bandwidth, "cases": results}
    target = HERE / "results" / f"cuda-{name}"
    target.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n")
    target.with_suffix(".md").write_text(f"# {name}\n\n{text}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
