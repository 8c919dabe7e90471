"""Coding with a distribution for each symbol, without tables.

A coder needs to know which slots one symbol owns, not all of a table: these functions compute just
that, inside the coder, and build nothing. They take what a network puts out.

| functions | a distribution is given by |
|---|---|
| `encode_cdf`, `decode_cdf` | its CDF at the edges of the symbols |
| `encode_pmf`, `decode_pmf` | the probabilities of the symbols |
| `encode_logits`, `decode_logits` | their logarithms, up to a constant |

(`torch_ans.parametric` has Gaussians and other families.)

Bytes do not depend on the machine, its instruction set, the number of threads or the device:
what decides is integer arithmetic after one exact conversion of each float.

**Devices.** The work is done on the CPU. Tensors on a CUDA device are copied to host memory first
(`tensor.cpu()`, which waits for the device), and decoded symbols are copied back.

**Rows and lanes.** By default (`impl="auto"`) the bytes are those of `rans64`, with 1 lane for less
than 4096 symbols, 4 for less than 32768 and else 8, in one row for each 131072 symbols, at most 64.
Several rows stand behind their lengths, as in `TorchANSInterface`. `impl` may also be a family with
lanes (`rans32_16_i32`), and `num_parallel_states` a number of rows; both must be the same for
encoding and decoding.
"""

from __future__ import annotations

from typing import Dict, Optional, Sequence, Tuple

import torch

from . import _native
from ._memory import ByteSource
from ._model_coder import (
    Coder,
    Distributions,
    check_low,
    decode_bytes,
    describe_values,
    encode_bytes,
)
from ._native_models import REAL_NAMES, make_model, tabulate_logits
from ._numbers import check_range

__all__ = [
    "decode_cdf",
    "decode_logits",
    "decode_pmf",
    "encode_cdf",
    "encode_logits",
    "encode_pmf",
]

_MaybeTensor = Optional[torch.Tensor]


def encode_cdf(
    symbols: torch.Tensor,
    cdf: torch.Tensor,
    *,
    low: int = 0,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
) -> bytes:
    """Codes each symbol with a CDF of its own.

    A symbol's two edges are all that is read. A float CDF is quantised so that every symbol keeps a
    slot: `C(i) = i + floor((2**P - S) * F(i))` for S symbols, where `F(i)` is `cdf[..., i]` rounded
    down to a multiple of 2**-30 and clamped to [0, 1].

    Args:
        symbols: integers of any shape.
        cdf: of shape (..., S + 1), where (...) is the symbols' shape or broadcasts to it: the
            probability that a symbol is below `low + i`, as float32, float64, float16 or bfloat16;
            or quantised to `2**freq_precision`, as int16 (read as unsigned), int32 or int64. The
            first and the last entry count as 0 and 1, whatever they are. It must not decrease; that
            is checked only where the symbols are.
        low: the smallest symbol.
        freq_precision: P, bits of the probabilities: at most 16, or 15 for `rans32_16`.
        impl: "auto", or a family with lanes: see the module's text.
        num_parallel_states: rows; None: as many as "auto" says, else 1.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit, or a symbol is outside its CDF or owns no slots.

    Example:
        >>> import torch
        >>> cdf = torch.tensor([[0.0, 0.5, 0.9, 1.0], [0.0, 0.1, 0.2, 1.0]])
        >>> data = encode_cdf(torch.tensor([1, 2]), cdf)
        >>> decode_cdf(data, cdf)
        tensor([1, 2], dtype=torch.int32)
    """
    options = (impl, num_parallel_states, freq_precision)
    return _encode_explicit("cdf", symbols, cdf, low, options)


def decode_cdf(
    data: ByteSource,
    cdf: torch.Tensor,
    *,
    low: int = 0,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
    out: _MaybeTensor = None,
    dtype: torch.dtype = torch.int32,
) -> torch.Tensor:
    """The inverse of `encode_cdf`: as many symbols as there are CDFs.

    Args:
        data: what `encode_cdf` returned.
        cdf: as there, of shape (..., S + 1).
        low: as there, like the next three.
        freq_precision: bits of the probabilities.
        impl: the coder.
        num_parallel_states: rows.
        out: integers of shape (...) that get the symbols; the CDFs broadcast to it.
        dtype: dtype of a new tensor.

    Returns:
        `out`, or a new tensor of shape (...), on the device of `cdf`.

    Raises:
        CorruptStreamError: `data` is not what was encoded with these CDFs.
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit.
    """
    options = (impl, num_parallel_states, freq_precision)
    return _decode_explicit("cdf", data, cdf, low, options, out, dtype)


