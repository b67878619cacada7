"""Distributions of points in the plane, and `Points`, which makes one a data set for `train`. A new
distribution is a function here that returns a `Distribution`.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..machine.randomness import generator
from .images import Batches


@dataclass(frozen=True)
class Distribution:
    """A distribution: `sample(n, draws)` returns points `(n, 2)` within [-1, 1].

    `draws` is a `torch.Generator`. A mixture of Gaussians also has `centres (m, 2)` and `std`.
    """

    name: str
    sample: Callable
    centres: torch.Tensor | None = None
    std: float = 0.0


def _mixture(name, centres, std):
    """Return equally likely round Gaussians, each cut off at 4 `std`."""
    centres = torch.as_tensor(centres, dtype=torch.float32)

    def sample(n, draws):
        index = torch.randint(len(centres), (n,), generator=draws, device=draws.device)
        spread = torch.randn(n, 2, generator=draws, device=draws.device)
        return centres.to(draws.device)[index] + std * spread.clamp(-4, 4)

    return Distribution(name, sample, centres, std)


def gaussian(std=0.2):
    """Return one round Gaussian in the middle."""
    return _mixture("one Gaussian", [(0.0, 0.0)], std)


def ring(modes=8, radius=0.75, std=0.02):
    """Return `modes` small Gaussians on a circle: Metz et al. 2017's test for mode collapse."""
    angles = [2 * math.pi * i / modes for i in range(modes)]
    return _mixture(
        f"a ring of {modes}", [(radius * math.cos(a), radius * math.sin(a)) for a in angles], std
    )


def grid(side=5, reach=0.8, std=0.02):
    """Return `side` x `side` small Gaussians: a harder test (Dumoulin et al. 2017; often 25)."""
    places = torch.linspace(-reach, reach, side).tolist()
    return _mixture(f"a grid of {side * side}", [(x, y) for y in places for x in places], std)


def moons(std=0.04):
    """Return two half-moons, each reaching into the bend of the other."""

    def sample(n, draws):
        angle = math.pi * torch.rand(n, generator=draws, device=draws.device)
        upper = torch.randint(2, (n,), generator=draws, device=draws.device).bool()
        x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
        y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
        noise = torch.randn(n, 2, generator=draws, device=draws.device).clamp(-4, 4)
        return 0.55 * torch.stack([x, y], 1) + std * noise

    return Distribution("two moons", sample)


def spiral(turns=1.75, std=0.02):
    """Return one spiral arm that winds outwards, around the middle `turns` times."""

    def sample(n, draws):
        way = torch.rand(n, generator=draws, device=draws.device).sqrt()  # for even density
        angle = 2 * math.pi * turns * way
        noise = torch.randn(n, 2, generator=draws, device=draws.device).clamp(-4, 4)
        return 0.85 * way[:, None] * torch.stack([angle.cos(), angle.sin()], 1) + std * noise

    return Distribution("a spiral", sample)


def painted(mask):
    """Return points spread evenly over the cells that are on in `mask`.

    `mask`: rows of 0 and 1 from top to bottom, or a 2-d tensor. Raises ValueError if all are 0.
    """
    mask = torch.as_tensor(mask)
    if mask.ndim != 2 or not mask.any():
        raise ValueError(
            f"a mask of {tuple(mask.shape)} with {int((mask != 0).sum())} cells on was given; rows "
            "of 0 and 1 with at least one 1 are expected: paint something"
        )
    cells, (rows, columns) = (mask != 0).nonzero().float(), mask.shape

    def sample(n, draws):
        index = torch.randint(len(cells), (n,), generator=draws, device=draws.device)
        place = cells.to(draws.device)[index] + torch.rand(
            n, 2, generator=draws, device=draws.device
        )
        return torch.stack([2 * place[:, 1] / columns - 1, 1 - 2 * place[:, 0] / rows], 1)

    return Distribution("painted", sample)


class Points:
    """A distribution as a data set: each step has fresh points, a function of (seed, step)."""

    labels, classes, shape, report, known, loaded = None, (), (2,), {}, None, {}

    def __init__(self, distribution, device="cpu", n=2_000):
        self.distribution, self.name, self.device = (
            distribution,
            distribution.name,
            torch.device(device),
        )
        # n fixed points, for pictures
        self.images = distribution.sample(n, generator(self.device, 0, 0, "points"))

    @property
    def fingerprint(self):
        """The first three moments of points that are the same on every device, to two decimals: a
        text, which tells distributions of one name from each other.
        """
        points = self.distribution.sample(2_000, generator("cpu", 0, 0, "points")).double()
        moments = torch.stack([points, points**2, points**3, points * points.flip(1)]).mean(1)
        return " ".join(
            f"{abs(x):.2f}" if abs(x) < 0.005 else f"{x:.2f}" for x in moments.flatten()
        )

    def __len__(self):
        return len(self.images)

    def near(self, device):
        """Return the same distribution on `device`."""
        return (
            self
            if torch.device(device) == self.device
            else Points(self.distribution, device, len(self))
        )

    to = near

    def floats(self, index, device=None):
        """Return the fixed points at `index`, `(n, 2)`."""
        return self.images[index].to(device or self.device)

    def batches(self, seed, step, k=1, size=100, dtype=torch.float32):
        """Return `Batches`: `k` batches of `size` points for a training step, `(k, size, 2)`."""
        points = self.distribution.sample(k * size, generator(self.device, seed, step, "points"))
        return Batches(points.to(dtype).view(k, size, 2), None)
