"""torchac's functions: `import torch_ans.compat.torchac as torchac` is all that changes.

The four functions have the names, arguments and meaning of those of torchac 0.9.3 (Mentzer et al.,
"Practical full resolution learned lossless image compression", 2019), without its limits: tensors
may be on any device, symbols of any integer dtype, alphabets as large as 65535, and nothing is
compiled at import. A symbol outside its CDF, or with probability 0, raises.

`format=` chooses the bytes:

* `"torch_ans"`, the default: rANS, fast, on several threads where there are many symbols
  (`torch_ans.encode_cdf` says how they are laid out). Damage is noticed, mostly.
* `"torchac"`: the arithmetic coder, bit by bit torchac's, for files that exist already or that
  torchac will read. It decodes any bytes to some symbols.

Tensors on a CUDA device are copied to host memory; decoded symbols come back on the CDF's device.
"""

from __future__ import annotations

from typing import Tuple

import torch

from .. import _native, _native_models
from .._layout import split_rows
from .._memory import data_of
from .._model_coder import Coder, Distributions, decode_bytes, describe_values, encode_bytes
from .._native import Data
from .._status import describe_element
from ..errors import CorruptStreamError

__all__ = [
    "PRECISION",
    "decode_float_cdf",
    "decode_int16_normalized_cdf",
    "encode_float_cdf",
    "encode_int16_normalized_cdf",
]

PRECISION = 16
"""Bits of a probability."""

_FORMATS = ("torch_ans", "torchac")
_MOST_SYMBOLS = 65535


def encode_float_cdf(
    cdf_float: torch.Tensor,
    sym: torch.Tensor,
    needs_normalization: bool = True,
    check_input_bounds: bool = False,
    *,
    format: str = "torch_ans",
) -> bytes:
    """Codes each symbol with a CDF of its own.

    Args:
        cdf_float: floats in [0, 1], shape (N1, ..., Nm, Lp), the Lp = L + 1 edges of L symbols. The
            last edge counts as 1, whatever it is.
        sym: integers in [0, L), shape (N1, ..., Nm).
        needs_normalization: make sure that every symbol keeps a slot. Otherwise the CDF must
            increase at every symbol that is coded, also after rounding to 16 bits.
        check_input_bounds: raise where an edge is outside [0, 1].
        format: "torch_ans" or "torchac": see the module's text.

    Raises:
        TypeError: an argument has the wrong type.
        ValueError: shapes that do not fit, or a symbol that its CDF cannot code.

    Example:
        >>> import torch
        >>> cdf = torch.tensor([[0.0, 0.5, 0.9, 1.0], [0.0, 0.1, 0.2, 1.0]])
        >>> data = encode_float_cdf(cdf, torch.tensor([1, 2]), check_input_bounds=True)
        >>> decode_float_cdf(cdf, data)
        tensor([1, 2], dtype=torch.int16)
        >>> encode_float_cdf(cdf, torch.tensor([1, 2]), format="torchac").hex()
        'a0'
    """
    if check_input_bounds:
        _check_bounds(_check_cdf(cdf_float, floats=True))
    found = _distributions(cdf_float, needs_normalization, format, floats=True)
    return _encode(found, sym, format)


def decode_float_cdf(
    cdf_float: torch.Tensor,
    byte_stream: Data,
    needs_normalization: bool = True,
    *,
    format: str = "torch_ans",
) -> torch.Tensor:
    """The inverse of `encode_float_cdf`.

    Returns:
        The symbols, shape (N1, ..., Nm): int16, or int32 where L is above 32768.

    Raises:
        CorruptStreamError: bytes that were not coded with these CDFs, where that can be told.
        TypeError: an argument has the wrong type.
        ValueError: `cdf_float` has no last dimension of at least 2.
    """
    return _decode(
        _distributions(cdf_float, needs_normalization, format, floats=True), byte_stream, format
    )


def encode_int16_normalized_cdf(
    cdf_int: torch.Tensor,
    sym: torch.Tensor,
    *,
    format: str = "torch_ans",
) -> bytes:
    """`encode_float_cdf` with CDFs that count slots of 2**16.

    Args:
        cdf_int: int16, read as unsigned (so -1 is 65535), shape (N1, ..., Nm, Lp). The last edge
            counts as 65536.
        sym: integers in [0, L), shape (N1, ..., Nm).
        format: "torch_ans" or "torchac".
    """
    return _encode(_distributions(cdf_int, False, format, floats=False), sym, format)


