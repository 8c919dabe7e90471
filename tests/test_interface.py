"""TorchANSInterface: any shape in, the same out; its options; its bytes against the oracle."""

from __future__ import annotations

import copy
import math
import pickle
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import pytest
import torch

import reference
import torch_ans
import torch_ans.utils
from helpers import VARIANT_IDS, VARIANTS, Tables, make_symbols, make_tables, max_precision, suffix
from torch_ans import CorruptStreamError, TorchANSInterface


def coder_with(tables: Tables, **options: Any) -> TorchANSInterface:
    options.setdefault("freq_precision", tables.precision)
    options.setdefault("bypass_coding", tables.bypass)
    options.setdefault("bypass_precision", tables.bypass_precision)
    coder = TorchANSInterface(**options)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    return coder


def packed(
    family: str,
    lanes: int,
    tables: Tables,
    symbols: torch.Tensor,
    indexes: torch.Tensor,
    rows: Optional[int],
    length_bytes: int = 4,
    alias: bool = False,
) -> bytes:
    """The interface's bytes, by the oracle: flat, cut into rows of one nominal length."""
    count = rows or 1
    length = -(-symbols.numel() // count)
    flat, chosen = symbols.reshape(-1).tolist(), indexes.reshape(-1).tolist()
    cut = [
        (flat[r * length : (r + 1) * length], chosen[r * length : (r + 1) * length])
        for r in range(count)
    ]
    pushes = [([s for s, _ in cut], [i for _, i in cut])]
    out = b""
    for r, row in enumerate(
        reference.encode_rows(family, lanes, tables.oracle(alias), pushes, [length])
    ):
        bare = rows is not None and r == count - 1
        out += row if bare else len(row).to_bytes(length_bytes, "little") + row
    return out


SHAPES: List[Tuple[int, ...]] = [
    (60,),
    (3, 20),
    (2, 3, 5, 7),
    (1, 1),
    (0,),
    (2, 0, 3),
    (),
    (97,),
    (31,),
]


@pytest.mark.parametrize("rows", [None, 1, 2, 3, 8, 50])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_any_shape_in_the_same_shape_out(shape: Tuple[int, ...], rows: Optional[int]) -> None:
    tables = make_tables(1, [5, 60, 2], 12)
    symbols, indexes = make_symbols(1, shape, tables)
    for lanes in (1, 8):
        coder = coder_with(tables, num_parallel_states=rows, num_interleaves=lanes)
        data = coder.encode_with_indexes(symbols, indexes)
        assert isinstance(data, bytes)
        assert data == packed("rans64", lanes, tables, symbols, indexes, rows)
        decoded = coder.decode_with_indexes(data, indexes)
        assert decoded.shape == shape and decoded.dtype == torch.int32
        assert torch.equal(decoded, symbols)


@pytest.mark.parametrize("alias", [False, True], ids=["plain", "alias"])
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_short_rows_of_every_variant(family: str, lanes: int, alias: bool) -> None:
    """Where the rows do not divide the symbols the last are short: torch-ans pads, and skips."""
    for total, rows in ((7, 3), (100, 7), (129, 4), (33, 32), (5, 4), (6, 4), (65, 2)):
        tables = make_tables(total, [5, 60, 3], 11)
        symbols, indexes = make_symbols(total, (total,), tables)
        coder = coder_with(
            tables,
            impl=family,
            num_interleaves=lanes,
            num_parallel_states=rows,
            alias_sampling=alias,
        )
        data = coder.encode_with_indexes(symbols, indexes)
        assert data == packed(family, lanes, tables, symbols, indexes, rows, alias=alias)
        assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)


def test_impl_names() -> None:
    tables = make_tables(1, [5, 60, 2], 12)
    symbols, indexes = make_symbols(1, (70,), tables)
    for family, lanes in VARIANTS:
        for lookup, options in (("", {}), ("_alias", {"alias_sampling": True}), ("_invcdf", {})):
            expected = coder_with(tables, impl=family, num_interleaves=lanes, **options)
            names = {family + lookup + suffix(lanes), family + suffix(lanes) + lookup}
            data = expected.encode_with_indexes(symbols, indexes)
            for name in names:
                coder = coder_with(tables, impl=name)
                assert coder.encode_with_indexes(symbols, indexes) == data, name
                assert torch.equal(coder.decode_with_indexes(data, indexes), symbols), name


