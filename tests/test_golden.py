"""Golden files of torch-ans 0.4.0 and compressai 1.2.8: decoded, and reproduced byte for byte."""

from __future__ import annotations

import json
import os
from typing import Any, Dict, List

import numpy as np
import pytest
import torch

import reference
import torch_ans
from helpers import HERE, init_op, invcdf_pop_op, pop_op, push_op, rows_stream, stream_rows
from torch_ans import TorchANSInterface


class Golden:
    """One npz file and the manifest that explains it."""

    def __init__(self, stem: str) -> None:
        path = os.path.join(HERE, "golden", stem)
        with open(path + ".json") as file:
            self.manifest: Dict[str, Any] = json.load(file)
        with np.load(path + ".npz") as arrays:
            self.arrays = {name: arrays[name] for name in arrays.files}

    def tensor(self, name: str) -> torch.Tensor:
        return torch.from_numpy(self.arrays[name].copy())

    def data(self, name: str) -> bytes:
        return self.arrays[name].tobytes()

    def rows(self, name: str) -> List[bytes]:
        ends = np.cumsum(self.arrays[name + "/lengths"])
        return [part.tobytes() for part in np.split(self.arrays[name], ends[:-1])]


TORCH_ANS = Golden("torch_ans")
COMPRESSAI = Golden("compressai")
STREAMS = TORCH_ANS.manifest["streams"]


def stream_id(case: Dict[str, Any]) -> str:
    return case["after"][0].split("/", 1)[1].rsplit("/", 1)[0]


def tables_of(case: Dict[str, Any]) -> List[torch.Tensor]:
    entry = TORCH_ANS.manifest["tables"][case["tables"]]
    return [TORCH_ANS.tensor(entry[key]) for key in ("cdfs", "sizes", "offsets")]


def stream_arguments(case: Dict[str, Any]) -> List[Any]:
    """What follows symbols and indexes in a push."""
    precision = TORCH_ANS.manifest["tables"][case["tables"]]["precision"]
    return [*tables_of(case), 8, precision, case["bypass"], case["bypass_precision"]]


def pushes_of(case: Dict[str, Any]) -> List[List[torch.Tensor]]:
    entry = TORCH_ANS.manifest["tables"][case["tables"]]["pushes"]
    stems = entry["bypass" if case["bypass"] else "plain"]
    return [
        [TORCH_ANS.tensor(stem + "symbols"), TORCH_ANS.tensor(stem + "indexes")] for stem in stems
    ]


def test_golden_files_cover_every_cpu_variant() -> None:
    made = {(c["family"], c["lanes"], c["alias"]) for c in STREAMS}
    lanes = {"rans64": [1, 2, 4, 8], "rans32": [1, 2, 4, 8], "rans32_16": [1, 2, 4, 8, 32]}
    expected = {(f, n, alias) for f in lanes for n in lanes[f] for alias in (False, True)}
    assert made == expected - {("rans32_16", 32, True)}
    assert (
        sum(
            os.path.getsize(os.path.join(HERE, "golden", f))
            for f in os.listdir(os.path.join(HERE, "golden"))
            if not f.startswith("__")
        )
        < 1 << 20
    )


@pytest.mark.parametrize("case", STREAMS, ids=stream_id)
def test_torch_ans_streams_are_reproduced(case: Dict[str, Any]) -> None:
    stream = init_op(case["family"])(3, case["lanes"])
    push = push_op(case["family"], case["lanes"], case["alias"])
    for (symbols, indexes), blob in zip(pushes_of(case), case["after"]):
        push(stream, symbols, indexes, *stream_arguments(case))
        assert stream_rows(stream) == TORCH_ANS.rows(blob)


@pytest.mark.parametrize("case", STREAMS, ids=stream_id)
def test_torch_ans_streams_are_decoded(case: Dict[str, Any]) -> None:
    family, lanes = case["family"], case["lanes"]
    pops = [pop_op(family, lanes, case["alias"])]
    if not case["alias"]:
        pops.append(invcdf_pop_op(family, lanes))
    for pop in pops:
        stream = rows_stream(TORCH_ANS.rows(case["after"][-1]))
        for n in (1, 0):
            symbols, indexes = pushes_of(case)[n]
            assert torch.equal(pop(stream, indexes, *stream_arguments(case)), symbols)
        assert stream_rows(stream) == stream_rows(init_op(family)(3, lanes))


