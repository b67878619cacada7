"""The pair of MLPs of the classic recipe, and dropout with masks that can be drawn again."""

import math
from itertools import pairwise

import torch
from torch import nn


class MLPGenerator(nn.Module):
    """The classic G, which maps noise `(N, latent_dim)` to images `(N, *shape)` in [-1, 1].

    100-128-256-512-1024-784: linear layers with LeakyReLU 0.2 between them, and tanh at the end.
    """

    player, classes = "G", 0

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
    """The classic D, which maps images `(N, *shape)` to logits `(N,)`.

    784-1024-512-256-1: linear layers with LeakyReLU 0.2 and dropout 0.3 between them. The sigmoid
    is in the loss, which is stable on logits; `logits.sigmoid()` is the probability of 'real'.
    """

    player = "D"

    def __init__(self, shape=(1, 28, 28), widths=(1024, 512, 256), dropout=0.3):
        super().__init__()
        self.settings = {"shape": tuple(shape), "widths": tuple(widths), "dropout": dropout}
        layers = []
        for inputs, outputs in pairwise((math.prod(shape), *widths)):
            layers += [
                nn.Linear(inputs, outputs),
                nn.LeakyReLU(0.2, inplace=True),
                Dropout(dropout),
            ]
        self.layers = nn.Sequential(*layers, nn.Linear(widths[-1], 1))

    def forward(self, images, labels=None):
        features = self.layers[:-1](images.flatten(1))
        with torch.autocast(features.device.type, enabled=False):  # float32 in bf16 runs too
            return self.layers[-1](features.to(self.layers[-1].weight.dtype)).flatten(0)  # (N,)


class Dropout(nn.Module):
    """Dropout (Srivastava et al. 2014) from `self.generator`, so that a step can repeat its masks.

    torch's `nn.Dropout` always draws from the global generator, which a GAN has to seed at each
    move. This one does so too while `generator` is None. One 64-bit draw serves four entries,
    which is several times faster on a CPU; the probability is therefore `p` rounded to a multiple
    of 1/65536. (Apple's MPS draws no 64-bit numbers: there torch's `bernoulli_` is used.)
    """

    def __init__(self, p=0.5):
        super().__init__()
        self.p, self.kept, self.generator = p, round((1 - p) * 65536), None  # kept: out of 65,536
        if p < 0 or self.kept < 1:
            raise ValueError(
                f"p={p} was given; dropout needs a probability of at least 0 and below 1"
            )

    def mask(self, x):
        """Return a new mask of `x`'s shape and type: 0 where dropped, 1 / (1 - p) where kept."""
        if x.device.type == "mps":
            return (
                torch.empty_like(x)
                .bernoulli_(self.kept / 65536, generator=self.generator)
                .mul_(65536 / self.kept)
            )
        bits = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        bits.random_(-(2**63), None, generator=self.generator)  # all 64 bits, the sign bit included
        keep = bits.view(torch.int16)[: x.numel()].view(x.shape) < self.kept - 32768
        return keep.to(x.dtype).mul_(65536 / self.kept)

    def forward(self, x):
        return x * self.mask(x) if self.training and self.kept < 65536 else x

    def extra_repr(self):
        return f"p={self.p}"
