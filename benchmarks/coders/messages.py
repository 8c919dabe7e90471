"""What the coders that turn symbols into bytes have in common: a list of messages."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List

import numpy as np


class MessageCoder:
    """Codes messages one by one; a subclass codes one message.

    `arrays["length"]` cuts the symbols into messages of that length; without it there is one.
    """

    def __init__(self, arrays: Dict[str, np.ndarray]) -> None:
        symbols = arrays["symbols"]
        length = int(arrays.get("length", symbols.size))
        self.pieces = [slice(k, k + length) for k in range(0, symbols.size, length)]
        self.symbols = symbols
        self.coded: List[Any] = []
        self.decoded: List[Any] = []

    def encode_message(self, k: int) -> Any:
        raise NotImplementedError

    def decode_message(self, k: int, coded: Any) -> Any:
        raise NotImplementedError

    def reset(self, direction: str) -> None:
        if direction == "encode":
            self.coded = []
        else:
            self.decoded = []

    def encode(self) -> None:
        self.coded = [self.encode_message(k) for k in range(len(self.pieces))]

    def decode(self) -> None:
        self.decoded = [self.decode_message(k, coded) for k, coded in enumerate(self.coded)]

    def check(self) -> Dict[str, Any]:
        self.reset("encode")
        self.encode()
        self.reset("decode")
        self.decode()
        for piece, decoded in zip(self.pieces, self.decoded):
            if not np.array_equal(np.asarray(decoded).reshape(-1), self.symbols[piece]):
                raise AssertionError("the decoded symbols differ")
        data = [bytes(coded) for coded in self.coded]
        number = self.symbols.size
        digest = hashlib.sha256(b"".join(data)).hexdigest()
        return {"bits": 8 * sum(map(len, data)) / number, "digest": digest, "symbols": number}
