"""Floats in place of symbols: rounded and made floats again by the coder, as torch would do it."""

from __future__ import annotations

from typing import Any, Optional, Tuple

import pytest
import torch

from helpers import make_symbols, make_tables, run_tests
from torch_ans import CodingTables, _core
from torch_ans._messages import decode_rows, encode_latents, encode_rows

SPECIAL = [0.0, -0.0, 0.5, -0.5, 1.5, 2.5, -2.5, 0.49999997, 8388607.5, -8388609.0, 1e-42]
SPECIAL += [2147483520.0, 2.0**31, -(2.0**31), -2147483904.0, 3e38]
SPECIAL += [float("inf"), -float("inf"), float("nan")]
SHAPES = [(1, 1), (1, 5000), (2, 77), (8, 300), (19, 513), (70, 40), (3, 0)]


def round_by_torch(values: torch.Tensor) -> torch.Tensor:
    """`torch.round(values).int()` as on x86, where what no int32 holds becomes the lowest."""
    whole = torch.round(values).double()
    fits = (whole >= -(2.0**31)) & (whole < 2.0**31)
    return torch.where(fits, whole, torch.full_like(whole, -(2.0**31))).to(torch.int32)


def make_case(shape: Tuple[int, int], escapes: float) -> Tuple[Any, ...]:
    tables = make_tables(sum(shape), [2, 9, 300], 16)
    symbols, indexes = make_symbols(sum(shape), shape, tables, escapes)
    generator = torch.Generator().manual_seed(sum(shape))
    means = torch.randn(shape, generator=generator)
    values = symbols + means + torch.rand(shape, generator=generator) - 0.5
    return CodingTables(tables.cdfs, tables.sizes, tables.offsets), values, means, indexes


@pytest.mark.parametrize("escapes", [0.0, 0.1])
@pytest.mark.parametrize("with_means", [False, True])
@pytest.mark.parametrize("shape", SHAPES)
def test_the_coder_rounds_as_torch_does(
    shape: Tuple[int, int], with_means: bool, escapes: float
) -> None:
    tables, values, given, indexes = make_case(shape, escapes)
    means: Optional[torch.Tensor] = given if with_means else None
    symbols = round_by_torch(values - given if with_means else values)
    strings = encode_latents(tables, values, means, indexes)
    assert strings == encode_rows(tables, symbols, indexes)
    expected = symbols.float() + given if with_means else symbols.float()
    out = torch.empty(shape)
    assert torch.equal(decode_rows(tables, strings, indexes, out, means), expected)


@pytest.mark.parametrize("rows", [1, 17])
def test_floats_of_every_kind(rows: int) -> None:
    tables, *_ = make_case((1, 1), 0.0)
    values = torch.tensor(SPECIAL).repeat(rows, 40)
    indexes = torch.zeros(values.shape, dtype=torch.uint8)
    symbols = round_by_torch(values)
    strings = encode_latents(tables, values, None, indexes)
    assert strings == encode_rows(tables, symbols, indexes)
    out = torch.empty(values.shape)
    assert torch.equal(decode_rows(tables, strings, indexes, out), symbols.float())
    nearest = torch.nextafter(values, torch.zeros(1))  # inf - inf, too
    encoded = encode_latents(tables, values, nearest, indexes)
    assert encoded == encode_rows(tables, round_by_torch(values - nearest), indexes)


def test_symbols_beyond_int32_are_no_latents() -> None:
    tables, *_ = make_case((1, 1), 0.0)
    indexes = torch.zeros(1, 3, dtype=torch.int32)
    strings = encode_rows(tables, torch.tensor([[1, 2**31, 3]]), indexes)
    with pytest.raises(ValueError, match="cannot be decoded"):
        decode_rows(tables, strings, indexes, torch.empty(1, 3))


@pytest.mark.parametrize("isa", list(_core.cpu_capabilities()["available"])[1:])
def test_other_instruction_sets_round_the_same(isa: str) -> None:
    run_tests("test_latents.py", {"TORCH_ANS_FORCE_ISA": isa}, "not instruction")