@pytest.mark.parametrize("case", STREAMS[:: len(STREAMS) // 20], ids=stream_id)
def test_byte_strings_of_golden_streams(case: Dict[str, Any]) -> None:
    rows = TORCH_ANS.rows(case["after"][0])
    stream = torch_ans.rans_byte_strings_to_stream(rows)
    assert torch.equal(stream, rows_stream(rows))
    assert torch_ans.rans_stream_to_byte_strings(stream) == rows


def interface_coder(case: Dict[str, Any]) -> TorchANSInterface:
    coder = TorchANSInterface(num_parallel_states=case["rows"], **case["options"])
    coder.set_cdfs(*tables_of(case))
    return coder


def interface_parts(case: Dict[str, Any]) -> List[List[torch.Tensor]]:
    stem = case["stem"]
    return [
        [TORCH_ANS.tensor("%s%d/%s" % (stem, n, k)) for k in ("symbols", "indexes")]
        for n in range(2)
    ]


INTERFACE = TORCH_ANS.manifest["interface"]


@pytest.mark.parametrize("case", INTERFACE, ids=lambda case: case["stem"])
def test_interface_bytes(case: Dict[str, Any]) -> None:
    data = TORCH_ANS.data(case["stem"] + "bytes")
    symbols, indexes = interface_parts(case)[0]
    coder = interface_coder(case)
    assert coder.encode_with_indexes(symbols, indexes) == data
    decoded = coder.decode_with_indexes(data, indexes)
    assert torch.equal(decoded, symbols) and decoded.shape == symbols.shape


@pytest.mark.parametrize("case", INTERFACE, ids=lambda case: case["stem"])
def test_interface_flushed_bytes(case: Dict[str, Any]) -> None:
    data = TORCH_ANS.data(case["stem"] + "flushed")
    coder = interface_coder(case)
    coder.set_stream(data)
    for symbols, indexes in interface_parts(case):
        assert torch.equal(coder.decode_stream(indexes), symbols)
    for symbols, indexes in interface_parts(case):
        assert coder.encode_with_indexes(symbols, indexes, cache=True) is None
    assert coder.flush() == data


@pytest.mark.parametrize("case", TORCH_ANS.manifest["freqs"], ids=lambda case: case["stem"])
def test_interface_freqs_bytes(case: Dict[str, Any]) -> None:
    stem = case["stem"]
    data, symbols = TORCH_ANS.data(stem + "bytes"), TORCH_ANS.tensor(stem + "symbols")
    freqs = TORCH_ANS.tensor(stem + "freqs")
    args = [freqs, torch.full((len(freqs),), freqs.shape[1]), TORCH_ANS.tensor(stem + "offsets")]
    coder = TorchANSInterface(bypass_coding=case["bypass"], num_parallel_states=case["rows"])
    coder.init_params(*args)
    assert torch.equal(coder.cdfs, TORCH_ANS.tensor(stem + "cdfs"))
    assert coder.encode_with_freqs(symbols, *args) == data
    assert torch.equal(coder.decode_with_freqs(data, *args), symbols)


@pytest.mark.parametrize("case", COMPRESSAI.manifest["quantize"], ids=lambda case: case["pmf"])
def test_compressai_cdf_rows(case: Dict[str, Any]) -> None:
    cdf = torch_ans.rans_pmf_to_quantized_cdf(COMPRESSAI.tensor(case["pmf"]), case["precision"])
    assert torch.equal(cdf, COMPRESSAI.tensor(case["cdf"]))


@pytest.mark.parametrize("case", COMPRESSAI.manifest["streams"], ids=lambda case: case["stem"])
def test_compressai_bytes(case: Dict[str, Any]) -> None:
    """The same coder; only the order of the words differs (newest first)."""
    stem = case["stem"]
    data = COMPRESSAI.data(stem + "bytes")
    symbols, indexes = (COMPRESSAI.tensor(stem + k).unsqueeze(0) for k in ("symbols", "indexes"))
    tables = [COMPRESSAI.tensor("tables/" + key) for key in ("cdfs", "sizes", "offsets")]
    words = np.frombuffer(data[8:], "<u4")[::-1].tobytes()
    stream = torch_ans.rans64_init_stream(1)
    torch_ans.rans64_push(stream, symbols, indexes, *tables)
    assert stream_rows(stream) == [data[:8] + words]
    oracle = reference.make_tables(*[t.tolist() for t in tables], 16)
    assert reference.compressai_bytes(symbols[0].tolist(), [oracle[k] for k in indexes[0]]) == data
    assert torch.equal(torch_ans.rans64_pop(stream, indexes, *tables), symbols)
