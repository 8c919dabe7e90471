"""Packages of the peers from PyPI, each in a folder of its own under benchmarks/.peers."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from typing import NoReturn

import pytest

from helpers import ROOT

CACHE = os.path.join(ROOT, "benchmarks", ".peers")


def peer_packages(name: str, *requirements: str) -> str:
    """A folder with these packages and nothing that they depend on, to be put on PYTHONPATH.

    It is made once, with pip; without a network, or a wheel for this Python, the test is skipped.
    """
    folder = os.path.join(CACHE, "%s-py%d%d" % (name, *sys.version_info[:2]))
    stamp = os.path.join(folder, "installed.txt")
    wanted = "\n".join(requirements)
    if os.path.exists(stamp):
        with open(stamp) as file:
            if file.read() == wanted:
                return folder
    os.makedirs(CACHE, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
        command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check"]
        command += ["--no-deps", "--only-binary", ":all:", "--target", fresh, *requirements]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode != 0:
            cannot_install(name, done.stderr)
        with open(os.path.join(fresh, "installed.txt"), "w") as file:
            file.write(wanted)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(fresh, folder)
    return folder


def cannot_install(name: str, output: str) -> NoReturn:
    """Skips the test; where TORCH_ANS_REQUIRE_PEERS=1 promises a network it fails."""
    reason = "%s cannot be installed here: %s" % (name, (output.strip().splitlines() or ["?"])[-1])
    if os.environ.get("TORCH_ANS_REQUIRE_PEERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