@pytest.mark.parametrize(
    "options",
    [
        {"impl": "rans65"},
        {"impl": "tans64"},
        {"impl": ""},
        {"impl": "rans64_i3"},
        {"impl": "rans64_i4_i8"},
        {"impl": "rans64_nonsense"},
        {"impl": "rans64_alias_invcdf"},
        {"impl": "rans64_i4", "num_interleaves": 8},
        {"num_interleaves": 3},
        {"num_interleaves": 0},
        {"num_interleaves": 64},
        {"freq_precision": 0},
        {"freq_precision": -3},
        {"bypass_precision": 0},
        {"bypass_precision": 33},
        {"num_parallel_states": 0},
        {"num_parallel_states": -1},
        {"num_bytes_code_length": 3},
        {"num_bytes_code_length": 0},
        {"inverse_cdf_precision": 17},
        {"inverse_cdf_precision": -1},
        {"inverse_cdf_precision": "best"},
        {"alias_sampling": True, "inverse_cdf_precision": 8},
        {"mode": "both"},
        {"dtype": torch.float32},
        {"device": "nonsense"},
    ],
    ids=str,
)
def test_unknown_options_are_refused_with_what_exists(options: Dict[str, Any]) -> None:
    with pytest.raises((ValueError, TypeError, RuntimeError)) as caught:
        TorchANSInterface(**options)
    assert len(str(caught.value)) > 20
    if "impl" in options and "num_interleaves" not in options:
        assert "rans32_16" in str(caught.value)


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="no_such_option"):
        TorchANSInterface(no_such_option=1)


def test_freq_precision_above_the_maximum_is_clamped() -> None:
    for family in reference.FAMILIES:
        assert TorchANSInterface(family, freq_precision=31).freq_precision == max_precision(family)
        assert TorchANSInterface(family).freq_precision == max_precision(family)


def test_coding_without_tables_says_so() -> None:
    index = torch.zeros(3, dtype=torch.int32)
    with pytest.raises((RuntimeError, ValueError), match="init_params"):
        TorchANSInterface().encode_with_indexes(index, index)
    with pytest.raises((RuntimeError, ValueError), match="init_params"):
        TorchANSInterface().decode_with_indexes(b"\x00" * 16, index)


@pytest.mark.parametrize("length_bytes", [1, 2, 4, 8])
@pytest.mark.parametrize("rows", [None, 1, 5])
def test_code_length_bytes(rows: Optional[int], length_bytes: int) -> None:
    tables = make_tables(1, [5, 60], 12)
    symbols, indexes = make_symbols(1, (100,), tables)
    coder = coder_with(tables, num_parallel_states=rows, num_bytes_code_length=length_bytes)
    data = coder.encode_with_indexes(symbols, indexes)
    assert data == packed("rans64", 1, tables, symbols, indexes, rows, length_bytes)
    assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)


def test_a_row_too_long_for_its_length_bytes_is_an_error() -> None:
    tables = make_tables(1, [60], 12)
    symbols, indexes = make_symbols(1, (3000,), tables)
    coder = coder_with(tables, num_bytes_code_length=1)
    with pytest.raises(ValueError, match="length"):
        coder.encode_with_indexes(symbols, indexes)


def test_indexes_broadcast_like_symbols() -> None:
    tables = make_tables(1, [5, 60, 9], 12)
    symbols, _ = make_symbols(1, (2, 3, 4, 5), tables)
    channel = torch.arange(3, dtype=torch.int32).view(1, 3, 1, 1).expand(2, 3, 4, 5)
    for rows in (None, 2, 7):
        coder = coder_with(tables, num_parallel_states=rows, num_interleaves=4)
        data = coder.encode_with_indexes(symbols, channel)
        assert data == packed("rans64", 4, tables, symbols, channel.contiguous(), rows)
        assert torch.equal(coder.decode_with_indexes(data, channel), symbols)


def test_non_contiguous_symbols_and_other_dtypes() -> None:
    tables = make_tables(1, [100, 60], 12).with_bypass(False)
    tables.offsets.zero_()
    symbols, indexes = make_symbols(1, (6, 4, 10), tables)
    coder = coder_with(tables, num_parallel_states=3)
    data = coder.encode_with_indexes(symbols, indexes)
    for dtype in (torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64):
        permuted = symbols.to(dtype).permute(2, 0, 1).contiguous().permute(1, 2, 0)
        assert not permuted.is_contiguous()
        assert coder.encode_with_indexes(permuted, indexes.to(torch.uint8)) == data
        typed = coder_with(tables, num_parallel_states=3, dtype=dtype)
        decoded = typed.decode_with_indexes(data, indexes)
        assert decoded.dtype == dtype and torch.equal(decoded.to(torch.int32), symbols)


