"""The nets of the classic recipe, and dropout whose masks can be drawn again."""

import math
from itertools import pairwise

import torch
from torch import nn


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) that draws from `self.generator`, so that a step's masks can be drawn again.

    torch's own `nn.Dropout` always draws from the global generator: a resumed run would see other masks. While
    `generator` is None this one does too. One 64-bit draw serves four entries, which makes it several times
    faster on a CPU; the probability is therefore `p` rounded to a multiple of 1/65536. (Apple's MPS draws no
    64-bit numbers; there it is torch's `bernoulli_`.)
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p, self.kept, self.generator = p, round((1 - p) * 65536), None  # kept: how many in 65,536
        if p < 0 or self.kept < 1:
            raise ValueError(f"p={p} was given; dropout needs a probability of at least 0 and below 1")

    def mask(self, x):
        """Return a fresh mask for `x`, of its shape and type: 0 where dropped, 1 / (1 - p) where kept."""
        if x.device.type == "mps":
            return torch.empty_like(x).bernoulli_(self.kept / 65536, generator=self.generator).mul_(65536 / self.kept)
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        bits.random_(-(2**63), None, generator=self.generator)  # all 64 bits; the default leaves the sign bit at 0
        keep = bits.view(torch.int16)[: x.numel()].view(x.shape) < self.kept - 32768
        return keep.to(x.dtype).mul_(65536 / self.kept)

    def forward(self, x):
        return x * self.mask(x) if self.training and self.kept < 65536 else x

    def extra_repr(self):
        return f"p={self.p}"


class MLPGenerator(nn.Module):
    """Noise `(N, latent_dim)` to images `(N, *shape)` in [-1, 1]: the classic recipe's G, 100-128-256-512-1024-784.

    Linear layers with LeakyReLU 0.2 between them and tanh at the end.
    """

    def __init__(self, latent_dim=100, shape=(1, 28, 28), widths=(128, 256, 512, 1024)):
        super().__init__()
        self.settings = {"latent_dim": latent_dim, "shape": tuple(shape), "widths": tuple(widths)}
        self.latent_dim, self.shape = latent_dim, tuple(shape)
        layers = []
        for inputs, outputs in pairwise((latent_dim, *widths)):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], math.prod(shape)), nn.Tanh())

    def forward(self, z, labels=None):
        return self.layers(z).unflatten(1, self.shape)  # (N, C*H*W) -> (N, C, H, W)


class MLPDiscriminator(nn.Module):
    """Images `(N, *shape)` to logits `(N,)`: the classic recipe's D, 784-1024-512-256-1.

    Linear layers with LeakyReLU 0.2 and dropout 0.3 between them. The recipe's sigmoid belongs to the loss here,
    which is stable on logits; `logits.sigmoid()` is the probability of 'real'.
    """

    def __init__(self, shape=(1, 28, 28), widths=(1024, 512, 256), dropout=0.3):
        super().__init__()
        self.settings = {"shape": tuple(shape), "widths": tuple(widths), "dropout": dropout}
        layers = []
        for inputs, outputs in pairwise((math.prod(shape), *widths)):
            layers += [nn.Linear(inputs, outputs), nn.LeakyReLU(0.2, inplace=True), Dropout(dropout)]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, images, labels=None):
        features = self.layers[:-1](images.flatten(1))
        with torch.autocast(features.device.type, enabled=False):  # the last layer in float32, also in a bf16 run
            return self.layers[-1](features.to(self.layers[-1].weight.dtype)).flatten(0)  # (N, 1) -> (N,)
