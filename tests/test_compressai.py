"""torch_ans.compat.compressai without compressai: golden bytes, kinds of arguments, bad input."""

from __future__ import annotations

import threading
from typing import Any, List, Tuple

import numpy as np
import pytest
import torch

import reference
from helpers import INT64_EXTREMES, make_symbols, make_tables
from test_golden import COMPRESSAI
from torch_ans import CodingTables, CorruptStreamError
from torch_ans.compat.compressai import (
    BufferedRansEncoder,
    RansDecoder,
    RansEncoder,
    install,
    pmf_to_quantized_cdf,
)

Lists = Tuple[List[List[int]], List[int], List[int]]


def lists_of(cdfs: torch.Tensor, sizes: torch.Tensor, offsets: torch.Tensor) -> Lists:
    rows = [row[:size].tolist() for row, size in zip(cdfs, sizes.tolist())]
    return rows, sizes.tolist(), offsets.tolist()


def golden(stem: str) -> List[torch.Tensor]:
    return [COMPRESSAI.tensor(stem + key) for key in ("cdfs", "sizes", "offsets")]


class Example:
    """Symbols with escapes, their tables in every form, and the oracle's bytes."""

    def __init__(self, seed: int = 1, size: int = 90) -> None:
        self.tables = make_tables(seed, [2, 9, 300], 16)
        symbols, indexes = make_symbols(seed, (size,), self.tables)
        self.symbols, self.indexes = symbols, indexes
        tensors = (self.tables.cdfs, self.tables.sizes, self.tables.offsets)
        self.lists = lists_of(*tensors)
        padded = ([row.tolist() for row in self.tables.cdfs], *self.lists[1:])
        arrays = tuple(tensor.numpy() for tensor in tensors)
        self.forms: List[Tuple[Any, ...]] = [
            self.lists,
            tuple(
                tuple(map(tuple, value)) if value is self.lists[0] else tuple(value)
                for value in self.lists
            ),
            padded,
            arrays,
            tensors,
            (arrays[0], self.lists[1], tensors[2]),
            (list(arrays[0]), list(arrays[1]), list(arrays[2])),
            (CodingTables(*tensors),),
        ]
        oracle = self.tables.oracle()
        self.data = reference.compressai_bytes(symbols.tolist(), [oracle[k] for k in indexes])


EXAMPLE = Example()
LISTS = (EXAMPLE.symbols.tolist(), EXAMPLE.indexes.tolist())


@pytest.mark.parametrize("case", COMPRESSAI.manifest["streams"], ids=lambda case: case["stem"])
def test_golden_bytes(case: Any) -> None:
    data, tables = COMPRESSAI.data(case["stem"] + "bytes"), lists_of(*golden("tables/"))
    symbols = COMPRESSAI.tensor(case["stem"] + "symbols").tolist()
    indexes = COMPRESSAI.tensor(case["stem"] + "indexes").tolist()
    assert RansEncoder().encode_with_indexes(symbols, indexes, *tables) == data
    assert RansDecoder().decode_with_indexes(data, indexes, *tables) == symbols


@pytest.mark.parametrize("case", COMPRESSAI.manifest["buffered"], ids=lambda case: case["bytes"])
def test_golden_bytes_of_the_buffered_encoder(case: Any) -> None:
    encoder, decoder = BufferedRansEncoder(), RansDecoder()
    data = COMPRESSAI.data(case["bytes"])
    decoder.set_stream(data)
    for stem in case["calls"]:
        symbols, indexes = (COMPRESSAI.tensor(stem + k) for k in ("symbols", "indexes"))
        tables = lists_of(*golden(stem))
        assert decoder.decode_stream(indexes.tolist(), *tables) == symbols.tolist()
        encoder.encode_with_indexes(symbols.tolist(), indexes.tolist(), *tables)
    for _ in range(2):
        assert encoder.flush() == data
        assert encoder.flush() == (2**31).to_bytes(8, "little")  # it is empty
        for stem in case["calls"]:
            arrays = [COMPRESSAI.tensor(stem + k) for k in ("symbols", "indexes")]
            encoder.encode_with_indexes(*arrays, *golden(stem))
            arrays[0].zero_()  # it was copied