def encode_pmf(
    symbols: torch.Tensor,
    pmf: torch.Tensor,
    *,
    low: int = 0,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
) -> bytes:
    """Codes each symbol with probabilities of its own, which are summed up to the symbol.

    Each probability is rounded down to a multiple of 2**-30, then they are summed exactly:
    `C(i) = i + floor((2**P - S) * (p(0) + .. + p(i - 1)))`.

    Args:
        symbols: integers of any shape.
        pmf: float32, float64, float16 or bfloat16 of shape (..., S), where (...) is the symbols'
            shape or broadcasts to it. They should sum to 1: of what is above it nothing is seen,
            and what is missing goes to the last symbol.
        low: as in `encode_cdf`, like the next three.
        freq_precision: bits of the probabilities.
        impl: the coder.
        num_parallel_states: rows.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit, or a symbol is outside its distribution.

    Example:
        >>> import torch
        >>> pmf = torch.softmax(torch.tensor([[1.0, 2.0, 0.5], [0.1, 0.0, 3.0]]), -1)
        >>> decode_pmf(encode_pmf(torch.tensor([1, 2]), pmf), pmf)
        tensor([1, 2], dtype=torch.int32)
    """
    options = (impl, num_parallel_states, freq_precision)
    return _encode_explicit("pmf", symbols, pmf, low, options)


def decode_pmf(
    data: ByteSource,
    pmf: torch.Tensor,
    *,
    low: int = 0,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
    out: _MaybeTensor = None,
    dtype: torch.dtype = torch.int32,
) -> torch.Tensor:
    """The inverse of `encode_pmf`; see `decode_cdf`."""
    options = (impl, num_parallel_states, freq_precision)
    return _decode_explicit("pmf", data, pmf, low, options, out, dtype)


def encode_logits(
    symbols: torch.Tensor,
    logits: torch.Tensor,
    *,
    low: int = 0,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
) -> bytes:
    """Codes each symbol with the softmax of logits of its own.

    Logits are cut off to multiples of 2**-15, and what follows are integers: unlike those of
    `torch.softmax`, the probabilities are the same on every machine and device. A logit that is
    more than 16 below the largest one counts as 16 below it.

    Args:
        symbols: integers of any shape.
        logits: float32, float64, float16 or bfloat16 of shape (..., S), where (...) is the symbols'
            shape or broadcasts to it. What is beyond 2**20 counts as that, a NaN as the least.
        low: as in `encode_cdf`, like the next three.
        freq_precision: bits of the probabilities.
        impl: the coder.
        num_parallel_states: rows.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit, or a symbol is outside its distribution.

    Example:
        >>> import torch
        >>> logits = torch.tensor([[1.0, 2.0, 0.5], [0.1, 0.0, 3.0]])
        >>> decode_logits(encode_logits(torch.tensor([1, 2]), logits), logits)
        tensor([1, 2], dtype=torch.int32)
    """
    options = (impl, num_parallel_states, freq_precision)
    return _encode_explicit("logits", symbols, logits, low, options)


def decode_logits(
    data: ByteSource,
    logits: torch.Tensor,
    *,
    low: int = 0,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
    out: _MaybeTensor = None,
    dtype: torch.dtype = torch.int32,
) -> torch.Tensor:
    """The inverse of `encode_logits`; see `decode_cdf`."""
    options = (impl, num_parallel_states, freq_precision)
    return _decode_explicit("logits", data, logits, low, options, out, dtype)


_Options = Tuple[str, Optional[int], int]
"""impl, num_parallel_states, freq_precision"""


def encode(symbols: torch.Tensor, distributions: Distributions, options: _Options) -> bytes:
    impl, rows, precision = options
    coder = Coder.choose(impl, rows, symbols.numel(), precision)
    return encode_bytes(coder, distributions, symbols.cpu())


