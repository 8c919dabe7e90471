"""A last row that is a little shorter is coded together with full ones, as if each were alone."""

from __future__ import annotations

from typing import Callable

import pytest
import torch

import reference
import torch_ans
from helpers import VARIANTS, suffix
from torch_ans import TorchANSInterface

IMPLS = [family + suffix(lanes) for family, lanes in VARIANTS]
IMPLS += [family + suffix(lanes) for family in ("tans8", "tans32") for lanes in reference.LANES]
ROWS = 64
LENGTH = 96


def check(
    encode: Callable[[slice, int], bytes],
    decode: Callable[[bytes, slice, int], torch.Tensor],
    symbols: torch.Tensor,
) -> None:
    """`encode` codes a part of the symbols into so many rows, `decode` is its inverse."""
    alone = [encode(slice(r * LENGTH, (r + 1) * LENGTH), 1) for r in range(ROWS)]
    for rows in (ROWS, 33, 12, 3):
        for missing in (0, 1, min(9, rows - 1)):
            part = slice(0, rows * LENGTH - missing)
            data = encode(part, rows)
            full = [len(row).to_bytes(4, "little") + row for row in alone[: rows - 1]]
            assert data.startswith(b"".join(full))
            assert torch.equal(decode(data, part, rows), symbols[part])


@pytest.mark.parametrize("kind", ["bytes", "indexes", "contexts"])
@pytest.mark.parametrize("impl", IMPLS)
def test_tables(impl: str, kind: str) -> None:
    """With escapes: some symbols are outside their tables."""
    generator = torch.Generator().manual_seed(1)
    symbols = torch.randint(0, 12, (ROWS * LENGTH,), generator=generator, dtype=torch.uint8)
    indexes = torch.randint(0, 5, (ROWS * LENGTH,), generator=generator)
    freqs = torch.rand(1 if kind == "bytes" else 5, 11, generator=generator)

    def coder(rows: int) -> TorchANSInterface:
        made = TorchANSInterface(impl, num_parallel_states=rows, freq_precision=7)
        made.init_params(freqs)
        if kind == "contexts":
            made.init_ar_params(torch.arange(12).reshape(1, 1, 12) % 5, 32)
        return made

    def encode(part: slice, rows: int) -> bytes:
        if kind == "indexes":
            return coder(rows).encode_with_indexes(symbols[part], indexes[part])
        return coder(rows).encode_symbols(symbols[part])

    def decode(data: bytes, part: slice, rows: int) -> torch.Tensor:
        out = torch.empty_like(symbols[part])
        if kind == "indexes":
            return coder(rows).decode_with_indexes(data, indexes[part], out=out)
        return coder(rows).decode_symbols(data, out=out)

    check(encode, decode, symbols)


@pytest.mark.parametrize("impl", [impl for impl in IMPLS if impl.startswith("rans")])
def test_models(impl: str) -> None:
    generator = torch.Generator().manual_seed(2)
    means = 20 * torch.randn(ROWS * LENGTH, generator=generator)
    scales = torch.rand(ROWS * LENGTH, generator=generator) + 0.1
    symbols = (means + scales * torch.randn(len(means), generator=generator)).round().int()
    options = {"impl": impl, "freq_precision": 15}

    def encode(part: slice, rows: int) -> bytes:
        given = symbols[part], means[part], scales[part], -128, 127
        return torch_ans.encode_gaussian(*given, num_parallel_states=rows, **options)

    def decode(data: bytes, part: slice, rows: int) -> torch.Tensor:
        given = means[part], scales[part], -128, 127
        return torch_ans.decode_gaussian(data, *given, num_parallel_states=rows, **options)

    check(encode, decode, symbols)
