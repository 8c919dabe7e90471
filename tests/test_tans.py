"""tANS: the oracle's bytes, torch-ans' bytes, every instruction set, bad input."""

from __future__ import annotations

from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
import torch

import tans_reference
import torch_ans
from helpers import (
    Tables,
    init_op,
    make_symbols,
    make_tables,
    other_engines,
    pop_op,
    push_op,
    rows_stream,
    run_tests,
    stream_rows,
)
from reference import LANES
from test_golden import Golden
from torch_ans import CodingTables, CorruptStreamError, TorchANSInterface

GOLDEN = Golden("tans")
VARIANTS = [(family, lanes) for family in tans_reference.FAMILIES for lanes in LANES]
IDS = ["%s_i%d" % v for v in VARIANTS]
# alphabet sizes, freq_precision, bypass_precision (None: no bypass coding)
TABLES: List[Tuple[List[int], int, Any]] = [
    ([5, 60, 1], 7, None),
    ([5, 60, 1], 7, 4),
    ([3, 20], 7, 1),
    ([3, 8], 3, 2),
    ([2], 1, None),
    ([3, 500], 12, 4),
    ([1, 5, 3000], 15, 3),
    ([1, 2, 32768], 15, None),
    ([300], 14, 7),
]


def cases(family: str) -> List[Tables]:
    most = tans_reference.MAX_FREQ_PRECISION[family]
    return [
        make_tables(n, sizes, precision, digits is not None, digits or 4)
        for n, (sizes, precision, digits) in enumerate(TABLES)
        if precision <= most
    ]


def draw(seed: int, rows: int, tables: Tables, lengths: Tuple[int, ...]) -> List[Any]:
    return [make_symbols(seed + n, (rows, length), tables) for n, length in enumerate(lengths)]


def pushed(family: str, lanes: int, tables: Tables, pushes: List[Any]) -> torch.Tensor:
    stream = init_op(family)(len(pushes[0][0]), lanes)
    for symbols, indexes in pushes:
        push_op(family, lanes)(stream, symbols, indexes, *tables.args)
    return stream


def check_round_trip(
    family: str, lanes: int, tables: Tables, stream: torch.Tensor, pushes: List[Any]
) -> None:
    for symbols, indexes in reversed(pushes):
        popped = pop_op(family, lanes)(stream, indexes, *tables.args)
        assert torch.equal(popped.to(symbols.dtype), symbols)
    assert (stream[:, 0] == 4 * lanes + 8).all()
    assert (stream[:, 1 + lanes : 3 + lanes] == 0).all()


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=IDS)
def test_oracle(family: str, lanes: int) -> None:
    for n, tables in enumerate(cases(family)):
        pushes = draw(n, (1, 9, 2, 17)[n % 4], tables, (77, 0, 130))
        stream = pushed(family, lanes, tables, pushes)
        expected = tans_reference.encode_rows(
            family, lanes, tables.oracle(), [(s.tolist(), i.tolist()) for s, i in pushes]
        )
        assert stream_rows(stream) == expected, n
        check_round_trip(family, lanes, tables, rows_stream(expected), pushes)


@pytest.mark.parametrize("rows", [1, 2, 5, 16, 33])
def test_long_rows_of_every_entropy(rows: int) -> None:
    """Across tiles, with rows that run out of bits at different times."""
    tables = make_tables(rows, [1, 2, 250], 12, False)
    for lanes in LANES:
        symbols, _ = make_symbols(lanes, (rows, 1100), tables)
        indexes = (torch.arange(rows) % 3).unsqueeze(1).expand(rows, 1100)
        offsets, sizes = tables.offsets[indexes.long()], tables.sizes[indexes.long()]
        symbols = offsets + (symbols - offsets).abs() % (sizes - 1)
        stream = pushed("tans32", lanes, tables, [(symbols, indexes)])
        check_round_trip("tans32", lanes, tables, stream, [(symbols, indexes)])


def test_tables_of_every_log_are_those_of_the_oracle() -> None:
    for log in range(1, 16):
        tables = make_tables(log, [1, 2, min(1 << log, 99)], log, False)
        built = torch_ans.tans_build_tables(tables.cdfs, tables.sizes, log)
        for row, table in zip(built.tolist(), tables.oracle()):
            names = list(tans_reference.spread(table.cdf, log))
            assert row[2 << log : 3 << log] == names
            slots = [u for own in tans_reference.slots_of(table.cdf, log) for u in own]
            assert row[: 1 << log] == [(1 << log) + u for u in slots]


# --- torch-ans -----------------------------------------------------------------------


