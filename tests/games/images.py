"""A G that is fed images of a data set, and tied to them: digits to their negatives, unpaired."""

import torch
from torch import nn

import ganlib
from ganlib import losses, nets


class Painter(nn.Module):
    """Images (N, 1, H, W) to images of the same shape, by two convolutions."""

    def __init__(self, channels=1):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(8, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, images, labels=None):
        return self.layers(images)


def brightness(fakes, sources):
    """How far the mean of each fake is from minus the mean of its source, (N,)."""
    return (fakes.flatten(1).mean(1) + sources.flatten(1).mean(1)).square()


def make(seed=0, channels=1):
    torch.manual_seed(0)
    digits = ganlib.load("digits")
    sources, data = (
        digits.subset(slice(0, 2000)),
        ganlib.Images(255 - digits.images[2000:4000], name="negatives"),
    )
    G, D = Painter(channels), nets.CompactDiscriminator(widths=(4, 8))
    gan = ganlib.GAN(G, D, source=sources, lr=1e-3, betas=(0.0, 0.9), seed=seed, ema=100)
    return (
        gan,
        data,
        ganlib.Game(losses.hinge, tie=losses.Tie("brightness", brightness, weight=2.0)),
    )


def misfit():
    """The painter takes colours, and the source is grey."""
    return make(channels=3)
