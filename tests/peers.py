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
    if holds(stamp, wanted):
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


def holds(path: str, text: str) -> bool:
    """Whether there is such a file, with this text."""
    if not os.path.exists(path):
        return False
    with open(path) as file:
        return file.read() == text


def peer_python(name: str, requirement: str, torch: str) -> str:
    """The Python of a virtual environment with one package, and the torch and numpy of this one.

    Where this Python has another torch than the one that the package needs, the test is skipped.
    """
    import torch as own

    if own.__version__.split("+")[0] != torch:
        pytest.skip("%s needs torch %s, here is %s" % (requirement, torch, own.__version__))
    packages = peer_packages(name, requirement)
    folder = packages + "-venv"
    python = os.path.join(folder, "bin", "python")
    lent = os.path.dirname(os.path.dirname(own.__file__))
    paths = os.path.join(folder, "peer.pth")
    wanted = packages + "\n" + lent + "\n"
    if not holds(paths, wanted):
        command = [sys.executable, "-m", "venv", "--clear", "--without-pip", folder]
        subprocess.run(command, check=True)
        site = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for path in (os.path.join(site, "peer.pth"), paths):  # the second says that it is done
            with open(path, "w") as file:
                file.write(wanted)
    return python


def cannot_install(name: str, output: str) -> NoReturn:
    """Skips the test; where TORCH_ANS_REQUIRE_PEERS=1 promises a network it fails."""
    reason = "%s cannot be installed here: %s" % (name, (output.strip().splitlines() or ["?"])[-1])
    if os.environ.get("TORCH_ANS_REQUIRE_PEERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
