"""What must happen to bad input: one function a case, run in a child process by test_bad_input.

A case passes if it returns. A crash, a hang, a printed byte or any other exception fails it.
"""

from __future__ import annotations

import contextlib
import ctypes
import math
import mmap
from typing import Any, Callable, Dict, Iterator, List, Tuple, Type, Union

import numpy as np
import torch

import reference
import torch_ans
from helpers import (
    Tables,
    encode,
    init_op,
    invcdf_pop_op,
    make_symbols,
    make_tables,
    max_precision,
    oracle_rows,
    pop_op,
    push_op,
    rows_stream,
    stream_rows,
    uniform_tables,
)
from torch_ans import CorruptStreamError, TorchANSInterface

CASES: Dict[str, Callable[[], None]] = {}
FAMILIES = sorted(reference.FAMILIES)
Errors = Union[Type[BaseException], Tuple[Type[BaseException], ...]]


def case(function: Callable[[], None]) -> Callable[[], None]:
    CASES[function.__name__] = function
    return function


@contextlib.contextmanager
def refused(*errors: Type[BaseException], words: Tuple[str, ...] = ()) -> Iterator[None]:
    """Exactly these exceptions (subclasses count), with a message that holds `words`."""
    try:
        yield
    except errors as error:
        message = str(error)
        assert message, "an exception without a message"
        for word in words:
            assert word in message, "%r not in %r" % (word, message)
    else:
        raise AssertionError("accepted, expected %s" % (errors,))


@contextlib.contextmanager
def untouched(*tensors: torch.Tensor) -> Iterator[None]:
    """The tensors keep their objects' shapes and every bit."""
    before = [t.clone() for t in tensors]
    yield
    for old, now in zip(before, tensors):
        assert old.shape == now.shape and torch.equal(old, now)


def each_coder() -> Iterator[Tuple[str, int, bool]]:
    for family in FAMILIES:
        for lanes in (1, 4, 32):
            for alias in (False, True):
                yield family, lanes, alias


def used_stream(family: str, lanes: int, tables: Tables, rows: int = 3) -> torch.Tensor:
    return encode(family, lanes, tables, *make_symbols(9, (rows, 20), tables))


# --- indexes and symbols -----------------------------------------------------------


@case
def index_out_of_range() -> None:
    tables = make_tables(0, [5, 9], 8)
    for family, lanes, alias in each_coder():
        stream = used_stream(family, lanes, tables)
        symbols, indexes = make_symbols(1, (3, 70), tables)
        for bad in (2, -1, 3, 2**31 - 1, -(2**31)):
            for where in ((0, 0), (2, 69), (1, 33)):
                wrong = indexes.clone()
                wrong[where] = bad
                with untouched(stream), refused(IndexError, words=("index", str(bad))):
                    push_op(family, lanes, alias)(stream, symbols, wrong, *tables.args)
                with untouched(stream), refused(IndexError, words=("index", str(bad))):
                    pop_op(family, lanes, alias)(
                        stream, wrong[:, :5] if where == (0, 0) else wrong, *tables.args
                    )


@case
def int64_index_that_looks_valid_in_32_bits() -> None:
    tables = make_tables(0, [5, 9], 8)
    stream = used_stream("rans64", 1, tables)
    symbols, indexes = make_symbols(1, (3, 8), tables)
    wrong = indexes.to(torch.int64)
    for bad in (2**32, 2**32 + 1, -(2**32), 2**63 - 1, -(2**63)):
        wrong[1, 3] = bad
        with untouched(stream), refused(IndexError):
            torch_ans.rans64_push(stream, symbols, wrong, *tables.args)


@case
def symbol_out_of_range_without_bypass() -> None:
    tables = make_tables(0, [5, 9, 1], 8).with_bypass(False)
    for family, lanes, alias in each_coder():
        stream = used_stream(family, lanes, tables)
        symbols, indexes = make_symbols(1, (3, 70), tables)
        for where in ((0, 0), (2, 69), (1, 33)):
            k = int(indexes[where])
            low, high = int(tables.offsets[k]), int(tables.offsets[k] + tables.sizes[k]) - 2
            for bad in (low - 1, high + 1, -(2**31), 2**31 - 1):
                wrong = symbols.clone()
                wrong[where] = bad
                with untouched(stream), refused(ValueError, words=("symbol", str(bad))):
                    push_op(family, lanes, alias)(stream, wrong, indexes, *tables.args)


@case
def int64_symbol_that_looks_valid_in_32_bits() -> None:
    tables = uniform_tables(16, 8, bypass=False)
    stream = torch_ans.rans64_init_stream(1)
    symbols = torch.zeros(1, 40, dtype=torch.int64)
    for bad in (2**32, 2**32 + 3, -(2**32), 2**63 - 1, -(2**63), 16, -1):
        symbols[0, 17] = bad
        with untouched(stream), refused(ValueError, words=("symbol",)):
            torch_ans.rans64_push(stream, symbols, None, *tables.args)


@case
def extreme_symbols_with_bypass() -> None:
    """torch-ans hangs on INT_MIN and refuses int64: here they come back."""
    tables = make_tables(0, [5, 1], 8)
    values = [-(2**31), 2**31 - 1, -(2**63), 2**63 - 1, 2**32, 0]
    for family, lanes, alias in each_coder():
        symbols = torch.tensor([values * 6])
        indexes = torch.arange(36).reshape(1, 36) % 2
        stream = encode(family, lanes, tables, symbols, indexes, alias)
        assert torch.equal(pop_op(family, lanes, alias)(stream, indexes, *tables.args), symbols)


@case
def decoded_symbol_does_not_fit_the_output() -> None:
    tables = uniform_tables(16, 8)
    symbols = torch.tensor([[1, 2], [3, 70_000], [4, 5]], dtype=torch.int32)
    for family in FAMILIES:
        stream = encode(family, 1, tables, symbols, None)
        with untouched(stream), refused(CorruptStreamError, words=("1",)):
            pop_op(family, 1)(stream, None, *tables.args, out=torch.zeros(3, 2, dtype=torch.int16))
        assert torch.equal(pop_op(family, 1)(stream, None, *tables.args, num_symbols=2), symbols)