@pytest.mark.parametrize("case", COMPRESSAI.manifest["quantize"], ids=lambda case: case["pmf"])
def test_golden_cdfs(case: Any) -> None:
    pmf, cdf = COMPRESSAI.arrays[case["pmf"]], COMPRESSAI.arrays[case["cdf"]].tolist()
    assert pmf_to_quantized_cdf(pmf.tolist(), case["precision"]) == cdf
    array = pmf_to_quantized_cdf(pmf, case["precision"])
    assert isinstance(array, np.ndarray) and array.tolist() == cdf


@pytest.mark.parametrize("form", range(len(EXAMPLE.forms)))
def test_every_kind_of_argument(form: int) -> None:
    tables = EXAMPLE.forms[form]
    encoder, decoder = RansEncoder(), RansDecoder()
    wide = torch.zeros(90, 2, dtype=torch.int64)
    wide[:, 1] = EXAMPLE.symbols
    strided = np.zeros((90, 3), np.int64)
    strided[:, 0] = EXAMPLE.indexes
    pairs: List[Tuple[Any, Any]] = [
        LISTS,
        (EXAMPLE.symbols, EXAMPLE.indexes),
        (EXAMPLE.symbols.numpy(), EXAMPLE.indexes.numpy()),
        (EXAMPLE.symbols.reshape(9, 10), EXAMPLE.indexes.reshape(3, 5, 6)),
        (wide[:, 1], strided[:, 0]),
        (tuple(LISTS[0]), EXAMPLE.indexes.to(torch.uint8)),
        (EXAMPLE.symbols.numpy().astype(">i8"), EXAMPLE.indexes.numpy().astype(np.uint16)),
        (list(EXAMPLE.symbols.numpy()), memoryview(EXAMPLE.indexes.numpy())),
    ]
    for symbols, indexes in pairs:
        for _ in range(2):  # the second time the tables are known
            assert encoder.encode_with_indexes(symbols, indexes, *tables) == EXAMPLE.data
        found = decoder.decode_with_indexes(EXAMPLE.data, indexes, *tables)
        kind = type(indexes) if isinstance(indexes, (np.ndarray, torch.Tensor)) else list
        assert type(found) is kind
        assert torch.as_tensor(found).reshape(-1).tolist() == LISTS[0]
        if kind is not list:
            assert found.shape == indexes.shape and "int32" in str(found.dtype)


def test_tables_may_change_between_calls() -> None:
    encoder = RansEncoder()
    rows: Lists = ([[0, 40000, 65535, 65536]], [4], [0])
    first = encoder.encode_with_indexes([0, 1, 1], [0, 0, 0], *rows)
    rows[0][0][1] = 100
    second = encoder.encode_with_indexes([0, 1, 1], [0, 0, 0], *rows)
    fresh = encoder.encode_with_indexes([0, 1, 1], [0, 0, 0], [[0, 100, 65535, 65536]], [4], [0])
    assert first != second == fresh
    arrays = [np.array(value) for value in rows]
    assert encoder.encode_with_indexes([0, 1, 1], [0, 0, 0], *arrays) == second
    arrays[0][0, 1] = 40000
    assert encoder.encode_with_indexes([0, 1, 1], [0, 0, 0], *arrays) == first
    tensors = [torch.tensor(value) for value in rows]
    assert encoder.encode_with_indexes([0, 1, 1], [0, 0, 0], *tensors) == second
    tensors[0][0, 1] = 40000
    assert encoder.encode_with_indexes([0, 1, 1], [0, 0, 0], *tensors) == first


def test_all_64_bit_symbols() -> None:
    indexes = [0] * len(INT64_EXTREMES)
    data = RansEncoder().encode_with_indexes(INT64_EXTREMES, indexes, *EXAMPLE.lists)
    assert RansDecoder().decode_with_indexes(data, indexes, *EXAMPLE.lists) == INT64_EXTREMES
    with pytest.raises(CorruptStreamError):  # they do not fit int32
        RansDecoder().decode_with_indexes(data, torch.zeros(10, dtype=torch.int32), *EXAMPLE.lists)


