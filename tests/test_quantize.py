"""pmf rows to CDF rows: CompressAI's result, the oracle's, on any number of threads."""

from __future__ import annotations

from typing import Iterator

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import torch_ans.utils
from reference import quantize_counts, quantize_pmf
from torch_ans import rans_pmf_to_quantized_cdf


@pytest.fixture
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@given(
    st.integers(0, 2**32 - 1), st.integers(1, 16), st.integers(1, 300), st.sampled_from([1, 4, 20])
)
def test_equals_the_oracle(seed: int, precision: int, length: int, skew: int) -> None:
    rng = np.random.default_rng(seed)
    pmf = (rng.random((3, min(length, 1 << precision))) ** skew).astype(np.float32)
    pmf[rng.random(pmf.shape) < 0.2] = 0
    pmf[:, 0] += np.float32(0.5) ** precision
    if rng.random() < 0.5:
        pmf /= pmf.sum(1, keepdims=True)
    cdf = rans_pmf_to_quantized_cdf(torch.from_numpy(pmf), precision)
    assert cdf.dtype == torch.int32 and cdf.shape == (3, pmf.shape[1] + 1)
    try:
        expected = [quantize_pmf(row.tolist(), precision) for row in pmf]
    except ValueError:
        pytest.fail("the oracle cannot quantise what was generated")
    assert cdf.tolist() == expected


@given(st.lists(st.integers(0, 2**40), min_size=1, max_size=60), st.integers(6, 16))
def test_integer_counts_are_exact(counts: list, precision: int) -> None:
    counts = [*counts[:-1], counts[-1] + 1]
    cdf = rans_pmf_to_quantized_cdf(torch.tensor(counts), precision)
    assert cdf.tolist() == quantize_counts(counts, precision)


@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64], ids=str
)
def test_integer_dtypes(dtype: torch.dtype) -> None:
    counts = torch.tensor([3, 0, 100, 7], dtype=dtype)
    assert rans_pmf_to_quantized_cdf(counts, 10).tolist() == quantize_counts([3, 0, 100, 7], 10)


@pytest.mark.parametrize(
    "dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64], ids=str
)
def test_float_dtypes_are_taken_as_float32(dtype: torch.dtype) -> None:
    pmf = torch.rand(50, generator=torch.Generator().manual_seed(0)).to(dtype)
    assert rans_pmf_to_quantized_cdf(pmf, 16).tolist() == quantize_pmf(pmf.float().tolist(), 16)


def test_shapes() -> None:
    pmf = torch.rand(4, 3, 10, generator=torch.Generator().manual_seed(0))
    rows = rans_pmf_to_quantized_cdf(pmf.reshape(12, 10), 16)
    assert rows.shape == (12, 11)
    assert torch.equal(rans_pmf_to_quantized_cdf(pmf[1, 1], 16), rows[4])
    assert torch.equal(rans_pmf_to_quantized_cdf(pmf[:, 1], 16), rows[1::3])
    assert torch.equal(
        rans_pmf_to_quantized_cdf(pmf.reshape(12, 10).t().contiguous().t(), 16), rows
    )
    assert rans_pmf_to_quantized_cdf(torch.zeros(0, 5), 16).shape == (0, 6)
    assert rans_pmf_to_quantized_cdf(torch.tensor([1.0]), 16).tolist() == [0, 65536]


def test_as_many_symbols_as_slots() -> None:
    for precision in (1, 4, 8, 16):
        n = 1 << precision
        assert rans_pmf_to_quantized_cdf(torch.ones(n), precision).tolist() == list(range(n + 1))
        spike = torch.zeros(n)
        spike[n // 2] = 1.0
        assert rans_pmf_to_quantized_cdf(spike, precision).tolist() == list(range(n + 1))
        with pytest.raises(ValueError):
            rans_pmf_to_quantized_cdf(torch.ones(n + 1), precision)


def test_a_long_row_with_many_repairs() -> None:
    """Not O(L^2): 60000 symbols without a count of their own."""
    pmf = torch.zeros(60_000)
    pmf[::1000] = torch.rand(60, generator=torch.Generator().manual_seed(1)) + 0.01
    cdf = rans_pmf_to_quantized_cdf(pmf, 16)
    steps = cdf[1:] - cdf[:-1]
    assert cdf[0] == 0 and cdf[-1] == 65536 and int(steps.min()) == 1
    small = pmf[:3000].clone()
    assert rans_pmf_to_quantized_cdf(small, 12).tolist() == quantize_pmf(small.tolist(), 12)


@pytest.mark.parametrize(
    "row", [[float("nan"), 1.0], [float("inf"), 1.0], [-0.5, 1.0], [0.0, 0.0]], ids=str
)
def test_errors_name_the_row(row: list) -> None:
    pmf = torch.full((5, 2), 0.5)
    pmf[3] = torch.tensor(row)
    with pytest.raises(ValueError, match="3"):
        rans_pmf_to_quantized_cdf(pmf, 16)


def test_wrong_arguments() -> None:
    for value in ([0.5, 0.5], None, torch.tensor([True]), torch.tensor([1j])):
        with pytest.raises((TypeError, ValueError)):
            rans_pmf_to_quantized_cdf(value, 16)
    for precision in (0, 17, -1):
        with pytest.raises(ValueError, match="precision"):
            rans_pmf_to_quantized_cdf(torch.ones(2), precision)
    with pytest.raises(ValueError):
        rans_pmf_to_quantized_cdf(torch.tensor(1.0), 16)


def test_the_same_on_any_number_of_threads(restored_threads: None) -> None:
    pmf = torch.rand(500, 70, generator=torch.Generator().manual_seed(2)) ** 9
    results = []
    for threads in (1, 2, 3, 4):
        torch.set_num_threads(threads)
        results.append(rans_pmf_to_quantized_cdf(pmf, 12))
    assert all(torch.equal(results[0], other) for other in results[1:])


@pytest.mark.parametrize("add_tail", [False, True])
def test_batched_helper_gives_valid_rows(add_tail: bool) -> None:
    pmf = torch.rand(20, 50, generator=torch.Generator().manual_seed(3)) ** 4
    cdf = torch_ans.utils.pmf_to_quantized_cdf_batched(pmf, precision=14, add_tail=add_tail)
    assert cdf.dtype == torch.int32 and cdf.shape == (20, 51 + add_tail)
    assert (cdf[:, 0] == 0).all() and (cdf[:, -1] == 1 << 14).all()
    assert (cdf[:, 1:] > cdf[:, :-1]).all()
