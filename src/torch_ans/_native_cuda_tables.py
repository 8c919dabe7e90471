"""`_native_cuda.py` for tables: made on a CUDA device, from PMFs and from CDFs in its memory."""

from __future__ import annotations

import threading
from typing import Any, Dict, NamedTuple, Optional, Tuple

import torch

from . import _core, _native_cuda
from .variant import is_tans

__all__ = ["DeviceTables", "quantize_pmf"]

_Options = Tuple[int, bool, bool, int]
"""freq_precision, bypass_coding, alias, inverse_cdf_precision."""


_QUANTIZE_PROBLEMS = (
    "",
    "holds a value that is not finite",
    "holds a negative value",
    "holds a value too large to quantise: normalise it",
    "has no mass: all its values round to zero",
    "has more symbols than 2**precision slots",
    "has a length outside the tensor",
)


class _Image(NamedTuple):
    """What kernels read, and the work that fills it."""

    memory: torch.Tensor
    queue: Tuple[int, int]
    filled: Any  # torch.cuda.Event


class DeviceTables:
    """K tables on one device.

    Their images, one for each width of state and one for tANS, are made when coders first ask.

    Args:
        cdfs: int32 (K, width), contiguous, on the device; kept, not to be changed.
        cdfs_sizes: int32 (K,), likewise.
        offsets: int32 (K,), likewise.
        options: as of `_core.CodingTables`.
        misfits: for each argument that was narrowed to int32 a boolean on the device: whether it
            did not fit.

    Raises:
        ValueError: a row is not a CDF (the message names it). Finding that out waits for the
            device.
    """

    def __init__(
        self,
        cdfs: torch.Tensor,
        cdfs_sizes: torch.Tensor,
        offsets: torch.Tensor,
        options: _Options,
        misfits: Dict[str, torch.Tensor],
    ) -> None:
        _refuse_capture()
        count, width = cdfs.shape
        engine = _native_cuda.engine()
        self._cdfs = cdfs
        self._infos = torch.empty((count, engine.INFO_BYTES), dtype=torch.uint8, device=cdfs.device)
        self._queue = _native_cuda.queue(cdfs.device)
        self._images: Dict[Tuple[int, bool], _Image] = {}
        self._lock = threading.Lock()
        summary = self._plan(cdfs_sizes, offsets, options)
        flags = [misfit.to(torch.int64).reshape(1) for misfit in misfits.values()]
        numbers = _native_cuda.to_list(torch.cat([summary, *flags]))
        for name, misfit in zip(misfits, numbers[summary.numel() :]):
            if misfit:
                raise ValueError(f"{name} has entries that do not fit into int32")
        self.native = engine.DeviceTables(numbers[: summary.numel()], count, width, *options)

    def _plan(
        self, cdfs_sizes: torch.Tensor, offsets: torch.Tensor, options: _Options
    ) -> torch.Tensor:
        """Starts to check the CDFs and to find the places of tables; returns what becomes of it."""
        device = self._cdfs.device
        engine = _native_cuda.engine()
        summary = torch.empty(engine.SUMMARY_WORDS, dtype=torch.int64, device=device)
        with _native_cuda.guard(device):
            engine.plan_tables(
                self._cdfs.data_ptr(),
                *self._cdfs.shape,
                cdfs_sizes.data_ptr(),
                offsets.data_ptr(),
                *options,
                self._infos.data_ptr(),
                summary.data_ptr(),
                *self._queue,
            )
        return summary

    @property
    def nbytes(self) -> int:
        """Bytes of device memory that the tables take."""
        images = [image.memory for image in tuple(self._images.values())]
        memories = [self._cdfs, self._infos, *images]
        return sum(memory.numel() * memory.element_size() for memory in memories)

    def image(self, codec: _core.Codec) -> torch.Tensor:
        """What the kernels of a coder read, once the current stream has come that far."""
        queue = _native_cuda.queue(self._cdfs.device)
        key = codec.state_bytes, is_tans(codec.family)
        with self._lock:
            image = self._images.get(key)
            if image is None:
                image = self._images[key] = self._filled(codec, queue)
        if image.queue != queue:
            _native_cuda.follow(image.filled, [image.memory])
        return image.memory

    def _filled(self, codec: _core.Codec, queue: Tuple[int, int]) -> _Image:
        _refuse_capture()
        device = self._cdfs.device
        engine = _native_cuda.engine()
        size = self.native.image_bytes(codec)
        memory = torch.empty(size, dtype=torch.uint8, device=device)
        with _native_cuda.guard(device):
            engine.fill_tables(
                codec,
                self.native,
                self._cdfs.data_ptr(),
                self._cdfs.shape[1],
                self._infos.data_ptr(),
                memory.data_ptr(),
                *queue,
            )
        if queue != self._queue:
            _native_cuda.keep([self._cdfs, self._infos])
        return _Image(memory, queue, _native_cuda.mark(device))


def _refuse_capture() -> None:
    """Memory of a graph that is being captured is filled when it is replayed, and only then."""
    if _native_cuda.is_capturing():
        raise RuntimeError(
            "the tables are not on the device yet: use them once before a CUDA graph is captured"
        )


def quantize_pmf(
    pmf: torch.Tensor, lengths: Optional[torch.Tensor], freq_precision: int
) -> torch.Tensor:
    """As `_native_tables.quantize_pmf`, on the device; waits to see whether all rows are well."""
    rows, length = pmf.shape
    device = pmf.device
    out = torch.empty((rows, length + 1), dtype=torch.int32, device=device)
    statuses = torch.empty(rows, dtype=torch.int32, device=device)
    with _native_cuda.guard(device):
        _native_cuda.engine().quantize_pmf(
            pmf.data_ptr(),
            "float32" if pmf.dtype == torch.float32 else "int64",
            rows,
            length,
            0 if lengths is None else lengths.data_ptr(),
            freq_precision,
            out.data_ptr(),
            statuses.data_ptr(),
            *_native_cuda.queue(device),
        )
    bad = statuses.cpu().nonzero().reshape(-1)
    if bad.numel():
        row = int(bad[0])
        raise ValueError(f"row {row} of pmf {_QUANTIZE_PROBLEMS[int(statuses[row])]}")
    return out
