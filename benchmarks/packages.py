"""Packages from PyPI in a folder of their own, to be put on the path: no environment is needed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

CACHE = Path(__file__).resolve().parent / ".peers"
COMPRESSAI = ("compressai==1.2.8", "scipy", "einops")
"""compressai and what its entropy models need; tests/compressai_stubs.py stands in for the rest."""


def install_packages(name: str, *requirements: str) -> Path:
    """The folder with these packages, and nothing that they depend on; made with pip where needed.

    Raises:
        subprocess.CalledProcessError: pip fails: no network, or no wheel for this Python.
    """
    folder = CACHE / "{}-py{}{}".format(name, *sys.version_info[:2])
    stamp, wanted = folder / "installed.txt", "\n".join(requirements)
    if stamp.is_file() and stamp.read_text() == wanted:
        return folder
    CACHE.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--target", fresh, *requirements]
        subprocess.run(command, check=True, capture_output=True, text=True)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(fresh, folder)
    stamp.write_text(wanted)
    return folder
