"""Streams on a GPU without one: an engine that works in host memory stands in for it.

Tested here, in test_cuda_bytes.py and in test_cuda_tables.py are the arguments that reach the
engine, room and growth, and what a status becomes. What kernels do is for test_cuda_twin.py and, on
a real GPU, test_cuda_gpu_*.py.
"""

from __future__ import annotations

import copy
import pickle
import weakref
from typing import Any, List

import pytest
import torch

import torch_ans
from cuda_stand_in import HostEngine, Work
from helpers import stream_rows
from torch_ans import CorruptStreamError, _contexts, _cuda_stream, _native_cuda, _stream
from torch_ans._layout import Split
from torch_ans._native import Coding

CODERS = [("rans64", 1), ("rans32", 4), ("rans32_16", 32), ("tans32", 1), ("tans16", 8)]


@pytest.mark.parametrize("family,lanes", CODERS)
def test_push_and_pop_without_waiting(engine: HostEngine, family: str, lanes: int) -> None:
    work = Work(family, lanes, (3, 500))
    stream = work.stream(3000)
    memory = stream.data_ptr()
    work.push(stream)
    assert stream_rows(stream) == stream_rows(work.expected)
    assert torch.equal(work.pop(stream), work.symbols)
    assert stream.data_ptr() == memory
    made = ["plan_tables", "fill_tables", "mark"]
    assert engine.calls == ["init_stream", *made, "encode", "decode"]
    _cuda_stream.check_status(stream)