def golden_tables(name: str) -> List[torch.Tensor]:
    entry = GOLDEN.manifest["tables"][name]
    cdfs, sizes, offsets = (GOLDEN.tensor(entry[key]) for key in ("cdfs", "sizes", "offsets"))
    return [cdfs, sizes, offsets, torch_ans.tans_build_tables(cdfs, sizes, entry["precision"])]


@pytest.mark.parametrize("name", ["p7", "p11"])
def test_torch_ans_tables(name: str) -> None:
    assert torch.equal(golden_tables(name)[-1], GOLDEN.tensor("tables/%s/built" % name))


def case_id(case: Dict[str, Any]) -> str:
    return "{family}_i{lanes}-{tables}-{bypass}{bypass_precision}".format(**case)


@pytest.mark.parametrize("case", GOLDEN.manifest["streams"], ids=case_id)
def test_torch_ans_streams(case: Dict[str, Any]) -> None:
    family, lanes = case["family"], case["lanes"]
    entry = GOLDEN.manifest["tables"][case["tables"]]
    cdfs, sizes, offsets, built = golden_tables(case["tables"])
    settings = (8, entry["precision"], case["bypass"] == "bypass", case["bypass_precision"])
    pushes = [
        [GOLDEN.tensor(stem + key) for key in ("symbols", "indexes")]
        for stem in entry["pushes"][case["bypass"]]
    ]
    for rows in (cdfs, built):  # the CDFs, or what tans_build_tables made of them
        stream = init_op(family)(3, lanes)
        for symbols, indexes in pushes:
            push_op(family, lanes)(stream, symbols, indexes, rows, sizes, offsets, *settings)
        assert stream_rows(stream) == GOLDEN.rows(case["after"])
        stream = rows_stream(GOLDEN.rows(case["after"]))
        for symbols, indexes in reversed(pushes):
            popped = pop_op(family, lanes)(stream, indexes, rows, sizes, offsets, *settings)
            assert torch.equal(popped, symbols)


@pytest.mark.parametrize("case", GOLDEN.manifest["interface"], ids=lambda c: c["options"]["impl"])
def test_torch_ans_interface(case: Dict[str, Any]) -> None:
    freqs, symbols, indexes = (
        GOLDEN.tensor(case["stem"] + key) for key in ("freqs", "symbols", "indexes")
    )
    coder = TorchANSInterface(num_parallel_states=2, **case["options"])
    coder.init_params(freqs, offsets=torch.tensor([-3, 0]))
    data = GOLDEN.data(case["stem"] + "bytes")
    assert coder.encode_with_indexes(symbols, indexes) == data
    assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)


def test_bits_that_torch_ans_leaves_behind_what_it_popped_are_ignored() -> None:
    tables = make_tables(0, [40], 9, False)
    symbols, _ = make_symbols(0, (2, 30), tables)
    stream = pushed("tans32", 2, tables, [(symbols, None)])
    stream[:, 3] |= -(1 << 16)
    assert torch.equal(torch_ans.tans32_i2_pop(stream, None, *tables.args, num_symbols=30), symbols)


# --- the library around it -----------------------------------------------------------


@pytest.mark.parametrize("impl", ["tans32", "tans32_i8", "tans16_i2", "tans8_i32"])
def test_interface(impl: str) -> None:
    coder = TorchANSInterface(impl, num_parallel_states=3, dtype=torch.int16)
    coder.init_params(torch.tensor([[1, 5, 2, 9.0], [3, 3, 1, 1]]), offsets=torch.tensor([-2, 5]))
    generator = torch.Generator().manual_seed(1)
    symbols = torch.randint(-9, 12, (5, 7, 11), generator=generator, dtype=torch.int16)
    indexes = torch.randint(0, 2, (5, 7, 11), generator=generator, dtype=torch.uint8)
    data = coder.encode_with_indexes(symbols, indexes)
    assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)
    assert torch.equal(coder.unpack(coder.pack(symbols, indexes), indexes), symbols)
    for _ in range(2):
        coder.encode_with_indexes(symbols, indexes, cache=True)
    coder.set_stream(coder.flush())
    for _ in range(2):
        assert torch.equal(coder.decode_stream(indexes), symbols)


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64])
def test_narrow_types(dtype: torch.dtype) -> None:
    tables = CodingTables(torch.tensor([[0, 100, 101, 500, 512]]), freq_precision=9)
    symbols = torch.tensor([[0, 1, 2, 90] * 20, [2, 2, 100, 0] * 20], dtype=dtype)
    stream = torch_ans.tans16_init_stream(2, 4)
    torch_ans.tans16_i4_push(stream, symbols, None, tables)
    out = torch.empty_like(symbols)
    torch_ans.tans16_i4_pop(stream, None, tables, out=out)
    assert torch.equal(out, symbols)


