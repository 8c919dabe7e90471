"""Installs each wheel of ``dist/wheels`` in a clean environment and tests it: ``make test-wheels``.

    python scripts/test_wheels.py [--torch VERSION] [-k EXPRESSION] [WHEEL ...]

The environment has no compiler in PATH, and torch from any index that pip knows: with ``--torch``
that release, else the one of constraints.txt. A Python that no
such torch exists for is named and left out. The tests run from a copy, so that nothing but the
wheel can be imported.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import List, Optional

ROOT = Path(__file__).resolve().parent.parent
TESTED = ["test_container.py", "test_golden.py", "test_interface.py", "test_bad_input.py"]
TESTED += ["test_faults.py", "test_lowlevel_api.py", "test_contexts.py", "test_ops.py"]


def interpreter(wheel: Path) -> Optional[str]:
    """A Python of this machine that the wheel is for."""
    match = re.search(r"-cp3(\d+)-", wheel.name)
    version = f"3.{match.group(1)}" if match else ""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for folder in sorted((root / "versions").glob(f"{version}.*"), reverse=True):
        if (folder / "bin" / "python").exists():
            return str(folder / "bin" / "python")
    if version == f"3.{sys.version_info[1]}":
        return sys.executable
    return shutil.which(f"python{version}")


def run_tests(wheel: Path, torch: Optional[str], chosen: List[str], folder: Path) -> str:
    """Tests one wheel; says how it went."""
    python = interpreter(wheel)
    if python is None:
        return "no such Python here"
    subprocess.run([python, "-m", "venv", str(folder / "venv")], check=True)
    own = str(folder / "venv" / "bin" / "python")
    pip = [own, "-m", "pip", "--disable-pip-version-check", "-q"]
    constraints = ["-c", str(ROOT / "constraints.txt")]
    if torch is None:
        steps = [[*pip, "install", "--only-binary=:all:", *constraints, "torch", "numpy"]]
    else:
        numpy = "numpy<2" if int(torch.split(".")[0]) < 2 else "numpy"
        steps = [[*pip, "install", "--only-binary=:all:", f"torch=={torch}", numpy]]
    steps += [[*pip, "install", *constraints, "pytest", "pytest-xdist", "hypothesis"]]
    steps += [[*pip, "install", "--no-deps", "--no-index", str(wheel)]]
    for step in steps:
        if subprocess.run(step).returncode != 0:
            return f"not tested: {' '.join(step[5:])} failed"
    shutil.copytree(ROOT / "tests", folder / "tests")
    (folder / "bin").mkdir()  # a PATH without a compiler
    for name in ("sh", "env", "uname"):
        program = shutil.which(name)
        if program:
            (folder / "bin" / name).symlink_to(program)
    env = {name: value for name, value in os.environ.items() if name not in ("CC", "CXX")}
    env.update(PATH=str(folder / "bin"), PYTHONPATH="")
    tests = [str(folder / "tests" / name) for name in TESTED]
    facts = subprocess.run([own, "-m", "torch_ans"], env=env, cwd=folder, check=False)
    pytest = [own, "-m", "pytest", "-q", "-x", "-n", "2", "--dist", "loadfile"]
    done = subprocess.run([*pytest, "-p", "no:cacheprovider", *chosen, *tests], env=env, cwd=folder)
    return "ok" if facts.returncode == done.returncode == 0 else "FAILED"


def main() -> int:
    """Tests all wheels."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--torch", help="the release to test with, instead of the newest")
    parser.add_argument("-k", dest="expression", help="as pytest's")
    parser.add_argument("wheels", nargs="*", type=Path)
    args = parser.parse_args()
    chosen = ["-k", args.expression] if args.expression else []
    results = {}
    for wheel in args.wheels or sorted((ROOT / "dist" / "wheels").glob("*.whl")):
        print(f"--- {wheel.name}", flush=True)
        with tempfile.TemporaryDirectory() as folder:
            results[wheel.name] = run_tests(wheel.resolve(), args.torch, chosen, Path(folder))
    for name, result in results.items():
        print(f"{name}: {result}")
    return 0 if results and "FAILED" not in results.values() and "ok" in results.values() else 1


if __name__ == "__main__":
    sys.exit(main())
