"""The same bytes on any number of threads, beside other threads, and after a fork."""

from __future__ import annotations

import sys
import threading
from typing import Iterator, List

import pytest
import torch

import torch_ans
from helpers import encode, make_symbols, make_tables, pop_op, run_child, stream_rows
from torch_ans import CorruptStreamError, TorchANSInterface


@pytest.fixture(autouse=True)
def restored_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize(
    "family,lanes", [("rans64", 1), ("rans64", 4), ("rans32", 8), ("rans32_16", 32)]
)
def test_the_same_bytes_on_any_number_of_threads(family: str, lanes: int) -> None:
    tables = make_tables(0, [5, 90, 300], 12)
    symbols, indexes = make_symbols(0, (37, 3001), tables)
    rows = []
    for threads in (1, 2, 3, 4):
        torch.set_num_threads(threads)
        stream = encode(family, lanes, tables, symbols, indexes)
        rows.append(stream_rows(stream))
        assert torch.equal(pop_op(family, lanes)(stream, indexes, *tables.args), symbols)
    assert rows[0] == rows[1] == rows[2] == rows[3]


def test_the_same_broken_rows_on_any_number_of_threads() -> None:
    tables = make_tables(0, [5, 90, 300], 12)
    symbols, indexes = make_symbols(0, (37, 3001), tables)
    stream = encode("rans64", 1, tables, symbols, indexes)
    stream[[3, 20, 36], 0] = 4
    for threads in (1, 2, 3, 4):
        torch.set_num_threads(threads)
        before = stream.clone()
        with pytest.raises(CorruptStreamError) as caught:
            torch_ans.rans64_pop(stream, indexes, *tables.args)
        assert caught.value.rows == [3, 20, 36] and torch.equal(stream, before)


def test_a_failed_push_with_threads_names_a_wrong_symbol_and_changes_nothing() -> None:
    tables = make_tables(0, [5, 90], 12).with_bypass(False)
    symbols, indexes = make_symbols(0, (16, 6000), tables)
    stream = encode("rans64", 1, tables, symbols, indexes)
    before = stream.clone()
    indexes[11, 150] = 2
    for threads in (1, 4):
        torch.set_num_threads(threads)
        with pytest.raises(IndexError, match="11, 150"):
            torch_ans.rans64_push(stream, symbols, indexes, *tables.args)
        assert torch.equal(stream, before)


