"""`python -m torch_ans`: what is installed, and what it found."""

from __future__ import annotations

import platform
import sys

import torch

from . import __version__, _core, cpu_capabilities


def main() -> int:
    """Prints a line for each fact that a bug report should have."""
    cpu = cpu_capabilities()
    chosen = "forced by TORCH_ANS_FORCE_ISA" if cpu["forced"] else "chosen at run time"
    facts = {
        "torch_ans": __version__,
        "native module": _core.__file__,
        "instruction set": f"{cpu['isa']} ({chosen}; available: {', '.join(cpu['available'])})",
        "OpenMP": "yes" if cpu["openmp"] else "no",
        "threads": str(torch.get_num_threads()),
        "families": ", ".join(_core.FAMILIES),
        "lanes": ", ".join(map(str, _core.LANES)),
        "torch": torch.__version__,
        "Python": f"{platform.python_version()} on {platform.platform()}",
    }
    for name, value in facts.items():
        print(f"{name + ':':17}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
