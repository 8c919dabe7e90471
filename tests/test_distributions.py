"""A distribution for each symbol: exact edges, the oracle's bytes, and what is refused."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, List, Sequence

import numpy as np
import pytest
import torch

import logits_reference
import reference
import torch_ans
from helpers import run_child, tail_tables
from torch_ans import CorruptStreamError, _core
from torch_ans.distributions import decode_cdf, encode_cdf

ISAS = _core.cpu_capabilities()["available"]


def exact_cdf(values: Sequence[float], precision: int) -> List[int]:
    """The edges that a row of floats stands for, by exact arithmetic."""
    symbols = len(values) - 1
    spread = (1 << precision) - symbols
    edges = []
    for i, value in enumerate(values):
        if math.isnan(value):
            p = Fraction(0 if math.copysign(1, value) < 0 else 1)
        elif math.isinf(value):
            p = Fraction(int(value > 0))
        else:
            p = min(max(Fraction(value), Fraction(0)), Fraction(1))
        fixed = math.floor(p * 2**30)
        edges.append(i + (fixed * spread >> 30))
    return [0, *edges[1:-1], 1 << precision]


def oracle_bytes(
    symbols: Sequence[int],
    cdfs: Sequence[Sequence[int]],
    precision: int = 16,
    family: str = "rans64",
    lanes: int = 1,
) -> bytes:
    """One row, coded by the reference in plain Python."""
    tables = [reference.Table(tuple(cdf), 0, precision, bypass=False) for cdf in cdfs]
    row = reference.Row.fresh(reference.FAMILIES[family], lanes)
    reference.push_row(row, list(symbols), tables)
    return row.to_bytes()


def random_cdfs(seed: int, count: int, symbols: int) -> torch.Tensor:
    rng = np.random.default_rng(seed)
    pmf = rng.gamma(0.3, size=(count, symbols)) + 1e-12
    cdf = np.concatenate([np.zeros((count, 1)), np.cumsum(pmf / pmf.sum(1, keepdims=True), 1)], 1)
    return torch.from_numpy(cdf)


def random_symbols(seed: int, cdfs: torch.Tensor) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.rand((*cdfs.shape[:-1], 1), generator=generator, dtype=torch.float64)
    symbols = (cdfs[..., 1:] <= drawn).sum(-1)
    return symbols.clamp_(max=cdfs.shape[-1] - 2)


DTYPES = [torch.float32, torch.float64, torch.float16, torch.bfloat16]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("family,lanes,precision", [("rans64", 1, 16), ("rans32_16", 4, 13)])
def test_float_cdfs_give_the_bytes_of_exact_arithmetic(
    dtype: torch.dtype, family: str, lanes: int, precision: int
) -> None:
    cdfs = random_cdfs(1, 203, 25)
    symbols = random_symbols(2, cdfs)
    given = cdfs.to(dtype)
    impl = family if lanes == 1 else f"{family}_i{lanes}"
    options: Any = {"impl": impl, "freq_precision": precision}
    data = encode_cdf(symbols, given, **options)
    edges = [exact_cdf(row, precision) for row in given.double().tolist()]
    assert data == oracle_bytes(symbols.tolist(), edges, precision, family, lanes)
    assert decode_cdf(data, given, dtype=torch.int64, **options).equal(symbols)


@pytest.mark.parametrize("isa", ISAS)
def test_every_float_is_converted_exactly(isa: str) -> None:
    code = """
import math, torch
from test_distributions import exact_cdf, oracle_bytes
from torch_ans.distributions import encode_cdf
for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
    if torch.finfo(dtype).bits == 16:
        bits = torch.arange(-(2**15), 2**15).to(torch.int16)
        middle = bits.view(dtype)[::29]
    else:
        kind = torch.int32 if torch.finfo(dtype).bits == 32 else torch.int64
        random = torch.randint(torch.iinfo(kind).min, torch.iinfo(kind).max, (1500,), dtype=kind)
        near = torch.tensor([0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, 1e-45, 2.0**-31, 2.0**-30,
                             1 - 2.0**-24, 1 + 2.0**-23, math.nan, -math.nan], dtype=dtype)
        middle = torch.cat([random.view(dtype), near, torch.rand(1500, dtype=dtype)])
    cdfs = torch.stack([torch.zeros_like(middle), middle, torch.ones_like(middle)], 1)
    symbols = torch.arange(len(cdfs)) % 2
    edges = [exact_cdf(row, 16) for row in cdfs.double().tolist()]
    for impl, lanes in (("rans64", 1), ("rans64_i16", 16)):
        assert encode_cdf(symbols, cdfs, impl=impl) == oracle_bytes(
            symbols.tolist(), edges, lanes=lanes), (dtype, impl)
