"""Packages of the peers from PyPI, each in a folder of its own under benchmarks/.peers."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import NoReturn

import pytest

from helpers import ROOT

sys.path.append(os.path.join(ROOT, "benchmarks"))
from packages import COMPRESSAI, install_packages

__all__ = ["COMPRESSAI", "peer_packages", "peer_python"]


def peer_packages(name: str, *requirements: str) -> str:
    """A folder with these packages and nothing that they depend on, to be put on PYTHONPATH.

    It is made once, with pip; without a network, or a wheel for this Python, the test is skipped.
    """
    try:
        return str(install_packages(name, *requirements))
    except subprocess.CalledProcessError as error:
        cannot_install(name, error.stderr)


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
    stamp = os.path.join(folder, "installed.txt")
    wanted = packages + "\n" + lent + "\n"
    if not holds(stamp, wanted):
        command = [sys.executable, "-m", "venv", "--clear", "--without-pip", folder]
        subprocess.run(command, check=True)
        site = subprocess.run(
            [python, "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"],
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()
        for path in (os.path.join(site, "peer.pth"), stamp):
            with open(path, "w") as file:
                file.write(wanted)
    return python


def holds(path: str, text: str) -> bool:
    """Whether there is such a file, with this text."""
    if not os.path.exists(path):
        return False
    with open(path) as file:
        return file.read() == text


def cannot_install(name: str, output: str) -> NoReturn:
    """Skips the test; where TORCH_ANS_REQUIRE_PEERS=1 promises a network it fails."""
    reason = "%s cannot be installed here: %s" % (name, (output.strip().splitlines() or ["?"])[-1])
    if os.environ.get("TORCH_ANS_REQUIRE_PEERS") == "1":
        pytest.fail(reason)
    pytest.skip(reason)
