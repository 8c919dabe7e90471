"""Streams for an exchange: runs with this project's torch_ans and, unchanged, with the one on PyPI.

python torch_ans_exchange.py write out.npz   # codes seeded symbols with every variant
python torch_ans_exchange.py read in.npz     # decodes what the other one wrote
python torch_ans_exchange.py describe        # arguments and defaults, as JSON
"""

from __future__ import annotations

import inspect
import json
import sys
from typing import Any, Dict, Iterator, List, Tuple

import numpy as np
import torch

from torch_ans import _C, utils

LANES = {"rans64": (1, 2, 4, 8), "rans32": (1, 2, 4, 8), "rans32_16": (1, 2, 4, 8, 32)}
INTERFACES: List[Dict[str, Any]] = [
    {"impl": "rans64"},
    {"impl": "rans64", "num_parallel_states": 1},
    {"impl": "rans64", "num_parallel_states": 5, "num_interleaves": 4, "bypass_precision": 3},
    {"impl": "rans32", "num_parallel_states": 3, "num_bytes_code_length": 2},
    {"impl": "rans32_16", "num_parallel_states": 4, "num_interleaves": 8, "freq_precision": 15},
    {"impl": "rans64", "num_parallel_states": 2, "bypass_coding": False},
]


def make_tables(precision: int, alphabet: int) -> List[torch.Tensor]:
    rng = np.random.default_rng(precision + alphabet)
    edges = [np.sort(rng.choice((1 << precision) - 1, alphabet - 1, False)) + 1 for _ in range(3)]
    rows = [np.concatenate([[0], row, [1 << precision]]) for row in edges]
    cdfs = torch.tensor(np.stack(rows), dtype=torch.int32)
    sizes = torch.full((3,), alphabet + 1, dtype=torch.int32)
    return [cdfs, sizes, torch.tensor([-3, 0, 7], dtype=torch.int32)]


def make_symbols(shape: Tuple[int, ...], tables: List[torch.Tensor], bypass: bool) -> Any:
    rng = np.random.default_rng(sum(shape))
    indexes = torch.from_numpy(rng.integers(0, 3, shape).astype(np.int32))
    span = int(tables[1][0]) - 1
    values = rng.integers(0, span, shape)
    if bypass:
        values = np.where(rng.random(shape) < 0.1, rng.integers(-5000, 5000, shape), values)
    symbols = torch.from_numpy(values.astype(np.int32)) + tables[2][indexes.long()]
    return symbols, indexes


def streams() -> Iterator[Tuple[str, Any, Any, Any]]:
    """Name, how to encode to a stream, how to decode it, and the symbols."""
    for family, all_lanes in LANES.items():
        top = 15 if family == "rans32_16" else 16
        for lanes in all_lanes:
            for precision, alphabet, alias in ((top, 40, False), (11, 16, False), (top, 64, True)):
                if alias and lanes == 32:
                    continue
                for bypass in (False, True):
                    name = "%s/%d/%d/%d/%d" % (family, lanes, precision, alias, bypass)
                    yield (name, *variant(family, lanes, precision, alphabet, alias, bypass))


def variant(
    family: str, lanes: int, precision: int, alphabet: int, alias: bool, bypass: bool
) -> Tuple[Any, Any, Any]:
    suffix = "_i%d" % lanes if lanes > 1 else ""
    stem = family + ("_alias" if alias else "")
    tables = make_tables(precision, alphabet)
    symbols, indexes = make_symbols((4, 77), tables, bypass)
    push_cdfs = pop_cdfs = tables[0]
    if alias:
        bits = alphabet.bit_length() - 1
        push_cdfs, pop_cdfs = _C.rans_alias_build_table(tables[0], tables[1], bits, precision)
    # one with keywords, one with positions
    named = {"freq_precision": precision, "bypass_coding": bypass, "bypass_precision": 4}
    placed = (*tables[1:], 8, precision, bypass, 4)

    def encode() -> torch.Tensor:
        stream = getattr(_C, family + "_init_stream")(4, lanes, 4000)
        push = getattr(_C, stem + suffix + "_push")
        push(stream, symbols, indexes, push_cdfs, *tables[1:], **named)
        push(stream, symbols[:, :30], indexes[:, :30], push_cdfs, *placed)
        return stream

    def decode(stream: torch.Tensor) -> None:
        pop = getattr(_C, stem + suffix + "_pop")
        first = pop(stream, indexes[:, :30], pop_cdfs, *placed)
        second = pop(stream, indexes, pop_cdfs, *tables[1:], **named)
        assert torch.equal(first, symbols[:, :30]) and torch.equal(second, symbols), stem

    return encode, decode, symbols


