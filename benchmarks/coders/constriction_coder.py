"""constriction's AnsCoder: QuantizedGaussian per symbol (W2, W5), Categorical per symbol (W3)."""

from __future__ import annotations

from typing import Any, Dict, Tuple

import constriction
import numpy as np

from coders.messages import MessageCoder


class Coder(MessageCoder):
    def __init__(self, arrays: Dict[str, np.ndarray], options: Dict[str, Any]) -> None:
        super().__init__(arrays)
        models = constriction.stream.model
        self.values = self.symbols.astype(np.int32)
        parameters: Tuple[np.ndarray, ...]
        if "cdf" in arrays:
            self.model = models.Categorical(perfect=False)
            parameters = (np.diff(arrays["cdf"], axis=1),)
        else:
            bound = int(-arrays["offsets"].min()) * 2
            self.model = models.QuantizedGaussian(-bound, bound)
            parameters = (np.zeros(self.symbols.size), arrays["scales"])
        self.messages = [
            (self.values[piece], tuple(p[piece] for p in parameters)) for piece in self.pieces
        ]

    def encode_message(self, k: int) -> np.ndarray:
        values, parameters = self.messages[k]
        coder = constriction.stream.stack.AnsCoder()
        coder.encode_reverse(values, self.model, *parameters)
        coded: np.ndarray = coder.get_compressed()
        return coded

    def decode_message(self, k: int, coded: np.ndarray) -> np.ndarray:
        coder = constriction.stream.stack.AnsCoder(coded)
        decoded: np.ndarray = coder.decode(self.model, *self.messages[k][1])
        return decoded


def make(arrays: Dict[str, np.ndarray], options: Dict[str, Any]) -> Coder:
    return Coder(arrays, options)