# --- tables ------------------------------------------------------------------------


def bad_cdfs(precision: int) -> List[Tuple[str, List[int]]]:
    top = 1 << precision
    return [
        ("zero frequency", [0, 10, 10, top]),
        ("negative frequency", [0, 20, 10, top]),
        ("first zero frequency", [0, 0, 10, top]),
        ("last zero frequency", [0, 10, top, top]),
        ("start is not zero", [1, 10, 20, top]),
        ("negative start", [-5, 10, 20, top]),
        ("short of the end", [0, 10, 20, top - 1]),
        ("past the end", [0, 10, 20, top + 1]),
        ("passes the end on the way", [0, top + 5, top + 6, top]),
        ("all zero", [0, 0, 0, 0]),
        ("wraps around", [0, 2**31 - 1, -(2**31), top]),
    ]


@case
def malformed_cdfs() -> None:
    sizes, offsets = torch.tensor([4, 4], dtype=torch.int32), torch.zeros(2, dtype=torch.int32)
    symbols = torch.zeros(2, 6, dtype=torch.int32)
    for family, lanes, alias in each_coder():
        precision = max_precision(family)
        top = 1 << precision
        stream = init_op(family)(2, lanes)
        for _, row in bad_cdfs(precision):
            cdfs = torch.tensor([[0, 5, 6, top], row], dtype=torch.int32)
            for bypass in (False, True):
                with untouched(stream), refused(ValueError, words=("cdfs", "1")):
                    push_op(family, lanes, alias)(
                        stream, symbols, symbols, cdfs, sizes, offsets, 8, precision, bypass
                    )
                with untouched(stream), refused(ValueError, words=("cdfs", "1")):
                    pop_op(family, lanes, alias)(
                        stream, symbols, cdfs, sizes, offsets, 8, precision, bypass
                    )


@case
def malformed_cdfs_in_the_interface() -> None:
    sizes, offsets = torch.tensor([4]), torch.tensor([0])
    for _, row in bad_cdfs(16):
        coder = TorchANSInterface()
        with refused(ValueError, words=("cdfs",)):
            coder.set_cdfs(torch.tensor([row], dtype=torch.int32), sizes, offsets)
            coder.encode_with_indexes(torch.tensor([1]), torch.tensor([0]))


@case
def sizes_outside_the_row() -> None:
    cdfs = torch.tensor([[0, 3, 256, 0]], dtype=torch.int32)
    zero, symbols = torch.zeros(1, dtype=torch.int32), torch.zeros(1, 4, dtype=torch.int32)
    stream = torch_ans.rans64_init_stream(1)
    for size in (-(2**31), -1, 0, 1, 5, 2**31 - 1):
        sizes = torch.tensor([size], dtype=torch.int32)
        with untouched(stream), refused(ValueError, words=("cdfs_sizes",)):
            torch_ans.rans64_push(stream, symbols, symbols, cdfs, sizes, zero, 8, 8)
        with untouched(stream), refused(ValueError, words=("cdfs_sizes",)):
            torch_ans.rans64_pop(stream, symbols, cdfs, sizes, zero, 8, 8)


@case
def more_symbols_than_slots() -> None:
    cdfs = torch.arange(6, dtype=torch.int32).unsqueeze(0)
    with refused(ValueError):
        stream = torch_ans.rans64_init_stream(1)
        torch_ans.rans64_push(
            stream,
            torch.zeros(1, 3, dtype=torch.int32),
            None,
            cdfs,
            torch.tensor([6]),
            torch.tensor([0]),
            freq_precision=2,
        )
    with refused(ValueError):
        torch_ans.rans_pmf_to_quantized_cdf(torch.ones(5), 2)


@case
def precisions_that_do_not_exist() -> None:
    tables = uniform_tables(2, 1)
    symbols = torch.zeros(1, 3, dtype=torch.int32)
    for family in FAMILIES:
        stream = init_op(family)(1)
        head = (tables.cdfs, tables.sizes, tables.offsets)
        for precision in (0, -1, max_precision(family) + 1, 31, 32, 64, 2**40):
            with untouched(stream), refused(ValueError, words=("freq_precision",)):
                push_op(family, 1)(stream, symbols, symbols, *head, 8, precision)
            with untouched(stream), refused(ValueError, words=("freq_precision",)):
                pop_op(family, 1)(stream, symbols, *head, 8, precision)
        for b in (0, -1, 33, 64, 2**40):
            with untouched(stream), refused(ValueError, words=("bypass_precision",)):
                push_op(family, 1)(stream, symbols, symbols, *head, 8, 1, True, b)
            with untouched(stream), refused(ValueError, words=("bypass_precision",)):
                pop_op(family, 1)(stream, symbols, *head, 8, 1, True, b)


@case
def every_bypass_precision_is_right_or_refused() -> None:
    tables = make_tables(0, [5, 1], 8)
    values = [-(2**31), 2**31 - 1, -(2**63), 2**63 - 1, 2**32, 0, 7, -300, 65536]
    for family in FAMILIES:
        for lanes in (1, 2):
            for b in range(1, 33):
                symbols = torch.tensor([values * 20])
                indexes = torch.arange(180).reshape(1, 180) % 2
                args = tables.with_bypass(True, b).args
                stream = init_op(family)(1, lanes)
                try:
                    push_op(family, lanes)(stream, symbols, indexes, *args)
                except ValueError as error:
                    assert b > 8 and "bypass_precision" in str(error)
                    continue
                assert torch.equal(pop_op(family, lanes)(stream, indexes, *args), symbols), (
                    family,
                    b,
                )