"""
    run_child(code, env={"TORCH_ANS_FORCE_ISA": isa})


DIGESTS = """
import hashlib, json, torch
from test_distributions import *
from torch_ans import _core
found = {}
shapes = [(25, 3001, 37, 16), (2, 500, 3, 11), (300, 400, 5, 16), (1, 77, 2, 16), (17, 300, 2, 6),
          (512, 90, 2, 9), (513, 90, 4, 16)]
cases = []
for n, (symbols, count, rows, precision) in enumerate(shapes):
    cdfs = random_cdfs(n, count, symbols).float()
    cases.append((cdfs, random_symbols(n, cdfs), rows, precision))
for family, most in (("rans64", 16), ("rans32", 16), ("rans32_16", 15)):
    for lanes in (1, 2, 4, 8, 16, 32):
        digest = hashlib.sha256()
        for cdfs, values, rows, precision in cases:
            options = dict(impl=family if lanes == 1 else f"{family}_i{lanes}",
                           num_parallel_states=rows, freq_precision=min(precision, most))
            data = encode_cdf(values, cdfs, **options)
            assert decode_cdf(data, cdfs, **options).long().equal(values), (options, cdfs.shape)
            digest.update(data)
        found[f"{family} {lanes}"] = digest.hexdigest()
print(json.dumps(dict(_core.cpu_capabilities(), found=found)))
"""


def test_the_same_bytes_from_every_isa_and_number_of_threads() -> None:
    results = []
    for isa in ISAS:
        result = json.loads(run_child(DIGESTS, env={"TORCH_ANS_FORCE_ISA": isa}))
        assert result["isa"] == isa
        results.append(result["found"])
    threads = "torch.set_num_threads(3)\n"
    code = DIGESTS.replace("found = {}", threads + "found = {}", 1)
    results.append(json.loads(run_child(code))["found"])
    assert all(found == results[0] for found in results)


@pytest.mark.parametrize("dtype", [torch.int16, torch.int32, torch.int64], ids=str)
def test_integer_cdfs_are_taken_as_they_are(dtype: torch.dtype) -> None:
    # In 16 bits 65536 reads 0, which only the last entry may.
    rest = [40000, 40000] if dtype == torch.int16 else [0, 65536]
    cdf = torch.tensor([[0, 40000, 40000, 65000, 65536], [0, 0, *rest, 65536]])
    symbols = torch.tensor([2, 2 if dtype != torch.int16 else 3])
    given = cdf.to(dtype)
    data = encode_cdf(symbols, given)
    plain = [[0, 40000, 65000, 65536], [0, 40000, 65536] if dtype == torch.int16 else [0, 65536]]
    last = len(plain[1]) - 2
    assert data == oracle_bytes([1, last], plain)
    assert decode_cdf(data, given).equal(symbols.int())
    for lanes in (16, 32):
        many, rows = symbols.repeat(50), given.repeat(50, 1)
        coded = encode_cdf(many, rows, impl=f"rans64_i{lanes}")
        assert coded == oracle_bytes([1, last] * 50, plain * 50, lanes=lanes)
        assert decode_cdf(coded, rows, impl=f"rans64_i{lanes}").equal(many.int())
    with pytest.raises(ValueError, match=r"symbols\[0\] is 1"):
        encode_cdf(torch.tensor([1, 2]), given)


def test_one_cdf_for_all_any_shape_and_dtype() -> None:
    cdf = random_cdfs(0, 1, 50)[0].float()
    symbols = random_symbols(3, cdf.expand(4, 5, 600, 51)).to(torch.uint8) + 3
    data = encode_cdf(symbols, cdf, low=3)
    assert data == encode_cdf(symbols, cdf.expand(4, 5, 600, 51).contiguous(), low=3)
    out = torch.empty(600, 4, 5, dtype=torch.uint8).permute(1, 2, 0)
    assert decode_cdf(data, cdf, low=3, out=out).equal(symbols)
    out = torch.empty(4, 5, 600, dtype=torch.uint8)
    assert decode_cdf(data, cdf, low=3, out=out) is out and out.equal(symbols)
    transposed = symbols.transpose(0, 2)
    assert decode_cdf(
        encode_cdf(transposed, cdf, low=3), cdf, low=3, out=torch.empty(600, 5, 4).int()
    ).equal(transposed.int())


@pytest.mark.parametrize("impl", ["rans64", "rans64_i4", "rans64_i32", "rans32_16_i8"])
def test_bytes_do_not_depend_on_the_dtype_of_symbols(impl: str) -> None:
    cdf = random_cdfs(0, 1, 50)[0].float()
    symbols = random_symbols(3, cdf.expand(5000, 51))
    data = encode_cdf(symbols, cdf, impl=impl, freq_precision=15)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32):
        assert encode_cdf(symbols.to(dtype), cdf, impl=impl, freq_precision=15) == data


@pytest.mark.parametrize("count", [0, 1, 4095, 4096, 40000, 300000])
def test_auto_suits_the_number_of_symbols(count: int) -> None:
    cdf = torch.tensor([0.0, 0.6, 0.61, 1.0])
    symbols = torch.randint(0, 3, (count,), generator=torch.Generator().manual_seed(1))
    data = encode_cdf(symbols, cdf)
    out = torch.empty(count, dtype=torch.int64)
    assert decode_cdf(data, cdf, out=out).equal(symbols)
    lanes = 1 if count < 4096 else 4 if count < 32768 else 8
    impl = "rans64" if lanes == 1 else f"rans64_i{lanes}"
    rows = max(1, count // 131072)
    assert data == encode_cdf(symbols, cdf, impl=impl, num_parallel_states=rows)


def test_what_is_wrong_is_named() -> None:
    cdf = random_cdfs(0, 6, 5).float()
    symbols = torch.tensor([0, 1, 2, 3, 4, 0])
    cases: List[Any] = [
        (TypeError, "symbols", (symbols.float(), cdf), {}),
        (TypeError, "cdf", (symbols, cdf.to(torch.int8)), {}),
        (ValueError, "cdf must have the symbols' shape", (symbols[:5], cdf), {}),
        (ValueError, "2 to 65537 entries", (symbols, cdf[:, :1]), {}),
        (ValueError, r"symbols\[4\] is 4", (symbols, cdf[:, :5]), {}),
        (ValueError, r"symbols\[0\] is 0", (symbols, cdf), {"low": 1}),
        (ValueError, "freq_precision", (symbols, cdf), {"freq_precision": 17}),
        (ValueError, "freq_precision", (symbols, cdf), {"impl": "rans32_16"}),
        (ValueError, "cdf must have 2 to 5", (symbols, cdf), {"freq_precision": 2}),
        (ValueError, "impl", (symbols, cdf), {"impl": "rans64_alias"}),
        (ValueError, "num_parallel_states", (symbols, cdf), {"num_parallel_states": 0}),
        (ValueError, "low", (symbols, cdf), {"low": 2**31}),
    ]
    for error, text, arguments, options in cases:
        with pytest.raises(error, match=text):
            encode_cdf(*arguments, **options)
    with pytest.raises(TypeError, match="dtype"):
        decode_cdf(b"", cdf, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"out must have shape|broadcast"):
        decode_cdf(b"", cdf, out=torch.empty(5, dtype=torch.int32))


def test_hostile_bytes_raise_or_decode_to_symbols_of_the_alphabet() -> None:
    cdf = random_cdfs(5, 900, 30).float()
    symbols = random_symbols(5, cdf)
    for impl in ("rans64", "rans64_i8", "rans32_i16", "rans32_16_i32"):
        options: Any = {"impl": impl, "num_parallel_states": 3, "freq_precision": 15}
        data = encode_cdf(symbols, cdf, **options)
        rng = np.random.default_rng(0)
        for _ in range(60):
            broken = bytearray(data[: rng.integers(0, len(data) + 1)])
            for at in rng.integers(0, max(len(broken), 1), 3):
                if len(broken):
                    broken[at] = rng.integers(0, 256)
            try:
                found = decode_cdf(broken, cdf, **options)
            except CorruptStreamError:
                continue
            assert int(found.min()) >= 0 and int(found.max()) < 30


def test_a_cdf_that_decreases_does_no_harm() -> None:
    generator = torch.Generator().manual_seed(0)
    wild = torch.rand((500, 41), generator=generator)
    tame = torch.linspace(0, 1, 41).expand(500, 41)
    data = encode_cdf(torch.randint(0, 40, (500,), generator=generator), tame)
    for other in (wild, wild * 1e9, -wild, (wild * 2**31).int()):
        try:
            found = decode_cdf(data, other)
        except CorruptStreamError as error:
            assert error.rows == [0]
        else:
            assert int(found.min()) >= 0 and int(found.max()) < 40


DECREASING = """
import hashlib, torch
from torch_ans import CorruptStreamError, decode_cdf, encode_cdf
generator = torch.Generator().manual_seed(0)
digest = hashlib.sha256()
for size in (1, 2, 9, 17, 41, 70, 300):
    for noise in (2e-5, 1e-3, 0.1, 1.0):
        cdf = torch.linspace(0, 1, size + 1).repeat(3000, 1)
        wild = cdf + noise * torch.randn(cdf.shape, generator=generator)
        wild[::7, size // 2] = float("nan")
        symbols = torch.randint(0, size, (3000,), generator=generator)
        for impl in ("rans64", "rans32_i8"):
            data = encode_cdf(symbols, cdf, impl=impl, num_parallel_states=4)
            try:
                found = decode_cdf(data, wild, impl=impl, num_parallel_states=4)
                digest.update(found.numpy().tobytes())
            except CorruptStreamError as error:
                digest.update(str(error.rows).encode())
        for symbol, row in zip(symbols[:200], wild):
            try:
                found = decode_cdf(encode_cdf(symbol, row), row)
                digest.update(bytes([int(found) & 255]))
            except ValueError as error:  # it owns no slot, or does not come back
                digest.update(type(error).__name__.encode())
print(digest.hexdigest())
"""


def test_a_cdf_that_decreases_means_the_same_on_every_isa() -> None:
    found = [run_child(DECREASING, env={"TORCH_ANS_FORCE_ISA": isa}) for isa in ISAS]
    assert len(set(found)) == 1


def exact_logit_edges(logits: List[float], precision: int) -> List[int]:
    """C at each edge as cpp/FORMAT.md has it, in Python's integers."""
    tail = [round(math.exp(-k / 64) * 2**29) for k in range(1025)]
    tail.append(tail[-1])
    bounded = [-(2.0**20) if math.isnan(v) else min(max(v, -(2.0**20)), 2.0**20) for v in logits]
    counts = [math.trunc(Fraction(v) * 2**15) for v in bounded]
    weights = []
    for count in counts:
        entry, rest = divmod(min(max(counts) - count, 2**19), 512)
        weights.append(tail[entry] - ((tail[entry] - tail[entry + 1]) * rest >> 9))
    total, size = sum(weights), len(weights)
    shift = max(total.bit_length() - 33, 0)
    spread = (1 << precision) - size
    edges = []
    for i in range(size):
        fixed = (sum(weights[:i]) >> shift << 30) // (total >> shift)
        edges.append(i + (fixed * spread >> 30))
    return [*edges, 1 << precision]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_logits_give_the_bytes_of_exact_arithmetic(dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(3)
    for size, count, precision in ((9, 60, 16), (1, 5, 3), (300, 12, 15), (8, 40, 3)):
        scale = torch.tensor([0.1, 3.0, 40.0])[torch.arange(count) % 3].unsqueeze(-1)
        logits = (torch.randn((count, size), generator=generator) * scale).to(dtype)
        if size == 9:
            logits[0, :5] = torch.tensor([math.inf, -math.inf, math.nan, 0.0, -0.0])
            logits[1] = -math.inf
        symbols = torch.arange(count) % size
        options: Any = {"freq_precision": precision, "impl": "rans64"}
        data = torch_ans.encode_logits(symbols, logits, **options)
        edges = [exact_logit_edges(row, precision) for row in logits.double().tolist()]
        assert data == oracle_bytes(symbols.tolist(), edges, precision)
        decoded = torch_ans.decode_logits(data, logits, dtype=torch.int64, **options)
        assert decoded.equal(symbols)


LOGITS = """
import math, torch
from logits_reference import quantize_logits
from torch_ans import decode_logits, encode_cdf, encode_logits
generator = torch.Generator().manual_seed(7)
special = torch.tensor([math.inf, -math.inf, math.nan, -math.nan, 1e-40, -1e-7, 2.0**20, -(2.0**21),
                        65504.0, 2.0**-15, -(2.0**-24), 0.0])
cases = [(1, 40, 3), (2, 99, 1), (15, 400, 9), (16, 400, 16), (17, 400, 15), (64, 300, 6),
         (64, 300, 12), (300, 150, 16), (4097, 20, 16), (65536, 9, 16)]
for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
    for size, count, precision in cases:
        scale = torch.tensor([0.0, 0.01, 1.0, 4.0, 40.0, 1e4, 3e5])[torch.arange(count) % 7]
        logits = torch.randn((count, size), generator=generator) * scale.unsqueeze(-1)
        if size < 20:
            spoilt = torch.rand((count, size), generator=generator) < 0.05
            chosen = torch.randint(len(special), (count, size), generator=generator)
            logits = torch.where(spoilt, special[chosen], logits)
            logits[0], logits[1], logits[2] = math.nan, -math.inf, math.inf
        logits = logits.to(dtype)
        symbols = torch.randint(size, (count,), generator=generator)
        symbols[: count // 2] = logits[: count // 2].float().argmax(-1)
        edges = quantize_logits(logits, precision)
        for impl in ("rans64", "rans64_i8", "rans32_i16"):
            options = dict(impl=impl, freq_precision=precision)
            data = encode_logits(symbols, logits, **options)
            assert data == encode_cdf(symbols, edges, **options), (dtype, size, impl)
            decoded = decode_logits(data, logits, dtype=torch.int64, **options)
            assert decoded.equal(symbols), (dtype, size, impl)
        for row in range(3):  # one distribution for all symbols
            data = encode_logits(symbols, logits[row], freq_precision=precision)
            assert data == encode_cdf(symbols, edges[row], freq_precision=precision)
"""


@pytest.mark.parametrize("isa", ISAS)
def test_logits_are_quantised_alike_on_every_isa(isa: str) -> None:
    run_child(LOGITS, env={"TORCH_ANS_FORCE_ISA": isa})


def test_hostile_bytes_decode_to_symbols_of_the_logits() -> None:
    generator = torch.Generator().manual_seed(8)
    logits = 3 * torch.randn((500, 70), generator=generator)
    rng = np.random.default_rng(0)
    for impl in ("rans64", "rans64_i8", "rans32_16_i32"):
        for _ in range(20):
            data = rng.integers(0, 256, 400, dtype=np.uint8).tobytes()
            try:
                found = torch_ans.decode_logits(data, logits, impl=impl, freq_precision=15)
            except CorruptStreamError:
                continue
            assert int(found.min()) >= 0 and int(found.max()) < 70


def test_logits_cost_what_their_softmax_says() -> None:
    generator = torch.Generator().manual_seed(4)
    logits = 2 * torch.randn((20000, 64), generator=generator)
    symbols = torch.distributions.Categorical(logits=logits).sample()
    data = torch_ans.encode_logits(symbols, logits, low=0)
    truth = torch.nn.functional.cross_entropy(logits, symbols, reduction="sum") / math.log(2)
    assert 8 * len(data) < float(truth) * 1.005 + 600
    assert torch_ans.decode_logits(data, logits).long().equal(symbols)
    shared = torch_ans.encode_logits(symbols, logits[0])
    assert torch_ans.decode_logits(shared, logits[0].expand(20000, 64)).long().equal(symbols)
    with pytest.raises(ValueError, match="logits must have"):
        torch_ans.encode_logits(symbols, logits, freq_precision=5)


def test_a_table_of_logits_is_that_of_the_core() -> None:
    assert logits_reference.TAIL.tolist() == tail_tables()["laplace"]
