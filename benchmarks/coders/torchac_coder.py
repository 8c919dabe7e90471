"""torchac: one float CDF per symbol (W3).

Its extension is compiled when it is first imported, as it comes without optimisation: here with it.
"""

from __future__ import annotations

import importlib
import os
import tempfile
from pathlib import Path
from typing import Any, Dict

import numpy as np
import torch

from coders.messages import MessageCoder


def load_torchac() -> Any:
    compiler = Path(tempfile.mkdtemp(prefix="torchac-")) / "c++"
    compiler.write_text('#!/bin/sh\nexec c++ -O3 "$@"\n')  # one word: ccache may stand before it
    compiler.chmod(0o755)
    os.environ["CXX"] = str(compiler)
    return importlib.import_module("torchac")


torchac = load_torchac()


class Coder(MessageCoder):
    def __init__(self, arrays: Dict[str, np.ndarray]) -> None:
        super().__init__(arrays)
        self.cdf, self.values = torch.from_numpy(arrays["cdf"]), torch.from_numpy(arrays["symbols"])

    def encode_message(self, k: int) -> bytes:
        coded: bytes = torchac.encode_float_cdf(self.cdf, self.values, check_input_bounds=False)
        return coded

    def decode_message(self, k: int, coded: bytes) -> Any:
        return torchac.decode_float_cdf(self.cdf, coded)


def make(arrays: Dict[str, np.ndarray], options: Dict[str, Any]) -> Coder:
    torch.set_num_threads(options.get("threads", 1))
    return Coder(arrays)