@case
def one_probable_symbol() -> None:
    """p >= 0.5 at 16 bits: torch-ans builds a negative CDF."""
    for p in (0.5, 0.75, 0.9999, 1.0):
        pmf = torch.tensor([p, (1 - p) / 2, (1 - p) / 2])
        cdf = torch_ans.rans_pmf_to_quantized_cdf(pmf, 16)
        assert cdf.tolist() == reference.quantize_pmf(pmf.tolist(), 16)
        coder = TorchANSInterface()
        coder.init_params(pmf.unsqueeze(0), torch.tensor([3]), torch.tensor([0]))
        symbols = torch.tensor([[0, 1, 2, 0, 0, 7]])
        data = coder.encode_with_indexes(symbols, torch.zeros_like(symbols))
        assert (coder.decode_with_indexes(data, torch.zeros_like(symbols)) == symbols).all()


@case
def impossible_pmfs() -> None:
    nan, inf = math.nan, math.inf
    for row in ([nan, 0.5], [inf, 0.5], [-inf, 1.0], [-0.1, 1.1], [0.0, 0.0], [1e-30, 1e-30], []):
        with refused(ValueError):
            torch_ans.rans_pmf_to_quantized_cdf(torch.tensor(row), 16)
        with refused(ValueError):
            torch_ans.rans_pmf_to_quantized_cdf(torch.tensor([[0.5] * len(row), row]), 16)
    for counts in ([-1, 5], [0, 0], [2**62, -1]):
        with refused(ValueError):
            torch_ans.rans_pmf_to_quantized_cdf(torch.tensor(counts), 16)
    for precision in (0, -1, 17, 32, 64, 1000):
        with refused(ValueError):
            torch_ans.rans_pmf_to_quantized_cdf(torch.tensor([0.5, 0.5]), precision)


# --- shapes, dtypes, types ---------------------------------------------------------


@case
def shapes_that_do_not_match() -> None:
    tables = make_tables(0, [5, 9], 8)
    stream = used_stream("rans64", 1, tables)
    symbols, indexes = make_symbols(1, (3, 8), tables)
    wrong: List[Tuple[torch.Tensor, torch.Tensor]] = [
        (symbols, indexes[:, :7]),
        (symbols[:, :7], indexes),
        (symbols[:2], indexes[:2]),
        (symbols[:2], indexes),
        (symbols.repeat(2, 1), indexes.repeat(2, 1)),
    ]
    for bad_symbols, bad_indexes in wrong:
        with untouched(stream), refused(ValueError):
            torch_ans.rans64_push(stream, bad_symbols, bad_indexes, *tables.args)
    with untouched(stream), refused(ValueError):
        torch_ans.rans64_pop(stream, indexes[:2], *tables.args)
    for out in (torch.zeros(3, 7, dtype=torch.int32), torch.zeros(2, 8, dtype=torch.int32)):
        with untouched(stream), refused(ValueError, words=("shape",)):
            torch_ans.rans64_pop(stream, indexes, *tables.args, out=out)
    for k in range(3):
        args: List[Any] = list(tables.args)
        args[k] = args[k][:1] if k else args[k][0]
        with untouched(stream), refused(ValueError):
            torch_ans.rans64_push(stream, symbols, indexes, *args)


@case
def dtypes_and_types_that_do_not_fit() -> None:
    tables = make_tables(0, [5, 9], 8)
    stream = used_stream("rans64", 1, tables)
    symbols, indexes = make_symbols(1, (3, 8), tables)
    errors = (TypeError, ValueError)
    for dtype in (torch.float32, torch.bool, torch.complex64):
        with untouched(stream), refused(*errors, words=("symbols",)):
            torch_ans.rans64_push(stream, symbols.to(dtype), indexes, *tables.args)
        with untouched(stream), refused(*errors, words=("indexes",)):
            torch_ans.rans64_push(stream, symbols, indexes.to(dtype), *tables.args)
        with untouched(stream), refused(*errors, words=("indexes",)):
            torch_ans.rans64_pop(stream, indexes.to(dtype), *tables.args)
        with untouched(stream), refused(*errors, words=("out",)):
            torch_ans.rans64_pop(stream, indexes, *tables.args, out=torch.zeros(3, 8, dtype=dtype))
    for value in (None, 3, "x", symbols.tolist(), symbols.numpy()):
        with untouched(stream), refused(*errors):
            torch_ans.rans64_push(stream, value, indexes, *tables.args)
        with refused(*errors):
            torch_ans.rans64_push(value, symbols, indexes, *tables.args)
        with refused(*errors):
            torch_ans.rans64_pop(value, indexes, *tables.args)
    for bad in (stream.to(torch.int64), stream.to(torch.float32), stream[0], stream.unsqueeze(0)):
        with untouched(bad), refused(*errors, words=("stream",)):
            torch_ans.rans64_push(bad, symbols, indexes, *tables.args)
        with untouched(bad), refused(*errors, words=("stream",)):
            torch_ans.rans64_pop(bad, indexes, *tables.args)
    with untouched(stream), refused(*errors):
        torch_ans.rans64_push(stream, symbols, None, *tables.args)  # two tables, no indexes
    meta = torch.empty(3, 8, dtype=torch.int32, device="meta")
    with untouched(stream), refused(*errors, RuntimeError, words=("symbols",)):
        torch_ans.rans64_push(stream, meta, indexes, *tables.args)


@case
def streams_that_are_views() -> None:
    """Rows that are not adjacent cannot be coded in place: refused. Adjacent ones are."""
    tables = make_tables(0, [5, 9], 8)
    symbols, indexes = make_symbols(1, (3, 200), tables)
    base = torch.zeros(4, 2000, dtype=torch.int32)
    base[:, :3] = torch_ans.rans64_init_stream(4)[:, :3]
    for view in (base[:3, :1000], base[:3, :3], base[:3, ::2], base.t()[:3], base[::2]):
        with untouched(base), refused(ValueError, words=("stream",)):
            torch_ans.rans64_push(view, symbols[: len(view)], indexes[: len(view)], *tables.args)
        with untouched(base), refused(ValueError, words=("stream",)):
            torch_ans.rans64_pop(view, indexes[: len(view)], *tables.args)
    torch_ans.rans64_push(base[1:], symbols, indexes, *tables.args)
    assert stream_rows(base[1:]) == stream_rows(encode("rans64", 1, tables, symbols, indexes))


