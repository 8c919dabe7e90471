"""Makes the golden files of this folder with the PyPI packages of the peers.

    python tests/golden/make_golden.py              # makes its own virtual environments
    python tests/golden/make_golden.py --torch-ans-python P --compressai-python P

Writes, next to itself:

* ``torch_ans.npz`` / ``torch_ans.json``: streams of torch-ans 0.4.0, every CPU rANS
  variant, and what its ``TorchANSInterface`` packs into bytes;
* ``compressai.npz`` / ``compressai.json``: bytes of ``compressai.ans`` 1.2.8 (one call, and what
  its buffered encoder flushes) and rows of its ``pmf_to_quantized_cdf``.

The arrays hold the inputs themselves, not seeds alone, so that no generator has to be
reproduced. Every stream is compared with the oracle (``tests/reference.py``) and decoded
by the peer again before it is written; the script stops where one differs. The tests
read the files only; they never run this.
"""

from __future__ import annotations

import argparse
import glob
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
import reference  # noqa: E402

SEED = 20240607
PACKAGES = {
    "torch-ans": ["torch==2.13.0", "numpy", "torch-ans==0.4.0"],
    "compressai": ["numpy", "--no-deps", "compressai==1.2.8"],
}
LANES = {"rans64": (1, 2, 4, 8), "rans32": (1, 2, 4, 8), "rans32_16": (1, 2, 4, 8, 32)}


class Store:
    """Arrays of one npz file, and the manifest that names them."""

    def __init__(self, package: str) -> None:
        self.arrays: Dict[str, np.ndarray] = {}
        self.manifest: Dict[str, Any] = {"package": package, "seed": SEED}

    def add(self, name: str, array: Any, dtype: Any) -> str:
        assert name not in self.arrays
        self.arrays[name] = np.asarray(array, dtype=dtype)
        return name

    def add_rows(self, name: str, rows: List[bytes]) -> str:
        """Rows of bytes: all of them joined, and their lengths."""
        self.add(name, np.frombuffer(b"".join(rows), dtype=np.uint8), np.uint8)
        self.add(name + "/lengths", [len(row) for row in rows], np.int32)
        return name

    def save(self, stem: str) -> None:
        np.savez_compressed(os.path.join(HERE, stem + ".npz"), **self.arrays)
        with open(os.path.join(HERE, stem + ".json"), "w") as file:
            json.dump(self.manifest, file, indent=1, sort_keys=True)
            file.write("\n")


def suffix(lanes: int) -> str:
    return "" if lanes == 1 else "_i%d" % lanes


def random_cdfs(
    rng: np.random.Generator, alphabet_sizes: List[int], precision: int
) -> Tuple[np.ndarray, np.ndarray]:
    """CDF rows of very uneven random tables, padded to one width with ``2**precision``."""
    rows = []
    for n in alphabet_sizes:
        weights = rng.exponential(size=n) ** 3
        counts = np.floor(weights / weights.max() * 60000).astype(int) + 1
        rows.append(reference.quantize_counts(counts.tolist(), precision))
    width = max(map(len, rows))
    padded = [row + [1 << precision] * (width - len(row)) for row in rows]
    return np.array(padded, dtype=np.int32), np.array([len(row) for row in rows], dtype=np.int32)


def random_symbols(
    rng: np.random.Generator,
    shape: Tuple[int, ...],
    sizes: np.ndarray,
    offsets: np.ndarray,
    bypass: bool,
    limit: int = 2**29,
) -> Tuple[np.ndarray, np.ndarray]:
    """Symbols and indexes; under bypass about a tenth of the symbols escape, some far."""
    indexes = rng.integers(0, len(sizes), shape)
    span = sizes[indexes].astype(np.int64) - 1
    symbols = np.floor(rng.random(shape) * span).astype(np.int64)
    if bypass:
        far = np.floor(np.exp2(rng.random(shape) * np.log2(limit))).astype(np.int64)
        sign = np.where(rng.random(shape) < 0.5, -1, 1)
        symbols = np.where(rng.random(shape) < 0.1, sign * far, symbols)
    return (symbols + offsets[indexes]).astype(np.int32), indexes.astype(np.int32)


