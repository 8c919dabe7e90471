"""Tables on a GPU without one (test_cuda_streams.py says how)."""

from __future__ import annotations

import struct
from typing import List

import pytest
import torch

import torch_ans
from cuda_stand_in import HostEngine
from helpers import Tables, encode, make_symbols, make_tables, stream_rows
from torch_ans import _core, _native, _native_cuda, _native_cuda_tables
from torch_ans._native_cuda_tables import DeviceTables


def tables_of(tables: Tables, **misfits: bool) -> DeviceTables:
    cdfs, sizes, offsets = tables.args[:3]
    flags = {name: torch.tensor(misfit) for name, misfit in misfits.items()}
    options = (12, True, False, -1)
    return DeviceTables(cdfs, sizes, offsets, options, flags)


def test_tables_are_built_once_for_each_kind(engine: HostEngine) -> None:
    tables = tables_of(make_tables(3, [40, 7, 200], 12), cdfs=False)
    codecs = [_native.get_codec(f, 1) for f in ("rans64", "rans32", "rans32_16", "tans32", "tans8")]
    images = [tables.image(codec) for codec in codecs]
    assert images[1] is images[2] and images[3] is images[4] and images[0] is not images[1]
    assert engine.calls == ["plan_tables", *["fill_tables", "mark"] * 3]
    assert tables.nbytes > 4 * 3 * 202


def test_images_of_other_streams(engine: HostEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    tables = tables_of(make_tables(3, [40, 7, 200], 12))
    image = tables.image(_native.get_codec("rans64", 1))
    other, followed, kept = (3, 78), [], []
    monkeypatch.setattr(_native_cuda, "queue", lambda device: other)
    monkeypatch.setattr(_native_cuda, "follow", lambda event, memory: followed.extend(memory))
    monkeypatch.setattr(_native_cuda, "keep", lambda memory: kept.extend(memory))
    monkeypatch.setattr(engine, "_enter", lambda name, queue: engine.calls.append(name))
    assert tables.image(_native.get_codec("rans64", 4)) is image
    assert len(followed) == 1 and followed[0] is image and not kept
    tables.image(_native.get_codec("tans32", 1))
    assert len(followed) == 1 and len(kept) == 2  # CDFs and places belong to the first stream


def test_the_cpus_tables_are_made_when_asked_for() -> None:
    """As those of CDFs on a device are."""
    made = make_tables(3, [40, 7, 200], 12)
    symbols, indexes = make_symbols(5, (2, 90), made)
    expected = encode("rans64", 1, made, symbols, indexes)
    tables = torch_ans.CodingTables(*made.args[:3], *made.args[4:6])
    numbers, nbytes = tables.native.numbers(), tables.nbytes
    tables._native = None
    assert tables.nbytes == 0 and (tables.num_tables, tables.freq_precision) == (3, 12)
    stream = torch_ans.rans64_init_stream(2)
    torch_ans.rans64_push(stream, symbols, indexes, tables, bypass_precision=made.args[6])
    assert stream_rows(stream) == stream_rows(expected)
    assert tables.native.numbers() == numbers and tables.nbytes >= nbytes > 0


def test_tables_that_are_no_cdfs(engine: HostEngine) -> None:
    tables = make_tables(3, [40, 7, 200], 12)
    tables.cdfs[1, 3] = 0
    with pytest.raises(ValueError, match=r"cdfs\[1, 3\] must be above the entry before it"):
        tables_of(tables)
    with pytest.raises(ValueError, match="offsets has entries that do not fit into int32"):
        tables_of(tables, cdfs=False, offsets=True)


def test_tables_while_a_graph_is_captured(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tables_of(make_tables(3, [40, 7, 200], 12))
    tables.image(_native.get_codec("rans64", 1))
    monkeypatch.setattr(_native_cuda, "is_capturing", lambda: True)
    tables.image(_native.get_codec("rans64", 8))
    for make in (
        lambda: tables.image(_native.get_codec("rans32", 1)),
        lambda: tables_of(make_tables(3, [40], 12)),
    ):
        with pytest.raises(RuntimeError, match="use them once before a CUDA graph"):
            make()


def test_quantising(engine: HostEngine) -> None:
    pmf = torch.rand(4, 50)
    expected = torch_ans.rans_pmf_to_quantized_cdf(pmf, 12)
    assert torch.equal(_native_cuda_tables.quantize_pmf(pmf, None, 12), expected)
    pmf[3, 2] = -1
    with pytest.raises(ValueError, match="row 3 of pmf holds a negative value"):
        _native_cuda_tables.quantize_pmf(pmf, None, 12)


def summary(*fault: int) -> List[int]:
    """Of 2 tables: 6 entries, 8 buckets, offsets and symbols 0 to 1, and a fault of the first."""
    words = struct.unpack("<2q", struct.pack("<4i", *fault)) if fault else (0, 0)
    return [6, 8, 0, 0, 1, 0 if fault else -1, *words]


@pytest.mark.skipif(_native.cuda_engine() is None, reason="built without CUDA")
def test_what_the_engine_makes_of_a_summary() -> None:
    make = _native.cuda_engine().DeviceTables
    tables = make(summary(), 2, 3, 3, True, False, -1)
    sizes = {f: tables.image_bytes(_native.get_codec(f, 1)) for f in _core.FAMILIES}
    assert sizes["rans32"] == sizes["rans32_16"] < sizes["rans64"]
    assert sizes["tans32"] == sizes["tans16"] == sizes["tans8"]
    with pytest.raises(ValueError, match=r"cdfs\[0, 2\] must be 2\*\*freq_precision = 8, got 7"):
        make(summary(4, 2, 7, 0), 2, 3, 3, True, False, -1)
    if not torch.cuda.is_available():
        with pytest.raises(RuntimeError, match="CUDA: "):
            _native.cuda_engine().plan_tables(0, 2, 3, 0, 0, 3, True, False, -1, 0, 0, 0, 0)
        with pytest.raises(RuntimeError, match="CUDA: "):
            _native.cuda_engine().fill_tables(
                _native.get_codec("rans64", 1), tables, 0, 3, 0, 0, 0, 0
            )
    with pytest.raises(ValueError, match=r"freq_precision must be in 1\.\.16, got 17"):
        _native.cuda_engine().plan_tables(0, 2, 3, 0, 0, 17, True, False, -1, 0, 0, 0, 0)
    with pytest.raises(ValueError, match="8 words"):
        make([1], 2, 3, 3, True, False, -1)
    with pytest.raises(ValueError, match="tANS takes no alias tables"):
        make(summary(), 2, 3, 3, True, True, -1).image_bytes(_native.get_codec("tans32", 1))
    with pytest.raises(ValueError, match=r"at most 2\*\*32 slots"):
        make(summary(), 1 << 17, 3, 16, True, True, -1).image_bytes(_native.get_codec("rans64", 1))
