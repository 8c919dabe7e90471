"""libhtscodecs' rANS 32x16, order 0, through ctypes (Debian: libhtscodecs-dev). W4.

Options: isa ("avx2" or "avx512"). Its frequency table is counted and stored anew in every call.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
from typing import Any, Dict

import numpy as np

X32, ISA_BIT = 0x04, {"sse4": 1, "avx2": 2, "avx512": 4}


def load_library() -> ctypes.CDLL:
    name = ctypes.util.find_library("htscodecs")
    if name is None:
        raise OSError("libhtscodecs is not installed (Debian: apt-get install libhtscodecs-dev)")
    library = ctypes.CDLL(name)
    buffer, size = ctypes.c_void_p, ctypes.POINTER(ctypes.c_uint)
    library.rans_compress_bound_4x16.restype = ctypes.c_uint
    library.rans_compress_bound_4x16.argtypes = [ctypes.c_uint, ctypes.c_int]
    library.rans_compress_to_4x16.restype = ctypes.c_void_p
    library.rans_compress_to_4x16.argtypes = [buffer, ctypes.c_uint, buffer, size, ctypes.c_int]
    library.rans_uncompress_to_4x16.restype = ctypes.c_void_p
    library.rans_uncompress_to_4x16.argtypes = [buffer, ctypes.c_uint, buffer, size]
    return library


class Coder:
    def __init__(self, arrays: Dict[str, np.ndarray], options: Dict[str, Any]) -> None:
        self.library = load_library()
        self.isa = ISA_BIT[options["isa"]] * 0x101  # the same bits for the encoder and the decoder
        self.symbols = np.ascontiguousarray(arrays["symbols"])
        self.coded = np.zeros(
            self.library.rans_compress_bound_4x16(self.symbols.size, X32), np.uint8
        )
        self.coded_size = ctypes.c_uint(0)
        self.decoded = np.zeros_like(self.symbols)

    def reset(self, direction: str) -> None:
        self.library.rans_set_cpu(self.isa)

    def encode(self) -> None:
        self.coded_size = ctypes.c_uint(self.coded.size)
        source, target = self.symbols.ctypes.data, self.coded.ctypes.data
        if not self.library.rans_compress_to_4x16(
            source, self.symbols.size, target, ctypes.byref(self.coded_size), X32
        ):
            raise RuntimeError("rans_compress_to_4x16 failed")

    def decode(self) -> None:
        size = ctypes.c_uint(self.decoded.size)
        source, target = self.coded.ctypes.data, self.decoded.ctypes.data
        if not self.library.rans_uncompress_to_4x16(
            source, self.coded_size.value, target, ctypes.byref(size)
        ):
            raise RuntimeError("rans_uncompress_to_4x16 failed")

    def check(self) -> Dict[str, Any]:
        self.reset("encode")
        self.encode()
        self.decode()
        if not np.array_equal(self.decoded, self.symbols):
            raise AssertionError("the decoded symbols differ")
        data = self.coded[: self.coded_size.value]
        number, digest = self.symbols.size, hashlib.sha256(data.tobytes()).hexdigest()
        return {"bits": 8 * data.size / number, "digest": digest, "symbols": number}


def make(arrays: Dict[str, np.ndarray], options: Dict[str, Any]) -> Coder:
    return Coder(arrays, options)