# --- torch-ans ---------------------------------------------------------------------

# name: (alphabet sizes, precision)
TABLE_SETS = {
    "mixed16": ([1, 2, 9, 64, 300], 16),
    "mixed15": ([1, 2, 9, 64, 300], 15),
    "mixed9": ([3, 17, 100], 9),
    "pow2_16": ([64, 64, 64], 16),
    "pow2_15": ([64, 64, 64], 15),
    "pow2_10": ([16, 16], 10),
}


def stream_rows(stream: Any) -> List[bytes]:
    array = stream.numpy()
    return [array[r, 1:].tobytes()[: array[r, 0]] for r in range(len(array))]


def make_inputs(store: Store, rng: np.random.Generator) -> Dict[str, Any]:
    """Tables, and for each of them two pushes with and without escapes."""
    inputs: Dict[str, Any] = {}
    for name, (alphabet_sizes, precision) in TABLE_SETS.items():
        cdfs, sizes = random_cdfs(rng, alphabet_sizes, precision)
        offsets = rng.integers(-50, 50, len(sizes)).astype(np.int32)
        entry: Dict[str, Any] = {"precision": precision, "pushes": {}}
        for key, array in (("cdfs", cdfs), ("sizes", sizes), ("offsets", offsets)):
            entry[key] = store.add("tables/%s/%s" % (name, key), array, np.int32)
        for bypass in (False, True):
            pushes = []
            for n, length in enumerate((101, 38)):
                symbols, indexes = random_symbols(rng, (3, length), sizes, offsets, bypass)
                stem = "inputs/%s/%s/%d/" % (name, "bypass" if bypass else "plain", n)
                store.add(stem + "symbols", symbols, np.int32)
                store.add(stem + "indexes", indexes, np.int32)
                pushes.append(stem)
            entry["pushes"]["bypass" if bypass else "plain"] = pushes
        inputs[name] = entry
    return inputs


def torch_ans_streams(store: Store, native: Any) -> List[Dict[str, Any]]:
    import torch

    inputs = store.manifest["tables"]
    cases = []
    for family, all_lanes in LANES.items():
        top = reference.FAMILIES[family].max_freq_precision
        names = ["mixed%d" % top, "mixed9", "pow2_%d" % top, "pow2_10"]
        for lanes in all_lanes:
            for name in names:
                for alias in (False, True) if name.startswith("pow2") and lanes < 32 else (False,):
                    for bypass, b in ((False, 4), (True, 4), (True, 3)):
                        cases.append(
                            stream_case(
                                store,
                                native,
                                torch,
                                inputs[name],
                                name,
                                family,
                                lanes,
                                alias,
                                bypass,
                                b,
                            )
                        )
    return cases


