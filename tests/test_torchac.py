"""torchac's functions: its own bytes where asked for, its checks, and what it cannot do."""

from __future__ import annotations

import os
from typing import Any, Callable, Iterator, List, Tuple

import numpy as np
import pytest
import torch

import torch_ans.compat.torchac as torchac
from helpers import HERE
from torch_ans import CorruptStreamError

Codec = Tuple[Callable[..., bytes], Callable[..., torch.Tensor], List[Any]]
BOTH = ["torch_ans", "torchac"]


def golden() -> Iterator[Tuple[Codec, torch.Tensor, torch.Tensor, bytes]]:
    path = os.path.join(HERE, "golden", "torchac.npz")
    with np.load(path) as file:
        for case in range(int(file["cases"])):
            kind = str(file[f"kind_{case}"])
            codec: Codec = (torchac.encode_float_cdf, torchac.decode_float_cdf, [True])
            if kind == "plain":
                codec = (torchac.encode_float_cdf, torchac.decode_float_cdf, [False])
            elif kind == "int16":
                codec = (
                    torchac.encode_int16_normalized_cdf,
                    torchac.decode_int16_normalized_cdf,
                    [],
                )
            cdf, sym = (torch.from_numpy(file[f"{name}_{case}"]) for name in ("cdf", "sym"))
            yield codec, cdf, sym, file[f"data_{case}"].tobytes()


def test_torchac_bytes_are_written_and_read() -> None:
    count = 0
    for (encode, decode, options), cdf, sym, data in golden():
        assert encode(cdf, sym, *options, format="torchac") == data
        decoded = decode(cdf, data, *options, format="torchac")
        assert decoded.dtype == torch.int16 and decoded.equal(sym)
        coded = encode(cdf, sym, *options)
        decoded = decode(cdf, coded, *options)
        assert decoded.dtype == torch.int16 and decoded.equal(sym)
        assert len(coded) <= len(data) + 16 + len(data) // 100
        count += 1
    assert count == 36


@pytest.mark.parametrize("format", BOTH)
def test_limits_are_lifted(format: str) -> None:
    generator = torch.Generator().manual_seed(0)
    levels = 65535
    cdf = torch.linspace(0, 1, levels + 1).expand(300, -1)
    for dtype in (torch.int32, torch.int64, torch.uint8):
        most = min(levels, torch.iinfo(dtype).max + 1)
        sym = torch.randint(0, most, (300,), generator=generator).to(dtype)
        data = torchac.encode_float_cdf(cdf, sym, format=format)
        decoded = torchac.decode_float_cdf(cdf, data, format=format)
        assert decoded.dtype == torch.int32 and decoded.equal(sym.int())
    for float_dtype in (torch.float64, torch.float16, torch.bfloat16):
        given = torch.rand((400, 30), generator=generator).sort(-1).values.to(float_dtype)
        given[:, 0], given[:, -1] = 0, 1
        sym = torch.randint(0, 29, (400,), generator=generator)
        data = torchac.encode_float_cdf(given, sym, format=format)
        assert torchac.decode_float_cdf(given, data, format=format).long().equal(sym)
    nothing = torchac.encode_float_cdf(torch.zeros(0, 5), torch.zeros(0).short(), format=format)
    assert torchac.decode_float_cdf(torch.zeros(0, 5), nothing, format=format).shape == (0,)