def interfaces() -> Iterator[Tuple[str, Any, Any, Any]]:
    for number, options in enumerate(INTERFACES):
        bypass = options.get("bypass_coding", True)
        tables = make_tables(options.get("freq_precision", 16), 50)
        symbols, indexes = make_symbols((3, 41), tables, bypass)
        coder = utils.TorchANSInterface(**options)
        coder.set_cdfs(*tables)
        yield "interface/%d" % number, coder, symbols, indexes


def write(path: str) -> None:
    arrays = {}
    for name, encode, _, _ in streams():
        rows = _C.rans_stream_to_byte_strings(encode())
        arrays[name] = np.frombuffer(utils.merge_bytes(rows), np.uint8)
    for name, coder, symbols, indexes in interfaces():
        arrays[name] = np.frombuffer(coder.encode_with_indexes(symbols, indexes), np.uint8)
        coder.encode_with_indexes(symbols, indexes, cache=True)
        coder.encode_with_indexes(symbols[:, :5], indexes[:, :5], cache=True)
        arrays[name + "/flush"] = np.frombuffer(coder.flush(), np.uint8)
    np.savez(path, **arrays)


def read(path: str) -> None:
    with np.load(path) as arrays:
        for name, _, decode, _ in streams():
            rows = utils.split_merged_bytes(arrays[name].tobytes())
            decode(_C.rans_byte_strings_to_stream(rows))
        for name, coder, symbols, indexes in interfaces():
            data = arrays[name].tobytes()
            assert torch.equal(coder.decode_with_indexes(data, indexes), symbols), name
            coder.set_stream(arrays[name + "/flush"].tobytes())
            assert torch.equal(coder.decode_stream(indexes), symbols), name
            assert torch.equal(coder.decode_stream(indexes[:, :5]), symbols[:, :5]), name


def describe() -> Dict[str, List[List[Any]]]:
    """Of each function its arguments in their order: name and default ("-" where there is none)."""
    native = _C.ensure_full() if hasattr(_C, "ensure_full") else _C
    names = ["rans_pmf_to_quantized_cdf", "rans_alias_build_table", "rans_build_inverse_cdf"]
    for family, all_lanes in LANES.items():
        names.append(family + "_init_stream")
        for lanes in all_lanes:
            suffix = "_i%d" % lanes if lanes > 1 else ""
            names += [family + suffix + end for end in ("_push", "_pop", "_invcdf_pop")]
            if lanes < 32:
                names += [family + "_alias" + suffix + end for end in ("_push", "_pop")]
    found = {name: arguments(getattr(native, name)) for name in names}
    found.update((n, arguments(getattr(utils, n))) for n in HELPERS)
    interface = utils.TorchANSInterface
    found["TorchANSInterface"] = arguments(interface.__init__)
    for name in METHODS:
        found["TorchANSInterface." + name] = arguments(getattr(interface, name))
    return found


HELPERS = (
    "pmf_to_quantized_cdf_batched",
    "inverse_quantized_cdf",
    "merge_bytes",
    "split_merged_bytes",
)
METHODS = (
    "init_params",
    "set_cdfs",
    "encode",
    "decode",
    "encode_flush",
    "flush",
    "reset_cache",
    "encode_with_indexes",
    "decode_with_indexes",
    "encode_with_freqs",
    "decode_with_freqs",
    "set_stream",
    "decode_stream",
    "decode_stream_with_freqs",
)


def arguments(function: Any) -> List[List[Any]]:
    if hasattr(function, "default"):  # an operator of torch
        schema = function.default._schema.arguments
        return [[a.name, a.default_value if a.has_default_value() else "-"] for a in schema]
    parameters = inspect.signature(function).parameters.values()
    kept = [p for p in parameters if p.kind is not p.VAR_KEYWORD and p.name != "self"]
    return [[p.name, "-" if p.default is p.empty else str_or_plain(p.default)] for p in kept]


def str_or_plain(value: Any) -> Any:
    return value if isinstance(value, (bool, int, float, str, type(None))) else str(value)


if __name__ == "__main__":
    if sys.argv[1] == "describe":
        json.dump(describe(), sys.stdout)
    else:
        {"write": write, "read": read}[sys.argv[1]](sys.argv[2])
