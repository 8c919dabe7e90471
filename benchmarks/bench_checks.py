"""What the checks of arguments and streams cost: the engine beside a build of it without them.

    make bench-checks
    python benchmarks/bench_checks.py --turns 21 --only W2 --isa avx2

The other build (TORCH_ANS_UNCHECKED in torch_ans/config.h) looks at no index, no symbol, no room in
a row and no end of its bytes: it is good for nothing but this comparison. Both are built here, with
the same flags, and code the same workloads in strict turns. A ratio is the median over the turns of
(checked / unchecked) in CPU time of the one thread, so 1.03 says that checking takes 3 %.
"""

from __future__ import annotations

import argparse
import functools
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Dict, List

from tqdm import tqdm

import report
from bench_cpu import raw
from peers import DEFAULT_CACHE, OURS, Worker
from timing import alternate, ratio
from workloads import WORKLOADS

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "checks"
CASES = [
    ("W2", raw("rans64", 1)),
    ("W2", raw("rans64", 64)),
    ("W2", raw("rans64_i4", 64)),
    ("W2", raw("rans32_16_i32", 64, 15)),
    ("W1", raw("rans64_i4", 256, bypass=False)),
    ("W1", raw("rans32_16_i32", 256, 15, bypass=False)),
    ("W4-hi", raw("rans32_16_i32", 64, 12, bypass=False, dtype="uint8", no_indexes=True)),
]


def build(name: str, flags: str) -> Path:
    """Builds the extension with these flags; a Python that imports it instead of an installed one.

    An environment of its own, because the finder of an editable installation comes before a path.
    """
    import pybind11

    folder = FOLDER / name
    defines = {
        "CMAKE_CXX_FLAGS": flags,
        "TORCH_ANS_CUDA": "OFF",
        "Python_EXECUTABLE": os.path.abspath(sys.executable),
        "pybind11_DIR": pybind11.get_cmake_dir(),
    }
    beside = Path(sys.executable).parent / "cmake"
    cmake = str(beside) if beside.exists() else "cmake"
    configure = [f"-D{key}={value}" for key, value in defines.items()]
    silent = {"check": True, "stdout": subprocess.DEVNULL}
    subprocess.run([cmake, "-S", str(ROOT), "-B", str(folder / "cmake"), *configure], **silent)
    subprocess.run([cmake, "--build", str(folder / "cmake"), "-j", str(os.cpu_count())], **silent)
    package = folder / "package" / "torch_ans"
    shutil.rmtree(package, ignore_errors=True)
    shutil.copytree(ROOT / "src" / "torch_ans", package, ignore=shutil.ignore_patterns("*.so"))
    for library in (folder / "cmake").glob("_core*"):
        if library.is_file():
            shutil.copy(library, package)
    environment = folder / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    site = sysconfig.get_path("platlib", vars={"platbase": str(environment)})
    lines = [package.parent, sysconfig.get_path("platlib")]
    (Path(site) / "checks.pth").write_text("".join(f"{line}\n" for line in lines))
    return environment / "bin" / "python"


def measure(
    workload: str, options: Dict[str, Any], workers: Dict[str, Worker], turns: int
) -> Dict[str, float]:
    """Checked over unchecked, by direction."""
    arrays = WORKLOADS[workload]().arrays
    keys, digests = {}, set()
    for name, worker in workers.items():
        worker.load(workload, arrays)
        prepared = worker.prepare(workload, options)
        keys[name] = prepared["key"]
        digests.add(prepared["digest"])
    if len(digests) != 1:
        raise AssertionError(f"{workload} {options['variant']}: the builds' bytes differ")
    found = {}
    for direction in report.DIRECTIONS:
        runs = {
            name: functools.partial(worker.run, keys[name], direction, clock="cpu")
            for name, worker in workers.items()
        }
        timings = alternate(runs, turns, lambda: None, warm_up=2)
        found[direction] = ratio(timings["unchecked"], timings["checked"])
    for worker in workers.values():
        worker.forget()
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--isa", default="", help="force scalar, avx2 or avx512")
    arguments = parser.parse_args()
    if arguments.isa:
        os.environ["TORCH_ANS_FORCE_ISA"] = arguments.isa
    builds = {"unchecked": "-DTORCH_ANS_UNCHECKED", "checked": ""}
    pythons = {name: build(name, flags) for name, flags in tqdm(builds.items(), desc="building")}
    lines: List[str] = []
    ratios: List[float] = []
    with ExitStack() as stack:
        workers = {
            name: stack.enter_context(Worker(OURS, DEFAULT_CACHE, python))
            for name, python in pythons.items()
        }
        isa = next(iter(workers.values())).describe()["isa"]
        for workload, options in tqdm(CASES, desc="measuring"):
            title = f"{workload} {options['variant']}, {options['rows']} rows"
            if arguments.only.lower() not in title.lower():
                continue
            found = measure(workload, options, workers, arguments.turns)
            ratios += found.values()
            lines.append(f"| {title} | {found['encode']:.3f} | {found['decode']:.3f} |")
    print(f"Time with checks over time without, {isa}, one thread, {arguments.turns} turns\n")
    print("\n".join(["| work | encode | decode |", "|---|--:|--:|", *lines]))
    print(f"\nmedian {statistics.median(ratios):.3f}, most {max(ratios):.3f}")


if __name__ == "__main__":
    main()
