"""Gaussians and their like, in integers: exact, monotone, the same everywhere."""

from __future__ import annotations

import json
import math
from fractions import Fraction
from typing import Any, List, Sequence, Tuple

import numpy as np
import pytest
import torch

import torch_ans
from helpers import run_child, tail_tables
from test_distributions import oracle_bytes, random_cdfs, random_symbols
from torch_ans import CorruptStreamError, _core

KINDS = ["gaussian", "laplace", "logistic"]


TAILS = tail_tables()


def exact_probability(kind: str, i: int, mean: float, scale: float, low: int) -> int:
    """F below symbol i as cpp/FORMAT.md has it, in Python's integers."""
    whole = min(max(Fraction(mean) * 2**14, Fraction(-(2**46))), Fraction(2**46))
    position = math.trunc(whole) - (low * 2**14 - 2**13)
    position = min(max(position, 1 - 2**30), 2**31 - 2)
    divisor = math.trunc(min(max(Fraction(scale) * 2**16, Fraction(1)), Fraction(2**32)))
    size, sign = abs(i * 2**14 - position), 1 if i * 2**14 >= position else -1
    distance = min(size * 2**17 // divisor, 16 * 2**15)
    entry, fraction = distance >> 9, distance & 511
    tail = TAILS[kind]
    found = tail[entry] - ((tail[entry] - tail[entry + 1]) * fraction >> 9)
    return found if sign < 0 and distance > 0 else 2**30 - found


def exact_edges(
    kind: str, mean: float, scale: float, low: int, high: int, precision: int
) -> List[int]:
    count = high - low + 1
    spread = (1 << precision) - count
    inner = [
        i + (exact_probability(kind, i, mean, scale, low) * spread >> 30) for i in range(1, count)
    ]
    return [0, *inner, 1 << precision]


def coders(kind: str) -> Tuple[Any, Any]:
    return getattr(torch_ans, f"encode_{kind}"), getattr(torch_ans, f"decode_{kind}")


def random_parameters(seed: int, count: int, low: int, high: int) -> Tuple[torch.Tensor, ...]:
    rng = np.random.default_rng(seed)
    means = rng.uniform(low - 3, high + 3, count)
    scales = np.exp(rng.uniform(-12, 7, count))
    drawn = np.rint(means + scales * rng.standard_normal(count))
    symbols = np.clip(drawn, low, high).astype(np.int64)
    symbols[::17] = rng.integers(low, high + 1, len(symbols[::17]))  # however unlikely
    return tuple(torch.from_numpy(a) for a in (symbols, means, scales))


def test_tables_are_the_tails() -> None:
    truth = {
        "gaussian": lambda z: math.erfc(z / math.sqrt(2)) / 2,
        "laplace": lambda z: math.exp(-z) / 2,
        "logistic": lambda z: 1 / (1 + math.exp(z)),
    }
    assert sorted(TAILS) == sorted(truth)
    for name, tail in TAILS.items():
        assert len(tail) == 1026 and tail[0] == 2**29 and tail[-1] == tail[-2]
        assert all(a >= b for a, b in zip(tail, tail[1:]))
        for k, value in enumerate(tail[:-1]):
            assert abs(value - truth[name](k / 64) * 2**30) <= 0.51, (name, k)


def test_probabilities_never_fall() -> None:
    """All distances there are: F rises along the whole of each table, and is symmetric."""
    distance = np.arange(16 * 2**15 + 1, dtype=np.int64)
    for tail in map(np.array, TAILS.values()):
        entry, fraction = distance >> 9, distance & 511
        found = tail[entry] - ((tail[entry] - tail[entry + 1]) * fraction >> 9)
        assert (np.diff(found) <= 0).all() and found[0] == 2**29 and found.min() >= 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_bytes_are_those_of_exact_arithmetic(kind: str, dtype: torch.dtype) -> None:
    encode, decode = coders(kind)
    special = [0.0, -0.0, 1e-40, -1e-40, 1e30, -1e30, math.inf, -math.inf, 2.0**-14, -(2.0**-15)]
    for low, high, precision, impl, lanes in [
        (-20, 25, 16, "rans64", 1),
        (0, 1, 9, "rans32_i2", 2),
        (-(2**29), 9 - 2**29, 15, "rans32_16_i16", 16),
    ]:
        symbols, means, scales = random_parameters(1, 160, low, high)
        means, scales = means.to(dtype), scales.to(dtype)
        means[: len(special)] = torch.tensor(special, dtype=dtype)
        scales[5:15] = torch.tensor([*special[:8], math.inf, 0.0], dtype=dtype)
        options: Any = {"freq_precision": precision, "impl": impl}
        data = encode(symbols, means, scales, low, high, **options)
        edges = []
        for mean, scale in zip(means.tolist(), scales.tolist()):
            mean = min(max(mean, -1e300), 1e300)
            scale = min(max(scale, -1e300), 1e300)
            edges.append(exact_edges(kind, mean, scale, low, high, precision))
        family = impl.split("_i")[0]
        shifted = [s - low for s in symbols.tolist()]
        assert data == oracle_bytes(shifted, edges, precision, family, lanes)
        decoded = decode(data, means, scales, low, high, dtype=torch.int64, **options)
        assert decoded.equal(symbols)


@pytest.mark.parametrize("kind", KINDS)
def test_distances_next_to_an_integer_are_cut_off_exactly(kind: str) -> None:
    """Quotients that are integers, and such that miss one by as little as a divisor allows."""
    rng = np.random.default_rng(8)
    symbols, means, scales = [], [], []
    for divisor in [1, 3, 2**17, *rng.integers(2, 2**32, 60).tolist(), 2**32 - 1, 2**32]:
        distance = int(rng.integers(1, 2**19 + 1))
        # The least positions whose distance is that; one less falls short of it.
        size = min(-(-distance * divisor >> 17), 2**30 - 1) - int(rng.integers(0, 2))
        symbol = int(rng.integers(0, 200))
        position = symbol * 2**14 + int(rng.choice([-1, 1])) * size
        symbols.append(symbol)
        means.append((position - 2**13) / 2**14)
        scales.append(divisor / 2**16)
    encode, decode = coders(kind)
    parameters = torch.tensor(means, dtype=torch.float64), torch.tensor(scales, dtype=torch.float64)
    data = encode(torch.tensor(symbols), *parameters, 0, 200, impl="rans64")
    edges = [exact_edges(kind, mean, scale, 0, 200, 16) for mean, scale in zip(means, scales)]
    assert data == oracle_bytes(symbols, edges, 16, "rans64", 1)
    assert decode(data, *parameters, 0, 200, impl="rans64").tolist() == symbols


def test_mixtures_are_sums() -> None:
    rng = np.random.default_rng(4)
    means = rng.uniform(-50, 50, (300, 5)).astype(np.float32)
    scales = np.exp(rng.uniform(-2, 3, (300, 5))).astype(np.float32)
    weights = rng.gamma(0.5, size=(300, 5)).astype(np.float32).clip(0, 1)
    weights[3], weights[4] = 0, [1, 0, 0, 0, 0]
    symbols = torch.from_numpy(rng.integers(-60, 61, 300))
    edges = []
    for row in range(300):
        parts = [math.floor(Fraction(float(w)) * 2**30) for w in weights[row]]
        shares = [(p << 15) // sum(parts) if sum(parts) else 0 for p in parts[1:]]
        shares = [2**15 - sum(shares), *shares]
        inner = []
        for i in range(1, 121):
            total = sum(
                share * exact_probability("logistic", i, float(m), float(s), -60)
                for share, m, s in zip(shares, means[row], scales[row])
            )
            inner.append(i + ((total >> 15) * (65536 - 121) >> 30))
        edges.append([0, *inner, 65536])
    given = [torch.from_numpy(a) for a in (means, scales, weights)]
    data = torch_ans.encode_logistic_mixture(symbols, *given, -60, 60)
    assert data == oracle_bytes([s + 60 for s in symbols.tolist()], edges)
    assert torch_ans.decode_logistic_mixture(data, *given, -60, 60).equal(symbols.int())


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16], ids=str)
def test_pmfs_are_summed_exactly(dtype: torch.dtype) -> None:
    pmf = random_cdfs(3, 200, 20).diff(dim=-1).to(dtype)
    pmf[5] *= 3
    symbols = random_symbols(3, random_cdfs(3, 200, 20))
    edges = []
    for row in pmf.double().tolist():
        sums = np.cumsum([math.floor(Fraction(min(p, 1)) * 2**30) for p in row]).tolist()
        inner = [i + 1 + (min(total, 2**30) * (65536 - 20) >> 30) for i, total in enumerate(sums)]
        edges.append([0, *inner[:-1], 65536])
    for impl, lanes in (("rans64", 1), ("rans64_i16", 16)):
        data = torch_ans.encode_pmf(symbols, pmf, impl=impl)
        assert data == oracle_bytes(symbols.tolist(), edges, lanes=lanes)
        assert torch_ans.decode_pmf(data, pmf, impl=impl).equal(symbols.int())


