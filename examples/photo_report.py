"""What lossless_photo.py shows of its work: sizes beside PNG and WebP, and a picture."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, Dict

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

Array = np.ndarray


def show(path: Path, pixels: Array, size: int, told: Dict[str, Any], levels: int) -> None:
    """Prints bits and sizes, and draws the picture.

    Args:
        path: where the picture goes.
        pixels: (height, width, 3) the photo.
        size: bytes of the coded file.
        told: what the encoder tells: residuals, contexts and bits of each sample in the order of
            the planes, and the model's bytes.
        levels: contexts in each plane.
    """
    number, contexts = pixels.size, told["contexts"]
    sizes = {"torch_ans": size}
    for kind in ("PNG", "WebP"):  # each ignores the other's options
        buffer = io.BytesIO()
        best = {"optimize": True, "lossless": True, "quality": 100, "method": 6}
        Image.fromarray(pixels).save(buffer, kind, **best)
        sizes[kind] = len(buffer.getvalue())
    pairs, seen = np.unique(contexts * 2048 + told["residuals"] + 1024, return_counts=True)
    entropy = -(seen * np.log2(seen / np.bincount(contexts)[pairs // 2048])).sum() / number
    print(f"\n{pixels.shape[1]} x {pixels.shape[0]} pixels, decoded in a new process: identical\n")
    for kind, length in sizes.items():
        bits = 8 * length / number
        print(f"{kind + ', lossless':30}{bits:7.3f} bits per sub-pixel {length:9} bytes")
    print(f"{'entropy, given the contexts':30}{entropy:7.3f}")
    print(f"{'cross-entropy of the tables':30}{told['bits'].mean():7.3f}")
    print(f"{'the model in the file':30}{8 * told['model_bytes'] / number:7.3f}")
    compared = ", ".join(f"{kind} {8 * length / number:.3f}" for kind, length in sizes.items())
    draw(path, pixels, told, levels, f"bits per sub-pixel, lossless: {compared}")


def draw(path: Path, pixels: Array, told: Dict[str, Any], levels: int, title: str) -> None:
    contexts, (height, width, _) = told["contexts"], pixels.shape
    figure, axes = plt.subplots(2, 2, figsize=(13, 9.2), constrained_layout=True)
    axes[0, 0].imshow(pixels)
    residuals, tables = (told[k].reshape(3, height, width)[0] for k in ("residuals", "contexts"))
    shown = axes[0, 1].imshow(residuals, cmap="RdBu_r", vmin=-24, vmax=24)
    figure.colorbar(shown, ax=axes[0, 1], shrink=0.85)
    figure.colorbar(axes[1, 0].imshow(tables), ax=axes[1, 0], shrink=0.85)
    number = np.bincount(contexts, minlength=3 * levels)
    means = np.bincount(contexts, told["bits"], 3 * levels) / np.maximum(number, 1)
    for plane, (name, colour) in enumerate({"G": "g", "R - G": "r", "B - G": "b"}.items()):
        label = f"{name}: {told['bits'].reshape(3, -1)[plane].mean():.2f} on average"
        place, rows = np.arange(levels) + 0.28 * (plane - 1), slice(plane * levels, None)
        axes[1, 1].bar(place, means[rows][:levels], 0.28, color=colour, alpha=0.7, label=label)
    axes[1, 1].set(xlabel="table", xticks=range(levels))
    axes[1, 1].legend()
    titles = ("photo", "residual of green", "table of each green sample", "bits in each context")
    for axis, name in zip(axes.flat, titles):
        axis.set_title(name)
        axis.axis(axis is axes[1, 1])
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
