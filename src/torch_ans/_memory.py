"""A caller's memory: encoded data that is read where it lies, and what is written into `out=`."""

from __future__ import annotations

import mmap
from typing import TYPE_CHECKING, Any, Union

import torch

from . import _core, _native
from ._native import Data

if TYPE_CHECKING:
    import numpy as np

    Array = np.ndarray[Any, Any]

__all__ = [
    "ByteSource",
    "ByteTarget",
    "Target",
    "check_target",
    "data_of",
    "is_bytes_like",
    "place",
    "written",
]

ByteSource = Union[bytes, bytearray, memoryview, mmap.mmap, "Array", torch.Tensor]
"""Encoded data: contiguous memory. A tensor is uint8 of one dimension, in host memory."""

ByteTarget = Union[bytearray, memoryview, mmap.mmap, "Array", torch.Tensor]
"""Memory for encoded data: bytes of one dimension, contiguous and writable, in host memory."""

Target = Any
"""A `ByteTarget` that has been checked, as Python's buffer protocol knows it: typing does not."""


def is_bytes_like(data: object) -> bool:
    """Whether it is memory that Python can view."""
    try:
        memoryview(data)  # type: ignore[arg-type]
    except TypeError:
        return False
    return True


def data_of(data: object, name: str = "encoded data") -> Data:
    """Encoded data where it lies, as bytes.

    Raises:
        TypeError: neither bytes-like nor a tensor of uint8.
        ValueError: not contiguous, or a tensor of several dimensions or on another device.
    """
    if isinstance(data, (bytes, bytearray)):
        return data
    if isinstance(data, torch.Tensor):
        return memoryview(_array(data, name))
    try:
        view = memoryview(data)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            f"{name} must be bytes-like or a uint8 tensor, got {type(data).__name__}"
        ) from None
    if not view.c_contiguous:
        raise ValueError(f"{name} must be contiguous, got strides {view.strides}")
    return view if view.format == "B" and view.ndim == 1 else view.cast("B")


def check_target(out: object) -> Target:
    """Memory that encoded data may be written to; nothing stays exported.

    Raises:
        TypeError: no memory, or a tensor of another dtype.
        ValueError: it is read-only, not bytes in one dimension, or on another device.
    """
    if isinstance(out, torch.Tensor):
        return _array(out, "out")
    try:
        view = memoryview(out)  # type: ignore[arg-type]
    except TypeError:
        raise TypeError(
            "out must be a uint8 tensor, bytearray, memoryview, NumPy array or mmap, got "
            f"{type(out).__name__}"
        ) from None
    with view:  # a bytearray that is exported cannot grow
        if view.readonly:
            raise ValueError(f"out must be writable, got a {type(out).__name__} that is read-only")
        if view.format != "B" or view.ndim != 1 or not view.contiguous:
            raise ValueError(
                "out must hold bytes (uint8) in one dimension, contiguous, got format "
                f"{view.format!r}, shape {view.shape} and strides {view.strides}"
            )
    return out


def written(out: Target, size: int) -> memoryview:
    """The part of `out` that encoded data has been written to."""
    return memoryview(out)[:size]


def place(data: bytes, out: Target) -> memoryview:
    """Copies encoded data to the beginning of `out`; ValueError where it does not fit."""
    return written(out, _core.write_bytes(data, out, 1))


def _array(tensor: torch.Tensor, name: str) -> Any:
    if not _native.on_host(tensor):
        raise ValueError(f"{name} must be in host memory, got a tensor on {tensor.device}")
    if tensor.dtype != torch.uint8:
        raise TypeError(f"{name} must have dtype torch.uint8, got {tensor.dtype}")
    if tensor.dim() != 1 or not tensor.is_contiguous():
        raise ValueError(
            f"{name} must have one dimension and be contiguous, got shape {tuple(tensor.shape)} "
            f"with strides {tensor.stride()}"
        )
    return tensor.numpy()
