"""Coding with Gaussians, Laplacians, logistics and mixtures of logistics, one for each symbol.

| functions | a distribution is given by |
|---|---|
| `encode_gaussian`, `decode_gaussian` | mean and standard deviation |
| `encode_laplace`, `decode_laplace` | mean and scale |
| `encode_logistic`, `decode_logistic` | mean and scale |
| `encode_logistic_mixture`, `decode_logistic_mixture` | means, scales and weights |

A symbol x of `low` to `high` gets what the distribution gives to [x - 1/2, x + 1/2), and at least
one slot of `2**freq_precision`, so that any symbol can be coded, however unlikely; what is outside
the alphabet belongs to its ends. No CDF is computed beforehand, and no function of a math library
decides a slot: means are cut off to multiples of 2**-14, scales to multiples of 2**-16 (and to at
least that), and all that follows are integers (`cpp/FORMAT.md`). So bytes decode on any machine, if
the decoder has the same means and scales, bit by bit: computing those alike is up to the caller.

The options and what is said of devices, rows and lanes are those of `torch_ans.encode_cdf`.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, Optional, Tuple

import torch

from ._memory import ByteSource
from ._model_coder import Distributions, check_low, describe_values
from ._native_models import make_model
from ._numbers import check_int
from .distributions import check_alphabet, check_symbols, check_values, decode, encode, shape_of

__all__ = [
    "decode_gaussian",
    "decode_laplace",
    "decode_logistic",
    "decode_logistic_mixture",
    "encode_gaussian",
    "encode_laplace",
    "encode_logistic",
    "encode_logistic_mixture",
]

_MOST_COMPONENTS = 32
_MaybeTensor = Optional[torch.Tensor]


def _distributions(
    kind: str,
    values: Dict[str, torch.Tensor],
    alphabet: Tuple[int, int, int],
    shape: torch.Size,
) -> Distributions:
    low, high, precision = check_low(alphabet[0]), check_int(alphabet[1], "high"), alphabet[2]
    trailing = 1 if kind == "logistic_mixture" else 0
    check_values(values, trailing, shape)
    check_alphabet(high - low + 1, precision, "low..high must have 1 to {} symbols", 0)
    tensors = list(values.values())
    devices = {str(tensor.device) for tensor in tensors}
    if len(devices) > 1:
        raise ValueError(f"{', '.join(values)} must be on one device, got {', '.join(devices)}")
    components = 1
    if trailing:
        components = tensors[0].shape[-1]
        if (
            any(t.shape[-1] != components for t in tensors)
            or not 1 <= components <= _MOST_COMPONENTS
        ):
            sizes = ", ".join(f"{name}: {value.shape[-1]}" for name, value in values.items())
            raise ValueError(
                f"the last dimension must be the same number of components, 1 to "
                f"{_MOST_COMPONENTS}, got {sizes}"
            )
    wide = any(tensor.dtype == torch.float64 for tensor in tensors)
    dtype = torch.float64 if wide else torch.float32  # exact
    described = describe_values([tensor.to(dtype) for tensor in tensors], trailing, shape)
    model = make_model(kind, described, low, high - low + 1, precision, components=components)
    return Distributions(model, shape, tensors[0].device)


def _make_pair(
    kind: str, noun: str, scale: str
) -> Tuple[Callable[..., bytes], Callable[..., torch.Tensor]]:
    def encode_symbols(
        symbols: torch.Tensor,
        means: torch.Tensor,
        scales: torch.Tensor,
        low: int,
        high: int,
        *,
        freq_precision: int = 16,
        impl: str = "auto",
        num_parallel_states: Optional[int] = None,
    ) -> bytes:
        check_symbols(symbols)
        values = {"means": means, "scales": scales}
        found = _distributions(kind, values, (low, high, freq_precision), symbols.shape)
        return encode(symbols, found, (impl, num_parallel_states, freq_precision))

    def decode_symbols(
        data: ByteSource,
        means: torch.Tensor,
        scales: torch.Tensor,
        low: int,
        high: int,
        *,
        freq_precision: int = 16,
        impl: str = "auto",
        num_parallel_states: Optional[int] = None,
        out: _MaybeTensor = None,
        dtype: torch.dtype = torch.int32,
    ) -> torch.Tensor:
        values = {"means": means, "scales": scales}
        shape = shape_of(out, values, 0)
        found = _distributions(kind, values, (low, high, freq_precision), shape)
        return decode(data, found, (impl, num_parallel_states, freq_precision), out, dtype)

    encode_symbols.__doc__ = f"""Codes each symbol with a {noun} of its own.

    Args:
        symbols: integers in `low` to `high`, of any shape.
        means: floats that broadcast to the symbols' shape. What is further than 2**16 symbols
            from the alphabet counts as that far.
        scales: {scale}, floats that broadcast to the symbols' shape; cut to 2**-16 to 2**16.
        low: the smallest symbol.
        high: the largest; at most `2**freq_precision` symbols.
        freq_precision: bits of the probabilities: at most 16, or 15 for `rans32_16`.
        impl: the coder, "auto" or a family with lanes: see `torch_ans.distributions`.
        num_parallel_states: rows; None: as many as "auto" says, else 1.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit, or a symbol is outside `low` to `high`.

    Example:
        >>> import torch, torch_ans
        >>> means, scales = torch.tensor([0.3, -7.0, 4.9]), torch.tensor([1.0, 2.5, 0.1])
        >>> data = torch_ans.encode_{kind}(torch.tensor([0, -9, 5]), means, scales, -100, 100)
        >>> torch_ans.decode_{kind}(data, means, scales, -100, 100)
        tensor([ 0, -9,  5], dtype=torch.int32)
    """
    decode_symbols.__doc__ = f"""The inverse of `encode_{kind}`.

    Args:
        data: what `encode_{kind}` returned.
        means: as there, like the scales and the options.
        scales: they and the means broadcast to the shape of the symbols.
        low: the smallest symbol.
        high: the largest.
        freq_precision: bits of the probabilities.
        impl: the coder.
        num_parallel_states: rows.
        out: integers that get the symbols.
        dtype: dtype of a new tensor.

    Raises:
        CorruptStreamError: `data` is not what was encoded with these distributions.
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit.
    """
    for name, function in (("encode", encode_symbols), ("decode", decode_symbols)):
        made: Any = function
        made.__name__ = made.__qualname__ = f"{name}_{kind}"
    return encode_symbols, decode_symbols


encode_gaussian, decode_gaussian = _make_pair("gaussian", "Gaussian", "standard deviations")
encode_laplace, decode_laplace = _make_pair("laplace", "Laplacian", "scales (mean distances)")
encode_logistic, decode_logistic = _make_pair("logistic", "logistic", "scales")


def encode_logistic_mixture(
    symbols: torch.Tensor,
    means: torch.Tensor,
    scales: torch.Tensor,
    weights: torch.Tensor,
    low: int,
    high: int,
    *,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
) -> bytes:
    """Codes each symbol with a mixture of logistics, as L3C and PixelCNN++ use them.

    Salimans et al., "PixelCNN++", 2017; Mentzer et al., "Practical full resolution learned lossless
    image compression", 2019. Conditioning one colour channel on another is a matter of the means.

    Args:
        symbols: integers in `low` to `high`, of any shape.
        means: floats of shape (..., K) for K components, at most 32, where (...) broadcasts to the
            symbols' shape.
        scales: likewise.
        weights: likewise, not negative; only their proportions count (and what exceeds 1 counts as
            1).
        low: as in `encode_logistic`, like all that follows.
        high: the largest symbol.
        freq_precision: bits of the probabilities.
        impl: the coder.
        num_parallel_states: rows.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: a shape does not fit, or a symbol is outside `low` to `high`.

    Example:
        >>> import torch, torch_ans
        >>> means, scales = torch.tensor([[10.0, 200.0]]), torch.tensor([[3.0, 9.0]])
        >>> weights = torch.tensor([[0.25, 0.75]])
        >>> symbols = torch.tensor([9, 205, 12, 180])
        >>> data = torch_ans.encode_logistic_mixture(symbols, means, scales, weights, 0, 255)
        >>> out = torch.empty(4, dtype=torch.uint8)
        >>> torch_ans.decode_logistic_mixture(data, means, scales, weights, 0, 255, out=out)
        tensor([  9, 205,  12, 180], dtype=torch.uint8)
    """
    check_symbols(symbols)
    values = {"means": means, "scales": scales, "weights": weights}
    alphabet = (low, high, freq_precision)
    found = _distributions("logistic_mixture", values, alphabet, symbols.shape)
    return encode(symbols, found, (impl, num_parallel_states, freq_precision))


def decode_logistic_mixture(
    data: ByteSource,
    means: torch.Tensor,
    scales: torch.Tensor,
    weights: torch.Tensor,
    low: int,
    high: int,
    *,
    freq_precision: int = 16,
    impl: str = "auto",
    num_parallel_states: Optional[int] = None,
    out: _MaybeTensor = None,
    dtype: torch.dtype = torch.int32,
) -> torch.Tensor:
    """The inverse of `encode_logistic_mixture`; options and errors as in `decode_logistic`."""
    values = {"means": means, "scales": scales, "weights": weights}
    shape = shape_of(out, values, 1)
    found = _distributions("logistic_mixture", values, (low, high, freq_precision), shape)
    return decode(data, found, (impl, num_parallel_states, freq_precision), out, dtype)
