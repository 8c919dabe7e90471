"""torchac's auto-encoder example, ported by changing one import.

    python examples/torchac_autoencoder.py
    python examples/torchac_autoencoder.py --steps 30      # what CI runs

An auto-encoder squeezes patches of photographs into a few symbols of 9 levels; another network says
how likely each level is, given the patch's mean, and its CDFs go to the coder. What both networks
minimise is distortion plus real bits. torchac's own example does this with digits; the calls of the
coder are the same.
"""

from __future__ import annotations

import argparse
from typing import Tuple

import numpy as np
import skimage.data
import torch
from torch import nn
from tqdm import tqdm

import torch_ans.compat.torchac as torchac  # was: import torchac

LEVELS, LATENTS, PATCH = 9, 16, 16


class AutoEncoder(nn.Module):
    """Patches (N, 256) to symbols (N, LATENTS) and back, with the symbols' probabilities."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Linear(PATCH * PATCH, 128), nn.LeakyReLU(), nn.Linear(128, LATENTS)
        )
        self.decoder = nn.Sequential(
            nn.Linear(LATENTS, 128), nn.LeakyReLU(), nn.Linear(128, PATCH * PATCH)
        )
        self.prior = nn.Sequential(
            nn.Linear(1, 32), nn.LeakyReLU(), nn.Linear(32, LATENTS * LEVELS)
        )

    def symbols(self, patches: torch.Tensor) -> torch.Tensor:
        """Levels 0 to LEVELS - 1; gradients pass the rounding."""
        latent = torch.tanh(self.encoder(patches)) * (LEVELS // 2) + LEVELS // 2
        return latent + (latent.round() - latent).detach()

    def probabilities(self, means: torch.Tensor) -> torch.Tensor:
        """(N, LATENTS, LEVELS), given means (N, 1)."""
        return self.prior(means).reshape(-1, LATENTS, LEVELS).softmax(-1)

    def forward(self, patches: torch.Tensor, means: torch.Tensor) -> Tuple[torch.Tensor, ...]:
        """Reconstructions, and bits of each symbol."""
        symbols = self.symbols(patches - means)
        chosen = self.probabilities(means).gather(-1, symbols.detach().long().unsqueeze(-1))
        decoded = self.decoder(symbols / LEVELS - 0.5) + means
        return decoded, -chosen.clamp_min(2.0**-16).log2()


def cdfs(probabilities: torch.Tensor) -> torch.Tensor:
    """As torchac wants them: one edge more than there are levels, from 0 to 1."""
    edges = probabilities.cumsum(-1).clamp(0, 1)
    return torch.cat([torch.zeros_like(edges[..., :1]), edges], -1)


def photo_patches(photo: np.ndarray) -> torch.Tensor:
    """A grey photograph in patches (N, PATCH * PATCH), values in [0, 1]."""
    grey = torch.from_numpy(photo.mean(-1) if photo.ndim == 3 else photo).float() / 255
    tiles = grey.unfold(0, PATCH, PATCH).unfold(1, PATCH, PATCH)
    return tiles.reshape(-1, PATCH * PATCH)


def main() -> None:
    """Trains, codes another photograph and reports."""
    parser = argparse.ArgumentParser(description="torchac's auto-encoder with torch_ans.")
    parser.add_argument("--steps", type=int, default=1500, help="steps of training")
    options = parser.parse_args()
    torch.manual_seed(0)
    train = torch.cat([photo_patches(p()) for p in (skimage.data.astronaut, skimage.data.coffee)])
    model = AutoEncoder()
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in tqdm(range(options.steps), desc="training", unit="step"):
        batch = train[torch.randint(len(train), (256,))]
        decoded, bits = model(batch, batch.mean(1, keepdim=True))
        loss = 255**2 * (decoded - batch).square().mean() + 20 * bits.mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    patches = photo_patches(skimage.data.camera())
    means = (patches.mean(1, keepdim=True) * 255).round() / 255  # a byte each, sent as it is
    with torch.no_grad():
        symbols = model.symbols(patches - means).round().to(torch.int16)
        output_cdf = cdfs(model.probabilities(means))
        byte_stream = torchac.encode_float_cdf(output_cdf, symbols, check_input_bounds=True)
        decoded = torchac.decode_float_cdf(output_cdf, byte_stream)
        if not torch.equal(decoded, symbols):
            raise AssertionError("the decoded symbols differ")
        picture = model.decoder(decoded / LEVELS - 0.5) + means
    error = float((picture - patches).square().mean())
    written = torchac.encode_float_cdf(output_cdf, symbols, format="torchac")
    print(f"{symbols.numel()} symbols in {len(byte_stream)} bytes ({len(written)} as torchac)")
    total = 8 * (len(byte_stream) + len(patches)) / patches.numel()
    print(f"{total:.3f} bits per pixel, PSNR {-10 * np.log10(error):.2f} dB")


if __name__ == "__main__":
    main()
