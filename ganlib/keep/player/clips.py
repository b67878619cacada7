"""A G of clips for the page: the program of one frame, where G can be asked for a time."""

import torch
from torch import nn


class Frame(nn.Module):
    """Draws the frame of a clip at one time: noise `(1, latent_dim)` and `(1, 1)` to `(1, C, H,
    W)`.
    """

    def __init__(self, G):
        super().__init__()
        self.G = G

    def forward(self, z, time):
        return self.G(z, times=time.flatten()).flatten(1, 2)


class Frames(nn.Module):
    """Draws all frames of a clip, one after the other: `(1, T * C, H, W)`."""

    def __init__(self, G):
        super().__init__()
        self.G = G

    def forward(self, z):
        return self.G(z).transpose(1, 2).flatten(1, 2)


def drawing(G):
    """Return (the net whose program the page runs, example inputs of it) for a G of clips."""
    z = torch.randn(1, G.latent_dim, generator=torch.Generator().manual_seed(0))
    if hasattr(G, "times"):
        return Frame(G), (z, torch.ones(1, 1))
    return Frames(G), (z,)


def content(G):
    """Return what the page has to know of clips: how many frames there are, whether the program
    takes a time, and how many numbers of the noise decide what is shown; the others say how it
    moves.
    """
    parts = {"frames": G.shape[1], "timed": hasattr(G, "times")}
    return parts | {"content": getattr(G, "content", G.latent_dim)}
