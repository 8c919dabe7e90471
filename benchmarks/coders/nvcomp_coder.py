"""nvCOMP's ANS for bytes on a GPU, through the C interface of its library.

It builds a table of its own for every chunk, in each call, where the others are given one. Chunks
are of the size at which each direction is fastest. PyPI's nvidia-libnvcomp-cu13 brings the library.
"""

from __future__ import annotations

import ctypes
import importlib.util
from pathlib import Path
from typing import Dict, List, Sequence, Tuple

import torch

from cuda_events import event_seconds
from cuda_workload import load_workload

CHUNKS = (1 << 16, 1 << 17, 1 << 18)
_UNKNOWN_TYPE = 0xFF  # the decoder reads the type of its symbols from the stream


class _Options(ctypes.Structure):
    """nvcompBatchedANSCompressOpts_t and ...DecompressOpts_t, which are laid out alike."""

    _fields_ = (
        ("algorithm_or_backend", ctypes.c_int),
        ("data_type", ctypes.c_int),
        ("zeros", ctypes.c_uint8 * 56),
    )


def _library() -> ctypes.CDLL:
    spec = importlib.util.find_spec("nvidia.libnvcomp")
    if spec is None or spec.origin is None:
        raise ImportError("nvidia-libnvcomp-cu13 is not installed")
    (path,) = (Path(spec.origin).parent / "lib64").glob("libnvcomp.so.*")
    return ctypes.CDLL(str(path))


def _call(function: ctypes._NamedFuncPointer, *arguments: object) -> None:
    status = function(*arguments)
    if status != 0:
        raise RuntimeError(f"{function.__name__} gave status {status}")


class Chunks:
    """Bytes on the device, cut into chunks, and all the memory that coding them takes."""

    def __init__(self, symbols: torch.Tensor, chunk: int) -> None:
        self._lib = _library()
        self._symbols, self._chunk = symbols, chunk
        size = symbols.numel()
        self._count = (size + chunk - 1) // chunk
        self._compress = _Options()
        self._decompress = _Options(0, _UNKNOWN_TYPE)
        most = ctypes.c_size_t()
        _call(
            self._lib.nvcompBatchedANSCompressGetMaxOutputChunkSize,
            ctypes.c_size_t(chunk),
            self._compress,
            ctypes.byref(most),
        )
        stride = (most.value + 15) // 16 * 16
        self._packed = self._bytes(self._count * stride)
        self._decoded = torch.empty_like(symbols)
        self._sizes = self._longs([min(chunk, size - n * chunk) for n in range(self._count)])
        self._packed_sizes = self._longs([0] * self._count)
        self._decoded_sizes = self._longs([0] * self._count)
        self._statuses = torch.zeros(self._count, dtype=torch.int32, device="cuda")
        self._sources = self._pointers(symbols, chunk)
        self._packed_at = self._pointers(self._packed, stride)
        self._decoded_at = self._pointers(self._decoded, chunk)
        self._temporary = self._bytes(max(self._room("Compress"), self._room("Decompress"), 1))

    @staticmethod
    def _bytes(size: int) -> torch.Tensor:
        return torch.empty(size, dtype=torch.uint8, device="cuda")

    @staticmethod
    def _longs(values: Sequence[int]) -> torch.Tensor:
        return torch.tensor(values, dtype=torch.int64, device="cuda")

    def _pointers(self, memory: torch.Tensor, stride: int) -> torch.Tensor:
        return self._longs([memory.data_ptr() + n * stride for n in range(self._count)])

    @staticmethod
    def _stream() -> ctypes.c_void_p:
        return ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)

    def _room(self, direction: str) -> int:
        """Bytes of scratch memory that a direction takes."""
        room = ctypes.c_size_t()
        _call(
            getattr(self._lib, f"nvcompBatchedANS{direction}GetTempSize"),
            ctypes.c_size_t(self._count),
            ctypes.c_size_t(self._chunk),
            self._compress if direction == "Compress" else self._decompress,
            ctypes.byref(room),
            ctypes.c_size_t(self._symbols.numel()),
            self._stream(),
        )
        return room.value

    def _scratch(self) -> List[object]:
        size = ctypes.c_size_t(self._temporary.numel())
        return [ctypes.c_void_p(self._temporary.data_ptr()), size]

    def push(self) -> None:
        _call(
            self._lib.nvcompBatchedANSCompressAsync,
            ctypes.c_void_p(self._sources.data_ptr()),
            ctypes.c_void_p(self._sizes.data_ptr()),
            ctypes.c_size_t(self._chunk),
            ctypes.c_size_t(self._count),
            *self._scratch(),
            ctypes.c_void_p(self._packed_at.data_ptr()),
            ctypes.c_void_p(self._packed_sizes.data_ptr()),
            self._compress,
            ctypes.c_void_p(self._statuses.data_ptr()),
            self._stream(),
        )

    def pop(self) -> None:
        _call(
            self._lib.nvcompBatchedANSDecompressAsync,
            ctypes.c_void_p(self._packed_at.data_ptr()),
            ctypes.c_void_p(self._packed_sizes.data_ptr()),
            ctypes.c_void_p(self._sizes.data_ptr()),
            ctypes.c_void_p(self._decoded_sizes.data_ptr()),
            ctypes.c_size_t(self._count),
            *self._scratch(),
            ctypes.c_void_p(self._decoded_at.data_ptr()),
            self._decompress,
            ctypes.c_void_p(self._statuses.data_ptr()),
            self._stream(),
        )

    def check(self) -> float:
        """Codes there and back, compares, and returns the bits per symbol."""
        self.push()
        self.pop()
        torch.cuda.synchronize()
        if bool(self._statuses.any()) or not torch.equal(self._decoded, self._symbols):
            raise AssertionError("nvCOMP does not give the symbols back")
        return 8 * float(self._packed_sizes.sum()) / self._symbols.numel()


class Case:
    """A workload of bytes, for as many chunks as it takes: rows and variants mean nothing here."""

    def __init__(self, path: str, variant: str, rows: int, dtype: str, precision: int) -> None:
        if dtype != "uint8":
            raise ValueError("nvCOMP codes bytes only")
        self.symbols = load_workload(path, "rans32_16", rows, dtype, 0).symbols.reshape(-1)
        found: Dict[str, Tuple[float, Chunks]] = {}
        for chunk in CHUNKS:
            chunks = Chunks(self.symbols, chunk)
            self.bits = chunks.check()
            for direction in ("push", "pop"):
                time = min(event_seconds(getattr(chunks, direction)) for _ in range(5))
                if direction not in found or time < found[direction][0]:
                    found[direction] = (time, chunks)
        self._fastest = {direction: chunks for direction, (_, chunks) in found.items()}

    def seconds(self, direction: str) -> float:
        """One turn; negative where this contender has no such direction."""
        if direction not in ("push", "pop"):
            return -1.0
        return event_seconds(getattr(self._fastest[direction], direction))
