"""CompressAI's entropy models, coding whole batches of tensors in one call, without lists.

`EntropyBottleneck`, `GaussianConditional` and `GaussianMixtureConditional` are subclasses of those
of the package compressai (1.2), with the same parameters, buffers, state dicts and bytes: streams
of either are decoded by the other. Importing this module imports compressai.

For other entropy models of compressai put `BatchedEntropyModel` behind theirs:
`class Mine(TheirModel, BatchedEntropyModel)`.

Example:
    >>> from torch_ans.compressai import EntropyBottleneck  # doctest: +SKIP
    >>> bottleneck = EntropyBottleneck(128)  # doctest: +SKIP
    >>> bottleneck.update()  # doctest: +SKIP
    >>> strings = bottleneck.compress(latents)  # doctest: +SKIP
    >>> decoded = bottleneck.decompress(strings, latents.shape[2:])  # doctest: +SKIP
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Dict, List, Optional, Sequence, Tuple

import compressai.entropy_models as models
import torch

from ._messages import FREQ_PRECISION, decode_rows, encode_latents, encode_rows
from ._native import Data, cuda_problem, on_host
from ._table_cache import cached_tables
from .tables import CodingTables

__all__ = [
    "BatchedEntropyModel",
    "EntropyBottleneck",
    "GaussianConditional",
    "GaussianMixtureConditional",
]

_TABLES = ("_quantized_cdf", "_cdf_length", "_offset")

_quantize = models.EntropyModel.quantize
_dequantize = models.EntropyModel.dequantize
_build_indexes = models.GaussianConditional.build_indexes

_CUDA_ROWS = 64
"""A row is coded by one thread of a GPU: with fewer rows the CPU is faster, copies included."""


class BatchedEntropyModel(models.EntropyModel):  # type: ignore[misc]
    """Codes the symbols of a batch in one call; to be mixed into models of compressai.

    Beyond compressai's, it loads state dicts with tables of any size.
    """

    def _load_from_state_dict(self, state_dict: Dict[str, Any], prefix: str, *args: Any) -> None:
        for name in (*_TABLES, "scale_table"):
            saved, own = state_dict.get(prefix + name), getattr(self, name, None)
            if isinstance(saved, torch.Tensor) and own is not None and own.shape != saved.shape:
                setattr(self, name, own.new_empty(saved.shape))
        super()._load_from_state_dict(state_dict, prefix, *args)

    def compress(
        self, inputs: torch.Tensor, indexes: torch.Tensor, means: Optional[torch.Tensor] = None
    ) -> List[bytes]:
        """Quantises and codes a batch.

        Args:
            inputs: floats (B, ...).
            indexes: the table of each element, integers of the same shape.
            means: what is subtracted before rounding; it broadcasts to the inputs.

        Returns:
            B byte strings, the same as compressai's.

        Raises:
            IndexError: an index names no table.
            ValueError: there are no tables yet (call `update`), or a shape does not fit.
        """
        if inputs.dim() < 2:
            raise ValueError(f"inputs must have at least 2 dimensions, got {tuple(inputs.shape)}")
        if inputs.shape != indexes.shape:
            raise ValueError(
                f"indexes must have the shape of the inputs, {tuple(inputs.shape)}, got "
                f"{tuple(indexes.shape)}"
            )
        tables = _tables_of(self)
        if _is_theirs(self, "quantize", _quantize) and _are_host_floats(inputs, means):
            values, means = _laid_out(inputs, inputs.shape), _laid_out(means, inputs.shape)
            indexes = indexes if on_host(indexes) else indexes.cpu()
            return encode_latents(tables, values, means, indexes)
        symbols = self.quantize(inputs, "symbols", means)
        place = _coding_device(symbols)
        return encode_rows(tables, symbols.to(place), indexes.to(place))

    def decompress(
        self,
        strings: Sequence[Data],
        indexes: torch.Tensor,
        dtype: torch.dtype = torch.float,
        means: Optional[torch.Tensor] = None,
    ) -> torch.Tensor:
        """The inverse of `compress`.

        Args:
            strings: B byte strings.
            indexes: the table of each element, integers (B, ...).
            dtype: dtype of the result where there are no means, whose dtype it has otherwise.
            means: what is added; it broadcasts to the indexes.

        Returns:
            Floats of the indexes' shape, on the device of the model.

        Raises:
            CorruptStreamError: strings that were not coded with these tables; `rows` lists them.
            IndexError: an index names no table.
            ValueError: there are no tables yet, or a shape does not fit.
        """
        if not isinstance(strings, (list, tuple)):
            raise ValueError(f"strings must be a list of bytes, got {type(strings).__name__}")
        if indexes.dim() < 2 or indexes.shape[0] != len(strings):
            raise ValueError(
                f"indexes must have shape ({len(strings)}, ...) for as many strings, got "
                f"{tuple(indexes.shape)}"
            )
        tables = _tables_of(self)
        _check_means(means, indexes)
        device = self._quantized_cdf.device
        here = on_host(indexes) and device == indexes.device
        if here and _is_theirs(self, "dequantize", _dequantize) and _adds_floats(means, dtype):
            values = torch.empty(indexes.shape, dtype=torch.float32, device="cpu")
            means = _laid_out(means, indexes.shape)
            return decode_rows(tables, strings, indexes, values, means)
        place = _coding_device(indexes)
        out = torch.empty(indexes.shape, dtype=torch.int32, device=place)
        decode_rows(tables, strings, indexes.to(place), out)
        return self.dequantize(out.to(device), means, dtype)  # type: ignore[no-any-return]


class EntropyBottleneck(models.EntropyBottleneck, BatchedEntropyModel):  # type: ignore[misc]
    """compressai's `EntropyBottleneck` (Balle et al., 2018), batched."""

    @staticmethod
    def _build_indexes(size: Sequence[int]) -> torch.Tensor:
        """The channel of each element, (B, C, ...): one number a channel in memory."""
        return _channels(tuple(size))