def test_memory_of_a_call_lives_until_its_launch(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever takes what has been given back before that, another thread say, would write to it."""
    taken: List[weakref.ref[torch.Tensor]] = []
    empty = torch.empty

    def remembered(*arguments: Any, **options: Any) -> torch.Tensor:
        memory = empty(*arguments, **options)
        taken.append(weakref.ref(memory))
        return memory

    def launching(call: Any) -> Any:
        def launch(*arguments: Any) -> None:
            alive = [memory() for memory in taken]
            addresses = [memory.data_ptr() for memory in alive if memory is not None]
            assert set(arguments[12:14]) <= set(addresses)
            call(*arguments)

        return launch

    work = Work("rans64", 4, (2, 300))
    stream = work.stream()
    work.push(stream)
    work.pop(stream)
    monkeypatch.setattr(engine, "encode", launching(engine.encode))
    monkeypatch.setattr(engine, "decode", launching(engine.decode))
    monkeypatch.setattr(torch, "empty", remembered)
    work.push(stream)
    work.pop(stream)


def test_streams_grow_without_a_look_at_them(engine: HostEngine) -> None:
    work = Work("rans64", 4, (2, 300))
    stream = work.stream()
    for _ in range(5):
        work.push(stream)
    assert engine.calls.count("fill_tables") == 1 and "wait" not in engine.calls
    for _ in range(5):
        assert torch.equal(work.pop(stream), work.symbols)


@pytest.mark.parametrize("check", [False, True])
def test_pops_make_room(engine: HostEngine, check: bool) -> None:
    """A stream that is pushed and popped in turns grows while the device is behind, and no more."""
    work = Work("rans64", 4, (2, 300))
    stream = work.stream()
    engine.through = False
    for _ in range(6):
        work.push(stream, check)
        assert torch.equal(work.pop(stream, check), work.symbols)
    for copied in (copy.deepcopy(stream), pickle.loads(pickle.dumps(stream))):
        work.push(copied, check)
        assert torch.equal(work.pop(copied, check), work.symbols)
    engine.through = True
    columns = []
    for _ in range(40):
        work.push(stream, check)
        work.push(stream, check)
        for _ in range(2):
            assert torch.equal(work.pop(stream, check), work.symbols)
        columns.append(stream.shape[1])
    assert columns[2] == columns[-1] and "wait" not in engine.calls
    for _ in range(20):
        work.push(stream, check)
    assert stream.shape[1] > columns[-1]
    for _ in range(20):
        assert torch.equal(work.pop(stream, check), work.symbols)


@pytest.mark.parametrize("grow", [False, True])
def test_a_push_beside_those_of_a_graph(
    engine: HostEngine, monkeypatch: pytest.MonkeyPatch, grow: bool
) -> None:
    """Nobody counts what a graph's replays push: pushes beside them look at the rows."""
    work = Work("rans64", 4, (2, 300))
    stream = work.stream(9000)
    work.push(stream)  # the tables are on the device then
    state = _cuda_stream._state_of(stream)
    used, bytes_of_one = state.used, int(stream[:, 0].max())
    replays = 9000 // bytes_of_one - 1
    with monkeypatch.context() as patch:
        patch.setattr(_native_cuda, "is_capturing", lambda: True)
        for _ in range(replays):
            work.push(stream, grow=grow)
    state.used = used  # as if all of them but one had been replays
    for other in (copy.deepcopy(stream), stream):
        for _ in range(3):
            work.push(other)
        _cuda_stream.check_status(other)
        for _ in range(1 + replays + 3):
            assert torch.equal(work.pop(other, check=True), work.symbols)


def test_a_stream_from_elsewhere(engine: HostEngine) -> None:
    work = Work("rans32", 2, (4, 100))
    stream = work.stream().clone()
    work.push(stream)
    assert stream_rows(stream) == stream_rows(work.expected)


@pytest.mark.parametrize("check", [False, True])
def test_no_room_for_escapes(engine: HostEngine, check: bool) -> None:
    work = Work("rans64", 1, (2, 50))
    work.symbols += 10**6
    stream = work.stream()
    before = stream_rows(stream)
    if check:
        work.push(stream, check=True)
        assert torch.equal(work.pop(stream, check=True), work.symbols)
        return
    work.push(stream)
    assert stream_rows(stream) == before
    work.push(stream)  # does nothing: the first failure stays
    with pytest.raises(ValueError, match="no room for the escapes"):
        _cuda_stream.check_status(stream)
    _cuda_stream.check_status(stream)  # raised once


@pytest.mark.parametrize("check", [False, True])
def test_bad_indexes(engine: HostEngine, check: bool) -> None:
    work = Work("rans32_16", 8, (3, 64))
    stream = work.stream()
    work.push(stream)
    wrong = work.indexes.clone()
    wrong[1, 5] = 3
    if check:
        with pytest.raises(IndexError, match=r"indexes\[1, 5\] is 3"):
            work.pop(stream, True, wrong)
    else:
        work.pop(stream, False, wrong)
        with pytest.raises(IndexError, match="symbol 5 of row 1"):
            _cuda_stream.check_status(stream)
    assert torch.equal(work.pop(stream, True), work.symbols)


def test_broken_rows_are_named(engine: HostEngine) -> None:
    work = Work("rans64", 1, (4, 64))
    stream = work.stream()
    work.push(stream)
    stream[[1, 3], 1:3] = 0
    with pytest.raises(CorruptStreamError) as caught:
        work.pop(stream, check=True)
    assert caught.value.rows == [1, 3]
    narrow = torch.zeros((2, 1), dtype=torch.int32)
    split = Split(2, 5, 10)
    with pytest.raises(CorruptStreamError):
        _cuda_stream.push(
            work.coding, _stream.check_stream(narrow), split, work.symbols[:2, :5], None, False
        )


def test_tables_that_follow_the_symbols(engine: HostEngine) -> None:
    work = Work("tans16", 2, (3, 80))
    ar_tables = torch.randint(0, 3, (2, 3, 9), generator=torch.Generator().manual_seed(0))
    sets = torch.randint(0, 2, (3, 80), generator=torch.Generator().manual_seed(1))
    call = _contexts.call_contexts(ar_tables, 5, sets)
    assert call is not None and _contexts.call_contexts(ar_tables, 5, None) is not None
    codec, tables, digits, _ = work.coding
    cpu = torch.device("cpu")
    bound = _contexts.bind_contexts(call, codec, tables, (3, 80), work.split, cpu)
    assert bound is not None
    work.coding = Coding(codec, tables, digits, bound)
    stream = work.stream()
    work.push(stream, check=True)
    expected = torch_ans.tans16_init_stream(3, 2)
    more = {"ar_tables": ar_tables, "ar_offsets": 5, "ar_indexes": sets}
    torch_ans.tans16_i2_push(expected, work.symbols, work.indexes, *work.tables.args, **more)
    assert stream_rows(stream) == stream_rows(expected)
    assert torch.equal(work.pop(stream, check=True), work.symbols)
    sets[1, 3] = 2  # on a GPU nothing has looked at it before the kernel does
    work.coding = work.coding._replace(contexts=bound._replace(ar_indexes=sets))
    with pytest.raises(IndexError, match="ar_indexes must name one of the 2 sets"):
        work.pop(stream, check=True)


def test_contexts_are_remembered() -> None:
    ar_tables = torch.zeros(1, 1, 4, dtype=torch.int64)
    first = _contexts.call_contexts(ar_tables, 1, None)
    again = _contexts.call_contexts(ar_tables, 2, None)
    assert first and again and again.contexts.tables is first.contexts.tables
    assert (first.contexts.offsets, again.contexts.offsets) == (((1,),), ((2,),))
    ar_tables[0, 0, 0] = 1
    changed = _contexts.call_contexts(ar_tables, 1, None)
    assert changed and changed.contexts.largest == 1