def test_int64_extremes_with_an_int64_interface() -> None:
    tables = make_tables(1, [100, 60], 12)
    symbols = torch.tensor([-(2**63), 2**63 - 1, -(2**31), 2**31, 0, -1] * 7)
    indexes = torch.arange(42) % 2
    coder = coder_with(tables, num_parallel_states=4, dtype=torch.int64)
    data = coder.encode_with_indexes(symbols, indexes)
    assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)
    with pytest.raises(CorruptStreamError):
        coder_with(tables, num_parallel_states=4).decode_with_indexes(data, indexes)


# --- caching, streams --------------------------------------------------------------


@pytest.mark.parametrize("rows", [None, 1, 4])
def test_cached_calls_and_flush(rows: Optional[int]) -> None:
    tables = make_tables(1, [5, 60, 2], 12)
    coder = coder_with(tables, num_parallel_states=rows, num_interleaves=2)
    assert coder.flush() == b""
    # rows None: torch-ans takes as many rows as the last cached tensor has, so they share a size
    parts = [make_symbols(n, (4, 8 + n), tables) for n in range(4)]
    for symbols, indexes in parts:
        assert coder.encode_with_indexes(symbols, indexes, cache=True) is None
    data = coder.flush()
    assert coder.flush() == b""
    coder.set_stream(data)
    for symbols, indexes in parts:
        assert torch.equal(coder.decode_stream(indexes), symbols)
    with pytest.raises(CorruptStreamError):
        coder.decode_stream(parts[0][1].repeat(1, 50))


def test_caching_keeps_the_tables_of_the_call() -> None:
    tables, later = make_tables(1, [5, 60, 2], 12), make_tables(2, [5, 60, 2], 12)
    coder = coder_with(tables, num_parallel_states=2)
    symbols, indexes = make_symbols(1, (40,), tables)
    expected = coder.encode_with_indexes(symbols, indexes)
    coder.encode_with_indexes(symbols, indexes, cache=True)
    coder.set_cdfs(later.cdfs, later.sizes, later.offsets)
    assert coder.flush() == expected


def test_reset_cache_and_encode_decode_streams() -> None:
    tables = make_tables(1, [5, 60, 2], 12)
    coder = coder_with(tables, num_parallel_states=2)
    symbols, indexes = make_symbols(1, (40,), tables)
    coder.encode_with_indexes(symbols, indexes, cache=True)
    coder.reset_cache()
    assert coder.flush() == b""
    stream = coder.encode(symbols, dist_indexes=indexes)
    assert isinstance(stream, torch.Tensor) and stream.dtype == torch.int32 and len(stream) == 2
    merged = torch_ans.utils.merge_bytes(torch_ans.rans_stream_to_byte_strings(stream), 4, 2)
    assert merged == coder.encode_with_indexes(symbols, indexes)
    assert torch.equal(coder.decode(stream, dist_indexes=indexes), symbols)


def test_decode_with_indexes_checks_that_nothing_is_left() -> None:
    tables = make_tables(1, [50, 60], 12)
    coder = coder_with(tables, num_parallel_states=2)
    symbols, indexes = make_symbols(1, (40,), tables)
    data = coder.encode_with_indexes(symbols, indexes)
    with pytest.raises(CorruptStreamError) as caught:
        coder.decode_with_indexes(data, indexes[:38])
    assert caught.value.rows == [0, 1]
    coder.set_stream(data)  # a stream may be read in pieces: no end to check
    coder.decode_stream(indexes[:38])


# --- one table, frequencies --------------------------------------------------------


def test_one_table_for_all_symbols() -> None:
    tables = make_tables(1, [70], 12)
    symbols, indexes = make_symbols(1, (5, 9), tables)
    for rows in (None, 3):
        coder = coder_with(tables, num_parallel_states=rows)
        data = coder.encode_symbols(symbols)
        assert data == coder.encode_with_indexes(symbols, indexes)
        assert torch.equal(coder.decode_symbols(data, symbols.shape), symbols)