def stream_case(
    store: Store,
    native: Any,
    torch: Any,
    entry: Dict[str, Any],
    name: str,
    family: str,
    lanes: int,
    alias: bool,
    bypass: bool,
    b: int,
) -> Dict[str, Any]:
    """Two pushes through one variant; the oracle must agree, the peer must decode."""
    precision = entry["precision"]
    cdfs, sizes, offsets = (store.arrays[entry[key]] for key in ("cdfs", "sizes", "offsets"))
    tensors = [torch.from_numpy(a.copy()) for a in (cdfs, sizes, offsets)]
    push_cdfs = pop_cdfs = tensors[0]
    if alias:
        log2 = int(sizes[0] - 1).bit_length() - 1
        push_cdfs, pop_cdfs = native.rans_alias_build_table(tensors[0], tensors[1], log2, precision)
    stem = "%s%s%s" % (family, "_alias" if alias else "", suffix(lanes))
    options = {"freq_precision": precision, "bypass_coding": bypass, "bypass_precision": b}
    # preallocated: the stable-ABI build of torch-ans cannot grow a stream under torch 2.13
    stream = getattr(native, family + "_init_stream")(3, lanes, 30000)
    pushes = entry["pushes"]["bypass" if bypass else "plain"]
    blobs = []
    for n, key in enumerate(pushes):
        symbols, indexes = (
            torch.from_numpy(store.arrays[key + k].copy()) for k in ("symbols", "indexes")
        )
        getattr(native, stem + "_push")(
            stream, symbols, indexes, push_cdfs, *tensors[1:], **options
        )
        blob = "streams/%s/%s/%d%d/%d" % (stem, name, bypass, b, n)
        blobs.append(store.add_rows(blob, stream_rows(stream)))

    tables = reference.make_tables(cdfs.tolist(), sizes, offsets, precision, bypass, b, alias)
    data = [
        (store.arrays[k + "symbols"].tolist(), store.arrays[k + "indexes"].tolist()) for k in pushes
    ]
    assert reference.encode_rows(family, lanes, tables, data) == stream_rows(stream), (
        stem,
        name,
        bypass,
        b,
    )

    pops = [(stem + "_pop", pop_cdfs, {})]
    if not alias:
        for q in (precision, 5):
            inverse = native.rans_build_inverse_cdf(tensors[0], precision, q)
            # the peer reads the table right behind a row's `size` entries
            rows = np.zeros((len(sizes), cdfs.shape[1] + (1 << q)), dtype=np.int32)
            for k, size in enumerate(sizes):
                rows[k, :size] = cdfs[k, :size]
                table = reference.inverse_cdf(cdfs[k, :size].tolist(), precision, q)
                assert inverse[k, cdfs.shape[1] :].tolist() == table
                rows[k, size : size + len(table)] = table
            pops.append(
                (
                    family + suffix(lanes) + "_invcdf_pop",
                    torch.from_numpy(rows),
                    {"inverse_cdf_precision": q},
                )
            )
    for op, with_cdfs, more in pops:
        copy = stream.clone()
        for key in reversed(pushes):
            indexes = torch.from_numpy(store.arrays[key + "indexes"].copy())
            symbols = getattr(native, op)(copy, indexes, with_cdfs, *tensors[1:], **options, **more)
            assert (symbols.numpy() == store.arrays[key + "symbols"]).all(), op
    return {
        "family": family,
        "lanes": lanes,
        "alias": alias,
        "tables": name,
        "bypass": bypass,
        "bypass_precision": b,
        "after": blobs,
        "decoded_by": [op for op, _, _ in pops],
    }


INTERFACE_CASES: List[Dict[str, Any]] = [
    {"impl": "rans64", "shape": [3, 50], "rows": None},
    {"impl": "rans64", "shape": [3, 50], "rows": 1},
    {"impl": "rans64", "shape": [2, 3, 7], "rows": 4},
    {"impl": "rans64", "shape": [101], "rows": 8, "num_interleaves": 4},
    {"impl": "rans64", "shape": [5], "rows": 8, "num_interleaves": 2},
    {"impl": "rans64", "shape": [61], "rows": 7, "num_bytes_code_length": 2},
    {"impl": "rans64", "shape": [40], "rows": 4, "num_bytes_code_length": 1},
    {"impl": "rans64", "shape": [100], "rows": 6, "bypass_coding": False, "num_interleaves": 8},
    {"impl": "rans32", "shape": [103], "rows": 5},
    {"impl": "rans32", "shape": [103], "rows": 5, "num_interleaves": 8},
    {"impl": "rans32_16", "shape": [103], "rows": 5, "freq_precision": 15},
    {"impl": "rans32_16", "shape": [211], "rows": 2, "num_interleaves": 32, "freq_precision": 15},
    {
        "impl": "rans32_16",
        "shape": [4, 103],
        "rows": None,
        "num_interleaves": 4,
        "freq_precision": 15,
    },
]


