"""Fast, safe entropy coding (rANS) for PyTorch tensors.

`TorchANSInterface` turns tensors of integers into bytes and back; `torch_ans.lowlevel` has the
functions beneath it, one for each coder, which work on stream tensors and are all importable from
here. `CodingTables` holds quantised probabilities that several calls share. `pack` and `unpack` put
coded symbols into an envelope for files, which notices other tables and flipped bits.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Callable

from . import distributions, lowlevel, ops, parametric
from ._core import __version__, cpu_capabilities
from .byte_strings import merge_bytes, split_merged_bytes
from .container import PackedHeader, Salvaged, pack, packed_header, unpack
from .distributions import *  # noqa: F403
from .errors import CorruptStreamError, TableMismatchError, TorchANSError
from .interface import TorchANSInterface
from .lowlevel import *  # noqa: F403
from .markov import MarkovTables, fit_markov_tables
from .parametric import *  # noqa: F403
from .quantize import inverse_quantized_cdf, pmf_to_quantized_cdf_batched
from .report import SizeReport
from .tables import CodingTables

__all__ = [
    "CodingTables",
    "CorruptStreamError",
    "MarkovTables",
    "PackedHeader",
    "Salvaged",
    "SizeReport",
    "TableMismatchError",
    "TorchANSError",
    "TorchANSInterface",
    "__version__",
    "cpu_capabilities",
    "fit_markov_tables",
    "inverse_quantized_cdf",
    "merge_bytes",
    "ops",
    "pack",
    "packed_header",
    "pmf_to_quantized_cdf_batched",
    "split_merged_bytes",
    "unpack",
    *distributions.__all__,
    *lowlevel.__all__,
    *parametric.__all__,
]

if TYPE_CHECKING:

    def __getattr__(name: str) -> Callable[..., Any]:
        """The low-level functions, for a type checker."""