def decode_int16_normalized_cdf(
    cdf_int: torch.Tensor,
    byte_stream: Data,
    *,
    format: str = "torch_ans",
) -> torch.Tensor:
    """The inverse of `encode_int16_normalized_cdf`; returns and raises as `decode_float_cdf`."""
    return _decode(_distributions(cdf_int, False, format, floats=False), byte_stream, format)


def _check_cdf(cdf: object, floats: bool) -> torch.Tensor:
    name = "cdf_float" if floats else "cdf_int"
    tensor = _native.check_tensor(cdf, name, cuda=True)
    if tensor.is_floating_point() != floats or (not floats and tensor.dtype != torch.int16):
        wanted = "a floating dtype" if floats else "dtype torch.int16"
        raise TypeError(f"{name} must have {wanted}, got {tensor.dtype}")
    if tensor.dim() < 1 or not 2 <= tensor.shape[-1] <= _MOST_SYMBOLS + 1:
        raise ValueError(
            f"{name} must have shape (N1, ..., Nm, Lp) with Lp in 2..{_MOST_SYMBOLS + 1}, got "
            f"{tuple(tensor.shape)}"
        )
    return tensor


@_native.fork_safe
def _check_bounds(cdf: torch.Tensor) -> None:
    if cdf.numel() and not bool(((cdf >= 0) & (cdf <= 1)).all()):
        low, high = float(cdf.min()), float(cdf.max())
        raise ValueError(f"cdf_float must be in [0, 1], got values from {low} to {high}")


@_native.fork_safe
def _distributions(cdf: object, leaks: bool, format: str, floats: bool) -> Distributions:
    if format not in _FORMATS:
        raise ValueError(f"format must be one of {', '.join(_FORMATS)}, got {format!r}")
    tensor = _check_cdf(cdf, floats)
    given = tensor
    if format == "torchac" and tensor.dtype in (torch.float16, torch.bfloat16):
        given = tensor.float()  # exact; torchac rounds products to 16 bits there
    shape = tensor.shape[:-1]
    values = describe_values([given], 1, shape)
    model = _native_models.make_model(
        "cdf", values, 0, tensor.shape[-1] - 1, PRECISION, leaks and floats
    )
    return Distributions(model, shape, tensor.device)


def _encode(distributions: Distributions, sym: torch.Tensor, format: str) -> bytes:
    symbols = _native.check_integers(sym, "sym", cuda=True)
    shape = distributions.shape
    if symbols.shape != shape:
        raise ValueError(
            f"sym must have the shape of the CDFs without their last dimension, {tuple(shape)}, "
            f"got {tuple(symbols.shape)}"
        )
    host = symbols.cpu()
    if format == "torch_ans":
        return encode_bytes(_coder(shape), distributions, host, "sym")
    split = split_rows(host.numel(), 1)
    operand = _native.read_operand(host, split)
    bad, data = _native_models.encode_arithmetic(distributions.model, operand, split.total)
    if bad >= 0:
        most = distributions.model.native.num_symbols - 1
        raise ValueError(
            f"{describe_element('sym', host, bad)}, but its CDF codes 0 to {most}, and only "
            "symbols whose probability is not 0"
        )
    return data


def _decode(
    distributions: Distributions,
    byte_stream: Data,
    format: str,
) -> torch.Tensor:
    byte_stream = data_of(byte_stream, "byte_stream")
    shape, device = distributions.shape, distributions.device
    dtype = torch.int16 if distributions.model.native.num_symbols <= 1 << 15 else torch.int32
    if format == "torch_ans":
        return decode_bytes(_coder(shape), distributions, byte_stream, None, dtype)
    out = _native.allocate(shape, dtype)
    split = split_rows(out.numel(), 1)
    operand = _native.write_operand(out, "out", split)
    bad = _native_models.decode_arithmetic(distributions.model, byte_stream, operand, split.total)
    if bad >= 0:
        raise CorruptStreamError(
            f"symbol {bad} cannot be decoded: its CDF decreases, or starts above 0", [0]
        )
    return out.to(device)


def _coder(shape: Tuple[int, ...]) -> Coder:
    return Coder.choose("auto", None, torch.Size(shape).numel(), PRECISION)
