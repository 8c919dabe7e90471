"""Packed files: round trips, golden files, every flipped bit, forged heads."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import struct
from typing import Any, Dict, List, Tuple

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import torch_ans
from golden import make_packed
from torch_ans import CorruptStreamError, TableMismatchError, TorchANSInterface, _core

FAMILIES = ["rans64", "rans32", "rans32_16"]
DTYPES = ["uint8", "int8", "uint16", "int16", "int32", "int64"]
PRELUDE = 32


def coder_for(
    impl: str = "rans64", rows: Any = None, bypass: bool = True, **options: Any
) -> TorchANSInterface:
    coder = TorchANSInterface(
        impl, freq_precision=12, num_parallel_states=rows, bypass_coding=bypass, **options
    )
    freqs = torch.tensor([[1.0, 5, 2, 1, 1], [1, 1, 9, 1, 1]])
    coder.init_params(freqs, torch.tensor([5, 4]), torch.tensor([0, 1]))
    return coder


def sample(shape: Tuple[int, ...], seed: int = 0) -> Tuple[torch.Tensor, torch.Tensor]:
    """(symbols inside every table, indexes)."""
    generator = torch.Generator().manual_seed(seed)
    indexes = torch.randint(0, 2, shape, generator=generator)
    return torch.randint(1, 5, shape, generator=generator, dtype=torch.int32), indexes


def crc32c(data: bytes) -> int:
    """A second implementation, a bit at a time."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def parse(data: bytes) -> Dict[str, Any]:
    """A second reader, written from cpp/FORMAT.md."""
    magic, version, family, lanes, precision, digits, flags, dtype, width = struct.unpack_from(
        "<4s8B", data
    )
    dims, shape_bytes, rows, tables_hash, crc = struct.unpack_from("<HHI8sI", data, 12)
    assert (magic, version, crc) == (b"\x93ANS", 1, crc32c(data[:28]))
    at = PRELUDE + shape_bytes
    shape: List[int] = []
    value = shift = 0
    for byte in data[PRELUDE:at]:
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            shape.append(value)
            value = shift = 0
    lengths = [
        int.from_bytes(data[at + width * r : at + width * (r + 1)], "little") for r in range(rows)
    ]
    at += rows * width
    assert struct.unpack_from("<I", data, at)[0] == crc32c(data[PRELUDE:at])
    crcs = struct.unpack_from(f"<{rows}I", data, at + 4)
    at += 4 + 4 * rows
    strings = []
    for row, (length, row_crc) in enumerate(zip(lengths, crcs)):
        strings.append(data[at : at + length])
        assert row_crc == crc32c(struct.pack("<I", row) + strings[-1])
        at += length
    assert at == len(data) and len(shape) == dims
    return {
        "family": FAMILIES[family],
        "lanes": lanes,
        "freq_precision": precision,
        "digits": digits,
        "flags": flags,
        "dtype": DTYPES[dtype],
        "tables_hash": tables_hash,
        "shape": shape,
        "rows": strings,
    }


def forge(data: bytes, at: int, value: bytes) -> bytes:
    """`data` with other bytes in its head, and checksums that match them."""
    forged = bytearray(data)
    forged[at : at + len(value)] = value
    forged[28:32] = struct.pack("<I", _core.crc32c(bytes(forged[:28])))
    shape_bytes, rows = struct.unpack_from("<HI", forged, 14)
    end = PRELUDE + shape_bytes + rows * forged[11]
    if end + 4 <= len(forged):
        forged[end : end + 4] = struct.pack("<I", _core.crc32c(bytes(forged[PRELUDE:end])))
    return bytes(forged)


# --- the format ---------------------------------------------------------------------


def test_crc32c():
    assert _core.crc32c(b"123456789") == 0xE3069283
    rng = np.random.default_rng(1)
    for size in range(70):
        data = rng.bytes(size)
        assert _core.crc32c(data) == crc32c(data)


