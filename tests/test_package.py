"""The package as a whole: headers, layers, README, examples, what importing it does."""

from __future__ import annotations

import glob
import importlib.util
import os
import re
import shutil
import subprocess
import sys
from typing import List

import pytest
import torch

import torch_ans
from helpers import ROOT, run_child
from torch_ans import _core, benchmark

COMPILER = shutil.which("g++") or shutil.which("clang++") or shutil.which("c++")


def headers() -> List[str]:
    found = glob.glob(os.path.join(ROOT, "cpp", "include", "**", "*.h"), recursive=True)
    for pattern in ("*.h", "*.cuh"):
        found += glob.glob(os.path.join(ROOT, "cuda", "**", pattern), recursive=True)
    return sorted(os.path.relpath(path, ROOT) for path in found if not needs_cuda(path))


def needs_cuda(path: str) -> bool:
    """The device's side of the facade, and what calls the CUDA runtime, are for nvcc to check."""
    with open(path) as file:
        runtime = re.search(r'^#include (<cuda|"launch\.h")', file.read(), re.M)
    return path.endswith("_device.h") or runtime is not None


@pytest.mark.skipif(COMPILER is None, reason="this machine has no C++ compiler")
@pytest.mark.parametrize("header", headers())
def test_every_header_compiles_alone(header: str) -> None:
    """By the host compiler, CUDA headers too: their facade has a twin for it in tests/cuda."""
    assert COMPILER is not None
    folders = [os.path.join("cpp", "include"), "cuda", os.path.join("tests", "cuda")]
    include = ["-I" + os.path.join(ROOT, folder) for folder in folders]
    command = [COMPILER, "-std=c++17", "-fsyntax-only", "-Wall", "-Wextra", "-x", "c++"]
    done = subprocess.run(
        [*command, *include, os.path.join(ROOT, header)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    warnings = [line for line in done.stdout.splitlines() if "#pragma once in main" not in line]
    assert done.returncode == 0 and not any("warning:" in line for line in warnings), done.stdout


def test_no_layer_includes_what_is_above_it() -> None:
    """torch nowhere; pybind11 in the bindings only; the CUDA runtime below cuda/ only."""
    wrong = []
    for pattern in ("*.h", "*.cpp", "*.cu", "*.cuh"):
        for path in glob.glob(os.path.join(ROOT, "c*", "**", pattern), recursive=True):
            name = os.path.relpath(path, ROOT)
            with open(path) as file:
                included = re.findall(r"#\s*include\s*[<\"]([^>\"]+)", file.read())
            for target in included:
                top = target.split("/")[0]
                if top in ("torch", "ATen", "c10"):
                    wrong.append((name, target))
                if top == "pybind11" and not name.startswith(os.path.join("cpp", "bindings")):
                    wrong.append((name, target))
                if target == "omp.h" and not name.startswith(os.path.join("cpp", "cpu")):
                    wrong.append((name, target))
                if top.startswith("cuda") and not name.startswith("cuda"):
                    wrong.append((name, target))
    assert wrong == []


def test_the_version_is_the_project_s() -> None:
    with open(os.path.join(ROOT, "pyproject.toml")) as file:
        version = re.search(r'^version = "([^"]+)"', file.read(), re.M)
    assert version is not None and torch_ans.__version__ == version.group(1)
    assert torch_ans._core.__version__ == torch_ans.__version__


def test_the_facts_of_a_bug_report() -> None:
    command = [sys.executable, "-m", "torch_ans"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    facts = dict(line.split(":", 1) for line in done.stdout.splitlines())
    assert facts["torch_ans"].strip() == torch_ans.__version__
    assert torch_ans._core.cpu_capabilities()["isa"] in facts["instruction set"]
    assert torch_ans._core.__compiler__ in facts["native module"]
    assert "sm_" in facts["CUDA"] or "not in this build" in facts["CUDA"]
    assert str(torch.__version__) in facts["torch"]


def test_importing_prints_nothing_and_changes_nothing() -> None:
    code = (
        "import torch; before = torch.get_num_threads(), torch.get_default_dtype();"
        "import torch_ans, torch_ans.utils, torch_ans._C;"
        "assert before == (torch.get_num_threads(), torch.get_default_dtype())"
    )
    assert run_child(code) == ""


def test_a_first_call_imports_nothing_large() -> None:
    """Some functions of torch import sympy, for half a second."""
    code = (
        "import sys, torch, torch_ans; before = 'sympy' in sys.modules;"
        "pmf = torch.ones(3, 2); data = torch_ans.encode_pmf(torch.zeros(3).long(), pmf);"
        "assert torch_ans.decode_pmf(data, pmf).tolist() == [0, 0, 0];"
        "assert before or 'sympy' not in sys.modules"
    )
    assert run_child(code) == ""


def test_the_extension_needs_no_torch() -> None:
    code = (
        "import importlib.util, sys\n"
        "spec = importlib.util.find_spec('torch_ans')\n"
        "import glob, os\n"
        "folders = list(spec.submodule_search_locations)\n"
        "import importlib.machinery as machinery\n"
        "finder = machinery.PathFinder.find_spec('_core', folders)\n"
        "if finder is None:\n"
        "    import torch_ans._core as loaded; path = loaded.__file__\n"
        "    assert path; print(path)\n"
        "else:\n"
        "    print(finder.origin)\n"
    )
    path = run_child(code).strip()
    ldd = shutil.which("ldd")
    if ldd is not None:
        linked = subprocess.run([ldd, path], stdout=subprocess.PIPE, text=True).stdout
        assert not re.search(r"libtorch|libc10|libcudart", linked), linked


def readme_blocks() -> List[str]:
    with open(os.path.join(ROOT, "README.md")) as file:
        return re.findall(r"^```python\n(.*?)^```", file.read(), re.M | re.S)


def test_readme_quick_start_runs_as_it_stands(tmp_path: object) -> None:
    blocks = readme_blocks()
    assert blocks, "README.md has no python block"
    run_child(blocks[0], cwd=str(tmp_path))


def test_every_readme_block_runs_after_those_before_it(tmp_path: object) -> None:
    run_child("\n".join(readme_blocks()), cwd=str(tmp_path))


def test_the_benchmark_module_runs(tmp_path: object) -> None:
    command = [
        sys.executable,
        "-m",
        "torch_ans.benchmark",
        "--impl",
        "rans64",
        "--mode",
        "both",
        "--sizes",
        "1",
        "4",
        "--data-mb",
        "0.1",
        "--threads",
        "1",
    ]
    done = subprocess.run(
        command,
        cwd=str(tmp_path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "rans64" in done.stdout and "Msym/s" in done.stdout


@pytest.mark.parametrize("family", _core.FAMILIES)
def test_the_benchmark_module_knows_every_family(family: str) -> None:
    assert benchmark.measure(family, "both", 2, symbols=500, repeat=1).rows == 2


@pytest.mark.parametrize(
    "arguments",
    ["--device bogus", "--device meta", "--data-mb nan", "--data-mb inf", "--sizes 0", "--impl x"],
)
def test_the_benchmark_module_names_a_wrong_option(
    arguments: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        benchmark.main(arguments.split())
    assert arguments.split()[0].strip("-") in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("folder", ["examples", "benchmarks"])
def test_scripts_compile_and_show_their_help(folder: str) -> None:
    scripts = sorted(glob.glob(os.path.join(ROOT, folder, "*.py")))
    assert scripts, folder + " has no script"
    for script in scripts:
        with open(script) as file:
            source = file.read()
        compile(source, script, "exec")
        if "argparse" in source and importlib.util.find_spec("tqdm") and "__main__" in source:
            done = subprocess.run(
                [sys.executable, script, "--help"],
                capture_output=True,
                text=True,
            )
            missing = re.search(
                r"No module named '(PIL|skimage|sklearn|matplotlib|scipy|pyperf)", done.stderr
            )
            assert done.returncode == 0 or missing, done.stderr


def test_no_paths_of_a_machine_in_the_sources() -> None:
    pattern = re.compile(r"(?<![\w.])/(root|home|tmp|work|Users)/\w")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if listed.returncode != 0:
        return  # not a checkout
    wrong = []
    for name in listed.stdout.split():
        if name.endswith((".py", ".h", ".cpp", ".cu", ".md", ".toml", ".txt", "Makefile", ".pyi")):
            with open(os.path.join(ROOT, name), errors="replace") as file:
                wrong += [(name, line) for line in file if pattern.search(line)]
    assert wrong == []
