"""The peers from PyPI, each in a virtual environment and a worker process of its own."""

from __future__ import annotations

import ctypes.util
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Dict, Optional, Tuple, Type

import numpy as np

from worker import receive, send

HERE = Path(__file__).resolve().parent
DEFAULT_CACHE = HERE / ".peers"
OURS = "this project"


@dataclass(frozen=True)
class Peer:
    """What to install (each tuple is one call of pip) and which module of coders/ drives it."""

    coder: str
    installs: Tuple[Tuple[str, ...], ...] = ()


PEERS: Dict[str, Peer] = {
    OURS: Peer("torch_ans_coder"),
    "torch-ans 0.4.0": Peer("torch_ans_coder", (("torch-ans==0.4.0", "torch==2.13.0", "numpy"),)),
    "compressai 1.2.8": Peer("compressai_coder", (("numpy",), ("--no-deps", "compressai==1.2.8"))),
    "constriction 0.5.0": Peer("constriction_coder", (("constriction==0.5.0", "numpy"),)),
    "torchac 0.9.3": Peer(
        "torchac_coder", (("torchac==0.9.3", "torch==2.13.0", "numpy", "ninja", "setuptools"),)
    ),
    "htscodecs": Peer("htscodecs_coder"),
}


def available(name: str) -> bool:
    """Everything on PyPI is; libhtscodecs only where the system has it."""
    return name != "htscodecs" or ctypes.util.find_library("htscodecs") is not None


def environment_python(name: str, cache: Path) -> Path:
    """The interpreter for a peer, after making its environment where there is none yet."""
    peer = PEERS[name]
    if not peer.installs:
        return Path(sys.executable)
    folder = cache.resolve() / name.replace(" ", "-")
    python, stamp = folder / "bin" / "python", folder / "installed.txt"
    wanted = repr(peer.installs)
    if not stamp.is_file() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(folder)], check=True)
        constraints = HERE.parent / "constraints.txt"
        for packages in peer.installs:
            command = [
                str(python),
                "-m",
                "pip",
                "install",
                "-qq",
                "--disable-pip-version-check",
                *packages,
            ]
            if constraints.is_file() and "torch==2.13.0" in packages:
                command += ["-c", str(constraints)]
            subprocess.run(command, check=True)
        stamp.write_text(wanted)
    return python


class Worker:
    """A process that codes with one library; only one worker is ever busy."""

    def __init__(self, name: str, cache: Path, python: Optional[Path] = None) -> None:
        self.name, self.coder = name, PEERS[name].coder
        python = python or environment_python(name, cache)
        path = os.pathsep.join(
            [str(python.parent), os.environ.get("PATH", "")]
        )  # torchac asks for ninja
        self._process = subprocess.Popen(
            [str(python), str(HERE / "worker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PATH": path},
        )
        self._loaded = ""

    def _ask(
        self, message: Dict[str, Any], arrays: Optional[Dict[str, np.ndarray]] = None
    ) -> Dict[str, Any]:
        assert self._process.stdin is not None and self._process.stdout is not None
        send(self._process.stdin, message, arrays or {})
        reply, _ = receive(self._process.stdout)
        if "error" in reply:
            raise RuntimeError(f"{self.name}: {reply['error']}")
        return reply

    def load(self, name: str, arrays: Dict[str, np.ndarray]) -> None:
        """Sends a workload, unless it is the one that the worker has."""
        if self._loaded != name:
            self._ask({"op": "load", "name": name}, arrays)
            self._loaded = name

    def prepare(self, workload: str, options: Dict[str, Any]) -> Dict[str, Any]:
        """Builds and verifies a coder; returns its key, bits per symbol and its bytes' digest."""
        return self._ask(
            {"op": "prepare", "coder": self.coder, "workload": workload, "options": options}
        )

    def forget(self) -> None:
        """Drops the prepared coders, and their memory."""
        self._ask({"op": "forget"})

    def describe(self) -> Dict[str, Any]:
        reply = self._ask({"op": "describe", "coder": self.coder})
        return {name: value for name, value in reply.items() if name != "arrays"}

    def run(self, key: int, direction: str, clock: str = "seconds") -> float:
        """Codes once; the time by the wall clock, or with clock="cpu" that of the one thread."""
        return float(self._ask({"op": "run", "key": key, "direction": direction})[clock])

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: Optional[Type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        self.close()
