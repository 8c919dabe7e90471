"""Checks built wheels: ``python scripts/check_wheel.py dist/wheels/*.whl``.

A wheel may need nothing but the C and C++ runtimes (no libtorch, no CUDA, no OpenMP runtime of its
own), must be under 25 MB, and must run on any x86-64: outside the kernels of an instruction set, no
function uses an instruction above x86-64-v1. Needs readelf and objdump (binutils). One line for
each finding; exit status 1 if there is any.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Iterator, List

MOST_BYTES = 25_000_000
RUNTIMES = re.compile(r"lib(c|m|dl|rt|pthread|gcc_s|stdc\+\+)\.so\.\d+|ld-linux-.*")
# Functions that run only where dispatch.cpp has found the instruction set.
KERNELS = re.compile(r"torch_ans::(\(anonymous namespace\)::)?(avx2|avx512)::|add_avx(2|512)_\w+")
# VEX and EVEX, BMI, and SSE3 and later.
ABOVE_BASELINE = re.compile(
    r"v(?!er[rw])[a-z0-9]+|(mulx|pext|pdep|shlx|shrx|sarx|rorx|andn|bextr|bls[irm]\w*|bzhi|[lt]zcnt"
    r"|movbe|popcnt|crc32)[bwlq]?|pshufb|palignr|ph(add|sub)\w+|pabs[bwd]|p(min|max)(s[bd]|u[wd])"
    r"|pmul(ld|dq|hrsw)|ptest|pinsr[bdq]|pextr[bdq]|round[sp][sd]|dpp[sd]|p?blendv?\w+|lddqu"
    r"|k(mov|and|or|xor|not|shift)\w+|pcmp[ei]str\w"
)
FUNCTION = re.compile(r"^[0-9a-f]+ <(.*)>:$")


def needed(library: Path) -> Iterator[str]:
    """Libraries that the dynamic linker must find for this one."""
    out = subprocess.run(
        ["readelf", "-d", str(library)], check=True, capture_output=True, text=True
    ).stdout
    yield from re.findall(r"\(NEEDED\).*\[(.*)\]", out)


def above_baseline(library: Path) -> Iterator[str]:
    """Functions outside the kernels that use newer instructions, with the first of them."""
    process = subprocess.Popen(
        ["objdump", "-d", "-C", "--no-show-raw-insn", str(library)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None  # noqa: S101 - PIPE was asked for
    function, reported = "", True
    for line in process.stdout:
        start = FUNCTION.match(line)
        if start:
            function = start.group(1)
            reported = bool(KERNELS.search(function))
            continue
        if reported:
            continue
        parts = line.split("\t")
        words = parts[1].split() if len(parts) > 1 else []
        if words and ABOVE_BASELINE.fullmatch(words[0]):
            yield f"{function} uses {words[0]}"
            reported = True
    if process.wait() != 0:
        raise RuntimeError(f"objdump cannot read {library}")


def findings(wheel: Path) -> Iterator[str]:
    """What is wrong with a wheel."""
    size = wheel.stat().st_size
    if size >= MOST_BYTES:
        yield f"has {size} bytes, {MOST_BYTES} or more"
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        libraries = [name for name in names if re.search(r"\.so(\.|$)", name)]
        modules = [name for name in libraries if name.startswith("torch_ans/_core.")]
        if len(modules) != 1:
            yield f"must hold one torch_ans/_core.*.so, got {modules}"
        for name in set(libraries) - set(modules):
            yield f"brings a library along: {name}"
        if "torch_ans/py.typed" not in names:
            yield "has no torch_ans/py.typed"
        for name in modules:
            library = Path(archive.extract(name, folder))
            for other in needed(library):
                if not RUNTIMES.fullmatch(other):
                    yield f"{name} needs {other}"
            if "x86_64" in wheel.name:
                for finding in above_baseline(library):
                    yield f"{name}: {finding}"


def main(wheels: List[str]) -> int:
    """Checks all of them."""
    found = 0
    for wheel in map(Path, wheels):
        lines = list(findings(wheel))
        found += len(lines)
        print(f"{wheel.name}: {wheel.stat().st_size:,} bytes, {'ok' if not lines else 'not ok'}")
        for line in lines:
            print(f"  {line}")
    return 1 if found or not wheels else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