def test_no_symbols() -> None:
    data = RansEncoder().encode_with_indexes([], [], *EXAMPLE.lists)
    assert len(data) == 8
    assert RansDecoder().decode_with_indexes(data, [], *EXAMPLE.lists) == []
    empty = torch.zeros(3, 0, dtype=torch.int32)
    assert RansEncoder().encode_with_indexes(empty, empty, *EXAMPLE.lists) == data
    assert RansDecoder().decode_with_indexes(data, empty, *EXAMPLE.lists).shape == (3, 0)


@pytest.mark.parametrize("cut", [0, 1, 3, 4, 7, 8, 9, 12, 40, -4, -1])
def test_cut_streams_raise(cut: int) -> None:
    data = EXAMPLE.data[:cut]
    for indexes in (LISTS[1], EXAMPLE.indexes, EXAMPLE.indexes.numpy()):
        with pytest.raises(CorruptStreamError):
            RansDecoder().decode_with_indexes(data, indexes, *EXAMPLE.lists)


def test_random_streams_raise_or_decode() -> None:
    rng = np.random.default_rng(3)
    for size in range(0, 200):
        data = rng.bytes(size)
        try:
            found = RansDecoder().decode_with_indexes(data, LISTS[1], *EXAMPLE.lists)
            assert len(found) == len(LISTS[1])
        except CorruptStreamError:
            pass


def test_a_failed_decode_leaves_the_stream() -> None:
    decoder = RansDecoder()
    with pytest.raises(RuntimeError, match="set_stream"):
        decoder.decode_stream([0], *EXAMPLE.lists)
    decoder.set_stream(bytearray(EXAMPLE.data))
    with pytest.raises(IndexError, match=r"indexes\[1\] is 3"):
        decoder.decode_stream([0, 3], *EXAMPLE.lists)
    with pytest.raises(CorruptStreamError):
        decoder.decode_stream([*LISTS[1], *[0] * 500], *EXAMPLE.lists)
    assert decoder.decode_stream(LISTS[1], *EXAMPLE.lists) == LISTS[0]


def test_a_failed_flush_leaves_the_encoder() -> None:
    encoder = BufferedRansEncoder()
    encoder.encode_with_indexes(*LISTS, *EXAMPLE.lists)
    encoder.encode_with_indexes([1, 2], [0, 7], *EXAMPLE.lists)
    for _ in range(2):
        with pytest.raises(IndexError, match=r"indexes\[1\] is 7"):
            encoder.flush()


class Evil:
    """An integer that empties its list when it is read."""

    def __init__(self, lists: List[Any]) -> None:
        self.lists = lists

    def __index__(self) -> int:
        self.lists.clear()
        return 1