@pytest.mark.parametrize("format", BOTH)
def test_what_is_wrong_raises(format: str) -> None:
    cdf = torch.linspace(0, 1, 6).expand(4, 6)
    sym = torch.tensor([0, 4, 2, 1])
    cases: List[Tuple[Any, str, Tuple[Any, ...]]] = [
        (ValueError, r"sym\[1\] is 5", (cdf, torch.tensor([0, 5, 2, 1]))),
        (ValueError, r"sym\[0\] is -1", (cdf, torch.tensor([-1, 5, 2, 1]))),
        (ValueError, r"sym\[0\] is 6", (cdf, torch.tensor([2**32 + 6, 5, 2, 1]) - 2**32)),
        (ValueError, r"sym\[2\]", (cdf, torch.tensor([0, 0, 2**40, 1]))),
        (ValueError, "shape", (cdf, sym[:3])),
        (ValueError, "shape", (cdf, sym.reshape(2, 2))),
        (ValueError, r"Lp", (cdf[:, :1], sym)),
        (TypeError, "sym", (cdf, sym.float())),
        (TypeError, "cdf_float", (cdf.int(), sym)),
        (ValueError, r"\[0, 1\]", (cdf * 1.5, sym, True, True)),
        (ValueError, r"\[0, 1\]", (cdf - 0.1, sym, True, True)),
        (
            ValueError,
            r"sym\[2\] is 2",
            (torch.tensor([0, 0.2, 0.5, 0.5, 0.9, 1]).expand(4, 6), sym, False),
        ),
    ]
    for error, text, arguments in cases:
        with pytest.raises(error, match=text):
            torchac.encode_float_cdf(*arguments, format=format)
    with pytest.raises(TypeError, match="int16"):
        torchac.encode_int16_normalized_cdf(cdf.int(), sym, format=format)
    with pytest.raises(TypeError, match="byte_stream"):
        torchac.decode_float_cdf(cdf, "text", format=format)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="format"):
        torchac.encode_float_cdf(cdf, sym, format="rans")


@pytest.mark.parametrize("format", BOTH)
def test_any_bytes_decode_to_symbols_of_the_alphabet_or_raise(format: str) -> None:
    rng = np.random.default_rng(0)
    generator = torch.Generator().manual_seed(0)
    good = torch.linspace(0, 1, 31).expand(500, 31)
    wild = torch.rand((500, 31), generator=generator) * 3 - 1
    for length in (0, 1, 3, 4, 50, 1000):
        data = rng.integers(0, 256, length, np.uint8).tobytes()
        for cdf in (good, wild, torch.full((500, 31), float("nan")), torch.zeros(500, 31)):
            for normalize in (True, False):
                try:
                    found = torchac.decode_float_cdf(cdf, data, normalize, format=format)
                except CorruptStreamError:
                    continue
                assert int(found.min()) >= 0 and int(found.max()) < 30


def search(row: np.ndarray, slot: int, leak: int) -> Tuple[int, bool]:
    """The last symbol that starts at or below a slot, by halves, and whether it owns the slot."""
    size = len(row) - 1
    scaled = row * np.float32(65536 - size * leak)
    whole = np.rint(np.clip(np.where(np.isnan(scaled), 0, scaled), 0, 65536)).astype(int)
    edges = (whole + leak * np.arange(size + 1)) & 0xFFFF
    edges[size] = 65536
    low, left = 0, size
    while left > 1:
        half = left // 2
        low += half if slot >= edges[low + half] else 0
        left -= half
    return low, bool(edges[low] <= slot < edges[low + 1])


@pytest.mark.parametrize("leak", [0, 1])
def test_rows_of_any_floats_are_searched_by_halves(leak: int) -> None:
    rng = np.random.default_rng(leak)
    for size in (1, 2, 3, 4, 5, 8, 11, 31, 32, 33, 62, 63, 64, 65, 66, 200):
        for kind in range(12):
            row = np.sort(rng.random(size + 1, np.float32))
            row[0] = 0
            if kind % 3 == 1:
                row[size // 2 :] = 1  # edges of 2^16 count as 0
            if kind % 3 == 2:
                special = np.array([np.nan, -np.nan, np.inf, -np.inf, -1, 2], np.float32)
                chosen = rng.random(size + 1) < 0.2
                row[chosen] = rng.choice(special, chosen.sum())
            slot = int(rng.integers(65536))
            symbol, owned = search(row, slot, leak)
            cdf = torch.from_numpy(row)[None]
            data = bytes([slot >> 8, slot & 255, 0, 0])  # the first slot is what they begin with
            try:
                found = torchac.decode_float_cdf(cdf, data, bool(leak), format="torchac")
            except CorruptStreamError:
                assert not owned, (size, kind, slot)
            else:
                assert owned and found.tolist() == [symbol], (size, kind, slot)


def test_long_runs_of_pending_bits() -> None:
    """Symbols that keep the interval around its middle, so that bits stay open for long."""
    cdf = torch.tensor([0, 32767, 32769, 0]).short().expand(3000, 4)
    sym = torch.ones(3000).short()
    sym[-1] = 2
    data = torchac.encode_int16_normalized_cdf(cdf, sym, format="torchac")
    assert torchac.decode_int16_normalized_cdf(cdf, data, format="torchac").equal(sym)
