"""A learned lossless photo codec in one file: a small network, mixtures of logistics, real files.

    python examples/learned_lossless.py               # train for a minute, code a photo and back
    python examples/learned_lossless.py --seconds 2 --size 96     # what CI runs

In the spirit of L3C (Mentzer et al., "Practical full resolution learned lossless image
compression", 2019): a picture is coded from coarse to fine. Of a picture at one scale every second
pixel in both directions is the coarser picture. Three small networks predict the other three
quarters, each from what is known by then, as a mixture of logistics for each sample; green is
conditioned on red, and blue on both, as in PixelCNN++ (Salimans et al., 2017). All scales share the
networks. `encode_logistic_mixture` takes what they put out: nothing is tabulated.

The decoder runs the same networks on the same input, so it needs the same floats. Here both sides
are one process; between machines, networks have to be made to compute alike.
"""

from __future__ import annotations

import argparse
import io
import struct
import time
from pathlib import Path
from typing import Iterator, List, Tuple

import numpy as np
import skimage.data
import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from tqdm import tqdm

import torch_ans

COMPONENTS, HIDDEN, SCALES = 5, 48, 4
Parts = Tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]


class Predictor(nn.Module):
    """Known quarters (B, 9, H, W), the unknown ones 0, to parameters of RGB samples."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(9, HIDDEN, 3, padding=1, padding_mode="replicate"),
            nn.LeakyReLU(),
            nn.Conv2d(HIDDEN, HIDDEN, 3, padding=1, padding_mode="replicate"),
            nn.LeakyReLU(),
            nn.Conv2d(HIDDEN, HIDDEN, 1),
            nn.LeakyReLU(),
            nn.Conv2d(HIDDEN, 12 * COMPONENTS, 1),
        )

    def forward(self, known: torch.Tensor) -> Parts:
        """Means, scales, weights and coefficients, each (B, 3, H, W, COMPONENTS)."""
        batch, _, height, width = known.shape
        out = self.layers(known / 64).reshape(batch, 4, 3, COMPONENTS, height, width)
        means, scales, weights, coefficients = out.permute(1, 0, 2, 4, 5, 3).unbind(0)
        base = known[:, :3].unsqueeze(-1)  # the coarse pixel nearby is a first guess
        scales = 4 * torch.exp(scales.clamp(-6, 4))
        return base + 16 * means, scales, weights.softmax(-1), coefficients.tanh()


def channel_means(parts: Parts, samples: torch.Tensor, channel: int) -> torch.Tensor:
    """Means of a channel, given the samples (B, 3, H, W) of the channels before it."""
    means, _, _, coefficients = parts
    found = means[:, channel]
    residuals = samples.unsqueeze(-1) - means
    if channel == 1:
        return found + coefficients[:, 0] * residuals[:, 0]
    if channel == 2:
        known = coefficients[:, 1] * residuals[:, 0] + coefficients[:, 2] * residuals[:, 1]
        return found + known
    return found


def quarters(picture: torch.Tensor) -> List[torch.Tensor]:
    """The coarse picture, then its diagonal, right and lower neighbours."""
    return [picture[..., y::2, x::2] for y, x in ((0, 0), (1, 1), (0, 1), (1, 0))]


def contexts(parts: List[torch.Tensor]) -> Iterator[torch.Tensor]:
    """What each predictor knows: quarters as they become known, 0 before (centred at 128)."""
    for known in range(1, 4):
        coarse = parts[0] - 128
        others = [p - parts[0] if k < known else torch.zeros_like(p) for k, p in enumerate(parts)]
        yield torch.cat([coarse, others[1], others[2]], 1)


def cost(parts: Parts, samples: torch.Tensor) -> torch.Tensor:
    """Mean bits of a sample (B, 3, H, W, centred at 128) under the mixtures."""
    bits = []
    for channel in range(3):
        means = channel_means(parts, samples, channel)
        scales, weights = parts[1][:, channel], parts[2][:, channel]
        at = samples[:, channel].unsqueeze(-1) - means
        mass = torch.sigmoid((at + 0.5) / scales) - torch.sigmoid((at - 0.5) / scales)
        bits.append(-(weights * mass).sum(-1).clamp_min(2.0**-16).log2().mean())
    return torch.stack(bits).mean()


def train(photos: List[torch.Tensor], seconds: float) -> nn.ModuleList:
    """Three predictors, trained on random crops at random scales."""
    torch.manual_seed(0)
    predictors = nn.ModuleList(Predictor() for _ in range(3))
    optimizer = torch.optim.Adam(predictors.parameters(), 2e-3)
    start = time.perf_counter()
    with tqdm(total=round(seconds), unit="s", desc="training") as progress:
        while (spent := time.perf_counter() - start) < seconds:
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - 0.95 * spent / seconds)
            crops = []
            for _ in range(8):
                photo = photos[int(torch.randint(len(photos), ()))]
                step = 2 ** int(torch.randint(3, ()))
                photo = photo[:, ::step, ::step]
                y, x = (int(torch.randint(size - 32 + 1, ())) for size in photo.shape[1:])
                crops.append(photo[:, y : y + 32, x : x + 32])
            parts = quarters(torch.stack(crops).float())
            losses = [
                cost(predictor(context), part - 128)
                for predictor, context, part in zip(predictors, contexts(parts), parts[1:])
            ]
            loss = torch.stack(losses).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            progress.n = round(spent)
            progress.set_postfix(bits=f"{float(loss.detach()):.2f}", refresh=False)
            progress.refresh()
    return predictors.eval()


@torch.no_grad()
def encode(predictors: nn.ModuleList, photo: torch.Tensor) -> bytes:
    """The bytes of a uint8 picture (3, H, W)."""
    _, height, width = photo.shape
    grid = 2**SCALES
    padded = functional.pad(
        photo.float().unsqueeze(0), (0, -width % grid, 0, -height % grid), mode="replicate"
    )
    chunks: List[bytes] = []
    for _ in range(SCALES):
        parts = quarters(padded)
        for predictor, context, part in zip(predictors, contexts(parts), parts[1:]):
            found = predictor(context)
            for channel in range(3):
                means = channel_means(found, part - 128, channel) + 128
                parameters = (means, found[1][:, channel], found[2][:, channel])
                symbols = part[:, channel].to(torch.uint8)
                chunks.append(torch_ans.encode_logistic_mixture(symbols, *parameters, 0, 255))
        padded = parts[0]
    head = struct.pack("<HH", height, width) + padded.to(torch.uint8).numpy().tobytes()
    return head + b"".join(struct.pack("<I", len(chunk)) + chunk for chunk in chunks)


@torch.no_grad()
def decode(predictors: nn.ModuleList, data: bytes) -> torch.Tensor:
    """The picture again."""
    height, width = struct.unpack_from("<HH", data)
    rows, columns = -(-height // 2**SCALES), -(-width // 2**SCALES)
    at = 4 + 3 * rows * columns
    coarse = torch.frombuffer(bytearray(data[4:at]), dtype=torch.uint8)
    picture = coarse.reshape(1, 3, rows, columns).float()
    chunks = []
    while at < len(data):
        (length,) = struct.unpack_from("<I", data, at)
        chunks.append(data[at + 4 : at + 4 + length])
        at += 4 + length
    for scale in reversed(range(SCALES)):
        parts = [picture] + [torch.zeros_like(picture) for _ in range(3)]
        for number, predictor in enumerate(predictors):
            context = [*contexts(parts)][number]
            found, part = predictor(context), parts[number + 1]
            for channel in range(3):
                means = channel_means(found, part - 128, channel) + 128
                parameters = (means, found[1][:, channel], found[2][:, channel])
                chunk = chunks[9 * scale + 3 * number + channel]
                decoded = torch_ans.decode_logistic_mixture(chunk, *parameters, 0, 255)
                part[:, channel] = decoded.float()
        finer = torch.empty(1, 3, 2 * picture.shape[2], 2 * picture.shape[3])
        for target, part in zip(quarters(finer), parts):
            target.copy_(part)
        picture = finer
    return picture[0, :, :height, :width].to(torch.uint8)


def main() -> None:
    """Trains, codes a photo that training has not seen to a file and back, and compares."""
    parser = argparse.ArgumentParser(description="A learned lossless codec, trained on the spot.")
    parser.add_argument("--seconds", type=float, default=60, help="time to train")
    parser.add_argument("--size", type=int, default=0, help="code a crop of this size only")
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder of the files")
    options = parser.parse_args()
    sources = (skimage.data.astronaut, skimage.data.coffee, skimage.data.rocket)
    photos = [torch.from_numpy(np.ascontiguousarray(s().transpose(2, 0, 1))) for s in sources]
    predictors = train(photos, options.seconds)

    pixels = np.ascontiguousarray(skimage.data.chelsea())
    if options.size:
        pixels = np.ascontiguousarray(pixels[: options.size, 100 : 100 + options.size])
    photo = torch.from_numpy(pixels).permute(2, 0, 1).contiguous()
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "photo.learned"
    start = time.perf_counter()
    path.write_bytes(encode(predictors, photo))
    middle = time.perf_counter()
    if not torch.equal(decode(predictors, path.read_bytes()), photo):
        raise AssertionError("the decoded photo differs")
    end = time.perf_counter()
    sizes = {"this codec": path.stat().st_size}
    for name, more in (("PNG", {"optimize": True}), ("WebP", {"lossless": True, "quality": 100})):
        buffer = io.BytesIO()
        Image.fromarray(pixels).save(buffer, name, **more)
        sizes[name] = len(buffer.getvalue())
    print(f"encoded in {middle - start:.2f} s, decoded in {end - middle:.2f} s, no pixel differs")
    for name, size in sizes.items():
        print(f"{name:>10}: {size:8d} bytes, {8 * size / pixels.size:.3f} bits per sub-pixel")


if __name__ == "__main__":
    main()
