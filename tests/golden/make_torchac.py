"""Makes torchac.npz: bytes of torchac 0.9.3, with what they were made from.

Run it where torchac 0.9.3 from PyPI is installed (with torch, ninja and a C++ compiler):

    python tests/golden/make_torchac.py

For case k the file has `kind_k` ("normalized", "plain" or "int16"), `cdf_k`, `sym_k` and `data_k`;
`versions` says what made them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torchac


def main() -> None:
    """Writes the file beside this one."""
    rng = np.random.default_rng(0)
    found = {"versions": np.array(f"torchac 0.9.3, torch {torch.__version__}")}
    shapes = [((200,), 25), ((3, 4, 2), 256), ((300,), 2), ((1,), 5), ((60,), 4), ((700,), 3)]
    case = 0
    for sharpness in (0.05, 1.0):
        for shape, levels in shapes:
            pmf = rng.gamma(sharpness, size=(*shape, levels)) + 1e-9
            cdf = np.zeros((*shape, levels + 1), np.float32)
            cdf[..., 1:] = np.cumsum(pmf / pmf.sum(-1, keepdims=True), -1)
            cdf = np.minimum(cdf, 1)
            drawn = rng.random((*shape, 1))
            sym = np.minimum((cdf[..., 1:] <= drawn).sum(-1), levels - 1).astype(np.int16)
            spread = 65536 - levels
            edges = np.rint(cdf * np.float32(spread)).astype(np.int64) + np.arange(levels + 1)
            ints = (edges & 0xFFFF).astype(np.uint16).view(np.int16)
            plain = np.linspace(0, 1, levels + 1, dtype=np.float32) ** np.float32(1.3)
            plain = np.broadcast_to(plain, cdf.shape).copy()
            for kind, rows in (("normalized", cdf), ("plain", plain), ("int16", ints)):
                given, symbols = torch.from_numpy(rows), torch.from_numpy(sym)
                if kind == "int16":
                    data = torchac.encode_int16_normalized_cdf(given, symbols)
                    decoded = torchac.decode_int16_normalized_cdf(given, data)
                else:
                    normalize = kind == "normalized"
                    data = torchac.encode_float_cdf(given, symbols, normalize)
                    decoded = torchac.decode_float_cdf(given, data, normalize)
                assert torch.equal(decoded, symbols)
                found[f"kind_{case}"] = np.array(kind)
                found[f"cdf_{case}"], found[f"sym_{case}"] = rows, sym
                found[f"data_{case}"] = np.frombuffer(data, np.uint8)
                case += 1
    np.savez_compressed(Path(__file__).with_name("torchac.npz"), cases=np.array(case), **found)


if __name__ == "__main__":
    main()
