"""From a real GPU to bytes and back: the interface, and memory of the caller."""

from __future__ import annotations

from typing import Tuple

import pytest
import torch

from cuda_device import GPU
from torch_ans import CorruptStreamError, TorchANSInterface

pytestmark = pytest.mark.cuda


@pytest.mark.parametrize("rows", [None, 1, 7])
@pytest.mark.parametrize(
    "impl", ["rans64", "rans32_i4", "rans32_16_i32", "rans64_i8_alias", "tans32", "tans16_i32"]
)
def test_the_interface_end_to_end(impl: str, rows: object) -> None:
    coder = TorchANSInterface(impl, device="cuda", num_parallel_states=rows, freq_precision=14)
    freqs = torch.rand(5, 100, generator=torch.Generator().manual_seed(0)) + 0.01
    coder.init_params(freqs.to(GPU), torch.tensor([100, 3, 50, 99, 2]), torch.arange(5) - 20)
    symbols = torch.randint(-40, 90, (3, 11, 29), generator=torch.Generator().manual_seed(1))
    indexes = torch.randint(0, 5, symbols.shape, generator=torch.Generator().manual_seed(2))
    data = coder.encode_with_indexes(symbols.to(GPU), indexes.to(GPU))
    assert data == coder.encode_with_indexes(symbols, indexes)
    decoded = coder.decode_with_indexes(data, indexes.to(GPU))
    assert decoded.device == GPU and torch.equal(decoded.cpu().long(), symbols)
    with pytest.raises(CorruptStreamError):
        coder.decode_with_indexes(data[:-4], indexes.to(GPU))
    with pytest.raises(ValueError, match="device"):
        coder.encode_with_indexes(symbols.to(GPU), indexes)


def large_work(rows: int) -> Tuple[TorchANSInterface, torch.Tensor]:
    coder = TorchANSInterface(
        "rans32_16_i32", device="cuda", num_parallel_states=rows, dtype=torch.uint8
    )
    coder.init_params(torch.ones(1, 200, device=GPU))
    generator = torch.Generator().manual_seed(rows)
    symbols = torch.randint(0, 200, (3_000_001,), dtype=torch.uint8, generator=generator)
    return coder, symbols


@pytest.mark.parametrize("rows", [1, 7, 3000])
def test_bytes_in_memory_of_the_caller(rows: int) -> None:
    coder, symbols = large_work(rows)
    on_device = symbols.to(GPU)
    expected = coder.encode_symbols(symbols)
    assert coder.encode_symbols(on_device) == expected
    size = len(expected)
    pinned = torch.empty(size + 100, dtype=torch.uint8, pin_memory=True)
    pageable = torch.empty(size + 100, dtype=torch.uint8)
    targets = [pinned, pinned[64:], pinned.numpy(), memoryview(pinned.numpy())[1:]]
    decoded = torch.empty_like(on_device)
    for out in [*targets, pageable, bytearray(size)]:
        memory = out if isinstance(out, torch.Tensor) else torch.frombuffer(out, dtype=torch.uint8)
        memory.fill_(7)
        data = coder.encode_symbols(on_device, out=out)
        assert data == expected and bool((memory[size:] == 7).all())
        for source in (data, memory[:size], bytes(data)):
            decoded.zero_()
            coder.decode_symbols(source, out=decoded)
            memory[:size] += 1  # it has been read: the device does not see this
            assert torch.equal(decoded, on_device)
            memory[:size] -= 1
    short = pinned[: size - 1].fill_(7)
    with pytest.raises(ValueError, match=f"out must have at least {size} bytes, got {size - 1}"):
        coder.encode_symbols(on_device, out=short)
    assert bool((short == 7).all())


def test_pinned_memory_that_is_no_encoded_data() -> None:
    coder, symbols = large_work(50)
    pinned = torch.empty(4_000_000, dtype=torch.uint8, pin_memory=True)
    data = coder.encode_symbols(symbols.to(GPU), out=pinned)
    pinned[:3] = 255  # the first row's length
    for _ in range(3):
        with pytest.raises(CorruptStreamError):
            coder.decode_symbols(data, symbols.shape)
        pinned.random_(0, 255)
    coder.encode_symbols(symbols.to(GPU), out=pinned)
    pinned[5_000:6_000] = 0
    with pytest.raises(CorruptStreamError):
        coder.decode_symbols(data, symbols.shape)


def test_pinned_memory_and_other_streams() -> None:
    coder, symbols = large_work(500)
    expected = coder.encode_symbols(symbols)
    memories = [torch.empty(len(expected), dtype=torch.uint8, pin_memory=True) for _ in range(3)]
    on_device = symbols.to(GPU)
    torch.cuda.synchronize()
    for memory in memories:
        with torch.cuda.stream(torch.cuda.Stream()):
            data = coder.encode_symbols(on_device, out=memory)
            assert data == expected
            decoded = coder.decode_symbols(memory, symbols.shape)
            assert torch.equal(decoded.cpu(), symbols)


def test_a_queue_in_pinned_memory() -> None:
    coder, symbols = large_work(30)
    pinned = torch.empty(8_000_000, dtype=torch.uint8, pin_memory=True)
    results = []
    for more in ({}, {"out": pinned}):
        coder.encode_symbols(symbols.to(GPU), cache=True)
        coder.encode_symbols(symbols.to(GPU), cache=True)
        results.append(coder.flush(**more))
    assert results[0] == results[1]
    coder.set_stream(pinned[: len(results[1])])
    pinned.zero_()  # set_stream does not wait, and has copied the bytes
    for _ in range(2):
        decoded = coder.decode_stream(None, out=torch.empty_like(symbols, device=GPU))
        assert torch.equal(decoded.cpu(), symbols)