def torch_ans_interface(
    store: Store, rng: np.random.Generator, interface: Any
) -> List[Dict[str, Any]]:
    """What the interface packs: one call, and several cached calls and a flush."""
    import torch

    cases = []
    for n, case in enumerate(INTERFACE_CASES):
        options = {k: v for k, v in case.items() if k not in ("shape", "rows")}
        options.setdefault("freq_precision", 16)
        options.setdefault("bypass_coding", True)
        name = "mixed%d" % options["freq_precision"]
        entry = store.manifest["tables"][name]
        tables = [store.arrays[entry[key]] for key in ("cdfs", "sizes", "offsets")]
        coder = interface(num_parallel_states=case["rows"], **options)
        coder.set_cdfs(*[torch.from_numpy(t.copy()) for t in tables])
        stem = "interface/%d/" % n
        parts = []
        for part in range(2):
            symbols, indexes = random_symbols(
                rng, tuple(case["shape"]), tables[1], tables[2], options["bypass_coding"], 2**12
            )
            store.add(stem + "%d/symbols" % part, symbols, np.int32)
            store.add(stem + "%d/indexes" % part, indexes, np.int32)
            parts.append((torch.from_numpy(symbols), torch.from_numpy(indexes)))
        data = coder.encode_with_indexes(*parts[0])
        assert torch.equal(coder.decode_with_indexes(data, parts[0][1]), parts[0][0])
        for part in parts:
            coder.encode_with_indexes(*part, cache=True)
        flushed = coder.flush()
        coder.set_stream(flushed)
        for symbols, indexes in parts:
            assert torch.equal(coder.decode_stream(indexes), symbols)
        store.add(stem + "bytes", np.frombuffer(data, np.uint8), np.uint8)
        store.add(stem + "flushed", np.frombuffer(flushed, np.uint8), np.uint8)
        cases.append({"options": options, "rows": case["rows"], "tables": name, "stem": stem})
    return cases


def torch_ans_freqs(store: Store, rng: np.random.Generator, interface: Any) -> List[Dict[str, Any]]:
    """encode_with_freqs, on pmfs that torch-ans quantises as CompressAI does."""
    import torch

    cases: List[Dict[str, Any]] = []
    for bypass in (False, True):
        freqs = rng.integers(1, 2000, (24, 13)).astype(np.float32)
        # no probability near a rounding edge or above 1/2, where torch-ans differs
        symbols = rng.integers(0, 13, 24)
        offsets = rng.integers(-9, 9, 24)
        coder = interface(impl="rans64", bypass_coding=bypass, num_parallel_states=2)
        sizes = np.full(24, 13)
        args = [torch.from_numpy(a) for a in (freqs, sizes, offsets)]
        data = coder.encode_with_freqs(torch.from_numpy(symbols + offsets), *args)
        pmf = np.concatenate([freqs, np.full((24, 1), 1e-10, np.float32)], 1) if bypass else freqs
        pmf = (torch.from_numpy(pmf) / torch.from_numpy(pmf).sum(-1, keepdim=True)).numpy()
        assert coder.cdfs.tolist() == [reference.quantize_pmf(row.tolist(), 16) for row in pmf]
        stem = "freqs/%d/" % bypass
        store.add(stem + "freqs", freqs, np.float32)
        store.add(stem + "offsets", offsets, np.int32)
        store.add(stem + "symbols", symbols + offsets, np.int32)
        store.add(stem + "cdfs", coder.cdfs.numpy(), np.int32)
        store.add(stem + "bytes", np.frombuffer(data, np.uint8), np.uint8)
        cases.append({"bypass": bypass, "rows": 2, "stem": stem})
    return cases


