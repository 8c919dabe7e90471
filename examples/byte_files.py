"""Codes files of bytes with tables that follow the last symbols, beside gzip and zstd.

    python examples/byte_files.py [FILE ...]
    python examples/byte_files.py --limit 100000      # what CI runs

Without files it takes a text (the sources of Python's standard library), a binary (torch_ans' own)
and the raw pixels of a photograph of scikit-image. For each it prints the size and the speed, one
thread, of order 0 (one table), order 1 and order 2 (a table chosen by the last one or two bytes, of
64 tables that `fit_markov_tables` makes), and of gzip and zstd. The tables count: they are packed
by zstd and added. gzip and zstd find what is repeated at any distance, which no table knows of;
tables that follow know what comes after what, and coding with them is fast.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import sysconfig
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import skimage.data
import torch
import zstandard

from torch_ans import TorchANSInterface, _core, fit_markov_tables

ROWS = 64
STATES = 64
TURNS = 3  # the best of which counts


def own_files(limit: int) -> Dict[str, bytes]:
    """A text, a binary and a photograph."""
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    return {
        "python sources": b"".join(path.read_bytes() for path in sources)[:limit],
        "compiled library": Path(_core.__file__).read_bytes()[:limit],
        "pixels": skimage.data.camera().tobytes()[:limit],
    }


def packed_size(*tensors: torch.Tensor) -> int:
    """What tables take in a file."""
    pack = zstandard.ZstdCompressor(19).compress
    return sum(len(pack(t.to(torch.int32).numpy().tobytes())) for t in tensors)


def make_coder(data: bytes, order: int) -> Tuple[TorchANSInterface, int]:
    """A coder with tables made of the very file, and the bytes that these take in it."""
    coder = TorchANSInterface("rans32_16", num_parallel_states=ROWS, bypass_coding=False)
    fit = fit_markov_tables(
        torch.frombuffer(bytearray(data), dtype=torch.uint8),
        STATES if order else 1,
        max(order, 1),
        freq_precision=coder.freq_precision,
        bypass_coding=False,
    )
    coder.set_cdfs(*fit[:3])
    size = packed_size(fit.cdfs.diff(dim=1))
    if order:
        coder.init_ar_params(*fit[3:])
        size += packed_size(fit.ar_tables)
    return coder, size


def seconds(work: Callable[[], object]) -> float:
    """Of the fastest turn."""
    best = float("inf")
    for _ in range(TURNS):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def report(
    name: str,
    data: bytes,
    pack: Callable[[bytes], bytes],
    unpack: Callable[[bytes], bytes],
    more: int = 0,
) -> None:
    """Codes `data` to bytes and back, and prints what came of it; `more`: bytes that go along."""
    packed = pack(data)
    if unpack(packed) != data:
        raise AssertionError(f"{name}: the bytes that come back are others")
    encode, decode = (
        1e-6 * len(data) / seconds(work) for work in (lambda: pack(data), lambda: unpack(packed))
    )
    bits, tables = 8 * (len(packed) + more) / len(data), 8 * more / len(data)
    print(f"  {name:8} {bits:6.3f} bits a byte {encode:8.1f} {decode:8.1f} MB/s", end="")
    print(f"   {tables:.3f} of them tables" if more else "")


def report_order(data: bytes, order: int) -> None:
    coder, tables = make_coder(data, order)
    symbols = torch.frombuffer(bytearray(data), dtype=torch.uint8)

    def pack(_: bytes) -> bytes:
        return coder.encode_symbols(symbols) or b""

    def unpack(packed: bytes) -> bytes:
        decoded = coder.decode_symbols(packed, len(symbols), dtype=torch.uint8)
        return bytes(memoryview(decoded.numpy()))

    report(f"order {order}", data, pack, unpack, tables)


def main(arguments: List[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--limit", type=int, default=1 << 22, help="bytes of each file to take")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    files = {path.name: path.read_bytes()[: options.limit] for path in options.files}
    for name, data in (files or own_files(options.limit)).items():
        print(f"{name}: {len(data)} bytes")
        for order in (0, 1, 2):
            report_order(data, order)
        report("gzip -6", data, lambda d: gzip.compress(d, 6), gzip.decompress)
        for level in (3, 19):
            compressor, decompressor = zstandard.ZstdCompressor(level), zstandard.ZstdDecompressor()
            report(f"zstd -{level}", data, compressor.compress, decompressor.decompress)


if __name__ == "__main__":
    main(sys.argv[1:])