def test_errors_name_the_argument() -> None:
    for options, name in (
        ({"impl": "tans32_alias"}, "impl"),
        ({"impl": "tans8_invcdf"}, "impl"),
        ({"impl": "tans16", "alias_sampling": True}, "alias_sampling"),
        ({"impl": "tans16", "inverse_cdf_precision": 4}, "inverse_cdf_precision"),
    ):
        with pytest.raises(ValueError, match=name):
            TorchANSInterface(**options)
    tables = make_tables(0, [3], 8)
    symbols, _ = make_symbols(0, (1, 5), tables)
    with pytest.raises(ValueError, match="freq_precision must be in 1"):
        torch_ans.tans8_push(torch_ans.tans8_init_stream(1), symbols, None, *tables.args)
    with pytest.raises(ValueError, match="table_log"):
        torch_ans.tans_build_tables(tables.cdfs, tables.sizes, 16)
    built = torch_ans.tans_build_tables(tables.cdfs, tables.sizes, 8)
    built[0, 600] ^= 1
    with pytest.raises(ValueError, match="tans_build_tables"):
        torch_ans.tans32_push(
            torch_ans.tans32_init_stream(1), symbols, None, built, *tables.args[1:]
        )
    alias = CodingTables(torch.tensor([[0, 2, 4]]), freq_precision=2, alias=True)
    with pytest.raises(ValueError, match="alias"):
        torch_ans.tans32_push(torch_ans.tans32_init_stream(1), symbols, None, alias)


def test_a_stream_of_another_precision_is_refused_and_left_alone() -> None:
    tables, others = make_tables(0, [9], 8, False), make_tables(0, [9], 9, False)
    symbols, _ = make_symbols(0, (2, 20), tables)
    stream = pushed("tans32", 1, tables, [(symbols, None)])
    before = stream.clone()
    with pytest.raises(CorruptStreamError):
        torch_ans.tans32_push(stream, symbols, None, *others.args)
    with pytest.raises(CorruptStreamError):
        torch_ans.tans32_pop(stream, None, *others.args, num_symbols=3)
    assert torch.equal(stream, before)


def corrupt(rows: List[bytes], rng: np.random.Generator) -> List[bytes]:
    """Each row cut, flipped, replaced or lengthened."""
    out = []
    for row in rows:
        data = bytearray(row)
        kind = rng.integers(0, 4)
        if kind == 0:
            data = data[: rng.integers(0, len(data))]
        elif kind == 1:
            for _ in range(3):
                data[rng.integers(0, len(data))] ^= 1 << int(rng.integers(0, 8))
        elif kind == 2:
            data[12:] = rng.integers(0, 256, len(data) - 12).astype(np.uint8).tobytes()
        else:
            data += bytes(rng.integers(0, 256, 9).astype(np.uint8))
        out.append(bytes(data))
    return out


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=IDS)
def test_corrupt_streams(family: str, lanes: int) -> None:
    """An exception that leaves the stream as it was, or symbols that the tables hold."""
    rng = np.random.default_rng(lanes)
    for n, tables in enumerate(cases(family)):
        pushes = draw(n, (5, 9, 19)[n % 3], tables, (3 * lanes + 50,))
        rows = stream_rows(pushed(family, lanes, tables, pushes))
        for _ in range(6):
            stream = rows_stream(corrupt(rows, rng))
            before = stream.clone()
            try:
                popped = pop_op(family, lanes)(stream, pushes[0][1], *tables.args)
            except CorruptStreamError as error:
                assert error.rows and torch.equal(stream, before)
            else:
                if not tables.bypass:
                    low = tables.offsets[pushes[0][1].long()]
                    high = low + tables.sizes[pushes[0][1].long()] - 2
                    assert ((low <= popped) & (popped <= high)).all()


@pytest.mark.parametrize("family,lanes", VARIANTS, ids=IDS)
def test_truncated_rows_are_noticed(family: str, lanes: int) -> None:
    coder = TorchANSInterface(family, num_interleaves=lanes, num_parallel_states=1)
    coder.init_params(torch.tensor([[1.0, 2, 3, 4]]))
    symbols = torch.arange(400) % 7
    data = coder.encode_symbols(symbols)
    for cut in (1, 2, 10, len(data) // 2, len(data) - 1):
        with pytest.raises(CorruptStreamError):
            coder.decode_symbols(data[:-cut], 400)
    with pytest.raises(CorruptStreamError):
        coder.decode_symbols(data, 399)


@pytest.mark.parametrize("engine", other_engines(), ids=str)
def test_every_engine(engine: Dict[str, str]) -> None:
    """This file again, as far as it codes."""
    run_tests("test_tans.py", engine, "oracle or long_rows or corrupt")