BAD_CALLS: List[Tuple[Tuple[Any, ...], Any, str]] = [
    (([1], [0, 0], *EXAMPLE.lists), ValueError, "indexes must have one element for each of the 1"),
    (([1], torch.zeros(2, dtype=torch.int32), *EXAMPLE.lists), ValueError, "for each of the 1"),
    (([1.5], [0], *EXAMPLE.lists), TypeError, r"symbols\[0\] must be an int, got float"),
    ((["1"], [0], *EXAMPLE.lists), TypeError, r"symbols\[0\] must be an int, got str"),
    (([2**63], [0], *EXAMPLE.lists), ValueError, r"symbols\[0\] does not fit 64 bits"),
    (([1], [3], *EXAMPLE.lists), IndexError, r"indexes\[0\] is 3"),
    (([1], [-1], *EXAMPLE.lists), IndexError, r"indexes\[0\] is -1"),
    ((3, [0], *EXAMPLE.lists), TypeError, "symbols must be a list"),
    (([1], None, *EXAMPLE.lists), (TypeError, ValueError), "indexes m"),
    ((np.ones(1), [0], *EXAMPLE.lists), TypeError, r"symbols\[0\] must be an int"),
    ((torch.ones(1), [0], *EXAMPLE.lists), TypeError, "symbols must have an integer dtype"),
    (([1], [0], EXAMPLE.lists[0]), TypeError, "may be left out only where cdfs are CodingTables"),
    (([1], [0], [[0, 65536]], [2, 2], [0]), ValueError, "cdfs_sizes must have one entry"),
    (([1], [0], [[0, 65536]], [2], []), ValueError, "offsets must have one entry"),
    (([1], [0], [[0, 65536]], [3], [0]), ValueError, "cdfs_sizes must be in 2..2"),
    (([1], [0], [[0, 65536]], [-1], [0]), ValueError, "cdfs_sizes must be in 2..2"),
    (([1], [0], [[0, 7]], [2], [0]), ValueError, r"cdfs\[0, 1\] must be 2\*\*freq_precision"),
    (([1], [0], [[0, 9, 9, 65536]], [4], [0]), ValueError, r"cdfs\[0, 2\] must be above"),
    (([1], [0], [[0, 2**40]], [2], [0]), ValueError, r"cdfs\[0\]\[1\] does not fit int32"),
    (([1], [0], [[0, 1.5]], [2], [0]), TypeError, r"cdfs\[0\]\[1\] must be an int"),
    (([1], [0], [7], [2], [0]), TypeError, r"cdfs\[0\] must be a list"),
    (([1], [0], [], [], []), ValueError, "table"),
    (
        ([1], [0], CodingTables(torch.tensor([0, 16]), freq_precision=4)),
        ValueError,
        "freq_precision=16",
    ),
    (([1], [0], EXAMPLE.forms[-1][0], [1], None), ValueError, "must be None"),
]


@pytest.mark.parametrize("call", range(len(BAD_CALLS)))
def test_bad_arguments_raise(call: int) -> None:
    arguments, error, message = BAD_CALLS[call]
    with pytest.raises(error, match=message):
        RansEncoder().encode_with_indexes(*arguments)
    with pytest.raises(error, match=message):
        encoder = BufferedRansEncoder()
        encoder.encode_with_indexes(*arguments)
        encoder.flush()


def test_lists_that_change_while_they_are_read() -> None:
    symbols: List[Any] = []
    symbols += [Evil(symbols), 1, 2, 3]
    with pytest.raises(ValueError, match="for each of the 1 symbols"):
        RansEncoder().encode_with_indexes(symbols, [0] * 4, *EXAMPLE.lists)
    rows: List[Any] = []
    rows += [[0, Evil(rows), 65536], [0, 1, 65536]]
    with pytest.raises(ValueError, match="changed its size"):
        RansEncoder().encode_with_indexes([0], [0], rows, [3, 3], [0, 0])
    row: List[Any] = [0]
    row += [Evil(row), 65536]
    with pytest.raises(ValueError, match="changed its size"):
        RansEncoder().encode_with_indexes([0], [0], [row], [3], [0])


@pytest.mark.parametrize("data", ["text", 3, None, [1, 2]])
def test_data_must_be_bytes(data: Any) -> None:
    with pytest.raises(TypeError, match="encoded must be bytes-like"):
        RansDecoder().decode_with_indexes(data, [0], *EXAMPLE.lists)
    with pytest.raises(TypeError, match="encoded must be bytes-like"):
        RansDecoder().set_stream(data)


@pytest.mark.parametrize(
    "pmf", [[], [-1.0, 2.0], [float("nan")], [0.0, 0.0], [[0.5, 0.5]], ["a"], None]
)
def test_bad_probabilities_raise(pmf: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        pmf_to_quantized_cdf(pmf, 16)


def test_threads_share_a_decoder() -> None:
    """Who gets which symbols is left open; that they are those of the stream is not."""
    example = Example(2, 40_000)
    decoder = RansDecoder()
    decoder.set_stream(example.data)
    zeros = torch.zeros(10_000, dtype=torch.int32)
    results: List[Any] = []

    def work() -> None:
        try:
            results.append(decoder.decode_stream(zeros, *example.lists))
        except CorruptStreamError:
            results.append(None)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4


def test_install_without_compressai_says_so() -> None:
    try:
        import compressai  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="compressai"):
            install()
