"""Compress a photograph with a CompressAI hyperprior, before and after one call of torch_ans.

    python examples/compressai_hyperprior.py               # a photo from scikit-image
    python examples/compressai_hyperprior.py --steps 500   # train the little model for longer

A mean and scale hyperprior (Minnen, Balle and Toderici, 2018) with few channels is trained on crops
of the photo for some seconds, which is enough to see it at work. Then the model compresses the
whole photo twice: with CompressAI's own coder, and after `torch_ans.compat.compressai.install()`.
The strings are the same, and so is the picture; what differs is the time that coding takes.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple

import numpy as np
import torch
from tqdm import tqdm

from torch_ans.compat.compressai import install

ROOT = Path(__file__).resolve().parent.parent


def load_compressai() -> Any:
    """The package: the one that is installed, or one that pip puts beside the benchmarks' peers."""
    try:
        import compressai
    except ImportError:
        sys.path += [str(ROOT / "benchmarks"), str(ROOT / "tests")]
        import compressai_stubs
        from packages import COMPRESSAI, install_packages

        sys.path.append(str(install_packages("compressai", *COMPRESSAI)))
        compressai_stubs.install()
        import compressai
    return compressai


def load_photo(path: str) -> torch.Tensor:
    """(1, 3, height, width) in 0 to 1, cropped to multiples of 64, as the model asks for."""
    if path:
        from PIL import Image

        pixels = np.asarray(Image.open(path).convert("RGB"))
    else:
        import skimage.data

        pixels = skimage.data.astronaut()
    height, width = (size // 64 * 64 for size in pixels.shape[:2])
    photo = torch.from_numpy(pixels[:height, :width].copy()).permute(2, 0, 1)
    return photo.unsqueeze(0).float() / 255


def train(model: Any, photo: torch.Tensor, steps: int) -> None:
    """Minimises bits a pixel + 255^2 / 100 times the mean squared error, on random crops."""
    optimizer = torch.optim.Adam(
        [p for name, p in model.named_parameters() if not name.endswith("quantiles")], 2e-3
    )
    height, width = photo.shape[2:]
    for _ in tqdm(range(steps), desc="training", unit="step"):
        tops = torch.randint(0, height - 63, (4,)).tolist()
        lefts = torch.randint(0, width - 63, (4,)).tolist()
        crops = [photo[0, :, y : y + 64, x : x + 64] for y, x in zip(tops, lefts)]
        found = model(torch.stack(crops))
        bits = -sum(p.log2().sum() for p in found["likelihoods"].values()) / (4 * 64 * 64)
        error = (found["x_hat"] - torch.stack(crops)).square().mean()
        loss = bits + 255**2 / 100 * error
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()


class Stopwatch:
    """Adds up the time that the entropy models of a model spend in compress and decompress."""

    def __init__(self, model: Any) -> None:
        self._modules = [model.entropy_bottleneck, model.gaussian_conditional]
        self.seconds = {"compress": 0.0, "decompress": 0.0}

    def __enter__(self) -> Stopwatch:
        for module in self._modules:
            for name in self.seconds:
                setattr(module, name, self._timed(getattr(module, name), name))
        return self

    def __exit__(self, *exception: object) -> None:
        for module in self._modules:
            for name in self.seconds:
                delattr(module, name)

    def _timed(self, method: Callable[..., Any], name: str) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            try:
                return method(*args, **kwargs)
            finally:
                self.seconds[name] += time.perf_counter() - start

        return timed


def code(model: Any, photo: torch.Tensor) -> Tuple[List[Any], torch.Tensor, Dict[str, float]]:
    """Strings, the decoded photo, and milliseconds in the entropy models (best of five)."""
    best = {"compress": math.inf, "decompress": math.inf}
    for _ in range(5):
        with Stopwatch(model) as watch:
            coded = model.compress(photo)
            decoded = model.decompress(**coded)["x_hat"]
        best = {name: min(best[name], 1e3 * watch.seconds[name]) for name in best}
    return coded["strings"], decoded, best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--image", default="", help="a photo of your own (needs Pillow)")
    parser.add_argument("--steps", type=int, default=100, help="steps of training")
    options = parser.parse_args()
    load_compressai()
    from compressai.models import MeanScaleHyperprior

    torch.manual_seed(0)
    torch.set_num_threads(1)  # so small a model has no use for more, and one thread is compared
    photo = load_photo(options.image)
    model = MeanScaleHyperprior(16, 24)
    train(model, photo, options.steps)
    model.eval()
    with torch.no_grad():
        model.entropy_bottleneck.update(force=True, update_quantiles=True)
        model.update()
        strings, decoded, theirs = code(model, photo)
        with install():
            our_strings, our_decoded, ours = code(model, photo)
        likelihoods = model(photo)["likelihoods"].values()
    if our_strings != strings or not torch.equal(our_decoded, decoded):
        raise SystemExit("the strings or the pictures differ")

    pixels = photo.shape[2] * photo.shape[3]
    size = sum(len(string) for part in strings for string in part)
    estimate = -sum(float(p.log2().sum()) for p in likelihoods)
    error = float((decoded.clamp(0, 1) - photo).square().mean())
    print(f"\n{photo.shape[3]} x {photo.shape[2]} pixels: {size} bytes, with either coder the same")
    print(f"{8 * size / pixels:8.3f} bits a pixel (the model estimates {estimate / pixels:.3f})")
    print(f"{-10 * math.log10(error):8.2f} dB PSNR after {options.steps} steps of training\n")
    print("in the entropy models     compress  decompress")
    for name, found in (("compressai.ans", theirs), ("after install()", ours)):
        print(f"{name:22}{found['compress']:9.2f} ms{found['decompress']:9.2f} ms")
    ratios = [theirs[name] / ours[name] for name in ("compress", "decompress")]
    print(f"{'times faster':22}{ratios[0]:9.1f}   {ratios[1]:9.1f}")


if __name__ == "__main__":
    main()
