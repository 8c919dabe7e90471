"""The same bytes from every instruction set, and proof that the forced one ran."""

from __future__ import annotations

import json

import pytest

from helpers import run_child, run_tests
from torch_ans import _core

CAPABILITIES = _core.cpu_capabilities()

# Every variant, lookup and kind of table, condensed into digests that the oracle confirms.
DIGESTS = """
import hashlib, json
import torch
from helpers import *
from torch_ans import _core
found = {}
for family, lanes in VARIANTS:
    precision = max_precision(family)
    digest = hashlib.sha256()
    for n, (sizes, bypass, b, rows, length) in enumerate([
        ([5, 200, 1], False, 4, 9, 700), ([5, 200, 1], True, 4, 9, 701), ([3, 60], True, 1, 2, 95),
        ([1000], False, 4, 17, 64), ([1], False, 4, 3, 40), ([200], False, 4, 11, 701),
    ]):
        tables = make_tables(n, sizes, {2: 9, 5: min(precision, 12)}.get(n, precision), bypass, b)
        symbols, indexes = make_symbols(n, (rows, length), tables)
        for alias in (False, True):
            stream = encode(family, lanes, tables, symbols, indexes, alias)
            for row in stream_rows(stream):
                digest.update(row)
            pops = [(pop_op(family, lanes, alias), {})]
            if not alias:
                invcdf = invcdf_pop_op(family, lanes)
                pops += [(invcdf, {"inverse_cdf_precision": q}) for q in ("auto", 1, 6)]
            for pop, more in pops:
                decoded = pop(stream.clone(), indexes, *tables.args, **more)
                assert torch.equal(decoded, symbols), (family, lanes, n, alias, more)
    found[family + suffix(lanes)] = digest.hexdigest()
print(json.dumps(dict(_core.cpu_capabilities(), found=found)))
"""


def digests(isa: str) -> dict:
    return dict(json.loads(run_child(DIGESTS, env={"TORCH_ANS_FORCE_ISA": isa})))


@pytest.fixture(scope="module")
def scalar() -> dict:
    return digests("scalar")


@pytest.mark.parametrize("isa", CAPABILITIES["available"])
def test_forced_isa_runs_and_gives_the_bytes_of_the_scalar_code(isa: str, scalar: dict) -> None:
    result = digests(isa)
    assert result["isa"] == isa and result["forced"] is True
    assert result["found"] == scalar["found"]


@pytest.mark.skipif("avx512" not in CAPABILITIES["available"], reason="needs AVX-512")
@pytest.mark.parametrize("slow", ["0", "1"])
def test_loads_in_place_of_gathers_give_the_same(slow: str, scalar: dict) -> None:
    env = {"TORCH_ANS_FORCE_ISA": "avx512", "TORCH_ANS_SLOW_GATHERS": slow}
    assert json.loads(run_child(DIGESTS, env=env))["found"] == scalar["found"]
    assert run_child(SAFETY, env=env) == "avx512\n"


# Pushes onto states of any size, under every rounding mode (of x86): first the greatest states.
STATES = """
import ctypes, hashlib
from helpers import *
digest = hashlib.sha256()
for family, lanes in VARIANTS:
    widths = reference.FAMILIES[family]
    dtype = np.uint64 if widths.state_bits == 64 else np.uint32
    for precision in (11, 12, 13, widths.max_freq_precision):
        rng = np.random.default_rng(precision)
        tables = make_tables(precision, [5, 200, 2], precision)
        symbols, indexes = make_symbols(precision, (25, 40), tables)
        top = widths.lower_bound << widths.word_bits
        states = rng.integers(widths.lower_bound, top, (25, lanes), dtype)
        states[::3], states[1::3] = top - 1, widths.lower_bound
        for mode in (0, 0x400, 0x800, 0xC00):
            stream = init_op(family)(25, lanes)
            stream[:, 1:] = torch.from_numpy(states.view(np.int32))
            ctypes.CDLL(None).fesetround(mode)
            try:
                push_op(family, lanes)(stream, symbols, indexes, *tables.args)
            finally:
                ctypes.CDLL(None).fesetround(0)
            for row in stream_rows(stream):
                digest.update(row)
print(digest.hexdigest())
"""


@pytest.mark.skipif(CAPABILITIES["available"] == ["scalar"], reason="needs vectors")
def test_states_of_any_size_get_the_same_bytes() -> None:
    isas = CAPABILITIES["available"]
    found = [run_child(STATES, env={"TORCH_ANS_FORCE_ISA": isa}) for isa in isas]
    assert found == found[:1] * len(isas)


def test_capabilities() -> None:
    assert CAPABILITIES["isa"] in CAPABILITIES["available"]
    assert "scalar" in CAPABILITIES["available"]
    assert set(CAPABILITIES["available"]) <= {"scalar", "avx2", "avx512"}
    assert isinstance(CAPABILITIES["openmp"], bool)


def test_an_unknown_isa_is_an_error() -> None:
    code = """
from helpers import *
try:
    tables = make_tables(0, [5], 8)
    encode("rans64", 1, tables, *make_symbols(0, (1, 9), tables))
except (ImportError, ValueError, RuntimeError) as error:
    print("scalar" in str(error) and "sse9" in str(error))
"""
    assert run_child(code, env={"TORCH_ANS_FORCE_ISA": "sse9"}) == "True\n"


SAFETY = """
import bad_input_cases
from torch_ans import _core
for name in (
    "index_out_of_range", "symbol_out_of_range_without_bypass", "extreme_symbols_with_bypass",
    "forged_length_words", "impossible_states", "truncated_streams", "random_streams",
    "broken_rows_are_named", "nothing_outside_the_tensors_is_touched",
):
    bad_input_cases.CASES[name]()
print(_core.cpu_capabilities()["isa"])
"""


@pytest.mark.parametrize("isa", CAPABILITIES["available"])
def test_bad_input_is_told_apart_the_same_way(isa: str) -> None:
    assert run_child(SAFETY, env={"TORCH_ANS_FORCE_ISA": isa}) == isa + "\n"


@pytest.mark.parametrize("isa", CAPABILITIES["available"])
def test_states_on_the_edge_are_divided_exactly(isa: str) -> None:
    run_child("import state_cases; state_cases.check_all()", env={"TORCH_ANS_FORCE_ISA": isa})


@pytest.mark.parametrize("isa", [i for i in CAPABILITIES["available"] if i != CAPABILITIES["isa"]])
def test_every_variant_equals_the_oracle(isa: str) -> None:
    """The whole matrix again; under the chosen ISA it runs as a test file of its own."""
    run_tests("test_reference_matrix.py", {"TORCH_ANS_FORCE_ISA": isa})
