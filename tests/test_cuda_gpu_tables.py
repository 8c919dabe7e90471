"""Tables on a real GPU: made there, checked there, used by any CUDA stream."""

from __future__ import annotations

import pickle
from typing import Tuple

import pytest
import torch

import torch_ans
from cuda_device import GPU, host_rows, on_gpu
from helpers import encode, init_op, make_symbols, make_tables, pop_op, push_op, stream_rows
from torch_ans import TorchANSInterface

pytestmark = pytest.mark.cuda


def test_quantising() -> None:
    generator = torch.Generator().manual_seed(4)
    for length in (1, 31, 257, 5000):
        for skew in (1, 5, 30):
            pmf = torch.rand(20, length, generator=generator) ** skew
            pmf[:, 0] += 0.001  # every row has some mass
            expected = torch_ans.rans_pmf_to_quantized_cdf(pmf, 14)
            assert torch.equal(torch_ans.rans_pmf_to_quantized_cdf(pmf.to(GPU), 14).cpu(), expected)
    with pytest.raises(ValueError, match="row 1 of pmf holds a negative value"):
        torch_ans.rans_pmf_to_quantized_cdf(torch.tensor([[1.0], [-1.0]], device=GPU))


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=str)
@pytest.mark.parametrize("sizes", [[2], [40, 2, 300, 3], [2] * 300, [1500]], ids=len)
def test_tables_made_on_the_device(sizes: list, dtype: torch.dtype) -> None:
    """Every lookup and every kind of image codes as the CPU's tables do, which no one has made."""
    for precision, alias, q in (
        (16, True, None),
        (16, False, None),
        (12, False, 0),
        (11, False, 5),
    ):
        made = make_tables(2, sizes, precision)
        symbols, indexes = make_symbols(3, (9, 400), made)
        here = torch_ans.CodingTables(*made.args[:3], *made.args[4:6], alias=alias)
        tensors = [tensor.to(GPU, dtype) for tensor in made.args[:3]]
        options = {"alias": alias, "inverse_cdf_precision": q}
        tables = torch_ans.CodingTables(*tensors, *made.args[4:6], **options)
        for family, lanes in (("rans64", 1), ("rans32", 32), ("tans32", 4)):
            if family == "tans32" and (
                alias or precision > 15 or len(sizes) * 2**precision > 2**28
            ):
                continue
            digits = made.args[6]
            streams = [init_op(family)(9, lanes, device=d) for d in ("cpu", GPU)]
            push, pop = push_op(family, lanes, alias), pop_op(family, lanes, alias)
            push(streams[0], symbols, indexes, here, bypass_precision=digits)
            operands = symbols.to(GPU), indexes.to(GPU)
            push(streams[1], *operands, tables, bypass_precision=digits, check=True)
            assert host_rows(streams[1]) == stream_rows(streams[0])
            found = pop(streams[1], operands[1], tables, bypass_precision=digits, check=True)
            assert torch.equal(found.cpu(), symbols.to(found.dtype))
        assert tables._native is None and tables.cdfs.device == GPU and tables.nbytes > 0
        assert tables.native.numbers() == here.native.numbers()
        assert pickle.loads(pickle.dumps(tables)).cdfs.device.type == "cpu"


@pytest.mark.parametrize(
    "name,place,value",
    [
        ("cdfs", (1, 0), 1),
        ("cdfs", (1, 3), 0),
        ("cdfs", (2, 200), -5),
        ("cdfs", (2, 200), 4095),
        ("cdfs", (0, 5), 2**31 - 1),
        ("cdfs", (2, 250), 2**40),
        ("cdfs_sizes", (1,), 1),
        ("cdfs_sizes", (1,), 252),
        ("cdfs_sizes", (2,), -(2**31)),
        ("offsets", (0,), 2**30 + 1),
        ("offsets", (2,), -(2**40)),
    ],
)
def test_what_is_no_cdf(name: str, place: Tuple[int, ...], value: int) -> None:
    """The CPU's words, and nothing else happens."""
    made = make_tables(2, [40, 7, 200], 12)
    wide = torch.cat([made.cdfs, torch.zeros(3, 251 - made.cdfs.shape[1], dtype=torch.int32)], 1)
    tensors = dict(zip(("cdfs", "cdfs_sizes", "offsets"), (wide, *made.args[1:3])))
    tensors = {key: tensor.to(torch.int64) for key, tensor in tensors.items()}
    tensors[name][place] = value
    messages = []
    for device in ("cpu", GPU):
        with pytest.raises(ValueError) as caught:
            torch_ans.CodingTables(*(t.to(device) for t in tensors.values()), 12)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    stream = torch_ans.rans64_init_stream(1, device=GPU)
    before = host_rows(stream)
    with pytest.raises(ValueError):
        arguments = [t.to(GPU) for t in tensors.values()]
        symbols = torch.zeros((1, 9), dtype=torch.int32, device=GPU)
        torch_ans.rans64_push(stream, symbols, symbols, *arguments, freq_precision=12)
    torch_ans.rans_check_stream(stream)
    assert host_rows(stream) == before


def test_from_probabilities_to_bytes_on_the_device() -> None:
    pmf = torch.rand(7, 60, generator=torch.Generator().manual_seed(5)) ** 4
    cdfs = torch_ans.rans_pmf_to_quantized_cdf(pmf.to(GPU), 14)
    symbols = torch.randint(0, 60, (4, 500), generator=torch.Generator().manual_seed(6))
    indexes = torch.randint(0, 7, (4, 500), generator=torch.Generator().manual_seed(7))
    data = []
    for device in ("cpu", GPU):
        for bypass in (True, False):
            options = {"device": device, "freq_precision": 14, "bypass_coding": bypass}
            coder = TorchANSInterface("rans32_16_i8", **options)
            if bypass:
                coder.init_params(pmf.to(device))
            else:
                coder.set_cdfs(cdfs.to(device))
            assert coder.cdfs.device == torch.device(device)
            data.append(coder.encode_with_indexes(symbols.to(device), indexes.to(device)))
    assert data[:2] == data[2:]
    assert coder.tables._native is None  # no one has asked the host for tables
    assert coder.pack(symbols.to(GPU), indexes.to(GPU))  # their hash does


def test_tables_of_other_streams_and_graphs() -> None:
    made = make_tables(5, [60, 90, 20], 12)
    symbols, indexes = make_symbols(1, (64, 500), made)
    expected = stream_rows(encode("rans64", 4, made, symbols, indexes))
    operands = symbols.to(GPU), indexes.to(GPU)
    options = {"bypass_precision": made.args[6], "check": True}
    torch.cuda.synchronize()
    for _ in range(5):
        with torch.cuda.stream(torch.cuda.Stream()):
            tables = torch_ans.CodingTables(*on_gpu(made)[:3], *made.args[4:6])
            stream = torch_ans.rans64_init_stream(64, 4, device=GPU)
            torch_ans.rans64_i4_push(stream, *operands, tables, **options)
        with torch.cuda.stream(torch.cuda.Stream()):
            other = torch_ans.rans64_init_stream(64, 4, device=GPU)
            torch_ans.rans64_i4_push(other, *operands, tables, **options)
        assert host_rows(stream) == expected and host_rows(other) == expected
    fresh = torch_ans.CodingTables(*on_gpu(made)[:3], *made.args[4:6])
    stream = torch_ans.rans64_init_stream(64, 1, 4000, device=GPU)
    graph = torch.cuda.graph(torch.cuda.CUDAGraph())
    with pytest.raises(RuntimeError, match="use them once before a CUDA graph"), graph:
        torch_ans.rans64_push(stream, *operands, fresh)