def test_file_is_as_documented():
    coder = coder_for("rans32_i4", rows=3, bypass_precision=6)
    symbols, indexes = sample((2, 200))
    data = coder.pack(symbols.to(torch.int16), indexes)
    found = parse(data)
    numbers = [12, 2]
    for k in range(2):
        size = int(coder.cdfs_sizes[k])
        numbers += [size, int(coder.offsets[k]), *coder.cdfs[k, :size].tolist()]
    digest = hashlib.blake2b(struct.pack(f"<{len(numbers)}i", *numbers), digest_size=8).digest()
    strings = torch_ans.split_merged_bytes(coder.encode_with_indexes(symbols, indexes), 4, 3)
    assert found == {
        "family": "rans32",
        "lanes": 4,
        "freq_precision": 12,
        "digits": 6,
        "flags": 0,
        "dtype": "int16",
        "tables_hash": digest,
        "shape": [2, 200],
        "rows": strings,
    }
    header = torch_ans.packed_header(data)
    assert header == ("rans32", 4, 12, 6, False, "int16", digest, (2, 200), 3, [])


def golden_cases() -> List[Dict[str, Any]]:
    with open(os.path.join(make_packed.FOLDER, "cases.json"), encoding="utf-8") as file:
        return json.load(file)


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case["name"])
def test_golden_files_of_version_1(case):
    with open(os.path.join(make_packed.FOLDER, case["name"] + ".bin"), "rb") as file:
        data = file.read()
    parse(data)
    coder = make_packed.interface(case)
    indexes = torch.tensor(case["indexes"], dtype=torch.int32).reshape(case["shape"])
    decoded = coder.unpack(data, indexes)
    assert decoded.dtype == getattr(torch, case["dtype"])
    assert list(decoded.shape) == case["shape"]
    assert decoded.flatten().tolist() == case["symbols"]
    assert make_packed.pack(case) == data


# --- round trips --------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [name for name in DTYPES if hasattr(torch, name)])
@pytest.mark.parametrize("impl", ["rans64_i4", "rans32", "rans32_16_i32", "rans64_alias"])
def test_round_trip(impl, dtype):
    coder = coder_for(impl, rows=4)
    symbols, indexes = sample((3, 7, 11))
    symbols = symbols.to(getattr(torch, dtype))
    data = coder.pack(symbols, indexes)
    decoded = coder.unpack(data, indexes)
    assert decoded.dtype == symbols.dtype and decoded.tolist() == symbols.tolist()
    # Any coder with these tables reads it: the file knows the variant.
    assert torch_ans.unpack(data, coder.tables, indexes).tolist() == symbols.tolist()
    assert coder.unpack(data, indexes, dtype=torch.int64).dtype == torch.int64
    out = torch.empty(3, 7, 11, dtype=torch.int16)
    assert coder.unpack(data, indexes, out=out) is out and out.tolist() == symbols.tolist()


@given(
    shape=st.lists(st.integers(0, 9), max_size=5),
    rows=st.none() | st.integers(1, 9),
    impl=st.sampled_from(["rans64", "rans64_i8", "rans32_i2", "rans32_16_i4"]),
    bypass=st.booleans(),
)
def test_round_trip_of_any_shape(shape, rows, impl, bypass):
    coder = coder_for(impl, rows, bypass)
    symbols, indexes = sample(tuple(shape), seed=len(shape))
    symbols = symbols.clamp(max=4)
    if bypass:
        symbols[symbols == 2] = -(2**31)
    data = coder.pack(symbols, indexes)
    assert torch.equal(coder.unpack(data, indexes), symbols)
    parse(data)


def test_all_forms_of_encoded_give_the_same_file():
    coder = coder_for("rans64_i2")
    symbols, indexes = sample((4, 30))
    tables = coder.tables
    stream = torch_ans.rans64_init_stream(4, num_interleaves=2)
    torch_ans.rans64_i2_push(stream, symbols, indexes, tables)
    strings = torch_ans.rans_stream_to_byte_strings(stream)
    say = {"impl": "rans64_i2", "shape": (4, 30)}
    data = torch_ans.pack(stream, tables, **say)
    assert data == torch_ans.pack(strings, tables, **say)
    assert data == torch_ans.pack(torch_ans.merge_bytes(strings), tables, **say)
    merged = torch_ans.merge_bytes(strings, 2, 4)
    framing = {"num_bytes_code_length": 2, "num_parallel_states": 4}
    assert data == torch_ans.pack(memoryview(merged), tables, **say, **framing)
    assert torch.equal(torch_ans.unpack(data, tables, indexes), symbols)


def test_one_table_needs_no_indexes():
    coder = TorchANSInterface("rans64")
    coder.init_params(torch.tensor([[1.0, 2, 3]]))
    symbols = torch.tensor([[0, 1, 2], [2, 2, 900]])
    assert torch.equal(coder.unpack(coder.pack(symbols)), symbols)


