"""Bytes from and for a GPU without one (test_cuda_streams.py says how)."""

from __future__ import annotations

from typing import Optional

import pytest
import torch

import torch_ans
from cuda_stand_in import HostEngine, Pinned, Work
from torch_ans import (
    CorruptStreamError,
    TorchANSInterface,
    _core,
    _cuda_stream,
    _native,
    _native_cuda_bytes,
    _stream,
)
from torch_ans._layout import split_rows
from torch_ans._native import Coding


@pytest.mark.parametrize("rows,escapes", [(1, False), (3, False), (3, True)])
def test_bytes_take_one_copy(engine: HostEngine, rows: int, escapes: bool) -> None:
    work = Work("rans64", 2, (5, 77))
    symbols = work.symbols + (10**9 if escapes else 0)
    interface = TorchANSInterface(
        "rans64_i2", freq_precision=12, num_parallel_states=rows, bypass_precision=4
    )
    interface.set_cdfs(*work.tables.args[:3])
    expected = interface.encode_with_indexes(symbols, work.indexes)
    coding = Coding(work.coding.codec, interface.tables, 4)
    split = split_rows(symbols.numel(), rows)
    data = _cuda_stream.encode_bytes(coding, split, symbols, work.indexes, (4, True))
    assert data == expected
    assert engine.calls.count("encode") == (2 if escapes else 1)
    assert engine.calls.count("pack") == 1
    out = torch.zeros_like(symbols)
    spans = torch_ans.byte_strings.segment_spans(data, 4, rows)
    _cuda_stream.decode_bytes(coding, data, spans, split, work.indexes, out)
    assert torch.equal(out, symbols) and engine.calls.count("unpack") == 1
    with pytest.raises(CorruptStreamError):
        cut = _core.RowSpans([(start, length - 4) for start, length in spans])
        _cuda_stream.decode_bytes(coding, data, cut, split, work.indexes, out)


@pytest.mark.parametrize("rows", [None, 3])
def test_bytes_in_memory_of_the_caller(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch, rows: Optional[int]
) -> None:
    """Pinned memory is copied to and from directly, other memory through such memory."""
    pinned = Pinned(monkeypatch)
    monkeypatch.setattr(_native_cuda_bytes, "_WORTH_ASKING", 100)
    work = Work("rans64", 2, (5, 1777))
    interface = TorchANSInterface("rans64_i2", freq_precision=12, num_parallel_states=rows)
    interface.set_cdfs(*work.tables.args[:3])
    symbols, indexes = work.symbols, work.indexes
    expected = interface.encode_with_indexes(symbols, indexes)
    size = len(expected)
    monkeypatch.setattr(_native, "any_cuda", lambda *tensors: True)
    assert interface.encode_with_indexes(symbols, indexes) == expected
    assert pinned.staged == [size]
    memory = torch.zeros(size + 50, dtype=torch.uint8)
    for out in (memory, memory.numpy(), memoryview(memory.numpy()), bytearray(size)):
        del pinned.staged[:]
        data = interface.encode_with_indexes(symbols, indexes, out=out)
        assert data == expected and pinned.staged == [size]
        decoded = interface.decode_with_indexes(data, indexes)
        assert torch.equal(decoded, symbols) and pinned.staged == [size, size]
    pinned.addresses.append(memory.data_ptr())
    del pinned.staged[:]
    for out in (memory, memory.numpy(), memoryview(memory.numpy())):
        memory.zero_()
        data = interface.encode_with_indexes(symbols, indexes, out=out)
        assert data == expected and not memory[size:].any()
        for source in (data, memory[:size]):
            del engine.calls[:]
            assert torch.equal(interface.decode_with_indexes(source, indexes), symbols)
            assert engine.calls[-1] == "wait"  # the memory is the caller's again
    assert not pinned.staged
    for source in (expected, data.toreadonly()):  # bytes are never asked
        assert torch.equal(interface.decode_with_indexes(source, indexes), symbols)
    assert pinned.staged == [size, size]
    monkeypatch.setattr(_native_cuda_bytes, "_PIECE", 1000)
    monkeypatch.setattr(_native_cuda_bytes, "_WORTH_ASKING", size + 1)
    assert torch.equal(interface.decode_with_indexes(data, indexes), symbols)
    assert pinned.staged == [size, size, size]


def test_memory_of_the_caller_and_errors(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned = Pinned(monkeypatch)
    monkeypatch.setattr(_native_cuda_bytes, "_WORTH_ASKING", 1)
    work = Work("rans64", 2, (5, 1777))
    interface = TorchANSInterface("rans64_i2", freq_precision=12, num_parallel_states=3)
    interface.set_cdfs(*work.tables.args[:3])
    symbols, indexes = work.symbols, work.indexes
    size = len(interface.encode_with_indexes(symbols, indexes))
    monkeypatch.setattr(_native, "any_cuda", lambda *tensors: True)
    for is_pinned in (False, True):
        out = torch.full((size - 1,), 7, dtype=torch.uint8)
        if is_pinned:
            pinned.addresses.append(out.data_ptr())
        with pytest.raises(ValueError, match=f"out must have at least {size} bytes, got"):
            interface.encode_with_indexes(symbols, indexes, out=out)
        assert bool((out == 7).all())
    out = torch.full((size,), 7, dtype=torch.uint8)
    pinned.addresses.append(out.data_ptr())
    with pytest.raises(CorruptStreamError):  # impossible lengths: found while the copy runs
        interface.decode_with_indexes(out, indexes)
    assert engine.calls[-1] == "wait"
    interface.encode_with_indexes(symbols, indexes, out=out)
    wrong = indexes.clone()
    wrong[1, 5] = 3
    with pytest.raises(IndexError, match=r"indexes\[1, 5\] is 3"):
        interface.decode_with_indexes(out, wrong)
    assert engine.calls[-1] == "wait"
    none = interface.encode_with_indexes(symbols[:0], indexes[:0], out=out)
    assert none == interface.encode_with_indexes(symbols[:0], indexes[:0])
    stream = interface.encode_flush()
    assert stream is None and interface.flush(out=out) == b""


def test_streams_are_packed_into_memory_of_the_caller(engine: HostEngine) -> None:
    work = Work("rans64", 1, (2, 40))
    stream = work.stream()
    work.push(stream)
    view = _stream.check_stream(stream)
    expected = _cuda_stream.pack(view, (4, False))
    out = bytearray(5000)
    assert _cuda_stream.pack(view, (4, False), out) == expected
    assert _cuda_stream.pack(_stream.Stream(stream[:0], 0, 1), (4, False), out) == b""


def test_bytes_of_bad_arguments(engine: HostEngine) -> None:
    work = Work("rans64", 1, (2, 40))
    work.indexes[0, 7] = -1
    with pytest.raises(IndexError, match=r"indexes\[0, 7\] is -1"):
        _cuda_stream.encode_bytes(work.coding, work.split, work.symbols, work.indexes, (4, False))


def test_packing_raises_what_a_push_has_failed_with(engine: HostEngine) -> None:
    work = Work("rans64", 1, (2, 40))
    stream = work.stream()
    work.indexes[1, 3] = 99
    work.push(stream)
    with pytest.raises(IndexError, match="symbol 3 of row 1"):
        _cuda_stream.pack(_stream.check_stream(stream), (4, False))
    stream[1, 0] = -5
    with pytest.raises(CorruptStreamError, match="row 1"):
        _cuda_stream.pack(_stream.check_stream(stream), (4, False))
