"""Codes the categorical latents of a small vector-quantised auto-encoder with tables that follow.

    python examples/vq_autoencoder.py               # train for a minute, write a picture
    python examples/vq_autoencoder.py --seconds 5 --steps 30      # what CI runs

A network turns each 4 x 4 block of a photograph into entries of two codebooks (vector quantisation:
van den Oord et al., "Neural discrete representation learning", 2017). Neighbouring entries resemble
each other, and one table for each codebook (order 0) knows nothing of that. Tables that follow the
symbols (finite-state autoregressive coding, Zhang et al., ICLR 2024) know the entry to the left
(order 1), or that and the entry above (order 2): `fit_markov_tables` makes a few dozen tables of
training pictures and a look-up from contexts to tables. The coder follows it in its own loop:
between two symbols of the decoder there is no network.

The photographs come with scikit-image. Network and tables learn from the left two thirds of each;
what is coded are the right thirds, which they have not seen.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Dict, List, NamedTuple, Optional, Sequence, Tuple

import matplotlib.pyplot as plt
import numpy as np
import skimage.data
import torch
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from torch_ans import TorchANSInterface, fit_markov_tables

BOOKS, ENTRIES, WIDTH, BLOCK = 2, 64, 8, 4
STATES = 48
ORDERS: Dict[str, Optional[Tuple[Tuple[int, int], ...]]] = {
    "order 0": None,
    "order 1: left": ((0, 1),),
    "order 2: left, above": ((0, 1), (1, 0)),
}


class Quantiser(nn.Module):
    """The nearest entry of a codebook; gradients pass as if nothing had happened."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = nn.Parameter(torch.zeros(ENTRIES, WIDTH))

    @torch.no_grad()
    def revive(self, latents: torch.Tensor) -> None:
        """Moves the entries that none of these latents is nearest to."""
        seen = torch.bincount(self.nearest(latents).reshape(-1), minlength=ENTRIES)
        flat = latents.permute(0, 2, 3, 1).reshape(-1, WIDTH)
        dead = (seen == 0).nonzero()[:, 0]
        self.entries[dead] = flat[torch.randperm(len(flat))[: len(dead)]]

    def nearest(self, latents: torch.Tensor) -> torch.Tensor:
        """Of (B, WIDTH, H, W): the numbers (B, H, W) of entries."""
        flat = latents.permute(0, 2, 3, 1)
        distances = self.entries.square().sum(1) - 2 * flat @ self.entries.T
        return distances.argmin(-1)

    def forward(self, latents: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
        chosen = self.entries[self.nearest(latents)].permute(0, 3, 1, 2)
        pull = functional.mse_loss(chosen, latents.detach())
        commit = functional.mse_loss(latents, chosen.detach())
        return latents + (chosen - latents).detach(), pull + 0.25 * commit


class AutoEncoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.analysis = nn.Sequential(
            nn.Conv2d(3, 48, 4, stride=4),
            nn.LeakyReLU(),
            nn.Conv2d(48, 64, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(64, BOOKS * WIDTH, 1),
        )
        self.books = nn.ModuleList(Quantiser() for _ in range(BOOKS))
        self.synthesis = nn.Sequential(
            nn.Conv2d(BOOKS * WIDTH, 64, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.LeakyReLU(),
            nn.Conv2d(64, 3 * BLOCK**2, 1),
            nn.PixelShuffle(BLOCK),
        )

    def forward(
        self, photos: torch.Tensor, revive: bool = False
    ) -> Tuple[torch.Tensor, torch.Tensor]:
        """The photographs as they would be decoded, and how far latents are from their entries."""
        latents = self.analysis(photos).chunk(BOOKS, 1)
        for book, part in zip(self.books, latents if revive else ()):
            book.revive(part)
        quantised, losses = zip(*(book(part) for book, part in zip(self.books, latents)))
        return self.synthesis(torch.cat(quantised, 1)), torch.stack(losses).sum()

    @torch.no_grad()
    def symbols(self, photo: torch.Tensor) -> torch.Tensor:
        """uint8 (BOOKS, H, W), one for each book and block of (3, BLOCK H, BLOCK W)."""
        latents = self.analysis(photo.unsqueeze(0)).chunk(BOOKS, 1)
        found = [book.nearest(part) for book, part in zip(self.books, latents)]
        return torch.cat(found).to(torch.uint8)

    @torch.no_grad()
    def picture(self, symbols: torch.Tensor) -> torch.Tensor:
        parts = [book.entries[part.long()] for book, part in zip(self.books, symbols)]
        return self.synthesis(torch.cat(parts, -1).permute(2, 0, 1).unsqueeze(0))[0]


def load(*names: str) -> List[torch.Tensor]:
    """Photographs as float (3, H, W) around 0, cut to whole blocks."""
    photos = []
    for name in names:
        pixels = getattr(skimage.data, name)()
        height, width = (size // BLOCK * BLOCK for size in pixels.shape[:2])
        photo = torch.from_numpy(np.ascontiguousarray(pixels[:height, :width, :3]))
        photos.append(photo.permute(2, 0, 1).float() / 128 - 1)
    return photos


def split(photo: torch.Tensor) -> Tuple[torch.Tensor, torch.Tensor]:
    """What is learned from, and what is coded."""
    column = photo.shape[2] * 2 // 3 // BLOCK * BLOCK
    return photo[:, :, :column], photo[:, :, column:]


def train(photos: Sequence[torch.Tensor], seconds: float, steps: int) -> AutoEncoder:
    """Until either is used up."""
    torch.manual_seed(0)
    network = AutoEncoder()
    optimizer = torch.optim.Adam(network.parameters(), 2e-3)
    start = time.perf_counter()
    with tqdm(total=steps, desc="training", unit="step") as progress:
        for step in range(steps):
            spent = max((time.perf_counter() - start) / seconds, step / steps)
            if spent >= 1:
                break
            for group in optimizer.param_groups:
                group["lr"] = 2e-3 * (1 - 0.95 * spent)
            crops = []
            for _ in range(8):
                photo = photos[int(torch.randint(len(photos), ()))]
                y, x = (int(torch.randint(size - 64 + 1, ())) for size in photo.shape[1:])
                crops.append(photo[:, y : y + 64, x : x + 64])
            batch = torch.stack(crops)
            # Later on entries may rest: they are of use to pictures that the batch has none of.
            rebuilt, distance = network(batch, step % 10 == 0 and spent < 0.6)
            loss = functional.mse_loss(rebuilt, batch)
            optimizer.zero_grad()
            (loss + 0.25 * distance).backward()
            optimizer.step()
            progress.set_postfix(mse=f"{float(loss):.4f}", refresh=False)
            progress.update()
    return network.eval()


class Coded(NamedTuple):
    """What one way of coding gives."""

    size: int  # bytes
    encode: float  # seconds
    decode: float


def make_coders(
    training: List[torch.Tensor], offsets: Optional[Tuple[Tuple[int, int], ...]]
) -> List[TorchANSInterface]:
    """One coder for each book, with tables that are made of the training photographs."""
    coders = []
    for book in range(BOOKS):
        # One picture below the other: contexts cross the seams, which are few.
        width = min(symbols.shape[2] for symbols in training)
        stacked = torch.cat([symbols[book, :, :width] for symbols in training])
        fit = fit_markov_tables(
            stacked,
            1 if offsets is None else STATES,
            1 if offsets is None else len(offsets),
            ar_offsets=offsets,
        )
        coder = TorchANSInterface("rans64", num_parallel_states=1)
        coder.set_cdfs(*fit[:3])
        if offsets is not None:
            coder.init_ar_params(*fit[3:])
        coders.append(coder)
    return coders


def code(coders: List[TorchANSInterface], pictures: List[torch.Tensor]) -> Coded:
    """The symbols of all pictures to bytes and back, a message for each picture and book."""
    size, encode, decode = 0, 0.0, 0.0
    for symbols in pictures:
        for coder, part in zip(coders, symbols):
            start = time.perf_counter()
            data = coder.encode_symbols(part)
            middle = time.perf_counter()
            decoded = coder.decode_symbols(data, part.shape, dtype=torch.uint8)
            decode += time.perf_counter() - middle
            encode += middle - start
            if data is None or not torch.equal(decoded, part):
                raise AssertionError("the decoded symbols differ")
            size += len(data)
    return Coded(size, encode, decode)


def entropy(pictures: List[torch.Tensor]) -> float:
    """Bits of a symbol if each book had one table for these pictures, made of them."""
    bits = 0.0
    for book in range(BOOKS):
        flat = torch.cat([symbols[book].reshape(-1) for symbols in pictures])
        pmf = torch.bincount(flat, minlength=ENTRIES) / len(flat)
        bits += float(torch.special.entr(pmf).sum()) / np.log(2)
    return bits / BOOKS


def draw(
    path: Path, photo: torch.Tensor, rebuilt: torch.Tensor, symbols: torch.Tensor, bits: List[float]
) -> None:
    figure, axes = plt.subplots(2, 2, figsize=(12, 8.5), constrained_layout=True)
    for axis, picture, name in zip(axes[0], (photo, rebuilt), ("photograph", "decoded")):
        axis.imshow(((picture.permute(1, 2, 0) + 1) / 2).clamp(0, 1).numpy())
        axis.set_title(name)
    axes[1, 0].imshow(symbols[0].numpy(), cmap="tab20b", interpolation="nearest")
    axes[1, 0].set_title(f"symbols of the first of {BOOKS} codebooks")
    for axis in axes.flat[:3]:
        axis.axis("off")
    bars = axes[1, 1].bar(list(ORDERS), bits, color=["0.6", "tab:blue", "tab:green"])
    axes[1, 1].bar_label(bars, fmt="%.3f")
    axes[1, 1].axhline(float(np.log2(ENTRIES)), color="0.3", linestyle=":")
    axes[1, 1].set(title="bits a symbol", ylim=(0, np.log2(ENTRIES) * 1.1))
    figure.savefig(path, dpi=100)


def main() -> None:
    """Trains, codes what training has not seen, and compares the orders."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60, help="time to train")
    parser.add_argument("--steps", type=int, default=4000, help="most steps to train")
    parser.add_argument("--output", type=Path, default=Path("output"), help="folder of the picture")
    options = parser.parse_args()
    known, unseen = zip(*map(split, load("astronaut", "coffee", "rocket", "chelsea")))
    network = train(known, options.seconds, options.steps)
    training = [network.symbols(picture) for picture in known]
    coded = [network.symbols(picture) for picture in unseen]
    number = sum(symbols.numel() for symbols in coded)
    pixels = sum(picture[0].numel() for picture in unseen)
    print(f"{number} symbols of {ENTRIES} entries, {pixels} pixels")
    print(
        f"entropy of order 0, if its tables were made of these very symbols: {entropy(coded):.3f}"
    )
    bits = []
    for name, offsets in ORDERS.items():
        found = code(make_coders(training, offsets), coded)
        bits.append(8 * found.size / number)
        saved = f", {100 * (1 - bits[-1] / bits[0]):.1f} % saved" if offsets else ""
        print(
            f"{name:21} {bits[-1]:.3f} bits a symbol, {8 * found.size / pixels:.4f} a pixel; "
            f"encoded in {1e3 * found.encode:.2f} ms, decoded in {1e3 * found.decode:.2f} ms{saved}"
        )
    print("between two symbols the decoder looks up a table: no network is in its loop")
    rebuilt = network.picture(coded[-1])
    mse = float(functional.mse_loss(rebuilt.clamp(-1, 1), unseen[-1])) / 4
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "vq_autoencoder.png"
    draw(path, unseen[-1], rebuilt, coded[-1], bits)
    print(f"rebuilt at {-10 * np.log10(mse):.1f} dB; see {path}")


if __name__ == "__main__":
    main()
