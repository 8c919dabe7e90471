"""Fast, safe entropy coding (rANS) for PyTorch tensors.

`TorchANSInterface` turns tensors of integers into bytes and back; `torch_ans.lowlevel` has the
functions beneath it, one for each coder, which work on stream tensors and are all importable from
here. `CodingTables` holds quantised probabilities that several calls share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import lowlevel
from ._core import __version__, cpu_capabilities
from .byte_strings import merge_bytes, split_merged_bytes
from .errors import CorruptStreamError, TorchANSError
from .interface import TorchANSInterface
from .lowlevel import *  # noqa: F403
from .quantize import inverse_quantized_cdf, pmf_to_quantized_cdf_batched
from .tables import CodingTables

__all__ = [
    "CodingTables",
    "CorruptStreamError",
    "TorchANSError",
    "TorchANSInterface",
    "__version__",
    "cpu_capabilities",
    "inverse_quantized_cdf",
    "merge_bytes",
    "pmf_to_quantized_cdf_batched",
    "split_merged_bytes",
    *lowlevel.__all__,
]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]:
        """The low-level functions, for a type checker."""
