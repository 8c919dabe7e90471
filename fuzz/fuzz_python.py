"""The Python surface under atheris: arguments of any shape and dtype, bytes of any kind.

    pip install atheris && python fuzz/fuzz_python.py -max_total_time=60

Everything must raise one of the documented exceptions or give a right answer. Only the package's
Python code is instrumented; its native module has fuzzers of its own.
"""

from __future__ import annotations

import sys
from typing import Any

import atheris
import torch

with atheris.instrument_imports(include=["torch_ans"]):
    import torch_ans

EXPECTED = (ValueError, TypeError, IndexError, RuntimeError, MemoryError, OverflowError)
DTYPES = [torch.uint8, torch.int8, torch.int16, torch.int32, torch.int64, torch.float32]
IMPLS = ["rans64", "rans32_i4", "rans32_16_i8", "rans64_alias", "rans32_i32", "rans64_i2_invcdf"]
torch.set_num_threads(1)


def tensor(data: Any) -> torch.Tensor:
    """A small tensor of any dtype, shape and strides."""
    shape = [data.ConsumeIntInRange(0, 6) for _ in range(data.ConsumeIntInRange(0, 3))]
    count = 1
    for size in shape:
        count *= size
    low, high = data.PickValueInList([(0, 3), (-4, 4), (-(2**63), 2**63 - 1)])
    values = [data.ConsumeIntInRange(low, high) for _ in range(count)]
    dtype = data.PickValueInList(DTYPES if odd(data) else DTYPES[:5])
    wide = torch.tensor(values, dtype=torch.int64).reshape(shape)
    result = wide.to(dtype)
    if result.dim() == 2 and data.ConsumeBool():
        result = result.t()
    if result.dim() and result.shape[-1] and data.ConsumeBool():
        result = result[..., :1].expand(result.shape)
    return result


def odd(data: Any) -> bool:
    """Now and then: most inputs should get past the first check."""
    return data.ConsumeIntInRange(0, 19) == 13


def coder(data: Any) -> torch_ans.TorchANSInterface:
    """An interface with tables, most of the time."""
    wrong = odd(data)
    made = torch_ans.TorchANSInterface(
        data.PickValueInList(IMPLS),
        freq_precision=data.PickValueInList([0, 17] if wrong else [12, 16, 8, 3]),
        num_parallel_states=data.PickValueInList([0, -1] if wrong else [None, 1, 2, 7]),
        bypass_coding=data.ConsumeBool(),
        bypass_precision=data.PickValueInList([0, 17] if wrong else [4, 1, 15, 7]),
        num_bytes_code_length=data.PickValueInList([3, 0] if wrong else [4, 1, 2, 8]),
        dtype=data.PickValueInList(DTYPES if wrong else DTYPES[:5]),
    )
    if odd(data):
        made.init_params(tensor(data), tensor(data), tensor(data))
    elif odd(data):
        made.set_cdfs(tensor(data), tensor(data))
    else:
        rows, width = data.ConsumeIntInRange(1, 3), data.ConsumeIntInRange(1, 5)
        counts = [data.ConsumeIntInRange(1, 9) for _ in range(rows * width)]
        made.init_params(torch.tensor(counts).reshape(rows, width))
    return made


def indexes_for(data: Any, made: torch_ans.TorchANSInterface, shape: Any) -> torch.Tensor:
    """Indexes that broadcast to a shape and name tables, most of the time."""
    if odd(data):
        return tensor(data)
    indexes = torch.zeros(shape, dtype=data.PickValueInList(DTYPES[:5]))
    for place in range(min(indexes.numel(), 8)):
        most = made.tables.num_tables if odd(data) else made.tables.num_tables - 1
        indexes.view(-1)[place] = data.ConsumeIntInRange(0, max(most, 0))
    return indexes


def one_input(raw: bytes) -> None:
    """One use of the package."""
    data = atheris.FuzzedDataProvider(raw)
    way = data.ConsumeIntInRange(0, 4)
    try:
        made = coder(data)
        if way == 0:
            symbols = tensor(data)
            indexes = indexes_for(data, made, symbols.shape)
            encoded = made.encode_with_indexes(symbols, indexes)
            shape = symbols.shape
            decoded = made.decode_with_indexes(encoded, indexes.expand(shape), dtype=torch.int64)
            if decoded.tolist() != symbols.tolist():
                raise AssertionError("wrong symbols")
        elif way == 1:
            indexes = indexes_for(data, made, [data.ConsumeIntInRange(0, 40)])
            made.decode_with_indexes(data.ConsumeBytes(400), indexes)
        elif way == 2:
            symbols = tensor(data)
            indexes = indexes_for(data, made, symbols.shape)
            packed = bytearray(made.pack(symbols, indexes))
            at = data.ConsumeIntInRange(0, 8 * len(packed))
            if at < 8 * len(packed):
                packed[at // 8] ^= 1 << at % 8
            try:
                unpacked = made.unpack(
                    packed, indexes, errors=data.PickValueInList(["strict", "salvage"])
                )
            except torch_ans.CorruptStreamError:
                if at == 8 * len(packed):
                    raise AssertionError("a good file was refused") from None
                return
            good = at == 8 * len(packed)
            if isinstance(unpacked, torch_ans.Salvaged):
                good, unpacked = good or unpacked.broken_rows != [], unpacked.symbols
            elif unpacked.tolist() != symbols.tolist():
                good = False
            if not good:
                raise AssertionError("a flipped bit went unnoticed")
        elif way == 3:
            made.unpack(data.ConsumeBytes(400), tensor(data), errors="salvage")
        else:
            made.set_stream(data.ConsumeBytes(400))
            made.decode_stream(indexes_for(data, made, [3, data.ConsumeIntInRange(0, 9)]))
    except EXPECTED:
        pass


if __name__ == "__main__":
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()
