"""Clips (N, C, T, H, W): a square that glides to the right; convolutions in three dimensions."""

import torch
from torch import nn

import ganlib
from ganlib import losses


class Film(nn.Module):
    """Noise (N, 8) to clips (N, 1, 4, 8, 8)."""

    latent_dim = 8

    def __init__(self, frames=4):
        super().__init__()
        self.first = nn.Linear(8, 16 * frames // 2 * 16)
        self.layers = nn.Sequential(
            nn.Unflatten(1, (16, frames // 2, 4, 4)),
            nn.LeakyReLU(0.2),
            nn.ConvTranspose3d(16, 1, 4, 2, 1),
            nn.Tanh(),
        )

    def forward(self, z, labels=None):
        return self.layers(self.first(z))


class Critic(nn.Module):
    """Clips to a logit for each place in time and space, (N, T', H', W')."""

    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv3d(1, 8, 4, 2, 1), nn.LeakyReLU(0.2), nn.Conv3d(8, 1, 1))

    def forward(self, clips, labels=None):
        return self.layers(clips).squeeze(1)


def glides(n=400):
    places = torch.randint(0, 4, (n, 2), generator=torch.Generator().manual_seed(0))
    clips = torch.zeros(n, 1, 4, 8, 8, dtype=torch.uint8)
    for t in range(4):
        for i, (row, column) in enumerate(places.tolist()):
            clips[i, 0, t, row : row + 3, column + t : column + t + 2] = 255
    return ganlib.Images(clips, name="glides")


def make(seed=0, frames=4, places=True):
    torch.manual_seed(0)
    gan = ganlib.GAN(Film(frames), Critic(), lr=1e-3, betas=(0.0, 0.9), seed=seed)
    return gan, glides(), ganlib.Game(losses.hinge, penalty=losses.r1(1.0), places=places)


def misfit():
    """The game does not say that D judges places."""
    return make(places=False)
