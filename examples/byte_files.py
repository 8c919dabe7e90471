"""Codes files of bytes with tables that follow the last symbols, beside gzip and zstd.

    python examples/byte_files.py [FILE ...]

Without files it takes a text (the sources of Python's standard library), a binary (torch_ans' own)
and an array of numbers. For each it prints the size and the speed of order 0 (one
table), order 1 and order 2 (a table chosen by the last one or two bytes, of 64 tables that
`fit_markov_tables` makes), and of gzip. The tables count: they are coded too.
"""

from __future__ import annotations

import argparse
import gzip
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path
from typing import Callable, Dict, List, Tuple

import numpy as np
import torch

from torch_ans import TorchANSInterface, _core, fit_markov_tables

ROWS = 32
STATES = 64


def own_files(limit: int) -> Dict[str, bytes]:
    """A text, a binary and an array."""
    sources = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    wave = np.cumsum(np.random.default_rng(0).normal(size=limit // 2) * 50).astype(np.int16)
    return {
        "python sources": b"".join(path.read_bytes() for path in sources)[:limit],
        "compiled library": Path(_core.__file__).read_bytes()[:limit],
        "int16 walk": wave.tobytes(),
    }


def table_bytes(*tensors: torch.Tensor) -> int:
    """What the tables take in a file, packed by gzip."""
    narrow = [t.to(torch.int32 if int(t.max()) > 32767 else torch.int16) for t in tensors]
    return sum(len(gzip.compress(t.numpy().tobytes(), 6)) for t in narrow)


def code(data: bytes, order: int) -> Tuple[int, float, float]:
    """(bytes, tables included; MB/s encoding; MB/s decoding)."""
    symbols = torch.frombuffer(bytearray(data), dtype=torch.uint8)
    coder = TorchANSInterface("rans32_16", num_parallel_states=ROWS, bypass_coding=False)
    fit = fit_markov_tables(
        symbols,
        1 if order == 0 else STATES,
        max(order, 1),
        freq_precision=coder.freq_precision,
        bypass_coding=False,
    )
    coder.set_cdfs(*fit[:3])
    tables = table_bytes(fit.cdfs.diff(dim=1))
    if order:
        coder.init_ar_params(*fit[3:])
        tables += table_bytes(fit.ar_tables)
    start = time.perf_counter()
    coded = coder.encode_symbols(symbols)
    middle = time.perf_counter()
    decoded = coder.decode_symbols(coded, len(symbols), dtype=torch.uint8)
    end = time.perf_counter()
    if coded is None or not torch.equal(decoded, symbols):
        raise RuntimeError("the decoded bytes are not those that were coded")
    megabytes = len(data) / 1e6
    return len(coded) + tables, megabytes / (middle - start), megabytes / (end - middle)


def timed(data: bytes, pack: Callable[[bytes], bytes], unpack: Callable[[bytes], bytes]) -> str:
    start = time.perf_counter()
    packed = pack(data)
    middle = time.perf_counter()
    if unpack(packed) != data:
        raise RuntimeError("the peer's round trip failed")
    end = time.perf_counter()
    return row(
        len(packed), data, 1e-6 * len(data) / (middle - start), 1e-6 * len(data) / (end - middle)
    )


def row(size: int, data: bytes, encode: float, decode: float) -> str:
    return f"{8 * size / len(data):9.3f} bits a byte {encode:9.1f} {decode:9.1f} MB/s"


def zstd(argument: str) -> Callable[[bytes], bytes]:
    def run(data: bytes) -> bytes:
        command = ["zstd", "-q", "-c", argument, "-"]
        return subprocess.run(command, input=data, capture_output=True, check=True).stdout

    return run


def main(arguments: List[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--limit", type=int, default=1 << 22, help="bytes of each file to take")
    options = parser.parse_args(arguments)
    files = {path.name: path.read_bytes()[: options.limit] for path in options.files}
    for name, data in (files or own_files(options.limit)).items():
        print(f"{name}: {len(data)} bytes")
        for order in (0, 1, 2):
            size, *speeds = code(data, order)
            print(f"  order {order} {row(size, data, *speeds)}")
        print(f"  gzip -6 {timed(data, lambda d: gzip.compress(d, 6), gzip.decompress)}")
        if shutil.which("zstd"):
            print(f"  zstd -3 {timed(data, zstd('-3'), zstd('-d'))}")


if __name__ == "__main__":
    main(sys.argv[1:])