class GaussianConditional(models.GaussianConditional, BatchedEntropyModel):  # type: ignore[misc]
    """compressai's `GaussianConditional` (Balle et al., 2018), batched."""

    def build_indexes(self, scales: torch.Tensor) -> torch.Tensor:
        """The table of each scale, int32 of the same shape: the first that is at least as wide."""
        if scales.dtype != self.scale_table.dtype or not len(self.scale_table):
            return _build_indexes(self, scales)  # type: ignore[no-any-return]
        scales = self.lower_bound_scale(scales).detach()
        return torch.bucketize(scales, self.scale_table[:-1], out_int32=True)


class GaussianMixtureConditional(models.GaussianMixtureConditional, GaussianConditional):  # type: ignore[misc]
    """compressai's `GaussianMixtureConditional` (Cheng et al., 2020), without lists.

    It has a table for each element, which is not worth preparing: encoding divides, and decoding
    searches the table.
    """

    def compress(  # type: ignore[override]
        self,
        y: torch.Tensor,
        scales: torch.Tensor,
        means: torch.Tensor,
        weights: torch.Tensor,
    ) -> Tuple[Tuple[bytes, int, torch.Tensor], torch.Tensor]:
        """Rounds and codes one element of a batch.

        Args:
            y: floats (1, M, H, W).
            scales: of the K components, (1, K * M, H, W); likewise the next two.
            means: the components' means.
            weights: the components' weights.

        Returns:
            ((bytes, bound on the symbols, which channels are not zero), rounded y).
        """
        rounded = torch.round(y)
        abs_max = max(abs(int(y.max())), abs(int(y.min()))) + 1
        used = (rounded.abs().sum((2, 3)).squeeze(0) != 0).to(torch.int64)
        channels = used.nonzero().flatten().tolist()
        tables = _mixture_tables(self, scales, means, weights, channels, abs_max)
        symbols = (rounded[:, channels] + abs_max).to(torch.int32).reshape(1, -1).cpu()
        return (encode_rows(tables, symbols, _numbers(tables))[0], abs_max, used), rounded

    def decompress(  # type: ignore[override]
        self,
        strings: Data,
        abs_max: int,
        zero_bitmap: torch.Tensor,
        scales: torch.Tensor,
        means: torch.Tensor,
        weights: torch.Tensor,
    ) -> torch.Tensor:
        """The inverse of `compress`: floats (1, M, H, W) in host memory."""
        channels = zero_bitmap.nonzero().flatten().tolist()
        tables = _mixture_tables(self, scales, means, weights, channels, abs_max)
        out = torch.empty((1, tables.num_tables), dtype=torch.int32, device="cpu")
        decode_rows(tables, [strings], _numbers(tables), out)
        batch, _, height, width = scales.shape
        result = torch.zeros(batch, zero_bitmap.numel(), height, width, device="cpu")
        result[:, channels] = (out - abs_max).reshape(batch, -1, height, width).float()
        return result


