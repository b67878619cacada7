"""Two GANs in one run: from a heap to a ring in the plane and back, tied together by a cycle."""

import torch
from torch import nn

import ganlib
from ganlib import losses, nets, plane


class Mover(nn.Module):
    """Points (N, 2) to points (N, 2): a step from where each one is."""

    def __init__(self, outputs=2):
        super().__init__()
        self.step = nn.Sequential(
            nn.Linear(2, 32),
            nn.LeakyReLU(0.2),
            nn.Linear(32, 32),
            nn.LeakyReLU(0.2),
            nn.Linear(32, outputs),
        )

    def forward(self, points, labels=None):
        return points + self.step(points)


def make(seed=0, mover=Mover):
    torch.manual_seed(0)
    heap, ring = plane.Points(plane.gaussian()), plane.Points(plane.ring())

    def gan(source):
        D = nets.MLPDiscriminator((2,), (32, 32), dropout=0.0)
        return ganlib.GAN(mover(), D, source=source, lr=(1e-3, 2e-3), betas=(0.0, 0.9), seed=seed)

    run = ganlib.Several(there=gan(heap), back=gan(ring))
    game = ganlib.Games(
        there=ganlib.Game(
            losses.relativistic, penalty=losses.r1_r2(0.1), tie=losses.cycle(run.back, 1.0)
        ),
        back=ganlib.Game(
            losses.relativistic, penalty=losses.r1_r2(0.1), tie=losses.cycle(run.there, 1.0)
        ),
    )
    return run, ganlib.Together(there=ring, back=heap), game


class Lifter(Mover):
    """Points (N, 2) to points (N, 3)."""

    def forward(self, points, labels=None):
        return torch.cat([super().forward(points), points[:, :1]], 1)


def misfit():
    """The movers return three numbers for each point."""
    return make(mover=Lifter)
