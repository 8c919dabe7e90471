"""Builds the fuzzers with clang and runs all of them for a while: ``make fuzz SECONDS=60``.

Every coder harness runs once for each instruction set that this machine has; the seconds are shared
out among all runs, two or more at a time. Runs start from the committed corpora (``fuzz/corpus``,
a zip file a harness) and what earlier ones have found (``build/fuzz/corpus``); ``--minimise`` puts
the part of both that reaches different branches into the committed ones. Exit status 1 if anything
was found, 2 if a tool is missing.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Optional, Tuple

ROOT = Path(__file__).resolve().parent.parent
CORPORA = ROOT / "fuzz" / "corpus"
HARNESSES = {"decode": 96, "encode": 96, "models": 96, "container": 512, "tables": 256}
"""The longest input of each."""
PER_ISA = ("decode", "encode", "models")  # these reach tens of thousands of branches
MOST_COMMITTED = 300  # inputs a harness: the rest is found again in seconds
ISAS = ("avx512", "avx2", "scalar")


@dataclass(frozen=True)
class Job:
    """One harness on one instruction set."""

    harness: str
    isa: str

    @property
    def name(self) -> str:
        """What it is called in the results."""
        return f"{self.harness} ({self.isa})" if self.harness in PER_ISA else self.harness


def missing(what: str, how: str) -> None:
    """Says what has to be installed, and gives up."""
    print(f"fuzz: {what} is missing: {how}", file=sys.stderr)
    sys.exit(2)


def tool(name: str) -> Optional[str]:
    """A program of this Python's environment, or of PATH."""
    beside = Path(sys.executable).parent / name
    return str(beside) if beside.exists() else shutil.which(name)


def build(folder: Path, sanitizers: str, targets: List[str], jobs: int) -> None:
    """Configures and builds the targets."""
    clang, cmake, ninja = shutil.which("clang++"), tool("cmake"), tool("ninja")
    if clang is None:
        missing("clang", "on Debian and Ubuntu, apt-get install clang libclang-rt-dev")
    if cmake is None:
        missing("CMake", "pip install cmake ninja")
    probe = subprocess.run(
        [str(clang), "-fsanitize=fuzzer,address,undefined", "-x", "c++", "-", "-o", os.devnull],
        input='extern "C" int LLVMFuzzerTestOneInput(const char*, unsigned long) { return 0; }',
        capture_output=True,
        text=True,
    )
    if probe.returncode != 0:
        missing("clang's sanitizer runtime", "on Debian, apt-get install libclang-rt-dev")
    options = {
        "CMAKE_CXX_COMPILER": clang,
        "TORCH_ANS_FUZZERS": "ON",
        "TORCH_ANS_SANITIZE": sanitizers,
        "TORCH_ANS_OPENMP": "OFF",
        "TORCH_ANS_NATIVE": "ON",
        "TORCH_ANS_WARNINGS": "ON",
    }
    generator = ["-G", "Ninja", f"-DCMAKE_MAKE_PROGRAM={ninja}"] if ninja else []
    defines = [f"-D{name}={value}" for name, value in options.items()]
    configure = [str(cmake), "-S", str(ROOT), "-B", str(folder), *generator, *defines]
    subprocess.run(configure, check=True, stdout=subprocess.DEVNULL)
    command = [str(cmake), "--build", str(folder), "-j", str(jobs), "--target", *targets]
    subprocess.run(command, check=True)


def available_isas(program: Path) -> List[str]:
    """The instruction sets that the engine can be forced to here."""
    found = []
    for isa in ISAS:
        done = subprocess.run(
            [str(program), "-runs=1", f"-artifact_prefix={program.parent}/"],
            env={**os.environ, "TORCH_ANS_FORCE_ISA": isa},
            capture_output=True,
        )
        if done.returncode == 0:
            found.append(isa)
    return found


