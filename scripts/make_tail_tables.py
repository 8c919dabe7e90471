"""Writes cpp/include/torch_ans/tail_tables.h: tails of distributions, correctly rounded.

    python scripts/make_tail_tables.py

It needs mpmath, which comes with torch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Callable, Dict

import mpmath

TARGET = Path(__file__).resolve().parent.parent / "cpp/include/torch_ans/tail_tables.h"
STEPS, MOST, BITS = 64, 16, 30

HEAD = """/// Probabilities of more than z scales above the mean, for z = 0, 1/64, .. 16 and once
/// more 16, as multiples of 2^-30, rounded to nearest. Where an array's text ends, zeros follow.
/// Made by scripts/make_tail_tables.py.
#pragma once

#include <cstdint>

namespace torch_ans {

constexpr int kTailSteps = 64;  ///< entries a scale
constexpr int kTailScales = 16;
constexpr int kTailEntries = kTailSteps * kTailScales + 2;
"""

TAILS: Dict[str, Callable[[Any], Any]] = {
    "Gaussian": lambda z: mpmath.erfc(z / mpmath.sqrt(2)) / 2,
    "Laplace": lambda z: mpmath.exp(-z) / 2,
    "Logistic": lambda z: 1 / (1 + mpmath.exp(z)),
}


def main() -> None:
    """Writes the file."""
    mpmath.mp.dps = 50
    text = HEAD
    for name, tail in TAILS.items():
        points = [mpmath.mpf(k) / STEPS for k in range(STEPS * MOST + 1)]
        values = [int(mpmath.nint(tail(z) * 2**BITS)) for z in points]
        values.append(values[-1])
        while values[-1] == 0:
            values.pop()
        text += f"\nconstexpr std::uint32_t k{name}Tail[kTailEntries] = {{\n"
        line = "   "
        for value in values:
            if len(line) + len(f" {value},") > 100:
                text, line = text + line + "\n", "   "
            line += f" {value},"
        text += line + "\n};\n"
    TARGET.write_text(text + "\n}  // namespace torch_ans\n")


if __name__ == "__main__":
    main()
