"""What goes wrong around a coder: no memory, rows that are full, signals, forks, odd numbers."""

from __future__ import annotations

import os
import signal
import struct
import sys
from typing import Any, List

import numpy as np
import pytest
import torch

import torch_ans
from helpers import run_child
from torch_ans import CorruptStreamError, TorchANSInterface, _core, _native, _stream

posix = pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX")
MOST_BYTES = 2**31 - 4
CDF = torch.tensor([[0, 100, 300, 512]], dtype=torch.int32)
TABLES = torch_ans.CodingTables(CDF, freq_precision=9, bypass_coding=False)


def symbols_of(*shape: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randint(0, 3, shape, dtype=torch.int32, generator=generator)


# --- no memory ----------------------------------------------------------------------

LIMITED = """
import os, resource
import torch, torch_ans
from test_faults import CDF, TABLES, symbols_of

torch.set_num_threads(1)
small = symbols_of(2, 50)
stream = torch_ans.rans64_init_stream(2)
torch_ans.rans64_push(stream, small, None, TABLES)
before = stream.clone()
coder = torch_ans.TorchANSInterface("rans64", bypass_coding=False, num_parallel_states=4)
coder.set_cdfs(torch.tensor([[0, 65535, 65536]]))
big = torch.zeros(1, dtype=torch.uint8).expand(2, 10**9)

with open("/proc/self/statm") as file:
    used = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (100 << 20), resource.RLIM_INFINITY))

def refused(call):
    try:
        call()
    except MemoryError:
        return
    raise SystemExit("no MemoryError")

refused(lambda: torch_ans.rans64_push(stream, big, None, TABLES))
assert torch.equal(stream, before)
refused(lambda: torch_ans.rans64_push(stream.view(2, -1), big, None, TABLES))
refused(lambda: torch_ans.rans64_pop(stream, None, TABLES, num_symbols=10**9))
assert torch.equal(stream, before)
refused(lambda: coder.encode_symbols(big))
refused(lambda: coder.decode_symbols(coder.encode_symbols(small * 0), size=(10**5, 10**5)))
refused(lambda: torch_ans.rans64_init_stream(10**9))
# 4096 alias tables of 16 bits need 512 MiB in the native module itself
cdfs = torch.tensor([[0, 65536]], dtype=torch.int32).repeat(4096, 1)
refused(lambda: torch_ans.CodingTables(cdfs, bypass_coding=False, alias=True))

# and all is well afterwards
assert torch.equal(torch_ans.rans64_pop(stream, None, TABLES, num_symbols=50), small)
data = coder.encode_symbols(small.clamp(max=1))
assert torch.equal(coder.decode_symbols(data, size=(2, 50)), small.clamp(max=1))
print("ok")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs /proc and RLIMIT_AS")
@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="ASan needs the space")
def test_a_failed_allocation_leaves_the_stream_as_it_was():
    assert run_child(LIMITED).strip() == "ok"


# --- rows of 2 GiB ------------------------------------------------------------------


def nearly_full_stream(free_bytes: int) -> torch.Tensor:
    """A row that is `free_bytes` short of 2 GiB; only its first and last pages are touched."""
    stream = torch.empty((1, _stream.MAX_COLUMNS), dtype=torch.int32)
    stream[0, 0] = MOST_BYTES - free_bytes
    stream[0, 1:3] = torch.tensor([-(2**31), 0])  # a state of 2**31
    return stream


@pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", ""), reason="ASan fills memory")
def test_a_full_row_is_an_error_and_stays_as_it_was():
    try:
        stream = nearly_full_stream(free_bytes=400)
    except RuntimeError:
        pytest.skip("no 2 GiB of address space")
    head, tail = stream[0, :3].tolist(), stream[0, -110:].clone()
    length = 4 + head[0]
    with pytest.raises(ValueError, match="2 GiB"):
        torch_ans.rans64_push(stream, symbols_of(1, 4000), None, TABLES)
    assert stream[0, :3].tolist() == head
    used = (length - 4 * (_stream.MAX_COLUMNS - 110)) // 4
    assert torch.equal(stream[0, -110:][:used], tail[:used])
    # What fits still goes in, and out again.
    symbols = symbols_of(1, 1000)
    torch_ans.rans64_push(stream, symbols, None, TABLES)
    assert head[0] < int(stream[0, 0]) <= MOST_BYTES
    popped = torch_ans.rans64_pop(stream, None, TABLES, num_symbols=1000)
    assert torch.equal(popped, symbols) and stream[0, :3].tolist() == head


def test_columns_never_pass_what_a_length_word_can_say():
    assert _stream.columns_for(2**31 - 4) == _stream.MAX_COLUMNS
    assert _stream.columns_for(2**45) == _stream.MAX_COLUMNS
    assert 4 * (_stream.MAX_COLUMNS - 1) == MOST_BYTES
    codec = _native.get_codec("rans64", 32)
    assert _core.max_row_bytes(codec, 16, 2**40) > 2**41
    with pytest.raises(CorruptStreamError, match="2 GiB"):
        _stream.row_columns(codec, 2**31)


# --- bytes that claim more than they are --------------------------------------------


def test_uneven_rows_do_not_multiply_memory(monkeypatch):
    """In one stream, all rows would be as long as the longest."""
    monkeypatch.setattr(_stream, "_PADDED_WORDS", 40)
    for rows in (7, 64):
        coder = TorchANSInterface("rans64_i2", num_parallel_states=rows)
        coder.init_params(torch.tensor([[5.0, 1, 1]]))
        symbols = symbols_of(rows, 9)
        symbols[3] = torch.arange(9) * 10**8  # escapes: a long row
        data = coder.encode_symbols(symbols)
        indexes = torch.zeros((), dtype=torch.int64).expand(rows, 9)
        assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)
        packed = bytearray(coder.pack(symbols))
        packed[-1] ^= 4
        salvaged = coder.unpack(packed, errors="salvage")
        assert salvaged.broken_rows == [rows - 1]
        assert torch.equal(salvaged.symbols[:-1], symbols[:-1])


def test_many_empty_rows_and_a_long_one_are_refused_without_their_product_in_memory():
    coder = TorchANSInterface("rans64", bypass_coding=False)
    coder.set_cdfs(CDF * 128)
    long = bytes(1 << 20)
    data = struct.pack("<I", len(long)) + long + bytes(4 << 16)  # 1 + 65536 rows: 64 GiB padded
    with pytest.raises(CorruptStreamError) as caught:
        coder.decode_symbols(data, size=(65537,))
    assert caught.value.rows == list(range(65537))


# --- interrupted --------------------------------------------------------------------


class Interrupted(Exception):
    pass


@posix
def test_a_push_that_a_signal_interrupts_is_done_or_not():
    def interrupt(*_: Any) -> None:
        raise Interrupted

    pushed: List[torch.Tensor] = []
    stream = torch_ans.rans64_init_stream(3)
    old = signal.signal(signal.SIGALRM, interrupt)
    rng = np.random.default_rng(0)
    interruptions = 0
    try:
        for step in range(300):
            symbols = symbols_of(3, 40 + step)
            before = torch_ans.rans_stream_to_byte_strings(stream)
            try:
                signal.setitimer(signal.ITIMER_REAL, float(rng.uniform(1e-6, 3e-4)))
                torch_ans.rans64_push(stream, symbols, None, TABLES)
                signal.setitimer(signal.ITIMER_REAL, 0)
                pushed.append(symbols)
            except Interrupted:
                interruptions += 1
                if torch_ans.rans_stream_to_byte_strings(stream) != before:
                    pushed.append(symbols)
            if len(pushed) > 60:
                break
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    for symbols in reversed(pushed):
        popped = torch_ans.rans64_pop(stream, None, TABLES, num_symbols=symbols.shape[1])
        assert torch.equal(popped, symbols)
    assert torch.equal(stream[:, 0], torch.full((3,), 8, dtype=torch.int32))


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_push_that_fails_while_the_stream_grows_changes_nothing(monkeypatch, when):
    stream = torch_ans.rans64_init_stream(2)
    before, columns = stream.clone(), stream.shape[1]
    encode = _core.encode

    def broken(*args: Any) -> Any:
        if when == "after":
            encode(*args)
        raise KeyboardInterrupt

    monkeypatch.setattr(_core, "encode", broken)
    with pytest.raises(KeyboardInterrupt):
        torch_ans.rans64_push(stream, symbols_of(2, 1000), None, TABLES)
    assert stream.shape[1] == columns and torch.equal(stream, before)


# --- forks and threads --------------------------------------------------------------

FORKED = """
import os
import torch, torch_ans
from test_faults import TABLES, symbols_of

torch.set_num_threads(4)
symbols = symbols_of(16, 20000)
stream = torch_ans.rans64_init_stream(16)
torch_ans.rans64_push(stream, symbols, None, TABLES)  # starts OpenMP's threads
bytes_of = torch_ans.rans_stream_to_byte_strings
expected = bytes_of(stream)
children = []
for _ in range(3):
    pid = os.fork()
    if pid == 0:
        own = torch_ans.rans64_init_stream(16)
        torch_ans.rans64_push(own, symbols, None, TABLES)
        good = bytes_of(own) == expected
        torch.set_num_threads(2)  # a child may ask for threads again
        popped = torch_ans.rans64_pop(own, None, TABLES, num_symbols=20000)
        # with NumPy: torch's own operators hang in a child once its parent's threads have run
        good &= (popped.numpy() == symbols.numpy()).all()
        grandchild = os.fork()
        if grandchild == 0:
            torch_ans.rans64_pop(stream, None, TABLES, num_symbols=20000)
            os._exit(7)
        good &= os.waitpid(grandchild, 0)[1] == 7 << 8
        os._exit(0 if good else 1)
    children.append(pid)
assert [os.waitpid(pid, 0)[1] for pid in children] == [0, 0, 0]
assert torch.equal(torch_ans.rans64_pop(stream, None, TABLES, num_symbols=20000), symbols)
print("ok")
"""


@posix
def test_forked_workers_and_theirs_code():
    assert run_child(FORKED, timeout=120).strip() == "ok"


def test_threads_may_change_between_encode_and_decode():
    coder = TorchANSInterface("rans32_16_i8", num_parallel_states=16)
    coder.init_params(torch.tensor([[5.0, 1, 1]]))
    symbols = symbols_of(16, 4000)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(1)
        alone = coder.pack(symbols)
        torch.set_num_threads(4)
        assert coder.pack(symbols) == alone
        assert torch.equal(coder.unpack(alone), symbols)
        torch.set_num_threads(3)
        assert torch.equal(coder.unpack(alone), symbols)
    finally:
        torch.set_num_threads(before)


# --- odd probabilities --------------------------------------------------------------


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1e-30])
@pytest.mark.parametrize("bypass", [True, False])
def test_probabilities_that_are_none_raise(value, bypass):
    coder = TorchANSInterface("rans64", bypass_coding=bypass)
    with pytest.raises(ValueError, match="row 1"):
        coder.init_params(torch.tensor([[0.5, 0.5], [0.5, value]]))
    with pytest.raises(ValueError, match="row 0"):
        torch_ans.rans_pmf_to_quantized_cdf(torch.tensor([[value, 1.0]]), 16)
    with pytest.raises(RuntimeError):  # the interface did not get half of its tables
        coder.encode_symbols(torch.tensor([0]))


@pytest.mark.parametrize("tiny", [1e-45, 1e-40, 1.1754943e-38])
def test_subnormal_probabilities_keep_a_slot(tiny):
    pmf = torch.tensor([tiny, 1.0, tiny, 0.0])
    cdf = torch_ans.rans_pmf_to_quantized_cdf(pmf, 16)
    assert cdf.tolist() == [0, 1, 65534, 65535, 65536]
    coder = TorchANSInterface("rans64", bypass_coding=False)
    coder.init_params(pmf.unsqueeze(0))
    symbols = torch.tensor([[0, 1, 2, 3, 1]], dtype=torch.int32)
    assert torch.equal(coder.unpack(coder.pack(symbols)), symbols)


def test_a_pmf_of_nothing_but_subnormals():
    """Too small to be told from zero: an error or a valid row, never a row that is none."""
    for values in ([1e-45, 1e-45], [1e-38] * 5):
        try:
            cdf = torch_ans.rans_pmf_to_quantized_cdf(torch.tensor(values), 12)
        except ValueError:
            continue
        assert cdf[0] == 0 and cdf[-1] == 4096 and bool((cdf[1:] > cdf[:-1]).all())


# --- tables that a user changes -----------------------------------------------------


def test_tables_do_not_change_with_the_tensors_they_came_from():
    freqs = torch.tensor([[5.0, 1, 1], [1, 1, 9]])
    sizes, offsets = torch.tensor([3, 3]), torch.tensor([0, 0])
    coder = TorchANSInterface("rans64_i4")
    coder.init_params(freqs, sizes, offsets)
    symbols = symbols_of(2, 300)
    indexes = torch.tensor([[0], [1]]).expand(2, 300)
    data, packed = coder.encode_with_indexes(symbols, indexes), coder.pack(symbols, indexes)
    freqs.fill_(1e9)
    sizes.fill_(-1)
    offsets.fill_(77)
    for exposed in (coder.cdfs, coder.cdfs_sizes, coder.offsets):
        exposed.fill_(-12345)  # not allowed, and without effect
    assert coder.encode_with_indexes(symbols, indexes) == data
    assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)
    assert coder.pack(symbols, indexes) == packed
    assert torch.equal(coder.unpack(packed, indexes), symbols)


def test_cdfs_changed_in_place_between_low_level_calls():
    cdfs = torch.tensor([[0, 100, 300, 512]], dtype=torch.int32)
    args = (cdfs, None, None, 8, 9, False)
    symbols = symbols_of(1, 100)
    stream = torch_ans.rans64_init_stream(1)
    torch_ans.rans64_push(stream, symbols, None, *args)
    cdfs[0, 1] = 250
    other = torch_ans.rans64_init_stream(1)
    torch_ans.rans64_push(other, symbols, None, *args)
    assert torch_ans.rans_stream_to_byte_strings(stream) != torch_ans.rans_stream_to_byte_strings(
        other
    )
    assert torch.equal(torch_ans.rans64_pop(other, None, *args, num_symbols=100), symbols)
    cdfs[0, 1] = 400  # no CDF any more
    with pytest.raises(ValueError, match=r"cdfs\[0, 2\]"):
        torch_ans.rans64_push(stream, symbols, None, *args)