# --- streams: truncated, random, forged --------------------------------------------


def pop_safely(
    pop: Callable[..., torch.Tensor],
    stream: torch.Tensor,
    indexes: torch.Tensor,
    tables: Tables,
    **more: Any,
) -> Tuple[bool, List[int]]:
    """Decodes what it may mean: (decoded, broken rows). Valid symbols or an untouched stream."""
    before = stream.clone()
    try:
        out = pop(stream, indexes, *tables.args, **more)
    except CorruptStreamError as error:
        assert torch.equal(stream, before), "a failed pop changed the stream"
        assert error.rows and all(0 <= row < len(stream) for row in error.rows)
        assert list(error.rows) == sorted(set(error.rows))
        return False, list(error.rows)
    assert out.shape == indexes.shape
    if not tables.bypass:
        v = out - tables.offsets[indexes.long()]
        assert ((v >= 0) & (v < tables.sizes[indexes.long()] - 1)).all()
    return True, []


@case
def few_bytes_to_decode() -> None:
    """0 to 3 bytes, and everything else shorter than the lanes' states."""
    tables = make_tables(0, [5, 9], 8)
    indexes = torch.zeros(1, 4, dtype=torch.int32)
    for family, lanes, alias in each_coder():
        header = lanes * reference.FAMILIES[family].state_bits // 8
        for length in sorted({*range(0, min(header, 12)), header - 1}):
            stream = torch_ans.rans_byte_strings_to_stream([b"\x80" * length])
            with untouched(stream), refused(CorruptStreamError):
                pop_op(family, lanes, alias)(stream, indexes, *tables.args)
    for length in range(0, 16):
        coder = TorchANSInterface()
        coder.set_cdfs(tables.cdfs.clamp(min=0) * 256, tables.sizes, tables.offsets)
        for data in (
            b"\x00" * length,
            b"\xff" * length,
            length.to_bytes(4, "little") + b"\x01" * length,
        ):
            with refused(CorruptStreamError):
                coder.decode_with_indexes(data, indexes)


@case
def forged_length_words() -> None:
    tables = make_tables(0, [5, 90], 12)
    for family, lanes, alias in each_coder():
        symbols, indexes = make_symbols(3, (3, 60), tables)
        stream = encode(family, lanes, tables, symbols, indexes, alias)
        room = 4 * (stream.shape[1] - 1)
        header = lanes * reference.FAMILIES[family].state_bits // 8
        for length in (-1, -(2**31), 2**31 - 1, room + 1, room + 4, 2**30, 0, 1, 3, -4, header - 1):
            forged = stream.clone()
            forged[1, 0] = length
            with untouched(forged):
                try:
                    pop_op(family, lanes, alias)(forged, indexes, *tables.args)
                except CorruptStreamError as error:
                    assert error.rows == [1], (error.rows, length)
                else:
                    raise AssertionError("decoded with length %d" % length)
            with untouched(forged), refused(CorruptStreamError):
                push_op(family, lanes, alias)(forged, symbols, indexes, *tables.args)
            if not 0 <= length <= room:
                with untouched(forged), refused(CorruptStreamError):
                    torch_ans.rans_stream_to_byte_strings(forged)


@case
def lengths_that_are_not_whole_words() -> None:
    tables = make_tables(0, [5, 90], 12)
    for family in ("rans64", "rans32_16"):
        symbols, indexes = make_symbols(3, (2, 60), tables)
        stream = encode(family, 1, tables, symbols, indexes)
        for less in (1, 3):
            forged = stream.clone()
            forged[0, 0] -= less
            with untouched(forged), refused(CorruptStreamError):
                pop_op(family, 1)(forged, indexes, *tables.args)


@case
def impossible_states() -> None:
    """States outside [L, 2**used): zero, below L, with the top bit set."""
    tables = make_tables(0, [5, 90], 12)
    for family, lanes, alias in each_coder():
        form = reference.FAMILIES[family]
        symbols, indexes = make_symbols(3, (3, 60), tables)
        rows = stream_rows(encode(family, lanes, tables, symbols, indexes, alias))
        size = form.state_bits // 8
        for lane in sorted({0, lanes - 1}):
            for state in (
                0,
                1,
                form.lower_bound - 1,
                1 << (form.state_bits - 1),
                (1 << form.state_bits) - 1,
            ):
                forged = bytearray(rows[1])
                forged[lane * size : (lane + 1) * size] = state.to_bytes(size, "little")
                stream = rows_stream([rows[0], bytes(forged), rows[2]])
                decoded, broken = pop_safely(pop_op(family, lanes, alias), stream, indexes, tables)
                assert not decoded and broken == [1], (family, lanes, state, broken)
                with untouched(stream), refused(ValueError):
                    push_op(family, lanes, alias)(stream, symbols, indexes, *tables.args)


@case
def truncated_streams() -> None:
    """Cut anywhere: what can be told is told, and never of another row."""
    for seed, (family, lanes, alias) in enumerate(each_coder()):
        tables = make_tables(seed, [50, 90], 12, seed % 2 == 0)
        symbols, indexes = make_symbols(seed, (3, 150), tables)
        rows = stream_rows(encode(family, lanes, tables, symbols, indexes, alias))
        for keep in range(0, len(rows[2]), 5):
            stream = rows_stream([rows[0], rows[1], rows[2][:keep]])
            _, broken = pop_safely(pop_op(family, lanes, alias), stream, indexes, tables)
            possible = agrees_with_oracle(
                family, lanes, alias, tables, rows[2][:keep], indexes[2].tolist()
            )
            assert broken == ([] if possible else [2]), (family, lanes, keep, broken)


