"""compressai.ans: its extension module alone, without the package's dependencies.

Options: convert (turn NumPy arrays into lists, and back, inside the timed part).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any, Dict

import numpy as np

from coders.messages import MessageCoder


def load_extension() -> ModuleType:
    package = importlib.util.find_spec("compressai")
    if package is None or package.origin is None:
        raise ImportError("compressai is not installed in this environment")
    (path,) = Path(package.origin).parent.glob("ans.*.so")
    spec = importlib.util.spec_from_file_location("ans", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Coder(MessageCoder):
    def __init__(self, arrays: Dict[str, np.ndarray], options: Dict[str, Any]) -> None:
        super().__init__(arrays)
        ans = load_extension()
        self.encoder, self.decoder = ans.RansEncoder(), ans.RansDecoder()
        self.convert = bool(options.get("convert"))
        sizes = arrays["cdfs_sizes"].tolist()
        cdfs = [row[:size].tolist() for row, size in zip(arrays["cdfs16"], sizes)]
        self.tables = (cdfs, sizes, arrays["offsets"].tolist())
        pairs = [(self.symbols[piece], arrays["indexes"][piece]) for piece in self.pieces]
        self.messages = pairs if self.convert else [(s.tolist(), i.tolist()) for s, i in pairs]

    def encode_message(self, k: int) -> bytes:
        symbols, indexes = self.messages[k]
        if self.convert:
            symbols, indexes = symbols.tolist(), indexes.tolist()
        coded: bytes = self.encoder.encode_with_indexes(symbols, indexes, *self.tables)
        return coded

    def decode_message(self, k: int, coded: bytes) -> Any:
        indexes = self.messages[k][1]
        decoded = self.decoder.decode_with_indexes(
            coded, indexes.tolist() if self.convert else indexes, *self.tables
        )
        return np.array(decoded, np.int32) if self.convert else decoded


def make(arrays: Dict[str, np.ndarray], options: Dict[str, Any]) -> Coder:
    return Coder(arrays, options)