def test_python_threads_code_at_the_same_time() -> None:
    """Shared tables, shared interface, the table cache: nothing is mixed up."""
    shared = make_tables(0, [5, 90, 300], 12)
    coder = TorchANSInterface(freq_precision=12, num_parallel_states=8)
    coder.set_cdfs(shared.cdfs, shared.sizes, shared.offsets)
    failures: List[str] = []

    def work(seed: int) -> None:
        own = make_tables(seed, [9, 200], 11)
        for n in range(12):
            for tables in (shared, own):
                symbols, indexes = make_symbols(100 * seed + n, (8, 50 if n % 2 else 8000), tables)
                stream = encode("rans64", 4, tables, symbols, indexes)
                if not torch.equal(pop_op("rans64", 4)(stream, indexes, *tables.args), symbols):
                    failures.append("low level, seed %d" % seed)
            symbols, indexes = make_symbols(100 * seed + n, (8, 500), shared)
            data = coder.encode_with_indexes(symbols, indexes)
            if not torch.equal(coder.decode_with_indexes(data, indexes), symbols):
                failures.append("interface, seed %d" % seed)

    def guarded(seed: int) -> None:
        try:
            work(seed)
        except BaseException as error:
            failures.append(repr(error))

    threads = [threading.Thread(target=guarded, args=(seed,)) for seed in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_other_threads_run_while_a_push_works() -> None:
    """The GIL is released: a Python thread makes steps during one long native call."""
    tables = make_tables(0, [200], 12)
    symbols, indexes = make_symbols(0, (1, 4_000_000), tables, escapes=0.0)
    torch.set_num_threads(1)
    stream = torch_ans.rans64_init_stream(1, 1, 12_000_000)
    steps, inside, done = [0], threading.Event(), threading.Event()

    def count() -> None:
        inside.set()
        while not done.is_set():
            steps[0] += 1

    thread = threading.Thread(target=count)
    thread.start()
    inside.wait()
    before = steps[0]
    torch_ans.rans64_push(stream, symbols, indexes, *tables.args)
    during = steps[0] - before
    done.set()
    thread.join()
    assert during > 100
    assert torch.equal(torch_ans.rans64_pop(stream, indexes, *tables.args), symbols)


FORK = """
import os, sys
import torch
import torch_ans
from helpers import encode, make_symbols, make_tables, pop_op, stream_rows
torch.set_num_threads(4)
tables = make_tables(0, [5, 90, 300], 12)
symbols, indexes = make_symbols(0, (37, 3001), tables)
expected = stream_rows(encode("rans64", 4, tables, symbols, indexes))  # OpenMP has its threads now
pid = os.fork()
if pid == 0:
    ok = False
    same = lambda a, b: bool((a.numpy() == b.numpy()).all())  # torch's own threads are gone here
    try:
        stream = encode("rans64", 4, tables, symbols, indexes)
        ok = stream_rows(stream) == expected
        ok = ok and same(pop_op("rans64", 4)(stream, indexes, *tables.args), symbols)
        coder = torch_ans.TorchANSInterface(num_parallel_states=37, freq_precision=12)
        coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
        data = coder.encode_with_indexes(symbols, indexes)
        ok = ok and same(coder.decode_with_indexes(data, indexes), symbols)
        torch_ans.rans_pmf_to_quantized_cdf(torch.ones(40, 100), 12)
    finally:
        os._exit(0 if ok else 1)
status = os.waitpid(pid, 0)[1]
assert status == 0, status
assert stream_rows(encode("rans64", 4, tables, symbols, indexes)) == expected
print("done")
"""


def test_a_forked_child_codes_after_the_parent_used_openmp() -> None:
    assert run_child(FORK, timeout=120) == "done\n"


LOADER = """
import torch
from torch.utils.data import DataLoader, Dataset
import torch_ans
from helpers import encode, make_symbols, make_tables, pop_op, stream_rows

TABLES = make_tables(0, [5, 90, 300], 12)

class Coded(Dataset):
    def __len__(self):
        return 8
    def __getitem__(self, n):
        symbols, indexes = make_symbols(n, (16, 6000), TABLES)
        stream = encode("rans64", 4, TABLES, symbols, indexes)
        decoded = pop_op("rans64", 4)(stream.clone(), indexes, *TABLES.args)
        return stream[:, 0], torch.equal(decoded, symbols)

if __name__ == "__main__":
    torch.set_num_threads(4)
    symbols, indexes = make_symbols(0, (16, 6000), TABLES)
    encode("rans64", 4, TABLES, symbols, indexes)
    loader = DataLoader(Coded(), batch_size=None, num_workers=2, multiprocessing_context="fork")
    seen = 0
    for n, (lengths, ok) in enumerate(loader):
        symbols, indexes = make_symbols(n, (16, 6000), TABLES)
        assert ok and torch.equal(lengths, encode("rans64", 4, TABLES, symbols, indexes)[:, 0])
        seen += 1
    assert seen == 8
    print("done")
"""


def test_dataloader_workers_code() -> None:
    assert run_child(LOADER, timeout=200) == "done\n"


POOLS = """
import os
import torch
import torch_ans
from helpers import encode, make_symbols, make_tables

tables = make_tables(0, [5, 90, 300], 12)
symbols, indexes = make_symbols(0, (64, 9000), tables)
torch.set_num_threads(4)
(torch.rand(4_000_000) * 2).sum()
before = len(os.listdir("/proc/self/task"))
encode("rans64", 4, tables, symbols, indexes)
assert len(os.listdir("/proc/self/task")) == before
with open("/proc/self/maps") as maps:
    pools = {line.split()[-1] for line in maps if "omp" in os.path.basename(line.split()[-1])}
print(len(pools))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_the_threads_are_those_of_torch() -> None:
    """One OpenMP runtime in the process, and no thread more than torch has started."""
    assert run_child(POOLS) in ("0\n", "1\n")