def make_torch_ans() -> None:
    import torch

    import torch_ans._C as shim
    from torch_ans.utils import TorchANSInterface

    rng = np.random.default_rng(SEED)
    store = Store("torch-ans==0.4.0 (torch %s, numpy %s)" % (torch.__version__, np.__version__))
    native = shim.ensure_full()
    store.manifest["tables"] = make_inputs(store, rng)
    store.manifest["streams"] = torch_ans_streams(store, native)
    store.manifest["interface"] = torch_ans_interface(store, rng, TorchANSInterface)
    store.manifest["freqs"] = torch_ans_freqs(store, rng, TorchANSInterface)
    store.save("torch_ans")


# --- compressai --------------------------------------------------------------------


def load_extension(name: str) -> Any:
    """An extension module of compressai alone: the package itself needs far more."""
    root = importlib.util.find_spec("compressai")
    assert root is not None and root.submodule_search_locations
    path = glob.glob(os.path.join(next(iter(root.submodule_search_locations)), name + ".*.so"))[0]
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pmf_rows(rng: np.random.Generator) -> List[Tuple[np.ndarray, int]]:
    """Probabilities of many shapes: peaked, flat, with zeros, unnormalised, one symbol."""
    rows: List[Tuple[np.ndarray, int]] = []
    for precision in (16, 16, 16, 15, 12, 8):
        for n in (1, 2, 3, 10, 64, 200):
            p = rng.exponential(size=n) ** rng.choice([1, 3, 6])
            rows.append((p / p.sum(), precision))
    for peak in (0.5, 0.75, 0.999, 1.0):
        rows.append((np.r_[peak, np.full(99, (1 - peak) / 99)], 16))
        rows.append((np.r_[np.full(40, 0.0), peak, np.full(60, (1 - peak) / 60)], 16))
    rows.append((np.full(256, 1 / 256), 8))  # as many symbols as slots
    rows.append((np.r_[1.0, np.zeros(255)], 8))
    rows.append((np.r_[np.zeros(255), 1.0], 8))
    rows.append((np.full(100, 1 / 65536 / 2), 16))  # every p on the rounding edge
    rows.append((rng.random(50) * 3.0, 16))  # sum far from one
    rows.append((np.r_[rng.random(20) * 1e-7, 0.3], 12))
    return rows


def make_compressai() -> None:
    ans, cxx = load_extension("ans"), load_extension("_CXX")
    rng = np.random.default_rng(SEED)
    store = Store("compressai==1.2.8 (numpy %s)" % np.__version__)
    rows = []
    for n, (pmf, precision) in enumerate(pmf_rows(rng)):
        pmf32 = pmf.astype(np.float32)
        cdf = cxx.pmf_to_quantized_cdf(pmf32.tolist(), precision)
        assert cdf == reference.quantize_pmf(pmf32.tolist(), precision), (n, precision)
        store.add("pmf/%d" % n, pmf32, np.float32)
        store.add("cdf/%d" % n, cdf, np.int32)
        rows.append({"pmf": "pmf/%d" % n, "cdf": "cdf/%d" % n, "precision": precision})
    store.manifest["quantize"] = rows

    # no table of one symbol: compressai keeps a frequency in 16 bits and divides by it
    cdfs, sizes = random_cdfs(rng, [2, 3, 9, 64, 300], 16)
    offsets = rng.integers(-50, 50, len(sizes)).astype(np.int32)
    for key, array in (("cdfs", cdfs), ("sizes", sizes), ("offsets", offsets)):
        store.add("tables/" + key, array, np.int32)
    tables = reference.make_tables(cdfs.tolist(), sizes, offsets, 16)
    streams = []
    # under 8 symbols compressai writes in front of its buffer: one word a symbol, two for the state
    for n, length in enumerate((8, 16, 333, 1000)):
        symbols, indexes = random_symbols(rng, (length,), sizes, offsets, True, 2**24)
        lists = (
            [row[:size].tolist() for row, size in zip(cdfs, sizes)],
            sizes.tolist(),
            offsets.tolist(),
        )
        data = ans.RansEncoder().encode_with_indexes(symbols.tolist(), indexes.tolist(), *lists)
        assert (
            ans.RansDecoder().decode_with_indexes(data, indexes.tolist(), *lists)
            == symbols.tolist()
        )
        assert data == reference.compressai_bytes(symbols.tolist(), [tables[k] for k in indexes])
        stem = "streams/%d/" % n
        store.add(stem + "symbols", symbols, np.int32)
        store.add(stem + "indexes", indexes, np.int32)
        store.add(stem + "bytes", np.frombuffer(data, np.uint8), np.uint8)
        streams.append({"stem": stem})
    store.manifest["streams"] = streams
    store.manifest["buffered"] = compressai_buffered(store, rng, ans)
    store.save("compressai")