def run(job: Job, folder: Path, seconds: float) -> Tuple[Job, int, int, str]:
    """Fuzzes for a while: (job, exit status, executions, output)."""
    corpus = folder / "corpus" / job.harness
    artifacts = folder / "artifacts"
    for path in (corpus, artifacts):
        path.mkdir(parents=True, exist_ok=True)
    command = [
        str(folder / "fuzz" / f"fuzz_{job.harness}"),
        f"-max_total_time={max(1, round(seconds))}",
        f"-max_len={HARNESSES[job.harness]}",
        "-timeout=200",  # a busy machine may stand still for a while
        "-rss_limit_mb=4096",
        "-print_final_stats=1",
        "-reload=0",
        # With so many branches, keeping count of how rare each is would take a third of the time.
        f"-entropic={0 if job.harness in PER_ISA else 1}",
        f"-artifact_prefix={artifacts}/{job.harness}-{job.isa}-",
        str(corpus),
    ]
    env = {
        **os.environ,
        "TORCH_ANS_FORCE_ISA": job.isa,
        "UBSAN_OPTIONS": "print_stacktrace=1",
        "ASAN_OPTIONS": "detect_leaks=1:allocator_may_return_null=0:quarantine_size_mb=4",
    }
    done = subprocess.run(command, env=env, capture_output=True, text=True, errors="replace")
    units = re.search(r"stat::number_of_executed_units:\s*(\d+)", done.stderr)
    return job, done.returncode, int(units.group(1)) if units else 0, done.stderr


def unpack_corpora(folder: Path) -> None:
    """Puts the committed inputs among those that were found here."""
    for harness in HARNESSES:
        archive = CORPORA / f"{harness}.zip"
        if archive.exists():
            with zipfile.ZipFile(archive) as inputs:
                inputs.extractall(folder / "corpus" / harness)


def minimise(folder: Path) -> None:
    """Commits the smallest inputs that together reach what all reach."""
    CORPORA.mkdir(exist_ok=True)
    for harness, longest in HARNESSES.items():
        kept = folder / "kept" / harness
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        program = str(folder / "fuzz" / f"fuzz_{harness}")
        found = str(folder / "corpus" / harness)
        merge = [program, "-merge=1", f"-max_len={longest}", str(kept), found]
        subprocess.run(merge, check=True, capture_output=True)
        smallest = sorted(kept.iterdir(), key=lambda path: (path.stat().st_size, path.name))
        with zipfile.ZipFile(CORPORA / f"{harness}.zip", "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(smallest[:MOST_COMMITTED]):
                # The same inputs make the same archive, whenever and wherever it is made.
                entry = zipfile.ZipInfo(path.name[:16] + ".bin")
                archive.writestr(entry, path.read_bytes(), zipfile.ZIP_DEFLATED)


def plan(folder: Path) -> Iterator[Job]:
    """All harnesses, those of coders on every instruction set."""
    isas = available_isas(folder / "fuzz" / "fuzz_decode")
    for harness in HARNESSES:
        for isa in isas if harness in PER_ISA else isas[-1:]:
            yield Job(harness, isa)


def main() -> int:
    """Builds, runs, reports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--build-dir", type=Path, default=ROOT / "build" / "fuzz")
    parser.add_argument("--minimise", action="store_true", help="then renew fuzz/corpus")
    parser.add_argument("--threads", action="store_true", help="ThreadSanitizer instead")
    args = parser.parse_args()
    if args.threads:
        folder = ROOT / "build" / "tsan"
        build(folder, "thread", ["fuzz_threads"], args.jobs)
        # CMake's clang does not randomise addresses away from what the runtime expects: setarch.
        setarch = [shutil.which("setarch") or "", "-R"] if shutil.which("setarch") else []
        return subprocess.run([*setarch, str(folder / "fuzz" / "fuzz_threads")]).returncode
    build(args.build_dir, "address,undefined", [f"fuzz_{name}" for name in HARNESSES], args.jobs)
    unpack_corpora(args.build_dir)
    jobs = list(plan(args.build_dir))
    share = args.seconds * min(args.jobs, len(jobs)) / len(jobs)
    total = failed = 0
    with ThreadPoolExecutor(args.jobs) as pool:
        for job, status, count, output in pool.map(lambda j: run(j, args.build_dir, share), jobs):
            total += count
            print(f"{job.name:18} {count:>12,} executions  {'ok' if status == 0 else 'FAILED'}")
            if status != 0:
                failed += 1
                print(output[-4000:])
    print(f"{'all':18} {total:>12,} executions  {failed} failed")
    if args.minimise and not failed:
        minimise(args.build_dir)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
