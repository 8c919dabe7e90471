"""One library under test, in a process of its own: requests on stdin, replies on stdout.

A message is one line of JSON, then the arrays that it announces, as .npy blobs. The library's own
output goes to stderr. `benchmarks/peers.py` is the other end.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
import time
import traceback
from typing import IO, Any, Dict, Tuple

import numpy as np

Arrays = Dict[str, np.ndarray]


def send(pipe: IO[bytes], message: Dict[str, Any], arrays: Arrays) -> None:
    blobs = {}
    for name, array in arrays.items():
        buffer = io.BytesIO()
        np.save(buffer, array, allow_pickle=False)
        blobs[name] = buffer.getvalue()
    head = {**message, "arrays": {name: len(blob) for name, blob in blobs.items()}}
    pipe.write(json.dumps(head).encode() + b"\n")
    for blob in blobs.values():
        pipe.write(blob)
    pipe.flush()


def receive(pipe: IO[bytes]) -> Tuple[Dict[str, Any], Arrays]:
    line = pipe.readline()
    if not line:
        raise EOFError("the other process has ended")
    message = json.loads(line)
    sizes = message.pop("arrays")
    return message, {
        name: np.load(io.BytesIO(pipe.read(size)), allow_pickle=False)
        for name, size in sizes.items()
    }


class Server:
    """Keeps workloads and prepared coders between requests."""

    def __init__(self) -> None:
        self.workloads: Dict[str, Arrays] = {}
        self.coders: Dict[int, Any] = {}

    def load(self, name: str, arrays: Arrays) -> Dict[str, Any]:
        self.workloads = {name: arrays}  # one at a time: they are large
        self.coders = {}
        return {}

    def prepare(self, coder: str, workload: str, options: Dict[str, Any]) -> Dict[str, Any]:
        """Builds a coder and verifies that it gives the symbols back."""
        made = importlib.import_module(f"coders.{coder}").make(self.workloads[workload], options)
        key = len(self.coders)
        self.coders[key] = made
        return {"key": key, **made.check()}

    def forget(self) -> Dict[str, Any]:
        self.coders = {}
        return {}

    def describe(self, coder: str) -> Dict[str, Any]:
        """What the library says about the machine, where it says anything."""
        module = importlib.import_module(f"coders.{coder}")
        return module.describe() if hasattr(module, "describe") else {}

    def run(self, key: int, direction: str) -> Dict[str, Any]:
        coder = self.coders[key]
        coder.reset(direction)
        work = getattr(coder, direction)
        start, cpu = time.perf_counter(), time.thread_time()
        work()
        return {"seconds": time.perf_counter() - start, "cpu": time.thread_time() - cpu}


def main() -> None:
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    server = Server()
    while True:
        try:
            request, arrays = receive(requests)
        except EOFError:
            return
        operation = request.pop("op")
        if arrays:
            request["arrays"] = arrays
        try:
            reply = getattr(server, operation)(**request)
        except Exception:
            reply = {"error": traceback.format_exc()}
        send(replies, reply, {})


if __name__ == "__main__":
    main()
