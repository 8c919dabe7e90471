"""Operators of torch: registered, checked by opcheck, whole under torch.compile; the module."""

from __future__ import annotations

import copy
import io
import pickle
from typing import Any, List

import pytest
import torch

import torch_ans
from helpers import (
    VARIANT_IDS,
    VARIANTS,
    encode,
    init_op,
    make_symbols,
    make_tables,
    max_precision,
    run_child,
    stream_rows,
    suffix,
)
from torch_ans import CorruptStreamError, TorchANSInterface, ops
from torch_ans.nn import EntropyCoder

needs_operators = pytest.mark.skipif(not ops.available(), reason="this torch has no register_fake")


def operator(family: str, lanes: int, end: str, alias: bool = False) -> Any:
    name = family + ("_alias" if alias else "") + suffix(lanes) + end
    return getattr(torch.ops.torch_ans, name)


@needs_operators
@pytest.mark.parametrize("family,lanes", VARIANTS, ids=VARIANT_IDS)
def test_operators_code_as_the_functions_do(family: str, lanes: int) -> None:
    tables = make_tables(1, [4, 60], max_precision(family))
    symbols, indexes = make_symbols(1, (3, 70), tables)
    for alias in (False, True):
        stream = init_op(family)(3, lanes, 1000)
        operator(family, lanes, "_push", alias)(stream, symbols, indexes, *tables.args)
        expected = encode(family, lanes, tables, symbols, indexes, alias)
        assert stream_rows(stream) == stream_rows(expected)
        pops = [operator(family, lanes, "_pop", alias)]
        pops += [] if alias else [operator(family, lanes, "_invcdf_pop")]
        for pop in pops:
            assert torch.equal(pop(stream.clone(), indexes, *tables.args), symbols)


@needs_operators
def test_opcheck() -> None:
    tables = make_tables(1, [4, 60], 15)
    symbols, indexes = make_symbols(1, (2, 30), tables)
    for family, lanes, alias in (("rans64", 4, False), ("rans32_16", 1, True)):
        stream = init_op(family)(2, lanes, 1000)
        push = operator(family, lanes, "_push", alias).default
        pop = operator(family, lanes, "_pop", alias).default
        torch.library.opcheck(push, (stream, symbols, indexes, *tables.args))
        push(stream, symbols, indexes, *tables.args)
        torch.library.opcheck(pop, (stream, indexes, *tables.args))
        torch.library.opcheck(pop, (stream, indexes.long(), *tables.args))
    one = make_tables(1, [60], 16)
    stream = init_op("rans64")(2, 1, 1000)
    torch.ops.torch_ans.rans64_push(stream, symbols, None, *one.args)
    pop = torch.ops.torch_ans.rans64_pop.default
    torch.library.opcheck(pop, (stream, None, *one.args), {"num_symbols": 30})
    assert torch.equal(pop(stream, None, *one.args, num_symbols=30), symbols)


@needs_operators
@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
def test_compiled_graphs_do_not_break(backend: str) -> None:
    tables = make_tables(2, [4, 60], 16)
    coder = EntropyCoder("rans64_i4")
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    symbols, indexes = make_symbols(2, (3, 40), tables)

    def work(stream: torch.Tensor, latents: torch.Tensor, indexes: torch.Tensor) -> Any:
        rounded = torch.round(latents).to(torch.int32)
        coder.push(stream, rounded, indexes)
        kept = stream.clone()
        return coder.pop(stream, indexes) + 1, kept

    latents = symbols.double() + 0.25
    streams = [torch_ans.rans64_init_stream(3, 4, 1000) for _ in range(2)]
    expected = work(streams[0], latents, indexes)
    compiled: Any = torch.compile(work, backend=backend, fullgraph=True)
    for _ in range(2):
        found = compiled(streams[1], latents, indexes)
        for a, b in zip(found, expected):
            assert torch.equal(a, b)
        assert torch.equal(streams[1][:, :9], streams[0][:, :9])
    assert torch.equal(expected[0], symbols + 1)


