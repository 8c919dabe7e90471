"""Makes ``tans.npz`` and ``tans.json`` with torch-ans 0.4.0 from PyPI.

    pip install torch==2.13.0 numpy torch-ans==0.4.0   # into an environment of its own
    python tests/golden/make_tans.py

Two pushes of three rows for each tANS variant, the tables that ``tans_build_tables`` makes, and
what ``TorchANSInterface`` packs into bytes. Every stream is compared with the oracle
(``tests/tans_reference.py``) before it is written.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE)]
from make_golden import Store, random_cdfs, random_symbols, stream_rows, suffix  # noqa: E402

import tans_reference  # noqa: E402
from reference import make_tables  # noqa: E402

LANES = (1, 2, 4, 8, 32)
TABLE_SETS = {"p7": ([1, 9, 40], 7), "p11": ([2, 64, 300], 11), "p15": ([1, 5, 900], 15)}


def make_inputs(store: Store, rng: np.random.Generator, native: Any) -> Dict[str, Any]:
    import torch

    inputs: Dict[str, Any] = {}
    for name, (alphabet_sizes, precision) in TABLE_SETS.items():
        cdfs, sizes = random_cdfs(rng, alphabet_sizes, precision)
        offsets = rng.integers(-50, 50, len(sizes)).astype(np.int32)
        built = native.tans_build_tables(torch.from_numpy(cdfs), torch.from_numpy(sizes), precision)
        entry: Dict[str, Any] = {"precision": precision, "pushes": {}}
        store.arrays["tables/%s/built" % name] = built.numpy()
        for key, array in (("cdfs", cdfs), ("sizes", sizes), ("offsets", offsets)):
            entry[key] = store.add("tables/%s/%s" % (name, key), array, np.int32)
        for bypass in ("plain", "bypass"):
            stems = []
            for n, length in enumerate((67, 21)):
                drawn = random_symbols(rng, (3, length), sizes, offsets, bypass == "bypass")
                stems.append("inputs/%s/%s/%d/" % (name, bypass, n))
                store.add(stems[-1] + "symbols", drawn[0], np.int32)
                store.add(stems[-1] + "indexes", drawn[1], np.int32)
            entry["pushes"][bypass] = stems
        inputs[name] = entry
    return inputs


def make_streams(store: Store, native: Any) -> List[Dict[str, Any]]:
    import torch

    cases = []
    for family, most in tans_reference.MAX_FREQ_PRECISION.items():
        for lanes in LANES:
            for name, entry in store.manifest["tables"].items():
                for bypass, digits in (("plain", 4), ("bypass", 4), ("bypass", 1)):
                    if entry["precision"] > most:
                        continue
                    case = {"family": family, "lanes": lanes, "tables": name, "bypass": bypass}
                    case["bypass_precision"] = digits
                    case["after"] = make_stream(store, native, case, torch)
                    cases.append(case)
    return cases


def make_stream(store: Store, native: Any, case: Dict[str, Any], torch: Any) -> str:
    entry = store.manifest["tables"][case["tables"]]
    read = {
        key: torch.from_numpy(store.arrays["tables/%s/%s" % (case["tables"], key)])
        for key in ("sizes", "offsets", "built")
    }
    settings = (entry["precision"], case["bypass"] == "bypass", case["bypass_precision"])
    push = getattr(native, case["family"] + suffix(case["lanes"]) + "_push")
    stream = getattr(native, case["family"] + "_init_stream")(3, case["lanes"], 1 << 14)
    pushes = []
    for stem in entry["pushes"][case["bypass"]]:
        symbols, indexes = (store.arrays[stem + key] for key in ("symbols", "indexes"))
        pushes.append((symbols.tolist(), indexes.tolist()))
        tables = (read["built"], read["sizes"], read["offsets"])
        push(stream, torch.from_numpy(symbols), torch.from_numpy(indexes), *tables, 8, *settings)
    rows = stream_rows(stream)
    numbers = (store.arrays[entry[key]].tolist() for key in ("cdfs", "sizes", "offsets"))
    oracle = make_tables(*numbers, *settings)
    assert rows == tans_reference.encode_rows(case["family"], case["lanes"], oracle, pushes), case
    name = "streams/{family}/{lanes}/{tables}/{bypass}{bypass_precision}".format(**case)
    return store.add_rows(name, rows)


def make_interface(store: Store, rng: np.random.Generator) -> List[Dict[str, Any]]:
    import torch

    from torch_ans.utils import TorchANSInterface

    cases = []
    for n, (impl, lanes, precision) in enumerate(
        (("tans32", 1, 10), ("tans16", 4, 9), ("tans8", 8, 7))
    ):
        options = {"impl": impl, "num_interleaves": lanes, "freq_precision": precision}
        coder = TorchANSInterface(num_parallel_states=2, **dict(options))
        freqs = rng.random((2, 12)).astype(np.float32)
        args = [torch.from_numpy(freqs), torch.tensor([12, 12]), torch.tensor([-3, 0])]
        coder.init_params(*args)
        symbols = rng.integers(-6, 12, (2, 40)).astype(np.int32)
        indexes = rng.integers(0, 2, (2, 40)).astype(np.int32)
        data = coder.encode_with_indexes(torch.from_numpy(symbols), torch.from_numpy(indexes))
        stem = "interface/%d/" % n
        store.add(stem + "freqs", freqs, np.float32)
        store.add(stem + "symbols", symbols, np.int32)
        store.add(stem + "indexes", indexes, np.int32)
        store.add(stem + "bytes", np.frombuffer(data, np.uint8), np.uint8)
        cases.append({"stem": stem, "options": options})
    return cases


def main() -> None:
    import torch_ans._C as native

    store = Store("torch-ans==0.4.0")
    rng = np.random.default_rng(20261121)
    store.manifest["tables"] = make_inputs(store, rng, native)
    store.manifest["streams"] = make_streams(store, native)
    store.manifest["interface"] = make_interface(store, rng)
    del store.arrays["tables/p15/built"]  # too large: the oracle knows the tables of every size
    store.save("tans")


if __name__ == "__main__":
    main()
