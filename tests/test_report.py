"""What a size is made of: the parts add up, and are those of the bytes."""

from __future__ import annotations

import pytest
import torch

from helpers import make_symbols, make_tables
from torch_ans import CorruptStreamError, SizeReport, TorchANSInterface


@pytest.mark.parametrize("family,lanes,rows", [("rans64", 1, None), ("rans32_16", 8, 5)])
@pytest.mark.parametrize("bypass", [False, True])
def test_the_parts_add_up(family: str, lanes: int, rows: int, bypass: bool) -> None:
    precision = 15 if family == "rans32_16" else 16
    tables = make_tables(1, [5, 90], precision, bypass)
    symbols, indexes = make_symbols(1, (20, 30), tables)
    options = {"num_interleaves": lanes, "num_parallel_states": rows, "bypass_coding": bypass}
    coder = TorchANSInterface(family, freq_precision=precision, **options)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    data = coder.encode_with_indexes(symbols, indexes)
    report = coder.report(data, indexes)
    assert report == coder.report(data, indexes, symbols=symbols)
    assert report.total_bytes == len(data)
    assert report.rows == (rows or 1) and report.lanes == lanes and report.num_symbols == 600
    assert report.length_bytes == (4 * (rows - 1) if rows else 4)
    assert report.state_bytes == report.rows * lanes * (8 if family == "rans64" else 4)
    estimated = float(coder.estimate_bits(symbols, indexes).sum())
    assert report.estimated_bits == pytest.approx(estimated)
    value = symbols - tables.offsets[indexes.long()]
    outside = (value < 0) | (value >= tables.sizes[indexes.long()] - 2)
    assert report.num_escapes == (int(outside.sum()) if bypass else 0)
    assert (report.bypass_bits > 0) == bypass
    # a state can be short of a word, and the coder's rounding is small
    room = report.excess_bytes - report.length_bytes - report.empty_state_bytes
    assert -1 < room < report.rows * lanes * 5
    text = str(report)
    assert text.startswith("%d bytes" % len(data)) and "escape" in text


def test_of_the_bytes_alone() -> None:
    coder = TorchANSInterface("rans64", num_parallel_states=2)
    coder.init_params(torch.ones(1, 3))
    report = coder.report(coder.encode_symbols(torch.zeros(0, dtype=torch.int32)))
    assert report == SizeReport(2, 1, 4, 16, 0, 31)
    assert report.excess_bytes is None and str(report).startswith("20 bytes: 2 rows of 1 lane")
    with pytest.raises(CorruptStreamError):
        coder.report(bytes(3))
    with pytest.raises(CorruptStreamError):
        coder.report(bytes(8))
    with pytest.raises(TypeError):
        coder.report("text")
