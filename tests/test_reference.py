"""The oracle against itself: what can be said about it without the library."""

from __future__ import annotations

import numpy as np
import pytest

import reference
from helpers import VARIANT_IDS, VARIANTS, random_cdf


def oracle_table(seed: int, symbols: int, precision: int, **options: object) -> reference.Table:
    rng = np.random.default_rng(seed)
    return reference.Table(
        tuple(random_cdf(rng, symbols, precision)), int(rng.integers(-9, 9)), precision, **options
    )


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_round_trip_ends_in_fresh_states(family: str, lanes: int) -> None:
    rng = np.random.default_rng(lanes)
    tables = [oracle_table(k, n, 12, bypass_precision=3) for k, n in enumerate((1, 2, 70))]
    chosen = [tables[k] for k in rng.integers(0, 3, 77)]
    symbols = [int(s) for s in rng.integers(-90, 90, 77)]
    row = reference.Row.fresh(reference.FAMILIES[family], lanes)
    reference.push_row(row, symbols[:50], chosen[:50])
    reference.push_row(row, symbols[50:], chosen[50:], length=33)
    row = reference.Row.from_bytes(row.to_bytes(), row.family, lanes)
    assert reference.pop_row(row, chosen[50:], length=33) == symbols[50:]
    assert reference.pop_row(row, chosen[:50]) == symbols[:50]
    assert row == reference.Row.fresh(row.family, lanes)


@pytest.mark.parametrize("symbols", [1, 2, 3, 5, 8, 100, 256])
def test_alias_gives_every_symbol_its_slots(symbols: int) -> None:
    cdf = random_cdf(np.random.default_rng(symbols), symbols, 8)
    alias = reference.build_alias(cdf, 8)
    seen = sorted(alias.lookup(slot) for slot in range(256))
    assert seen == [(k, p) for k in range(symbols) for p in range(cdf[k + 1] - cdf[k])]
    assert sorted(alias.remap) == list(range(256))


@pytest.mark.parametrize("q", range(1, 9))
def test_inverse_cdf_entry_is_the_symbol_of_its_bucket_start(q: int) -> None:
    cdf = random_cdf(np.random.default_rng(q), 40, 8)
    table = reference.inverse_cdf(cdf, 8, q)
    assert table == [reference.search(cdf, i << (8 - q)) for i in range(1 << q)]


@pytest.mark.parametrize("b", range(1, 9))
@pytest.mark.parametrize("v", [-(2**63), 2**63 - 1, -1, -2, 5, 6, 2**31, -(2**31)])
def test_zigzag_is_reversible_in_64_bits(v: int, b: int) -> None:
    raw = reference.zigzag(v, 5)
    assert raw is not None and 0 <= raw < 2**64
    assert reference.unzigzag(raw, 5) == v
    row = reference.Row.fresh(reference.FAMILIES["rans32"], 1)
    row.push_raw(0, raw, b)
    assert row.pop_raw(0, b) == raw


def test_quantized_rows_are_valid_and_keep_every_symbol() -> None:
    rng = np.random.default_rng(3)
    for _ in range(50):
        pmf = (rng.random(int(rng.integers(1, 200))) ** 8).astype(np.float32)
        cdf = reference.quantize_pmf((pmf / pmf.sum()).tolist(), 12)
        assert cdf[0] == 0 and cdf[-1] == 4096 and all(a < b for a, b in zip(cdf, cdf[1:]))
    with pytest.raises(ValueError):
        reference.quantize_pmf([1.0] * 17, 4)