def random_freqs(
    seed: int, tables: int, width: int
) -> Tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Frequencies, the number of each row that count (the rest zero), and offsets."""
    rng = np.random.default_rng(seed)
    freqs = rng.integers(1, 1000, (tables, width)).astype(np.float32)
    numbers = rng.integers(1, width + 1, tables)
    numbers[0] = width
    freqs[np.arange(width) >= numbers[:, None]] = 0
    offsets = rng.integers(-9, 9, tables)
    return torch.from_numpy(freqs), torch.from_numpy(numbers), torch.from_numpy(offsets)


@pytest.mark.parametrize("bypass", [False, True])
@pytest.mark.parametrize("family", sorted(reference.FAMILIES))
def test_init_params_quantises_each_row_over_its_own_symbols(family: str, bypass: bool) -> None:
    freqs, numbers, offsets = random_freqs(3, 6, 20)
    coder = TorchANSInterface(family, bypass_coding=bypass)
    coder.init_params(freqs, numbers, offsets)
    precision = max_precision(family)
    tail = torch.full((6, 1), 1e-10) if bypass else torch.zeros(6, 0)
    total = torch.cat([freqs, tail], 1).sum(-1)
    for k, n in enumerate(numbers.tolist()):
        row = torch.cat([freqs[k, :n], tail[k]]) / total[k]
        cdf = reference.quantize_pmf(row.tolist(), precision)
        assert coder.cdfs_sizes[k] == len(cdf)
        assert coder.cdfs[k, : len(cdf)].tolist() == cdf
    indexes = torch.arange(60) % 6
    symbols = offsets[indexes]
    data = coder.encode_with_indexes(symbols, indexes)
    assert torch.equal(coder.decode_with_indexes(data, indexes), symbols.to(torch.int32))


@pytest.mark.parametrize("lanes", [1, 4])
@pytest.mark.parametrize("rows", [None, 1, 4])
def test_a_distribution_for_each_symbol(rows: Optional[int], lanes: int) -> None:
    freqs, numbers, offsets = random_freqs(5, 30, 12)
    rng = np.random.default_rng(0)
    symbols = torch.from_numpy(rng.integers(0, numbers.numpy())) + offsets
    symbols[4] = 1000  # escapes
    shaped = [t.reshape(5, 6, *t.shape[1:]) for t in (symbols, freqs, numbers, offsets)]
    coder = TorchANSInterface(num_parallel_states=rows, num_interleaves=lanes)
    data = coder.encode_with_freqs(*shaped)
    decoded = coder.decode_with_freqs(data, *shaped[1:])
    assert decoded.shape == (5, 6) and torch.equal(decoded, shaped[0].to(torch.int32))
    tabled = TorchANSInterface(num_parallel_states=rows, num_interleaves=lanes)
    tabled.init_params(freqs, numbers, offsets)
    assert tabled.encode_with_indexes(shaped[0], torch.arange(30).reshape(5, 6)) == data


def test_freqs_decode_in_pieces() -> None:
    freqs, numbers, offsets = random_freqs(5, 30, 12)
    symbols = offsets.clone()
    coder = TorchANSInterface(num_parallel_states=2)
    for part in (slice(0, 12), slice(12, 30)):
        coder.encode_with_freqs(
            symbols[part], freqs[part], numbers[part], offsets[part], cache=True
        )
    coder.set_stream(coder.flush())
    for part in (slice(0, 12), slice(12, 30)):
        decoded = coder.decode_stream_with_freqs(freqs[part], numbers[part], offsets[part])
        assert torch.equal(decoded, symbols[part].to(torch.int32))


# --- estimates ---------------------------------------------------------------------


@pytest.mark.parametrize("bypass", [False, True])
def test_estimate_bits(bypass: bool) -> None:
    tables = make_tables(1, [5, 60, 300], 14, bypass)
    symbols, indexes = make_symbols(1, (20, 50), tables)
    coder = coder_with(tables)
    bits = torch.as_tensor(coder.estimate_bits(symbols, indexes), dtype=torch.float64).sum().item()
    expected = 0.0
    oracle = tables.oracle()
    for s, k in zip(symbols.reshape(-1).tolist(), indexes.reshape(-1).tolist()):
        interval, raw = reference.escape(s, oracle[k])
        expected += 14 - math.log2(oracle[k].interval(interval)[1])
        expected += 0 if raw is None else 4 * len(reference.digits_of(raw, 4))
    assert bits == pytest.approx(expected, rel=1e-6)
    size = 8 * len(coder.encode_with_indexes(symbols, indexes))
    assert bits <= size <= bits * 1.001 + 64 + 32 + 32


def test_estimate_bits_refuses_what_cannot_be_coded() -> None:
    tables = make_tables(1, [5, 60], 14, False)
    symbols, indexes = make_symbols(1, (50,), tables)
    coder = coder_with(tables)
    with pytest.raises(IndexError):
        coder.estimate_bits(symbols, indexes + 2)
    with pytest.raises(ValueError):
        coder.estimate_bits(symbols + 1000, indexes)


# --- housekeeping ------------------------------------------------------------------


def test_two_interfaces_exchange_bytes_and_do_not_share_state() -> None:
    first, second = (make_tables(n, [5, 60], 12) for n in (1, 2))
    a, b = coder_with(first, num_parallel_states=3), coder_with(second, num_parallel_states=3)
    symbols, indexes = make_symbols(1, (50,), first)
    data = a.encode_with_indexes(symbols, indexes)
    b.encode_with_indexes(symbols, indexes)
    assert torch.equal(
        coder_with(first, num_parallel_states=3).decode_with_indexes(data, indexes), symbols
    )
    a.set_cdfs(second.cdfs, second.sizes, second.offsets)
    assert a.encode_with_indexes(symbols, indexes) == b.encode_with_indexes(symbols, indexes)


def test_an_interface_can_be_copied_and_pickled() -> None:
    tables = make_tables(1, [5, 60], 12)
    symbols, indexes = make_symbols(1, (50,), tables)
    coder = coder_with(tables, num_parallel_states=3, num_interleaves=4)
    data = coder.encode_with_indexes(symbols, indexes)
    for other in (copy.deepcopy(coder), pickle.loads(pickle.dumps(coder))):
        assert other.encode_with_indexes(symbols, indexes) == data
        assert torch.equal(other.decode_with_indexes(data, indexes), symbols)


def test_grad_and_inference_mode_do_not_matter() -> None:
    freqs, numbers, offsets = random_freqs(5, 3, 12)
    freqs.requires_grad_(True)
    coder = TorchANSInterface()
    coder.init_params(freqs, numbers, offsets)
    with torch.inference_mode():
        indexes = torch.arange(30) % 3
        data = coder.encode_with_indexes(offsets[indexes], indexes)
        assert torch.equal(
            coder.decode_with_indexes(data, indexes), offsets[indexes].to(torch.int32)
        )


@pytest.mark.skipif(not hasattr(torch, "set_default_device"), reason="came with torch 2.0")
def test_the_default_device_of_torch_does_not_matter() -> None:
    """Work without a device goes to host memory: here one that computes nothing would show."""
    freqs, numbers, offsets = random_freqs(5, 3, 12)
    indexes = torch.arange(600, device="cpu") % 3
    symbols = offsets[indexes]
    results = []
    for device in ("cpu", "meta"):
        torch.set_default_device(device)
        try:
            coder = TorchANSInterface(num_parallel_states=8)
            coder.init_params(freqs, numbers, offsets)
            data = coder.encode_with_indexes(symbols, indexes)
            fit = torch_ans.fit_markov_tables(symbols, 3)
            stream = torch_ans.rans64_init_stream(1)
            torch_ans.rans64_push(stream, symbols[None], None, fit.cdfs[:1], None, fit.offsets[:1])
            coder.set_stream(data)
            results.append(
                [
                    coder.decode_with_indexes(data, indexes),
                    coder.decode_stream(indexes),
                    coder.unpack(coder.pack(symbols, indexes), indexes, errors="salvage").symbols,
                    coder.estimate_bits(symbols, indexes),
                    torch_ans.rans_pmf_to_quantized_cdf(freqs),
                    torch_ans.rans_build_inverse_cdf(coder.cdfs[0, : int(coder.cdfs_sizes[0])]),
                    torch_ans.pmf_to_quantized_cdf_batched(freqs),
                    torch_ans.decode_pmf(torch_ans.encode_pmf(symbols[:3] * 0, freqs), freqs),
                    *torch_ans.rans_alias_build_table(coder.cdfs, coder.cdfs_sizes),
                    fit.ar_tables,
                    stream,
                ]
            )
        finally:
            torch.set_default_device("cpu")
    for here, there in zip(*results):
        assert there.device.type == "cpu" and torch.equal(here, there)


def test_a_size_may_be_any_integer() -> None:
    coder = TorchANSInterface()
    coder.init_params(torch.ones(1, 4))
    symbols = torch.tensor([[3, 1, 0], [2, 2, 1]])
    data = coder.encode_symbols(symbols)
    for size in (6, np.int64(6), torch.tensor(6), [6]):
        assert torch.equal(coder.decode_symbols(data, size).long(), symbols.flatten())
    for shape in ((2, 3), np.array([2, 3]), torch.tensor([2, 3]), symbols.shape):
        assert torch.equal(coder.decode_symbols(data, shape).long(), symbols)
