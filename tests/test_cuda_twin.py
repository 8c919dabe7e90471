"""The CUDA kernels' own source on the host twin (tests/cuda), where no GPU is needed.

The twin runs a fibre for each thread, in ascending, descending and random order, and reports races
and collectives that do not meet. The kernels must give the scalar coder's bytes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import Dict, List

import pytest

ROOT = Path(__file__).resolve().parent.parent
COMPILER = os.environ.get("CXX") or shutil.which("g++") or shutil.which("clang++")
FLAGS = ["-std=c++17", "-O1", "-U_FORTIFY_SOURCE", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
INCLUDES = ["-I" + str(ROOT / part) for part in ("cpp/include", "cuda", "tests/cuda")]
FAMILIES = ("rans64", "rans32", "rans32_16", "tans32", "tans16", "tans8")
PROGRAMS = ("coder_test", "policy_test", "stream_test", "table_test", "twin_test")

pytestmark = [
    pytest.mark.skipif(COMPILER is None, reason="needs a C++17 compiler"),
    pytest.mark.skipif(
        not hasattr(os, "uname") or os.uname().sysname != "Linux", reason="fibres use ucontext"
    ),
]


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Path]:
    folder = tmp_path_factory.mktemp("twin")
    sources = ROOT / "tests" / "cuda"
    running = []
    for name in PROGRAMS:
        files = [str(sources / (name + ".cpp")), str(sources / "twin.cpp")]
        command = [str(COMPILER), *FLAGS, *INCLUDES, *files, "-o", str(folder / name)]
        running.append(subprocess.Popen(command, stderr=subprocess.PIPE, text=True))
    for process in running:
        _, errors = process.communicate()
        assert process.returncode == 0, errors
    return {name: folder / name for name in PROGRAMS}


def run(program: Path, *arguments: str, defect: str = "") -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k != "TWIN_DEFECT"}
    if defect:
        environment["TWIN_DEFECT"] = defect
    command: List[str] = [str(program), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)


def test_the_twin_finds_races_and_deadlocks(programs: Dict[str, Path]) -> None:
    done = run(programs["twin_test"])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32])
def test_the_scalar_coders_bytes(programs: Dict[str, Path], family: str, lanes: int) -> None:
    """Ragged and short rows, escapes, bad arguments, no room, broken streams; every lookup."""
    done = run(programs["coder_test"], family, str(lanes), "6")
    assert done.returncode == 0, done.stdout + done.stderr


def test_plain_kernels(programs: Dict[str, Path]) -> None:
    """Where there are kernels for bytes and int32: long rows, sentinels of all sizes."""
    done = run(programs["coder_test"], "rans32_16", "32", "150", "plain")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16, 32])
def test_tables_that_follow_the_symbols(programs: Dict[str, Path], family: str, lanes: int) -> None:
    """The same with orders 1 to 3, near and far contexts, tables of one offset and of several."""
    done = run(programs["coder_test"], family, str(lanes), "5", "contexts")
    assert done.returncode == 0, done.stdout + done.stderr


def test_where_tables_are_read(programs: Dict[str, Path]) -> None:
    """In shared memory only where they fit beside enough warps and the symbols pay for copies."""
    done = run(programs["policy_test"])
    assert done.returncode == 0, done.stdout + done.stderr


def test_packing_and_quantising(programs: Dict[str, Path]) -> None:
    done = run(programs["stream_test"], "200")
    assert done.returncode == 0, done.stdout + done.stderr


def test_checking_and_building_tables(programs: Dict[str, Path]) -> None:
    """The images and the faults of CodingTables: each lookup and family, ragged sizes."""
    done = run(programs["table_test"], "150")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("defect", ["no_barrier", "no_block_barrier"])
def test_a_missing_barrier_is_noticed_in_tables(programs: Dict[str, Path], defect: str) -> None:
    done = run(programs["table_test"], "60", defect=defect)
    assert done.returncode == 1 and "race" in done.stdout, done.stdout


def test_a_wrong_lane_order_is_noticed_in_tables(programs: Dict[str, Path]) -> None:
    done = run(programs["table_test"], "60", defect="lane_order")
    assert done.returncode == 1 and "of an image" in done.stdout, done.stdout


@pytest.mark.parametrize("family,lanes", [("rans32_16", 1), ("rans32_16", 16), ("tans32", 32)])
def test_a_missing_barrier_is_noticed(programs: Dict[str, Path], family: str, lanes: int) -> None:
    done = run(programs["coder_test"], family, str(lanes), "6", defect="no_barrier")
    assert done.returncode == 1 and "race" in done.stdout, done.stdout


@pytest.mark.parametrize("family,lanes", [("rans32", 1), ("rans32_16", 16), ("tans32", 32)])
def test_a_missing_wait_for_copies_is_noticed(
    programs: Dict[str, Path], family: str, lanes: int
) -> None:
    done = run(programs["coder_test"], family, str(lanes), "6", defect="no_wait")
    assert done.returncode == 1 and "is under way" in done.stdout, done.stdout


@pytest.mark.parametrize("family,lanes", [("rans64", 2), ("rans64", 32), ("tans8", 2)])
def test_a_wrong_lane_order_is_noticed(programs: Dict[str, Path], family: str, lanes: int) -> None:
    done = run(programs["coder_test"], family, str(lanes), "6", defect="lane_order")
    assert done.returncode == 1 and "bytes of push" in done.stdout, done.stdout