@pytest.mark.parametrize("kind", KINDS)
def test_the_cost_is_near_the_entropy(kind: str) -> None:
    rng = np.random.default_rng(0)
    scale, mean, count = 7.3, 1.25, 40000
    draw = {"gaussian": rng.normal, "laplace": rng.laplace, "logistic": rng.logistic}[kind]
    symbols = torch.from_numpy(np.rint(draw(mean, scale, count)).clip(-300, 300)).int()
    encode, _ = coders(kind)
    bits = 8 * len(encode(symbols, torch.tensor(mean), torch.tensor(scale), -300, 300))
    grid = np.arange(-300, 302) - 0.5
    z = torch.from_numpy((grid - mean) / scale)
    below = {
        "gaussian": torch.special.ndtr(z),
        "laplace": torch.where(z < 0, z.exp() / 2, 1 - (-z).exp() / 2),
        "logistic": torch.sigmoid(z),
    }[kind]
    truth = -below.diff().clamp_min(1e-12).log2()[symbols.long() + 300].sum()
    assert bits < float(truth) * 1.005 + 600


DIGESTS = """
import hashlib, json, torch, torch_ans
from test_parametric import *
found = {}
for kind in KINDS:
    encode, decode = coders(kind)
    for impl, precision in (("rans64_i8", 16), ("rans64", 16), ("rans32_i4", 12),
                            ("rans32_16_i32", 15)):
        digest = hashlib.sha256()
        for low, high in ((-1000, 1000), (0, 255), (5, 5)):
            symbols, means, scales = random_parameters(7, 5003, low, high)
            means, scales = means.float(), scales.float()
            options = dict(impl=impl, num_parallel_states=5, freq_precision=precision)
            data = encode(symbols, means, scales, low, high, **options)
            decoded = decode(data, means, scales, low, high, **options)
            assert decoded.long().equal(symbols), (kind, impl, low)
            digest.update(data)
        found[kind + impl] = digest.hexdigest()
for low, high in ((-32768, 32767), (-30000, 30000), (-200, 200)):  # few slots follow F, or most do
    symbols = torch.arange(low, high + 1)
    for kind in KINDS:
        encode, decode = coders(kind)
        digest = hashlib.sha256()
        for mean, scale in ((0.3, 1e-5), (-1e9, 3.0), (high - 0.25, 0.4), (7.0, 150.0), (0.0, 1e9)):
            given = torch.tensor(mean), torch.tensor(scale), low, high
            data = encode(symbols, *given, impl="rans64_i8", num_parallel_states=4)
            found_symbols = decode(data, *given, impl="rans64_i8", num_parallel_states=4,
                                   out=torch.empty_like(symbols))
            assert found_symbols.equal(symbols), (kind, low, mean, scale)
            digest.update(data)
        found[f"all {kind} {low}"] = digest.hexdigest()
symbols, means, scales = random_parameters(8, 3000, 0, 255)
given = [torch.stack([t.float(), t.float().roll(1)], -1) for t in (means, scales, scales % 1)]
data = torch_ans.encode_logistic_mixture(symbols, *given, 0, 255, impl="rans64_i16")
decoded = torch_ans.decode_logistic_mixture(data, *given, 0, 255, impl="rans64_i16")
assert decoded.long().equal(symbols)
found["mixture"] = hashlib.sha256(data).hexdigest()
print(json.dumps(dict(_core.cpu_capabilities(), found=found)))
"""


