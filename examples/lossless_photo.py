"""Code a photograph losslessly with torch_ans, all the way to a file and back.

    python examples/lossless_photo.py                      # demo on a photo from scikit-image
    python examples/lossless_photo.py --image photo.png    # demo on your own
    python examples/lossless_photo.py --encode photo.png photo.tap
    python examples/lossless_photo.py --decode photo.tap copy.png

The encoder subtracts green from red and blue, predicts every sample from decoded neighbours (the
MED predictor of LOCO-I, corrected by integer weights fitted to this picture), and sorts the samples
by local activity into 3 x 16 contexts, each with a table of its own. One call of
`encode_with_indexes` codes all residuals. Weights, thresholds and tables travel in the file.

The neighbours W, NW, N, NE of all the samples with the same x + 2 y are known at once: the decoder
walks over these slanted lines and takes the residuals of one line at a time from `decode_stream`.
What the two sides must agree on is integer arithmetic only.
"""

from __future__ import annotations

import argparse
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Dict, List, Optional, Tuple

import numpy as np
import photo_report
import skimage.data
import torch
from PIL import Image
from tqdm import tqdm

from torch_ans import TorchANSInterface

Array = np.ndarray
CLASSES, LEVELS = 6, 16  # predictors and contexts of a plane
PLANE_STEP = 1 << 20  # thresholds of plane p lie from p * PLANE_STEP on
LAG = 3  # each plane is coded so many lines behind the one before, and may look at E and S there
WEIGHT_BITS = 12
OWN = ((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0))  # (dy, dx) of W N NW NE WW NN
EARLIER = ((0, 0), (0, -1), (-1, 0), (-1, -1), (-1, 1), (0, 1), (1, 0))  # in planes coded before
RECENT = np.array([4, 4, 2, 2, 2, 2] + 2 * [4, 2, 2, 0, 0, 2, 2], np.int32)  # of |residual|
COUNTS = np.array([0] + [((8 + k % 8) << k // 8) // 8 for k in range(8, 200)])  # a byte each
LAYOUT = [  # the model, as it is stored
    ("class_edges", np.int32, 3 * CLASSES),
    ("context_edges", np.int32, 3 * LEVELS),
    ("weights", np.int16, 3 * CLASSES * 21),  # scaled by 2**WEIGHT_BITS
    ("first", np.int16, 3 * LEVELS),  # the smallest residual of each table
    ("sizes", np.int16, 3 * LEVELS),  # how many there are from it on
    ("counts", np.uint8, -1),  # how often each was seen, table by table: positions in COUNTS
]


def pack_model(model: Dict[str, Array]) -> bytes:
    return zlib.compress(b"".join(model[n].astype(t).tobytes() for n, t, _ in LAYOUT), 9)


def unpack_model(data: bytes) -> Dict[str, Array]:
    raw, start, model = zlib.decompress(data), 0, {}
    for name, dtype, length in LAYOUT:
        model[name] = np.frombuffer(raw, dtype, length, start)
        start += model[name].nbytes
    return model


def make_coder(model: Dict[str, Array]) -> TorchANSInterface:
    sizes = model["sizes"].astype(np.int32)
    freqs = np.zeros((len(sizes), sizes.max()), np.float32)
    freqs[np.arange(sizes.max()) < sizes[:, None]] = COUNTS[model["counts"]]
    coder = TorchANSInterface("rans64")  # residuals beyond their table escape
    offsets = torch.tensor(model["first"].astype(np.int32))
    coder.init_params(torch.tensor(freqs), torch.tensor(sizes), offsets)
    return coder


def neighbour_sites(height: int, width: int) -> Array:
    """(20, 3 * height * width): where the neighbours of each sample are, plane behind plane.

    Outside the picture the nearest sample that is known stands in; a zero behind the planes stands
    in for planes that are not coded yet, and for what is before the very first sample.
    """
    size = height * width
    y, x = np.divmod(np.arange(size, dtype=np.int32), np.int32(width))
    sites = np.full((20, 3, size), 3 * size, np.int32)
    for plane in range(3):
        sources = [(plane, offset) for offset in OWN]
        sources += [(earlier, offset) for earlier in range(plane) for offset in EARLIER]
        for k, (source, (dy, dx)) in enumerate(sources):
            row = np.where((x + dx < 0) & (dy == 0), y - 1, np.minimum(y + dy, height - 1))
            column = np.where((row < 0) & (y == 0), x - 1, np.clip(x + dx, 0, width - 1))
            site = np.maximum(row, 0) * width + column
            sites[k, plane] = np.where(site < 0, 3 * size, site + source * size)
    return sites.reshape(20, -1)


def coding_order(height: int, width: int) -> Tuple[Array, Array]:
    """The samples in the order of coding, and where each line of independent samples starts."""
    plane, y, x = np.ogrid[:3, :height, :width]
    line = (x + 2 * y + LAG * plane).ravel()
    order = np.argsort(line, kind="stable")
    return order, np.searchsorted(line[order], np.arange(line.max() + 2))


def features(values: Array, sites: Array) -> Tuple[Array, Array]:
    """(21, n) inputs of the predictor, the last one MED, and (n,) local activity."""
    inputs = np.empty((21, sites.shape[1]), np.int32)
    inputs[:20] = values.take(sites)
    west, north, corner, east = inputs[:4]
    smooth = west + north - corner
    inputs[20] = np.clip(smooth, np.minimum(west, north), np.maximum(west, north))  # the median
    activity = abs(west - corner) + abs(north - corner) + abs(east - north)
    for here, its_west, its_north in (inputs[6:9], inputs[13:16]):
        activity += abs(here - its_west) + abs(here - its_north)
    return inputs, activity


def predict(inputs: Array, weights: Array) -> Array:
    """Weighted sum in fixed point, kept where the colour stays in 0..255 (inputs[6] is green)."""
    total: Array = np.einsum("kn,nk->n", inputs, weights.astype(np.int32))
    total = (total + (1 << WEIGHT_BITS - 1)) >> WEIGHT_BITS
    return np.clip(total, -inputs[6], 255 - inputs[6])


def fit_weights(inputs: Array, target: Array) -> Array:
    """Nearly least absolute error, by a few rounds of reweighted least squares; fixed point."""
    matrix, importance, solution = inputs.astype(np.float64), np.ones(len(target)), np.zeros(21)
    for _ in range(3):
        weighted = matrix * importance
        solution = np.linalg.lstsq(weighted @ matrix.T, weighted @ target, rcond=1e-9)[0]
        importance = 1 / (1 + abs(target - solution @ matrix))
    return np.clip(np.rint(solution * (1 << WEIGHT_BITS)), -32768, 32767).astype(np.int16)


def quantile_edges(score: Array, buckets: int, plane: int) -> Array:
    inner = np.quantile(score, np.arange(1, buckets) / buckets).astype(np.int32)
    return np.append(0, inner) + plane * PLANE_STEP


def bucket(edges: Array, score: Array, plane: Any) -> Array:
    """The row of a table, over all planes, that a score chooses."""
    found: Array = np.searchsorted(edges, score + plane * PLANE_STEP, side="right")
    return found - 1


def encode(pixels: Array) -> Tuple[bytes, Dict[str, Any]]:
    """Returns the file, and what there is to tell about it."""
    height, width, _ = pixels.shape
    size, sites = height * width, neighbour_sites(height, width)
    red, green, blue = pixels.astype(np.int32).reshape(-1, 3).T
    values = np.concatenate([green, red - green, blue - green, [0]]).astype(np.int32)
    residuals, contexts = np.zeros(3 * size + 1, np.int32), np.zeros(3 * size, np.int32)
    fitted: Dict[str, List[Array]] = {name: [] for name, _, _ in LAYOUT}
    for plane in tqdm(range(3), desc="encode: fit planes", unit="plane"):
        here = slice(plane * size, (plane + 1) * size)
        inputs, activity = features(values, sites[:, here])
        fitted["class_edges"].append(quantile_edges(activity, CLASSES, plane))
        kind = bucket(np.concatenate(fitted["class_edges"]), activity, plane)
        for group in (kind == plane * CLASSES + k for k in range(CLASSES)):
            fitted["weights"].append(fit_weights(inputs[:, group], values[here][group]))
            prediction = predict(inputs[:, group], fitted["weights"][-1][None])
            residuals[here][group] = values[here][group] - prediction
        score = activity + RECENT @ abs(residuals.take(sites[:, here]))
        fitted["context_edges"].append(quantile_edges(score, LEVELS, plane))
        contexts[here] = bucket(np.concatenate(fitted["context_edges"]), score, plane)
    for k in range(3 * LEVELS):
        seen = np.sort(np.append(residuals[:-1][contexts == k], 0))
        rare = len(seen) // 4096  # so many at each end may escape
        seen = seen[rare : len(seen) - rare]
        fitted["first"].append(seen[:1])
        fitted["counts"].append(np.searchsorted(COUNTS, np.bincount(seen - seen[0])))
        fitted["sizes"].append(np.array([len(fitted["counts"][-1])]))
    model = {name: np.concatenate(arrays) for name, arrays in fitted.items()}
    coder, (order, _) = make_coder(model), coding_order(height, width)
    symbols, indexes = torch.tensor(residuals[order]), torch.tensor(contexts[order])
    packed, start = pack_model(model), time.perf_counter()
    payload = coder.encode_with_indexes(symbols, indexes) or b""
    seconds = time.perf_counter() - start
    bits = coder.estimate_bits(symbols, indexes).numpy()
    told: Dict[str, Any] = {"contexts": contexts, "bits": bits[np.argsort(order)]}
    told.update(residuals=residuals[:-1], seconds=seconds, model_bytes=len(packed))
    return b"TAP1" + struct.pack("<III", height, width, len(packed)) + packed + payload, told


def decode(file: bytes) -> Array:
    """The pixels, (height, width, 3) uint8, from the file alone."""
    if file[:4] != b"TAP1":
        raise SystemExit("not a file that this example wrote")
    height, width, length = struct.unpack_from("<III", file, 4)
    model = unpack_model(file[16 : 16 + length])
    weights, coder = model["weights"].reshape(-1, 21), make_coder(model)
    coder.set_stream(file[16 + length :])
    order, starts = coding_order(height, width)
    sites, planes = neighbour_sites(height, width)[:, order], order // (height * width)
    values, residuals = np.zeros((2, len(order) + 1), np.int32)
    for line in tqdm(range(len(starts) - 1), desc="decode: lines", unit="line"):
        part = slice(starts[line], starts[line + 1])
        inputs, activity = features(values, sites[:, part])
        prediction = predict(inputs, weights[bucket(model["class_edges"], activity, planes[part])])
        score = activity + RECENT @ abs(residuals.take(sites[:, part]))
        context = bucket(model["context_edges"], score, planes[part])
        decoded = coder.decode_stream(torch.from_numpy(context)).numpy()
        residuals[order[part]] = decoded
        values[order[part]] = prediction + decoded
    green, red, blue = values[:-1].reshape(3, height, width)
    return np.stack([red + green, green, blue + green], axis=-1).astype(np.uint8)


def read_pixels(path: Optional[Path]) -> Array:
    """The picture at `path`, or the photo of a coffee cup (CC0) that scikit-image ships."""
    return np.asarray(Image.open(path).convert("RGB")) if path else skimage.data.coffee()


def demo(image: Optional[Path], output: Path) -> None:
    output.mkdir(parents=True, exist_ok=True)
    packed, copy, picture = (output / name for name in ("photo.tap", "copy.png", "picture.png"))
    pixels, start = read_pixels(image), time.perf_counter()
    file, told = encode(pixels)
    seconds = time.perf_counter() - start
    packed.write_bytes(file)
    subprocess.run([sys.executable, __file__, "--decode", str(packed), str(copy)], check=True)
    if not np.array_equal(read_pixels(copy), pixels):
        raise SystemExit("the decoded picture differs")
    photo_report.show(picture, pixels, len(file), told, LEVELS)
    speed, coder_speed = pixels.size / seconds / 1e6, pixels.size / told["seconds"] / 1e6
    print(f"\nencode {speed:.2f} M sub-pixels/s, the coder alone {coder_speed:.0f}")
    print(f"written: {packed}, {copy}, {picture}")


def main() -> None:
    parser = argparse.ArgumentParser(description="Code a photograph losslessly with torch_ans.")
    parser.add_argument("--image", type=Path, help="the demo's picture (default: coffee cup)")
    parser.add_argument("--output", type=Path, default=Path("output"), help="the demo's folder")
    parser.add_argument("--encode", nargs=2, type=Path, metavar=("PICTURE", "FILE"))
    parser.add_argument("--decode", nargs=2, type=Path, metavar=("FILE", "PICTURE"))
    options = parser.parse_args()
    if options.encode:
        options.encode[1].write_bytes(encode(read_pixels(options.encode[0]))[0])
    elif options.decode:
        file, start = options.decode[0].read_bytes(), time.perf_counter()
        pixels = decode(file)
        print(f"decode {pixels.size / (time.perf_counter() - start) / 1e6:.2f} M sub-pixels/s")
        Image.fromarray(pixels).save(options.decode[1])
    else:
        demo(options.image, options.output)


if __name__ == "__main__":
    main()