@case
def popping_more_than_was_pushed() -> None:
    tables = make_tables(1, [50, 90], 12)
    for family, lanes, alias in each_coder():
        symbols, indexes = make_symbols(1, (2, 64), tables)
        stream = encode(family, lanes, tables, symbols, indexes, alias)
        longer = indexes.repeat(1, 3)
        with untouched(stream), refused(CorruptStreamError):
            pop_op(family, lanes, alias)(stream, longer, *tables.args)
        assert torch.equal(pop_op(family, lanes, alias)(stream, indexes, *tables.args), symbols)


def random_stream(rng: np.random.Generator, family: str, lanes: int, rows: int) -> torch.Tensor:
    """Rows of random bytes and random lengths; half of them with states that are possible."""
    form = reference.FAMILIES[family]
    out = []
    for _ in range(rows):
        data = bytearray(rng.integers(0, 256, int(rng.integers(0, 300)), dtype=np.uint8).tobytes())
        size = form.state_bits // 8
        if rng.random() < 0.7 and len(data) >= lanes * size:
            word = form.word_bits // 8
            del data[lanes * size + (len(data) - lanes * size) // word * word :]
            for lane in range(lanes):
                state = form.lower_bound + int(rng.integers(0, 2**63)) % (
                    form.lower_bound * ((1 << form.word_bits) - 1)
                )
                data[lane * size : (lane + 1) * size] = state.to_bytes(size, "little")
        out.append(bytes(data))
    return rows_stream(out)


@case
def random_streams() -> None:
    """Never a crash; valid symbols or an exception that names rows. Seeds 0 to 24, each coder."""
    for family, lanes, alias in each_coder():
        decoded_rows = 0
        for seed in range(25):
            rng = np.random.default_rng(seed)
            bypass, b = bool(rng.integers(0, 2)), int(rng.integers(1, 9))
            tables = make_tables(seed % 5, [1, 3, 200], 12, bypass, b)
            stream = random_stream(rng, family, lanes, 5)
            indexes = torch.from_numpy(
                rng.integers(0, 3, (5, int(rng.integers(1, 120)))).astype(np.int32)
            )
            before = stream.clone()
            decoded, broken = pop_safely(pop_op(family, lanes, alias), stream, indexes, tables)
            if not alias:  # every lookup tells the same
                for q in ("auto", 1, 5, 12):
                    again = before.clone()
                    more = {"inverse_cdf_precision": q}
                    assert pop_safely(
                        invcdf_pop_op(family, lanes), again, indexes, tables, **more
                    ) == (decoded, broken)
                    assert torch.equal(again, stream)
            for r, row in enumerate(stream_rows(before)):
                ok = agrees_with_oracle(family, lanes, alias, tables, row, indexes[r].tolist())
                assert ok != (r in broken), (family, lanes, seed, r, ok, broken)
            decoded_rows += 5 - len(broken)
        assert decoded_rows or lanes == 32


def agrees_with_oracle(
    family: str, lanes: int, alias: bool, tables: Tables, data: bytes, indexes: List[int]
) -> bool:
    """Whether the oracle can decode the row into int32 symbols."""
    form = reference.FAMILIES[family]
    row = reference.Row.from_bytes(data, form, lanes)
    words = len(data) - lanes * form.state_bits // 8
    if words < 0 or words % (form.word_bits // 8):
        return False
    if not all(form.lower_bound <= x < 1 << (form.state_bits - 1) for x in row.states):
        return False
    oracle = tables.oracle(alias)
    try:
        symbols = reference.pop_row(row, [oracle[k] for k in indexes])
    except reference.Broken:
        return False
    return all(-(2**31) <= s < 2**31 for s in symbols)


@case
def flipped_bits() -> None:
    """One bit of one row: the other rows are never blamed, and an end that is off is noticed."""
    # Of symbols with equal counts a flip can turn one into another: nothing could tell.
    cdf = reference.quantize_counts([1000 + 37 * k for k in range(60)], 16)
    tables = Tables(torch.tensor([cdf]), torch.tensor([61]), torch.tensor([-9]), 16)
    coder = TorchANSInterface(num_parallel_states=4)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    symbols, indexes = make_symbols(
        2, (4, 100), tables, escapes=0.0
    )  # raw digits may be flipped too
    data = coder.encode_with_indexes(symbols, indexes)
    rng = np.random.default_rng(5)
    noticed = 0
    for _ in range(300):
        broken = bytearray(data)
        broken[int(rng.integers(0, len(data)))] ^= 1 << int(rng.integers(0, 8))
        try:
            decoded = coder.decode_with_indexes(bytes(broken), indexes)
        except CorruptStreamError:
            noticed += 1
        else:
            assert decoded.shape == symbols.shape
    assert noticed >= 295  # the chance that a damaged row ends in state L is tiny


@case
def interface_bytes_cut_short_or_too_long() -> None:
    tables = make_tables(2, [50, 90], 16)
    for rows, length_bytes in ((None, 4), (3, 4), (3, 1), (1, 2), (3, 8)):
        coder = TorchANSInterface(num_parallel_states=rows, num_bytes_code_length=length_bytes)
        coder.set_cdfs(tables.cdfs.clamp(min=0), tables.sizes, tables.offsets)
        symbols, indexes = make_symbols(2, (3, 30), tables)
        data = coder.encode_with_indexes(symbols, indexes)
        assert torch.equal(coder.decode_with_indexes(data, indexes), symbols)
        for keep in range(len(data)):
            with refused(CorruptStreamError):
                coder.decode_with_indexes(data[:keep], indexes)
        for tail in (b"\x00", b"\x00" * 4, b"\x01\x00\x00\x00\xff", b"\xff" * 12):
            with refused(CorruptStreamError):
                coder.decode_with_indexes(data + tail, indexes)


@case
def interface_random_bytes() -> None:
    tables = make_tables(2, [50, 90, 1], 16)
    _, indexes = make_symbols(2, (3, 30), tables)
    for seed in range(200):
        rng = np.random.default_rng(seed)
        rows = [None, 1, 3][seed % 3]
        coder = TorchANSInterface(num_parallel_states=rows, num_interleaves=[1, 4][seed % 2])
        coder.set_cdfs(tables.cdfs.clamp(min=0), tables.sizes, tables.offsets)
        data = rng.integers(0, 256, int(rng.integers(0, 200)), dtype=np.uint8).tobytes()
        with refused(CorruptStreamError):
            coder.decode_with_indexes(data, indexes)
        with contextlib.suppress(CorruptStreamError):  # piece by piece there is no end to check
            coder.set_stream(data)
            coder.decode_stream(indexes)


@case
def huge_forged_lengths_in_bytes() -> None:
    """A length of gigabytes in a few bytes must not be allocated."""
    coder = TorchANSInterface(num_parallel_states=3)
    tables = make_tables(2, [50], 16)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    indexes = torch.zeros(3, 5, dtype=torch.int32)
    for length in (2**32 - 1, 2**31, 2**31 - 1, 2**30):
        with refused(CorruptStreamError):
            coder.decode_with_indexes(length.to_bytes(4, "little") + b"\x00" * 20, indexes)


@case
def wrong_types_for_bytes() -> None:
    coder = TorchANSInterface()
    tables = make_tables(2, [50], 16)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    indexes = torch.zeros(5, dtype=torch.int32)
    for value in ("text", None, 7, ["text"], [7]):
        with refused(TypeError, ValueError):
            coder.decode_with_indexes(value, indexes)
        with refused(TypeError, ValueError):
            torch_ans.rans_byte_strings_to_stream(value)
        with refused(TypeError, ValueError):
            torch_ans.rans_stream_to_byte_strings(value)


def without_state(family: str, row: bytes) -> bytes:
    """The row with an impossible first state, whatever follows it."""
    size = reference.FAMILIES[family].state_bits // 8
    return b"\x00" * size + row[size:]


@case
def broken_rows_are_named() -> None:
    tables = make_tables(4, [50, 90], 12)
    for family, lanes, alias in each_coder():
        symbols, indexes = make_symbols(4, (40, 60), tables)
        rows = stream_rows(encode(family, lanes, tables, symbols, indexes, alias))
        for seed in range(5):
            rng = np.random.default_rng(seed)
            chosen = sorted(int(r) for r in rng.choice(40, int(rng.integers(1, 20)), replace=False))
            damaged = [
                without_state(family, row) if r in chosen else row for r, row in enumerate(rows)
            ]
            stream = rows_stream(damaged)
            decoded, broken = pop_safely(pop_op(family, lanes, alias), stream, indexes, tables)
            assert not decoded and broken == chosen


@case
def failed_pop_leaves_every_row_alone() -> None:
    """Good rows of a batch with a broken one can be decoded afterwards."""
    tables = make_tables(4, [50, 90], 12)
    for family, lanes, alias in each_coder():
        symbols, indexes = make_symbols(4, (3, 60), tables)
        rows = stream_rows(encode(family, lanes, tables, symbols, indexes, alias))
        stream = rows_stream([rows[0], without_state(family, rows[1]), rows[2]])
        with untouched(stream), refused(CorruptStreamError):
            pop_op(family, lanes, alias)(stream, indexes, *tables.args)
        good = stream[::2].contiguous()
        assert torch.equal(
            pop_op(family, lanes, alias)(good, indexes[::2], *tables.args), symbols[::2]
        )


@case
def wrong_tables_never_crash() -> None:
    """Bytes decoded with other tables, lanes, precisions or families than they were made with."""
    made = make_tables(4, [50, 90], 12)
    symbols, indexes = make_symbols(4, (3, 60), made)
    for family, lanes, alias in each_coder():
        stream = encode(family, lanes, made, symbols, indexes, alias)
        for other_family, other_lanes, other_alias in each_coder():
            for seed, b in ((5, 4), (6, 1)):
                other = make_tables(seed, [3, 700], 11, True, b)
                pop_safely(
                    pop_op(other_family, other_lanes, other_alias), stream.clone(), indexes, other
                )


@case
def forged_prepared_tables() -> None:
    """Alias and inverse rows behind a CDF are never trusted."""
    tables = uniform_tables(64, 10)
    symbols, _ = make_symbols(0, (2, 80), tables)
    indexes = torch.zeros_like(symbols)
    remap, alias = torch_ans.rans_alias_build_table(tables.cdfs, tables.sizes, 6, 10)
    inverse = torch_ans.rans_build_inverse_cdf(tables.cdfs, 10, 6)
    good = encode("rans64", 1, tables, symbols, indexes, alias=True)
    rest = (tables.sizes, tables.offsets, 10, True, 4)
    for seed in range(20):
        rng = np.random.default_rng(seed)
        for prepared, op in (
            (remap, torch_ans.rans64_alias_push),
            (alias, torch_ans.rans64_alias_pop),
            (inverse, torch_ans.rans64_invcdf_pop),
        ):
            forged = prepared.clone()
            part = forged[:, 65:]
            part[:] = torch.from_numpy(
                rng.integers(-(2**31), 2**31, tuple(part.shape)).astype(np.int32)
            )
            stream = good.clone()
            try:
                if op is torch_ans.rans64_alias_push:
                    op(stream, symbols, indexes, forged, *rest)
                else:
                    op(stream, indexes, forged, *rest)
            except ValueError:
                pass


def guarded(values: torch.Tensor, at_end: bool) -> torch.Tensor:
    """A copy of `values` that touches an unreadable page: behind its end, or in front of it."""
    page, size = mmap.PAGESIZE, values.numel() * values.element_size()
    pages = -(-size // page)
    memory = mmap.mmap(-1, (pages + 2) * page)
    base = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    libc = ctypes.CDLL(None, use_errno=True)
    for guard in (base, base + (pages + 1) * page):
        assert libc.mprotect(ctypes.c_void_p(guard), ctypes.c_size_t(page), 0) == 0
    start = page + (pages * page - size if at_end else 0)
    array = np.frombuffer(memory, dtype=values.numpy().dtype, count=values.numel(), offset=start)
    tensor = torch.from_numpy(array).reshape(values.shape)
    tensor.copy_(values)
    return tensor


@case
def nothing_outside_the_tensors_is_touched() -> None:
    """Streams, symbols, indexes and outputs between unreadable pages, streams whole and damaged."""
    for seed, (family, lanes, alias) in enumerate(each_coder()):
        for rows, length, dtype in (
            (1, 75, torch.int32),
            (9, 130, torch.uint8),
            (17, 64, torch.int16),
        ):
            tables = make_tables(seed, [100, 60], 12, seed % 2 == 0)
            tables.offsets.zero_()
            symbols, indexes = make_symbols(seed, (rows, length), tables, far_bits=6.0)
            symbols = symbols.clamp(min=0)
            room = encode(family, lanes, tables, symbols, indexes, alias)
            expected = stream_rows(room)
            exact = rows_stream(expected)
            rng = np.random.default_rng(seed)
            for at_end in (True, False):
                held = [guarded(t.to(dtype), at_end) for t in (symbols, indexes)]
                fresh = init_op(family)(rows, lanes)
                stream = guarded(torch.nn.functional.pad(fresh, (0, room.shape[1])), at_end)
                push_op(family, lanes, alias)(stream, *held, *tables.args)
                assert stream_rows(stream) == expected
                stream = guarded(exact, at_end)
                out = guarded(torch.zeros(rows, length, dtype=dtype), at_end)
                pop_op(family, lanes, alias)(stream, held[1], *tables.args, out=out)
                assert torch.equal(out, held[0])
                for _ in range(4):
                    noise = torch.from_numpy(
                        rng.integers(-(2**31), 2**31, tuple(exact.shape)).astype(np.int32)
                    )
                    noise[:, : fresh.shape[1]] = exact[:, : fresh.shape[1]]
                    noise[:, 0] = torch.from_numpy(
                        rng.integers(0, 4 * exact.shape[1], rows).astype(np.int32) // 4 * 4
                    )
                    stream = guarded(noise, at_end)
                    with contextlib.suppress(CorruptStreamError):
                        pop_op(family, lanes, alias)(stream, held[1], *tables.args, out=out)
                    with contextlib.suppress(CorruptStreamError):
                        push_op(family, lanes, alias)(stream, *held, *tables.args)


@case
def tensors_without_memory() -> None:
    freed = torch.zeros(2, 6, dtype=torch.int64)
    if hasattr(freed, "untyped_storage"):  # from torch 2.0 on
        freed.untyped_storage().resize_(0)
    zero = torch._efficientzerotensor((2, 6), dtype=torch.int64)
    good = torch.zeros(2, 6, dtype=torch.int64)
    tables = uniform_tables(4, 8)
    stream = encode("rans64", 1, tables, good, None)
    coder = TorchANSInterface(freq_precision=8)
    coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
    data = coder.encode_symbols(good)
    calls: List[Callable[[torch.Tensor], Any]] = [
        lambda bad: torch_ans.rans64_push(stream, bad, good, *tables.args),
        lambda bad: torch_ans.rans64_push(stream, good, bad, *tables.args),
        lambda bad: torch_ans.rans64_pop(stream, bad, *tables.args),
        lambda bad: torch_ans.rans64_pop(stream, None, *tables.args, out=bad),
        coder.encode_symbols,
        lambda bad: coder.encode_with_indexes(good, bad),
        lambda bad: coder.decode_with_indexes(data, bad),
        lambda bad: coder.decode_symbols(data, out=bad),
        lambda bad: torch_ans.encode_pmf(bad, torch.ones(3)),
    ]
    for bad in (freed, zero) if not freed.data_ptr() else (zero,):
        for call in calls:
            with untouched(stream), refused(ValueError, words=("memory",)):
                call(bad)
    empty = torch._efficientzerotensor((2, 6))
    for call in (
        lambda: torch_ans.rans64_push(empty.int(), good, None, *tables.args),
        lambda: torch_ans.rans_pmf_to_quantized_cdf(empty),
        lambda: torch_ans.encode_gaussian(good, empty, torch.ones(()), -9, 9),
        lambda: torch_ans.decode_pmf(b"", empty),
    ):
        with refused(ValueError):
            call()


@case
def what_is_written_and_read_at_once() -> None:
    """Indexes were checked before escapes, which may be anything, were written over them."""
    tables = make_tables(0, [5, 9], 8)
    number = 8 * 300
    for family, lanes, rows in (("rans64", 4, 1), ("rans32_16", 32, 4), ("rans64", 1, 8)):
        coder = TorchANSInterface(
            family, num_interleaves=lanes, num_parallel_states=rows, freq_precision=8
        )
        coder.set_cdfs(tables.cdfs, tables.sizes, tables.offsets)
        for dtype in (torch.int32, torch.int64, torch.uint8):
            symbols = torch.full((number,), -(2**30) if dtype != torch.uint8 else 200)
            data = coder.encode_with_indexes(symbols, torch.zeros(number, dtype=torch.uint8))
            memory = torch.zeros(2 * number, dtype=dtype)
            indexes = memory[:number]
            for start in (0, 1, 33, number - 1):
                with untouched(memory), refused(ValueError, words=("out", "indexes")):
                    coder.decode_with_indexes(data, indexes, out=memory[start : start + number])
            decoded = coder.decode_with_indexes(data, indexes, out=memory[number:])
            assert torch.equal(decoded.long(), symbols)
        contexts = torch.zeros(1, 2, 3, dtype=torch.int64)
        coder.init_ar_params(contexts, lanes)
        sets = torch.zeros(number, dtype=torch.int32)
        with untouched(sets), refused(ValueError, words=("out", "ar_indexes")):
            coder.decode_with_indexes(data, torch.zeros_like(sets), ar_indexes=sets, out=sets)
    few, none = torch.zeros(1, 7, dtype=torch.int32), torch.zeros(1, 7, dtype=torch.int32)
    push, pop = torch_ans.rans64_push, torch_ans.rans64_pop
    stream = torch_ans.rans64_init_stream(1, preallocate_size=400)
    push(stream, few, none, *tables.args)
    inside = stream[:, 20:27]
    for call in (
        lambda: push(stream, inside, none, *tables.args),
        lambda: push(stream, few, inside, *tables.args),
        lambda: pop(stream, none, *tables.args, out=inside),
    ):
        with untouched(stream), refused(ValueError, words=("stream", "memory")):
            call()
    assert torch.equal(pop(stream, none, *tables.args), few)


@case
def numbers_that_are_no_integers() -> None:
    tables = uniform_tables(4, 8)
    symbols, means = torch.zeros(1, 5, dtype=torch.int64), torch.zeros(1, 5)
    stream = torch_ans.rans64_init_stream(1)
    cdfs, pmf = tables.cdfs, torch.ones(4)
    calls: Dict[str, Callable[[Any], Any]] = {
        "bypass_precision": lambda n: TorchANSInterface(bypass_precision=n),
        "num_interleaves": lambda n: TorchANSInterface(num_interleaves=n),
        "num_bytes_code_length": lambda n: TorchANSInterface(num_bytes_code_length=n),
        "freq_precision": lambda n: torch_ans.CodingTables(cdfs, freq_precision=n),
        "freq_precision must": lambda n: torch_ans.fit_markov_tables(symbols, 2, freq_precision=n),
        "freq_precision ": lambda n: torch_ans.rans_alias_build_table(cdfs, freq_precision=n),
        "table_precision": lambda n: torch_ans.rans_build_inverse_cdf(cdfs, 8, n),
        "table_log": lambda n: torch_ans.tans_build_tables(cdfs, None, n),
        "precision": lambda n: torch_ans.rans_pmf_to_quantized_cdf(pmf, n),
        "order": lambda n: torch_ans.fit_markov_tables(symbols, 2, n),
        "low": lambda n: torch_ans.encode_gaussian(symbols, means, means + 1, n, 9),
        "high": lambda n: torch_ans.encode_gaussian(symbols, means, means + 1, 0, n),
        "low must": lambda n: torch_ans.encode_pmf(symbols, pmf, low=n),
        "num_bytes_length": lambda n: torch_ans.split_merged_bytes(b"", n),
        "num_segments": lambda n: torch_ans.split_merged_bytes(b"", 4, n),
        "_interleaves": lambda n: torch_ans.rans64_init_stream(1, n),
        "bypass_precision ": lambda n: torch_ans.rans64_push(
            stream, symbols, None, cdfs, freq_precision=8, bypass_precision=n
        ),
    }
    for words, call in calls.items():
        for number in (2.0, "2", torch.tensor(2.5), [2]):
            with refused(TypeError, words=(words,)):
                call(number)
        if words not in ("low", "low must", "_interleaves"):
            with refused(ValueError, words=(words.strip(),)):
                call(-5)
    for precision in (17, 40):
        with refused(ValueError, words=("freq_precision",)):
            torch_ans.fit_markov_tables(symbols, 2, freq_precision=precision)
    with refused(ValueError, words=("size",)):
        TorchANSInterface.decode_symbols(_plain_coder(), b"", 2**70)


def _plain_coder() -> TorchANSInterface:
    coder = TorchANSInterface()
    coder.init_params(torch.ones(1, 4))
    return coder


@case
def byte_strings_of_other_types() -> None:
    for bad in (5, "ab", None, 1.5):
        with refused(TypeError, words=("data[0]",)):
            torch_ans.merge_bytes([bad])
        with refused(TypeError, words=("byte_strings[0]",)):
            torch_ans.rans_byte_strings_to_stream([bad])
    for bad in (b"ab", "ab", 5, None, bytearray(2)):
        with refused(TypeError, words=("data",)):
            torch_ans.merge_bytes(bad)
    wide = memoryview(np.arange(6, dtype=np.int32))
    assert torch_ans.merge_bytes([wide]) == torch_ans.merge_bytes([bytes(wide)])
    stream = torch_ans.rans_byte_strings_to_stream([wide])
    assert torch_ans.rans_stream_to_byte_strings(stream) == [bytes(wide)]
    with refused(ValueError, words=("contiguous",)):
        torch_ans.merge_bytes([memoryview(b"abcd")[::2]])


@case
def init_stream_arguments() -> None:
    for family in FAMILIES:
        for bad in (-1, -(2**40)):
            with refused(ValueError):
                init_op(family)(bad)
            with refused(ValueError):
                init_op(family)(1, 1, bad)
        for lanes in (0, 3, 5, 33, 64, -1):
            with refused(ValueError, words=("32",)):
                init_op(family)(1, lanes)


@case
def quantities_after_a_failed_growth() -> None:
    """A push that needs to grow and then fails leaves shape and bytes as they were."""
    tables = make_tables(0, [5, 9], 8)
    for family, lanes, alias in each_coder():
        stream = used_stream(family, lanes, tables)
        rows = stream_rows(stream)
        symbols, indexes = make_symbols(1, (3, 5000), tables)
        indexes[2, 0] = 7
        with refused(IndexError):
            push_op(family, lanes, alias)(stream, symbols, indexes, *tables.args)
        assert stream_rows(stream) == rows
        indexes[2, 0] = 1
        push_op(family, lanes, alias)(stream, symbols, indexes, *tables.args)
        assert torch.equal(pop_op(family, lanes, alias)(stream, indexes, *tables.args), symbols)
        assert stream_rows(stream) == rows


@case
def encoder_agrees_with_oracle_after_all_of_this() -> None:
    """The child process is still sane."""
    tables = make_tables(0, [5, 9], 8)
    symbols, indexes = make_symbols(1, (3, 50), tables)
    for family, lanes, alias in each_coder():
        stream = encode(family, lanes, tables, symbols, indexes, alias)
        assert stream_rows(stream) == oracle_rows(family, lanes, tables, symbols, indexes, alias)