def test_the_same_bytes_from_every_isa_and_number_of_threads() -> None:
    found = []
    code = DIGESTS.replace("import hashlib", "from torch_ans import _core\nimport hashlib", 1)
    for isa in _core.cpu_capabilities()["available"]:
        result = json.loads(run_child(code, env={"TORCH_ANS_FORCE_ISA": isa}))
        assert result["isa"] == isa
        found.append(result["found"])
    code = code.replace("found = {}", "torch.set_num_threads(3); found = {}", 1)
    found.append(json.loads(run_child(code))["found"])
    assert all(one == found[0] for one in found)


def test_what_is_wrong_is_named() -> None:
    symbols, means, scales = random_parameters(0, 6, 0, 9)
    cases: List[Tuple[Any, str, Sequence[Any]]] = [
        (
            ValueError,
            r"symbols\[1\] is 77",
            (symbols.clone().index_fill_(0, torch.tensor([1]), 77), means, scales, 0, 9),
        ),
        (ValueError, "low..high", (symbols, means, scales, 9, 0)),
        (ValueError, "low..high", (symbols, means, scales, 0, 65536)),
        (ValueError, "means must have", (symbols, means[:4], scales, 0, 9)),
        (TypeError, "scales must have", (symbols, means, scales.int(), 0, 9)),
    ]
    for error, text, arguments in cases:
        with pytest.raises(error, match=text):
            torch_ans.encode_gaussian(*arguments)
    with pytest.raises(ValueError, match="broadcast"):
        torch_ans.decode_gaussian(b"", means, scales[:5], 0, 9)
    with pytest.raises(ValueError, match="components"):
        torch_ans.encode_logistic_mixture(
            symbols, *[means.reshape(6, 1)] * 2, means.reshape(1, 6), 0, 9
        )


def test_hostile_bytes_raise_or_decode_to_symbols_of_the_alphabet() -> None:
    _, means, scales = random_parameters(0, 3000, -9, 9)
    rng = np.random.default_rng(0)
    for kind in KINDS:
        _, decode = coders(kind)
        for length in (0, 3, 8, 64, 2000):
            data = bytearray(rng.integers(0, 256, length, np.uint8).tobytes())
            for impl in ("rans64", "rans64_i8"):
                for top in range(7, length, 8):
                    data[top] = data[top] & 0x7F | 1 if top < 64 else data[top]
                try:
                    found = decode(data, means, scales, -9, 9, impl=impl, num_parallel_states=1)
                except CorruptStreamError:
                    continue
                assert int(found.min()) >= -9 and int(found.max()) <= 9
