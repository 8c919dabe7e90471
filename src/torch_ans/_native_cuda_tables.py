"""`_native_cuda.py` for tables: checked and built on a CUDA device, from CDFs in its memory."""

from __future__ import annotations

import threading
from typing import Any, Dict, NamedTuple, Tuple

import torch

from . import _core, _native_cuda
from .variant import is_tans

__all__ = ["DeviceTables"]

_Options = Tuple[int, bool, bool, int]
"""freq_precision, bypass_coding, alias, inverse_cdf_precision."""


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
