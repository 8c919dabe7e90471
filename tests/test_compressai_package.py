"""The drop-in beside the package compressai itself: `compressai_checks.py`, in a child process."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from helpers import HERE, ROOT
from peers import COMPRESSAI, peer_packages


def test_the_drop_in_does_what_compressai_does() -> None:
    folder = peer_packages("compressai", *COMPRESSAI)
    paths = [HERE, folder, os.environ.get("PYTHONPATH", "")]
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "compressai_checks.py"],
        cwd=HERE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_example_runs() -> None:
    """Where the examples' packages are installed (`make demo-compressai` runs it in CI)."""
    pytest.importorskip("skimage")
    peer_packages("compressai", *COMPRESSAI)
    script = os.path.join(ROOT, "examples", "compressai_hyperprior.py")
    done = subprocess.run(
        [sys.executable, script, "--steps", "1"], capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "after install()" in done.stdout
