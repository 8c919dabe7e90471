"""`python -m torch_ans`: what is installed, and what it found."""

from __future__ import annotations

import platform
import sys

import torch

from . import __version__, _core, _native, cpu_capabilities


def cuda_facts() -> str:
    """What the build has for GPUs, and whether there is one to run it."""
    engine = _native.cuda_engine()
    if engine is None:
        return "not in this build"
    kernels = f"kernels for {', '.join(f'sm_{arch}' for arch in engine.built_for.split())} and PTX"
    problem = _native.cuda_problem()
    if not problem and not torch.cuda.is_available():
        problem = "torch cannot use CUDA here"
    return f"{kernels}; {problem or torch.cuda.get_device_name()}"


def main() -> int:
    """Prints a line for each fact that a bug report should have."""
    cpu = cpu_capabilities()
    chosen = "forced by TORCH_ANS_FORCE_ISA" if cpu["forced"] else "chosen at run time"
    facts = {
        "torch_ans": __version__,
        "native module": f"{_core.__file__} ({_core.__compiler__})",
        "instruction set": f"{cpu['isa']} ({chosen}; available: {', '.join(cpu['available'])})",
        "CUDA": cuda_facts(),
        "OpenMP": "yes" if cpu["openmp"] else "no",
        "threads": str(torch.get_num_threads()),
        "families": ", ".join(_core.FAMILIES),
        "lanes": ", ".join(map(str, _core.LANES)),
        "torch": f"{torch.__version__} (CUDA {torch.version.cuda or 'none'})",
        "Python": f"{platform.python_version()} on {platform.platform()}",
    }
    for name, value in facts.items():
        print(f"{name + ':':17}{value}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
