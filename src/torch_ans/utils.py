"""The helpers and names that torch-ans has here, under the same names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import lowlevel
from .byte_strings import merge_bytes, split_merged_bytes
from .interface import TorchANSInterface
from .lowlevel import *  # noqa: F403
from .quantize import inverse_quantized_cdf, pmf_to_quantized_cdf_batched

__all__ = [
    "TorchANSInterface",
    "inverse_quantized_cdf",
    "merge_bytes",
    "pmf_to_quantized_cdf_batched",
    "split_merged_bytes",
    *lowlevel.__all__,
]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]:
        """The low-level functions, for a type checker."""
