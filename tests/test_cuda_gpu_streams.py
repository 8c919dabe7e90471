"""Streams on a real GPU: nothing waits, other CUDA streams, graphs, errors that come later."""

from __future__ import annotations

from typing import Iterator

import pytest
import torch

import torch_ans
from cuda_device import GPU, host_rows
from helpers import encode, make_symbols, make_tables, stream_rows
from torch_ans import CorruptStreamError

pytestmark = pytest.mark.cuda


@pytest.fixture
def no_waiting() -> Iterator[None]:
    """Any synchronisation by torch is an error."""
    yield
    torch.cuda.set_sync_debug_mode("default")


def test_nothing_waits(no_waiting: None) -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 1000), tables)
    symbols, indexes = symbols.to(GPU), indexes.to(GPU)
    stream = torch_ans.rans32_16_init_stream(64, 32, 4000, device=GPU)
    torch_ans.rans32_16_i32_push(stream, symbols, indexes, *tables.args)
    torch_ans.rans32_16_i32_pop(stream, indexes, *tables.args)  # the tables are there now
    torch.cuda.set_sync_debug_mode("error")
    for _ in range(3):
        torch_ans.rans32_16_i32_push(stream, symbols, indexes, *tables.args)
    for _ in range(3):
        decoded = torch_ans.rans32_16_i32_pop(stream, indexes, *tables.args)
    torch.cuda.set_sync_debug_mode("default")
    torch_ans.rans_check_stream(stream)
    assert torch.equal(decoded, symbols.to(decoded.dtype))


def test_pops_make_room() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 1000), tables)
    symbols, indexes = symbols.to(GPU), indexes.to(GPU)
    stream = torch_ans.rans32_16_init_stream(64, 32, device=GPU)
    columns = []
    for _ in range(20):
        for _ in range(3):
            torch_ans.rans32_16_i32_push(stream, symbols, indexes, *tables.args)
        for _ in range(3):
            decoded = torch_ans.rans32_16_i32_pop(stream, indexes, *tables.args)
        columns.append(stream.shape[1])
        torch.cuda.synchronize()
    assert columns[5] == columns[-1]
    torch_ans.rans_check_stream(stream)
    assert torch.equal(decoded, symbols.to(decoded.dtype))


def test_other_streams() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 5000), tables)
    expected = stream_rows(encode("rans64", 4, tables, symbols, indexes))
    streams = [torch.cuda.Stream() for _ in range(3)]
    made = []
    for side in streams:
        with torch.cuda.stream(side):
            stream = torch_ans.rans64_init_stream(64, 4, device=GPU)
            torch_ans.rans64_i4_push(stream, symbols.to(GPU), indexes.to(GPU), *tables.args)
            made.append(stream)
    torch.cuda.synchronize()
    assert all(host_rows(stream) == expected for stream in made)


def test_a_captured_graph() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (16, 400), tables)
    symbols, indexes = symbols.to(GPU), indexes.to(GPU)
    fresh = torch_ans.rans64_init_stream(16, 2, 2000, device=GPU)
    stream = torch_ans.rans64_init_stream(16, 2, 2000, device=GPU)
    out = torch.zeros_like(symbols)

    def work() -> None:
        stream.copy_(fresh)
        torch_ans.rans64_i2_push(stream, symbols, indexes, *tables.args)
        torch_ans.rans64_i2_pop(stream, indexes, *tables.args, out=out)

    work()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        work()
    for seed in range(3):
        other, _ = make_symbols(seed, (16, 400), tables)
        symbols.copy_(other.clamp(-5, 5))
        out.zero_()
        graph.replay()
        torch_ans.rans_check_stream(stream)
        assert torch.equal(out, symbols)


def test_what_goes_wrong_is_told_later() -> None:
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (8, 300), tables)
    stream = torch_ans.rans64_init_stream(8, device=GPU)
    torch_ans.rans64_push(stream, symbols.to(GPU), indexes.to(GPU), *tables.args, check=True)
    before = host_rows(stream)
    wrong = indexes.clone()
    wrong[3, 7] = 9
    torch_ans.rans64_push(stream, symbols.to(GPU), wrong.to(GPU), *tables.args)
    torch_ans.rans64_push(stream, symbols.to(GPU), indexes.to(GPU), *tables.args)
    with pytest.raises(IndexError, match="symbol 7 of row 3"):
        torch_ans.rans_check_stream(stream)
    assert host_rows(stream) == before
    with pytest.raises(IndexError, match=r"indexes\[3, 7\] is 9"):
        torch_ans.rans64_pop(stream, wrong.to(GPU), *tables.args, check=True)
    stream[5, 1:3] = 0
    with pytest.raises(CorruptStreamError) as caught:
        torch_ans.rans64_pop(stream, indexes.to(GPU), *tables.args, check=True)
    assert caught.value.rows == [5]


def test_another_gpu() -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU")
    tables = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (8, 300), tables)
    other = torch.device("cuda", 1)
    stream = torch_ans.rans64_init_stream(8, device=other)
    torch_ans.rans64_push(stream, symbols.to(other), indexes.to(other), *tables.args, check=True)
    assert host_rows(stream) == stream_rows(encode("rans64", 1, tables, symbols, indexes))
    assert torch.cuda.current_device() == 0