def compressai_buffered(store: Store, rng: np.random.Generator, ans: Any) -> List[Dict[str, Any]]:
    """What BufferedRansEncoder flushes after several calls, each with tables of its own."""
    cases = []
    encoder = ans.BufferedRansEncoder()  # one encoder for all: a flush leaves it empty
    for n, lengths in enumerate(((20, 1, 7), (5, 300, 0, 40))):
        calls, oracle, decoder = [], [], ans.RansDecoder()
        for k, length in enumerate(lengths):
            cdfs, sizes = random_cdfs(rng, [2, 5 + 40 * k, 17], 16)
            offsets = rng.integers(-9, 9, 3).astype(np.int32)
            symbols, indexes = random_symbols(rng, (length,), sizes, offsets, True, 2**24)
            stem = "buffered/%d/%d/" % (n, k)
            inputs = {"cdfs": cdfs, "sizes": sizes, "offsets": offsets}
            for key, array in {**inputs, "symbols": symbols, "indexes": indexes}.items():
                store.add(stem + key, array, np.int32)
            rows = [row[:size].tolist() for row, size in zip(cdfs, sizes)]
            lists = (rows, sizes.tolist(), offsets.tolist())
            encoder.encode_with_indexes(symbols.tolist(), indexes.tolist(), *lists)
            tables = reference.make_tables(cdfs.tolist(), sizes, offsets, 16)
            oracle += [(symbol, tables[index]) for symbol, index in zip(symbols.tolist(), indexes)]
            calls.append((stem, symbols.tolist(), indexes.tolist(), lists))
        data = encoder.flush()
        assert data == reference.compressai_bytes(*map(list, zip(*oracle)))
        decoder.set_stream(data)
        for _, symbols, indexes, lists in calls:
            assert decoder.decode_stream(indexes, *lists) == symbols
        store.add("buffered/%d/bytes" % n, np.frombuffer(data, np.uint8), np.uint8)
        stems = [stem for stem, *_ in calls]
        cases.append({"bytes": "buffered/%d/bytes" % n, "calls": stems})
    return cases


# --- driver ------------------------------------------------------------------------


def make_environment(folder: str, package: str) -> str:
    """Python of a new virtual environment that holds `package`."""
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    python = os.path.join(folder, "bin", "python")
    wanted = PACKAGES[package]
    plain = wanted[: wanted.index("--no-deps")] if "--no-deps" in wanted else wanted
    subprocess.run([python, "-m", "pip", "install", "-q", *plain], check=True)
    if plain != wanted:
        subprocess.run([python, "-m", "pip", "install", "-q", *wanted[len(plain) :]], check=True)
    return python


def run_in(python: Optional[str], package: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        python = python or make_environment(folder, package)
        subprocess.run([python, os.path.abspath(__file__), "--here", package], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torch-ans-python", help="a Python that already has torch-ans 0.4.0")
    parser.add_argument("--compressai-python", help="a Python that already has compressai 1.2.8")
    parser.add_argument("--here", choices=sorted(PACKAGES), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.here == "torch-ans":
        make_torch_ans()
    elif options.here == "compressai":
        make_compressai()
    else:
        run_in(options.torch_ans_python, "torch-ans")
        run_in(options.compressai_python, "compressai")


if __name__ == "__main__":
    main()
