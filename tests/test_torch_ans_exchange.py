"""An exchange with the package torch-ans 0.4.0, which is installed in an environment of its own.

`torch_ans_exchange.py` runs unchanged with that package and with this one: both write the same
bytes, read each other's, and take the same arguments.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any, Dict, List

import numpy as np
import pytest

from helpers import HERE
from peers import peer_python

SCRIPT = os.path.join(HERE, "torch_ans_exchange.py")

# Where ours differs on purpose: 16 bits do not fit a state of 32 bits with words of 16, and a table
# of fewer bits than 16 has an inverse of as many entries as it has slots.
OTHER_DEFAULTS = {("rans32_16", "freq_precision"): 15, ("rans_build", "table_precision"): None}


@pytest.fixture(scope="module")
def theirs() -> str:
    return peer_python("torch-ans", "torch-ans==0.4.0", torch="2.13.0")


def run(python: str, *arguments: str) -> str:
    done = subprocess.run([python, SCRIPT, *arguments], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_both_write_the_same_and_read_each_other(theirs: str, tmp_path: Any) -> None:
    files = {python: str(tmp_path / name) for python, name in ((theirs, "a.npz"), (OURS, "b.npz"))}
    for python, path in files.items():
        run(python, "write", path)
    with np.load(files[theirs]) as a, np.load(files[OURS]) as b:
        assert sorted(a.files) == sorted(b.files)
        assert len(a.files) > 80
        for name in a.files:
            assert np.array_equal(a[name], b[name]), name
    run(theirs, "read", files[OURS])
    run(OURS, "read", files[theirs])


OURS = sys.executable


def test_arguments_and_their_defaults_are_the_same(theirs: str) -> None:
    expected: Dict[str, List[List[Any]]] = json.loads(run(theirs, "describe"))
    found: Dict[str, List[List[Any]]] = json.loads(run(OURS, "describe"))
    assert len(expected) > 60
    for function, arguments in expected.items():
        ours = found[function][: len(arguments)]
        for (name, default), (our_name, our_default) in zip(arguments, ours):
            assert our_name == name, (function, arguments, ours)
            for (prefix, changed), value in OTHER_DEFAULTS.items():
                if function.startswith(prefix) and name == changed:
                    default = value
            # where theirs has no default ours may have one
            assert default in ("-", our_default), (function, name, default, our_default)
        assert len(ours) == len(arguments), (function, arguments, ours)