@pytest.mark.parametrize("rows", [None, 1, 8, 300])
@pytest.mark.parametrize("dims", [1, 4, 14])
@pytest.mark.parametrize("framing", [4, 8])
def test_overhead(rows, dims, framing):
    coder = coder_for("rans64", rows, num_bytes_code_length=framing)
    symbols, indexes = sample((3000,) + (1,) * (dims - 1))
    encoded = coder.encode_with_indexes(symbols, indexes)
    assert encoded is not None
    overhead = len(coder.pack(symbols, indexes)) - len(encoded)
    assert overhead < 64 + 4 * (rows or 1)


# --- damage -------------------------------------------------------------------------


def small_file() -> Tuple[TorchANSInterface, torch.Tensor, torch.Tensor, bytes]:
    coder = coder_for("rans32_16", rows=3)
    symbols, indexes = sample((2, 45))
    return coder, symbols, indexes, coder.pack(symbols, indexes)


def test_every_flipped_bit_is_detected():
    coder, symbols, indexes, data = small_file()
    head = len(data) - sum(map(len, parse(data)["rows"]))
    ends = np.cumsum([len(row) for row in parse(data)["rows"]]) + head
    head_only = head - 4 * len(ends)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CorruptStreamError) as caught:
            coder.unpack(bytes(flipped), indexes)
        at = bit // 8
        if at < head_only:
            expected = []
        elif at < head:
            expected = [(at - head_only) // 4]
        else:
            expected = [int(np.searchsorted(ends, at, side="right"))]
        assert caught.value.rows == expected, bit
        if not expected:
            with pytest.raises(CorruptStreamError):
                coder.unpack(bytes(flipped), indexes, errors="salvage")
            continue
        salvaged = coder.unpack(bytes(flipped), indexes, errors="salvage")
        assert salvaged.broken_rows == expected
        lost = torch.zeros(90, dtype=torch.bool)
        lost[expected[0] * 30 : expected[0] * 30 + 30] = True
        lost = lost.reshape(2, 45)
        assert torch.equal(salvaged.intact, ~lost)
        assert torch.equal(salvaged.symbols, symbols.masked_fill(lost, 0))


def test_every_truncation_is_detected():
    coder, symbols, indexes, data = small_file()
    for size in range(len(data)):
        with pytest.raises(CorruptStreamError):
            coder.unpack(data[:size], indexes)
    salvaged = coder.unpack(data[:-1], indexes, errors="salvage")
    assert salvaged.broken_rows == [2]
    assert torch.equal(salvaged.symbols.flatten()[:60], symbols.flatten()[:60])


def test_bytes_behind_the_last_row():
    coder, symbols, indexes, data = small_file()
    with pytest.raises(CorruptStreamError, match="2 byte"):
        coder.unpack(data + b"ab", indexes)
    salvaged = coder.unpack(data + b"ab", indexes, errors="salvage")
    assert salvaged.broken_rows == [] and torch.equal(salvaged.symbols, symbols)


@pytest.mark.parametrize("dtype", DTYPES)
def test_salvage_into_memory_with_strides(dtype: str) -> None:
    if not hasattr(torch, dtype):
        pytest.skip("this torch has no " + dtype)
    symbols, indexes = sample((4, 60))
    coder = coder_for(rows=4)
    data = bytearray(coder.pack(symbols, indexes))
    data[-1] ^= 1
    memory = torch.full((4, 70), 9, dtype=torch.int64).to(getattr(torch, dtype))
    salvaged = coder.unpack(data, indexes, out=memory[:, :60], errors="salvage")
    assert salvaged.broken_rows == [3]
    assert torch.equal(memory[:3, :60].int(), symbols[:3])
    assert memory[3, :60].int().eq(0).all() and memory[:, 60:].int().eq(9).all()


def test_rows_that_are_no_bytes() -> None:
    symbols, indexes = sample((4, 60))
    coder = coder_for()
    stream = coder.encode(symbols, indexes)
    rows = torch_ans.rans_stream_to_byte_strings(stream)
    options: Any = {"impl": "rans64", "shape": (4, 60)}
    data = torch_ans.pack(rows, coder.tables, **options)
    words = [memoryview(row).cast("i") for row in rows]  # their len counts words
    assert torch_ans.pack(words, coder.tables, **options) == data
    whole = np.frombuffer(torch_ans.merge_bytes(rows), np.uint8)
    assert torch_ans.pack(whole, coder.tables, **options) == data
    for bad in (["a"], "abc", None, 5, [5]):
        with pytest.raises(TypeError, match="encoded"):
            torch_ans.pack(bad, coder.tables, **options)  # type: ignore[arg-type]


def test_rows_that_change_places_are_noticed():
    coder = coder_for("rans64", rows=2)
    symbols, indexes = torch.ones(1, 8, dtype=torch.int32), torch.zeros(1, 8, dtype=torch.int32)
    symbols[0, 4:] = 2
    data = coder.pack(symbols, indexes)
    first, second = parse(data)["rows"]
    assert len(first) == len(second) and first != second
    head = len(data) - 16
    crcs = data[head - 8 : head]
    swapped = data[: head - 8] + crcs[4:] + crcs[:4] + second + first
    with pytest.raises(CorruptStreamError) as caught:
        coder.unpack(swapped, indexes)
    assert caught.value.rows == [0, 1]


def test_salvage_of_an_intact_file():
    coder, symbols, indexes, data = small_file()
    salvaged = coder.unpack(data, indexes, errors="salvage")
    assert salvaged.broken_rows == [] and bool(salvaged.intact.all())
    assert torch.equal(salvaged.symbols, symbols)


@pytest.mark.parametrize("dtype", [name for name in DTYPES if hasattr(torch, name)])
def test_salvage_of_every_dtype(dtype):
    coder = coder_for("rans64", rows=2)
    symbols, indexes = sample((10,))
    data = bytearray(coder.pack(symbols.to(getattr(torch, dtype)), indexes))
    data[-1] ^= 1
    salvaged = coder.unpack(data, indexes, errors="salvage")
    assert salvaged.broken_rows == [1]
    assert salvaged.symbols.tolist() == symbols[:5].tolist() + [0] * 5


def test_salvage_fills_out_and_finds_rows_that_contradict_themselves():
    coder, symbols, indexes, data = small_file()
    wrong = indexes.clone()
    wrong.flatten()[30:60] = 1 - wrong.flatten()[30:60]  # spoils row 1 alone
    with pytest.raises(CorruptStreamError) as caught:
        coder.unpack(data, wrong)
    assert caught.value.rows == [1]
    out = torch.full((2, 45), -5)
    salvaged = coder.unpack(data, wrong, out=out, errors="salvage")
    assert salvaged.symbols is out and salvaged.broken_rows == [1]
    assert out.flatten()[30:60].tolist() == [0] * 30
    assert torch.equal(out.flatten()[60:].int(), symbols.flatten()[60:])


def test_errors_survive_pickling():
    error = pickle.loads(pickle.dumps(TableMismatchError("other tables")))
    assert isinstance(error, TableMismatchError) and str(error) == "other tables"
    assert isinstance(error, torch_ans.TorchANSError) and isinstance(error, ValueError)


# --- other tables -------------------------------------------------------------------


def test_other_tables_are_noticed():
    coder, _, indexes, data = small_file()
    cdfs, sizes, offsets = coder.cdfs, coder.cdfs_sizes, coder.offsets

    def unpack(cdfs=cdfs, sizes=sizes, offsets=offsets, precision=12, **options):
        tables = torch_ans.CodingTables(cdfs, sizes, offsets, precision, **options)
        torch_ans.unpack(data, tables, indexes)

    unpack()
    unpack(inverse_cdf_precision=3)  # how symbols are looked up is no part of the tables
    wider = torch.cat([cdfs, torch.full((2, 3), 77, dtype=torch.int32)], dim=1)
    unpack(wider)  # nor is what stands behind a row
    moved = cdfs.clone()
    moved[1, 1] += 1
    for change in (
        {"cdfs": moved},
        {"offsets": offsets + torch.tensor([0, 1])},
        {"cdfs": cdfs[:1], "sizes": sizes[:1], "offsets": offsets[:1]},
        {"cdfs": cdfs.flip(0), "sizes": sizes.flip(0), "offsets": offsets.flip(0)},
        {"bypass_coding": False},
        {"alias": True},
        {"cdfs": cdfs * 2, "precision": 13},
    ):
        with pytest.raises(TableMismatchError):
            unpack(**change)


# --- wrong arguments, forged heads --------------------------------------------------


def test_wrong_arguments():
    coder, _, indexes, data = small_file()
    tables = coder.tables
    with pytest.raises(TypeError, match="bytes-like"):
        torch_ans.unpack("text", tables, indexes)
    with pytest.raises(TypeError, match="CodingTables"):
        torch_ans.unpack(data, coder.cdfs, indexes)
    with pytest.raises(ValueError, match="strict"):
        coder.unpack(data, indexes, errors="ignore")
    with pytest.raises(ValueError, match="broadcast"):
        coder.unpack(data, indexes[:, :3])
    with pytest.raises(ValueError, match="out must have shape"):
        coder.unpack(data, indexes, out=torch.empty(3, dtype=torch.int32))
    with pytest.raises(TypeError, match="dtype"):
        coder.unpack(data, indexes, dtype=torch.float32)
    with pytest.raises(IndexError):
        coder.unpack(data, indexes + 1)
    strings = [b"\0" * 8]
    with pytest.raises(ValueError, match="impl"):
        torch_ans.pack(strings, tables, impl="rans63", shape=(1,))
    with pytest.raises(ValueError, match="shape"):
        torch_ans.pack(strings, tables, impl="rans64", shape=(2**40, 2**40))
    with pytest.raises(ValueError, match="negative"):
        torch_ans.pack(strings, tables, impl="rans64", shape=(-1,))
    with pytest.raises(ValueError, match="shape"):
        torch_ans.pack(strings, tables, impl="rans64", shape=(1,) * 65)
    with pytest.raises(ValueError, match="no row"):
        torch_ans.pack([], tables, impl="rans64", shape=(4,))
    with pytest.raises(CorruptStreamError):
        torch_ans.pack(b"\x09\0\0\0ab", tables, impl="rans64", shape=(4,))
    with pytest.raises(ValueError, match="bypass_precision"):
        torch_ans.pack(strings, tables, impl="rans64", shape=(4,), bypass_precision=17)
    with pytest.raises(RuntimeError):
        TorchANSInterface("rans64").pack(torch.tensor([1]))


@pytest.mark.parametrize(
    ("at", "value"),
    [
        (0, b"\x89PNG"),
        (4, b"\x02"),
        (4, b"\x00"),
        (5, b"\x03"),
        (6, b"\x00"),
        (6, b"\x03"),
        (6, b"\x40"),
        (7, b"\x00"),
        (7, b"\x11"),
        (8, b"\x11"),
        (9, b"\x02"),
        (10, b"\x06"),
        (11, b"\x00"),
        (11, b"\x03"),
        (11, b"\x08"),
        (12, b"\x41\x00"),
        (12, b"\x01\x00"),
        (12, b"\x03\x00"),
        (14, b"\xff\xff"),
        (14, b"\x00\x00"),
        (16, b"\xff\xff\xff\xff"),
        (16, b"\x00\x00\x00\x00"),
        (16, b"\x02\x00\x00\x00"),
    ],
)
def test_forged_heads(at, value):
    coder, _, indexes, data = small_file()
    for errors in ("strict", "salvage"):
        try:
            coder.unpack(forge(data, at, value), indexes, errors=errors)
        except ValueError:
            continue
        assert errors == "salvage"  # rows that are there, some of them damaged


def test_a_forged_shape_is_refused_or_fixed_by_the_indexes():
    coder, _, indexes, data = small_file()
    for size in (b"\x03\x2d", b"\x02\x7f", b"\x00\x2d"):
        with pytest.raises(ValueError, match="broadcast"):
            coder.unpack(forge(data, PRELUDE, size), indexes)
    with pytest.raises(CorruptStreamError):  # a size that goes on behind the shape
        coder.unpack(forge(data, PRELUDE, b"\x02\xad"), indexes)


def test_a_forged_file_takes_no_memory_for_rows_it_does_not_have():
    coder = TorchANSInterface("rans64")
    coder.init_params(torch.tensor([[1.0, 2, 3]]))
    data = coder.pack(torch.tensor([1, 2]))
    for rows in (2**32 - 1, 2**31, 10**6):
        with pytest.raises(CorruptStreamError, match="cut off"):
            torch_ans.packed_header(forge(data, 16, struct.pack("<I", rows)))