def decode(
    data: ByteSource,
    distributions: Distributions,
    options: _Options,
    out: _MaybeTensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    impl, rows, precision = options
    coder = Coder.choose(impl, rows, distributions.shape.numel(), precision)
    return decode_bytes(coder, distributions, data, out, dtype)


def _encode_explicit(
    kind: str, symbols: torch.Tensor, values: torch.Tensor, low: int, options: _Options
) -> bytes:
    check_symbols(symbols)
    found = _explicit_distributions(kind, values, low, options[2], symbols.shape)
    return encode(symbols, found, options)


def _decode_explicit(
    kind: str,
    data: ByteSource,
    values: torch.Tensor,
    low: int,
    options: _Options,
    out: _MaybeTensor,
    dtype: torch.dtype,
) -> torch.Tensor:
    shape = shape_of(out, {kind: values}, 1)
    found = _explicit_distributions(kind, values, low, options[2], shape)
    return decode(data, found, options, out, dtype)


def _explicit_distributions(
    kind: str, values: torch.Tensor, low: int, freq_precision: int, shape: torch.Size
) -> Distributions:
    """Of values for each symbol of the alphabet; a CDF has one more."""
    is_cdf = kind == "cdf"
    check_values({kind: values}, 1, shape, integers=is_cdf)
    num_symbols = values.shape[-1] - is_cdf
    text = f"{kind} must have {1 + is_cdf} to {{}} entries for each symbol"
    check_alphabet(num_symbols, freq_precision, text, int(is_cdf))
    described = describe_values([values], 1, shape)
    model = make_model(kind, described, check_low(low), num_symbols, freq_precision)
    shared = described[0][1] == 0
    if kind == "logits" and shared:  # to sum them up for each symbol would be a waste
        model = tabulate_logits(model)
    return Distributions(model, shape, values.device)


def check_symbols(symbols: torch.Tensor) -> None:
    _native.check_integers(symbols, "symbols", cuda=True)


def check_values(
    values: Dict[str, torch.Tensor], trailing: int, shape: torch.Size, integers: bool = False
) -> None:
    """Checks dtypes, and that shapes without `trailing` dimensions broadcast to `shape`."""
    names = [name for name in REAL_NAMES.values() if integers or "float" in name]
    for name, value in values.items():
        tensor = _native.check_tensor(value, name, cuda=True)
        if REAL_NAMES.get(tensor.dtype) not in names:
            raise TypeError(
                f"{name} must have one of the dtypes {', '.join(names)}, got {tensor.dtype}"
            )
        leading = tensor.shape[: tensor.dim() - trailing]
        if tensor.dim() < trailing or not _broadcasts(leading, shape):
            own = ("...",) * trailing
            raise ValueError(
                f"{name} must have the symbols' shape {tuple(shape)}"
                f"{' and one dimension more' if own else ''}, or broadcast to it, got "
                f"{tuple(tensor.shape)}"
            )


def _broadcasts(shape: Sequence[int], target: Sequence[int]) -> bool:
    if len(shape) > len(target):
        return False
    pairs = zip(reversed(shape), reversed(target))
    return all(size in (1, wanted) for size, wanted in pairs)


def shape_of(out: _MaybeTensor, values: Dict[str, torch.Tensor], trailing: int) -> torch.Size:
    """The shape of the symbols to decode: that of `out`, or what the values broadcast to."""
    if out is not None:
        return _native.check_tensor(out, "out", cuda=True).shape
    shapes = []
    for name, value in values.items():
        tensor = _native.check_tensor(value, name, cuda=True)
        shapes.append(tensor.shape[: max(tensor.dim() - trailing, 0)])
    try:
        # (torch.broadcast_shapes imports sympy, which takes half a second.)
        one = torch.empty((), device="cpu")
        all_of_one = torch.broadcast_tensors(*map(one.expand, shapes))  # type: ignore[no-untyped-call]
        shape: torch.Size = all_of_one[0].shape
    except RuntimeError as error:
        raise ValueError(f"{', '.join(values)} do not broadcast: {error}") from None
    return shape


def check_alphabet(num_symbols: int, freq_precision: int, text: str, extra: int) -> None:
    bits = check_range(freq_precision, "freq_precision", 1, 16)
    if not 1 <= num_symbols <= 1 << bits:
        most = (1 << bits) + extra
        raise ValueError(f"{text.format(most)}, got {num_symbols + extra}")