def _mixture_tables(
    model: Any,
    scales: torch.Tensor,
    means: torch.Tensor,
    weights: torch.Tensor,
    channels: List[int],
    abs_max: int,
) -> CodingTables:
    parameters = model.reshape_entropy_parameters(scales, means, weights, channels)
    cdfs = model._build_cdf(*parameters, abs_max).cpu()  # where they are used, once
    return CodingTables(cdfs, freq_precision=FREQ_PRECISION, inverse_cdf_precision=0)


def _numbers(tables: CodingTables) -> torch.Tensor:
    return torch.arange(tables.num_tables, dtype=torch.int32, device="cpu").unsqueeze(0)


@lru_cache(maxsize=16)
def _channels(size: Tuple[int, ...]) -> torch.Tensor:
    channels = torch.arange(size[1], dtype=torch.int32, device="cpu")
    return channels.reshape(1, -1, *[1] * (len(size) - 2)).expand(*size)


def _tables_of(model: Any) -> CodingTables:
    """The tables of a model's buffers, prepared when they are first seen."""
    cdfs, sizes, offsets = (getattr(model, name) for name in _TABLES)
    if (cdfs.dim(), sizes.dim(), offsets.dim()) != (2, 1, 1) or not (
        cdfs.numel() and sizes.numel() and offsets.numel()
    ):
        model._check_cdf_size()
        model._check_cdf_length()
        model._check_offsets_size()
    if model.entropy_coder_precision != FREQ_PRECISION:
        raise ValueError(
            f"entropy_coder_precision must be {FREQ_PRECISION}, got {model.entropy_coder_precision}"
        )
    return cached_tables((cdfs, sizes, offsets), FREQ_PRECISION, bypass_coding=True)


def _coding_device(tensor: torch.Tensor) -> torch.device:
    """Where to code: on the GPU where it can be used and there are rows enough."""
    if tensor.is_cuda and tensor.shape[0] >= _CUDA_ROWS and not cuda_problem():
        return tensor.device
    return torch.device("cpu")


def _check_means(means: Optional[torch.Tensor], indexes: torch.Tensor) -> None:
    if means is None or means.shape == indexes.shape:
        return
    fits = means.dim() == indexes.dim() and means.shape[:2] == indexes.shape[:2]
    if not fits or any(size != 1 for size in means.shape[2:]):
        raise ValueError(
            f"means must have shape {tuple(indexes.shape)}, or 1 in place of the sizes behind the "
            f"second, got {tuple(means.shape)}"
        )


def _is_theirs(model: models.EntropyModel, method: str, theirs: object) -> bool:
    """Whether a method of a model is that of compressai."""
    return getattr(type(model), method) is theirs and method not in vars(model)


def _are_host_floats(*tensors: Optional[torch.Tensor]) -> bool:
    """Whether the tensors that there are can be rounded, or added, by the coder itself."""
    for tensor in tensors:
        if tensor is not None and (tensor.dtype is not torch.float32 or not on_host(tensor)):
            return False
    return True


def _adds_floats(means: Optional[torch.Tensor], dtype: torch.dtype) -> bool:
    if means is None:
        return dtype is torch.float32
    return _are_host_floats(means) and not means.requires_grad


def _laid_out(tensor: Any, shape: torch.Size) -> Any:
    """A tensor or None, expanded to a shape and contiguous, without calls that change nothing."""
    if tensor is None or (tensor.shape == shape and tensor.is_contiguous()):
        return tensor
    return tensor.expand(shape).contiguous()
