"""The pair of MLPs of the classic recipe."""

import math
from itertools import pairwise

import torch
from torch import nn

from .dropout import Dropout


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