@needs_operators
def test_errors_of_operators() -> None:
    tables = make_tables(1, [4, 60], 16)
    symbols, indexes = make_symbols(1, (2, 300), tables)
    push, pop = torch.ops.torch_ans.rans64_push, torch.ops.torch_ans.rans64_pop
    stream = torch_ans.rans64_init_stream(2)
    before = stream.clone()
    with pytest.raises(ValueError, match="stream is full: preallocate"):
        push(stream, symbols, indexes, *tables.args)
    with pytest.raises(IndexError):
        push(stream, symbols[:, :1], indexes[:, :1] + 2, *tables.args)
    with pytest.raises(ValueError, match="symbols must have shape"):
        push(stream, symbols[0], indexes[0], *tables.args)
    with pytest.raises(CorruptStreamError):
        pop(stream, indexes, *tables.args)
    with pytest.raises(TypeError, match="cdfs"):
        push(stream, symbols, indexes)
    assert torch.equal(stream, before)


OLD_TORCH = """
import warnings; warnings.simplefilter('error')
import torch
if hasattr(torch.library, 'register_fake'): del torch.library.register_fake
import torch_ans, torch_ans.nn
assert not torch_ans.ops.available()
assert not hasattr(torch.ops.torch_ans, 'rans64_push')

coder = torch_ans.nn.EntropyCoder("rans64_i4")
coder.init_params(torch.tensor([[0.5, 0.25, 0.25]]))
stream = torch_ans.rans64_init_stream(1, num_interleaves=4, preallocate_size=100)
symbols = torch.tensor([[0, 2, 1, 7]], dtype=torch.int32)
coder.push(stream, symbols)
assert torch.equal(coder.pop(stream, num_symbols=4), symbols)
"""


def test_old_torch_has_no_operators_and_says_nothing() -> None:
    """A module's push and pop work all the same."""
    assert run_child(OLD_TORCH) == ""


# --- the module ----------------------------------------------------------------------------------


def make_coder(**options: Any) -> EntropyCoder:
    tables = make_tables(3, [3, 50, 7], 16)
    coder = EntropyCoder(**options)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    return coder


def test_a_module_codes_as_the_interface_does() -> None:
    tables = make_tables(3, [3, 50, 7], 16)
    symbols, indexes = make_symbols(3, (4, 5, 6), tables)
    options: List[Any] = [
        {},
        {"impl": "rans32_i8", "num_parallel_states": 3},
        {"alias_sampling": True, "bypass_precision": 3, "num_bytes_code_length": 2},
    ]
    for choice in options:
        interface, coder = TorchANSInterface(**choice), make_coder(**choice)
        interface.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
        data = coder.encode(symbols, indexes)
        assert data == interface.encode_with_indexes(symbols, indexes)
        assert torch.equal(coder.decode(data, indexes), symbols)
        wide = coder.decode(data, indexes, dtype=torch.int64)
        assert wide.dtype == torch.int64 and torch.equal(wide, symbols.long())


def test_tables_are_buffers() -> None:
    coder = make_coder()
    symbols, indexes = make_symbols(3, (100,), make_tables(3, [3, 50, 7], 16))
    data = coder.encode(symbols, indexes)
    assert list(dict(coder.named_buffers())) == ["cdfs", "cdfs_sizes", "offsets"]
    saved = io.BytesIO()
    torch.save(torch.nn.Sequential(coder).state_dict(), saved)
    for other in (EntropyCoder(), make_coder()):  # without tables, and with others
        if other.cdfs.numel():
            other.init_params(torch.ones(1, 9))
        saved.seek(0)
        result = torch.nn.Sequential(other).load_state_dict(torch.load(saved))
        assert not result.missing_keys and not result.unexpected_keys
        assert other.encode(symbols, indexes) == data
    for copied in (copy.deepcopy(coder), pickle.loads(pickle.dumps(coder)), coder.half().cpu()):
        assert copied.encode(symbols, indexes) == data
    assert coder.to("meta").cdfs.is_meta


def test_a_module_without_tables() -> None:
    coder = EntropyCoder()
    with pytest.raises(RuntimeError, match="no tables"):
        coder.encode(torch.zeros(3, dtype=torch.int32))
    assert "tables=0" in repr(coder)
    with pytest.raises(ValueError, match="cdfs"):
        coder.set_cdfs(torch.tensor([[0, 3]]))
    with pytest.raises(ValueError):
        EntropyCoder("rans65")
    coder.init_params(torch.tensor([[0.5, 0.5]]))
    assert coder.decode(coder.encode(torch.tensor([1, 0, 5])), size=3).tolist() == [1, 0, 5]
    assert "tables=1" in repr(coder)
