"""Checks that the layers of the project stay apart.

    src/torch_ans/*.py  >  cpp/bindings  >  cpp/cpu, cuda  >  cpp/include/torch_ans

Each entry of ``RULES`` says where it applies, what it forbids and why. Comments and string literals
of C++ do not count. Exit status 1 and one line for each finding, as a compiler writes them.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator, List, Pattern, Tuple

ROOT = Path(__file__).resolve().parent.parent
SUFFIXES = {".h", ".cpp", ".cu", ".cuh", ".py"}
# The one file where OpenMP may appear, and those that may ask a tensor for its address: those that
# hand it on, and the one that only compares it.
OPENMP_FILE = "cpp/cpu/parallel.h"


@dataclass(frozen=True)
class Rule:
    """What a file under one of ``folders`` (and none of ``unless``) must not contain."""

    folders: Tuple[str, ...]
    pattern: Pattern[str]
    reason: str
    unless: Tuple[str, ...] = ()

    def covers(self, path: str) -> bool:
        """Whether the rule applies to ``path`` (relative, with forward slashes)."""
        return path.startswith(self.folders) and not path.startswith(self.unless)


def _include(names: str) -> Pattern[str]:
    return re.compile(rf"^\s*#\s*include\s*[<\"](?:{names})")


LIBRARY = ("cpp/", "cuda/")
ADDRESS_FILES = ("src/torch_ans/_native", "src/torch_ans/_table_cache.py")

RULES = (
    Rule(LIBRARY, _include(r"torch/|ATen/|c10/|torch\.h"), "no torch header anywhere"),
    Rule(
        LIBRARY,
        _include(r"pybind11/|Python\.h"),
        "Python only in the bindings",
        unless=("cpp/bindings/",),
    ),
    Rule(("cpp/cpu/",), _include(r"(?:\.\./)*cuda/|[^\">]*\.cuh"), "cpu never includes cuda"),
    Rule(("cuda/",), _include(r"(?:\.\./)*(?:cpp/)?cpu/"), "cuda never includes cpu"),
    Rule(
        ("cpp/cpu/",),
        _include("cpu/avx"),
        "plain C++ knows no vectors",
        unless=("cpp/cpu/avx2/", "cpp/cpu/avx512/"),
    ),
    Rule(("cpp/cpu/avx2/",), _include("cpu/avx512/"), "avx2 never includes avx512"),
    Rule(
        ("cpp/include/",),
        _include(r"(?:\.\./|cpp/|cpu/|bindings/|cuda/)"),
        "the headers are the lowest layer",
    ),
    Rule(
        ("cpp/include/",),
        re.compile(r"^\s*#\s*include\s*(?:\"(?!torch_ans/)|<(?![a-z_]+>|intrin\.h>))"),
        'headers include std and each other ("torch_ans/...") only',
    ),
    Rule(
        LIBRARY,
        re.compile(r"^\s*#\s*pragma\s+omp\b|^\s*#\s*include\s*<omp\.h>|\bomp_\w+\s*\("),
        f"OpenMP only in {OPENMP_FILE}",
        unless=(OPENMP_FILE,),
    ),
    Rule(
        ("cpp/",),
        re.compile(r"^\s*#\s*include\s*<cuda\w*\.h>|\bcuda[A-Z]\w*\s*\(|<<<"),
        "the CUDA runtime only under cuda/",
    ),
    Rule(
        LIBRARY,
        re.compile(
            r"^\s*#\s*include\s*<(?:iostream|cassert|assert\.h)>"
            r"|\b(?:std::)?(?:cout|cerr|clog)\b"
            r"|(?<![\w.>])(?:std::)?(?:v?f?printf|puts|fputs|putchar|perror)\s*\("
            r"|(?<![\w.>])(?:std::)?(?:abort|exit|_Exit|quick_exit|terminate|assert)\s*\("
        ),
        "a library neither prints nor ends the process: return a status",
    ),
    Rule(
        ("src/torch_ans/",),
        re.compile(r"\.data_ptr\s*\("),
        "tensors become pointers only in _native*.py",
        unless=ADDRESS_FILES,
    ),
)

_COMMENT_OR_STRING = re.compile(
    r"//[^\n]*|/\*.*?\*/|R\"\((?:.*?)\)\"|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL
)


def _blank(match: re.Match[str]) -> str:
    """Removes the text of a comment or literal, but neither line breaks nor an include's name."""
    line = match.string[match.string.rfind("\n", 0, match.start()) + 1 : match.start()]
    if match.group().startswith('"') and line.lstrip().startswith("#"):
        return match.group()
    return re.sub(r"[^\n]", " ", match.group())


def findings(path: str, text: str) -> Iterator[str]:
    """Yields ``path:line: reason`` for everything in ``text`` that a rule forbids."""
    code = text
    if not path.endswith(".py"):
        # A digit separator (1'000) would look like an open character literal.
        code = re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "_", code)
        code = _COMMENT_OR_STRING.sub(_blank, code)
    rules = [rule for rule in RULES if rule.covers(path)]
    for number, line in enumerate(code.splitlines(), 1):
        for rule in rules:
            if rule.pattern.search(line):
                yield f"{path}:{number}: {rule.reason}: {line.strip()}"


def main() -> int:
    """Checks the whole tree."""
    found: List[str] = []
    for top in ("cpp", "cuda", "src"):
        for file in sorted((ROOT / top).rglob("*")):
            if file.suffix in SUFFIXES:
                path = file.relative_to(ROOT).as_posix()
                found += findings(path, file.read_text(encoding="utf-8"))
    print("\n".join(found) or "layers: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
