"""Every bad input gets an exception: cases run in a child process, where a crash is a failure."""

from __future__ import annotations

import ast
import json
import os
import select
import subprocess
import sys
import tempfile
from typing import Any, Dict, Iterator, List, Optional

import pytest

from helpers import HERE

TIMEOUT = 120  # seconds after which a case counts as hanging

# The child takes the name of a case on stdin and answers with a line of JSON on stdin's partner,
# a copy of its first stdout. What it prints anywhere else lands in a file and is a failure.
CHILD = """
import json, os, sys, traceback
answers = os.fdopen(os.dup(1), "w")
printed = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT | os.O_APPEND)
os.dup2(printed, 1); os.dup2(printed, 2)
import bad_input_cases
answers.write("ready\\n"); answers.flush()
for line in sys.stdin:
    try:
        bad_input_cases.CASES[line.strip()]()
        error = None
    except BaseException:
        error = traceback.format_exc()
    sys.stdout.flush(); sys.stderr.flush()
    answers.write(json.dumps({"error": error, "printed": os.path.getsize(sys.argv[1])}) + "\\n")
    answers.flush()
"""


class Child:
    """A Python process that runs cases; a new one is started after a crash."""

    def __init__(self, folder: str) -> None:
        self.log = os.path.join(folder, "printed")
        self.process: Optional[subprocess.Popen] = None  # type: ignore[type-arg]

    def read_line(self) -> str:
        assert self.process is not None and self.process.stdout is not None
        ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
        if not ready:
            self.process.kill()
            return "hang"
        return self.process.stdout.readline()

    def start(self) -> None:
        path = os.pathsep.join(filter(None, [HERE, os.environ.get("PYTHONPATH", "")]))
        self.process = subprocess.Popen(
            [sys.executable, "-c", CHILD, self.log],
            env=dict(os.environ, PYTHONPATH=path, PYTHONFAULTHANDLER=""),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            universal_newlines=True,
        )
        assert self.read_line() == "ready\n", self.printed()

    def printed(self) -> str:
        if not os.path.exists(self.log):
            return ""
        with open(self.log, errors="replace") as file:
            return file.read()

    def run(self, name: str) -> Dict[str, Any]:
        if self.process is None or self.process.poll() is not None:
            self.start()
        assert self.process is not None and self.process.stdin is not None
        open(self.log, "w").close()
        self.process.stdin.write(name + "\n")
        self.process.stdin.flush()
        answer = self.read_line()
        if answer in ("", "hang"):
            status = self.process.wait()
            return {
                "error": "%s (exit status %d)\n%s" % (answer or "crash", status, self.printed()),
                "printed": 0,
            }
        return dict(json.loads(answer))

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()


@pytest.fixture(scope="module")
def child() -> Iterator[Child]:
    with tempfile.TemporaryDirectory() as folder:
        running = Child(folder)
        yield running
        running.close()


def case_names() -> List[str]:
    """The functions marked `@case`, read without running the file here."""
    with open(os.path.join(HERE, "bad_input_cases.py")) as file:
        body = ast.parse(file.read()).body
    return [
        node.name
        for node in body
        if isinstance(node, ast.FunctionDef)
        and any(isinstance(mark, ast.Name) and mark.id == "case" for mark in node.decorator_list)
    ]


@pytest.mark.parametrize("name", case_names())
def test_bad_input(child: Child, name: str) -> None:
    result = child.run(name)
    assert result["error"] is None, result["error"]
    assert result["printed"] == 0, child.printed()
