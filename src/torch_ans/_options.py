"""Checks of the options of `TorchANSInterface`."""

from __future__ import annotations

from typing import Optional, Union

import torch

from . import _core
from ._native import cuda_problem
from ._numbers import check_int, check_size

__all__ = ["check_device", "check_mode", "check_rows", "clamp_freq_precision"]

_MODES = ("encdec", "encoder", "decoder")


def clamp_freq_precision(family: str, value: object) -> int:
    """Bits of the probabilities, at most what the family can code.

    Raises:
        TypeError: it is no integer.
        ValueError: it is less than 1.
    """
    bits = check_int(value, "freq_precision")
    most = _core.FAMILIES[family].max_freq_precision
    if bits < 1:
        raise ValueError(f"freq_precision must be in 1..{most} for {family}, got {bits}")
    return min(bits, most)


def check_rows(value: object) -> Optional[int]:
    """`num_parallel_states`: None or a positive int."""
    if value is None:
        return None
    rows = check_size(value, "num_parallel_states")
    if rows < 1:
        raise ValueError(f"num_parallel_states must be None or at least 1, got {rows}")
    return rows


def check_device(value: Union[torch.device, str, None]) -> Optional[torch.device]:
    """None, the CPU or a CUDA device; ValueError for any other, or where there is none."""
    if value is None:
        return None
    try:
        device = torch.device(value)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device must be None, 'cpu' or 'cuda', got {value!r}: {error}") from None
    kind: str = device.type
    if kind == "cpu":
        return device
    problem = f"torch_ans does not work on {kind!r} devices"
    if kind == "cuda":
        problem = cuda_problem()
    if problem:
        raise ValueError(f"device is {str(device)!r}, but {problem}")
    if str(device) == kind:
        return torch.device("cuda", torch.cuda.current_device())
    return device


def check_mode(value: object) -> str:
    """One of the modes; ValueError that lists them otherwise."""
    if isinstance(value, str) and value in _MODES:
        return value
    raise ValueError(f"mode must be one of {', '.join(_MODES)}, got {value!r}")
