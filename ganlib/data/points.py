"""Points in the plane: distributions that can be drawn from without end, and these as data for `train`."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..machine.randomness import generator
from .images import Batches


@dataclass(frozen=True)
class Distribution:
    """`sample(n, draws)` returns points `(n, 2)` within [-1, 1]; `centres (m, 2)` and `std` where it is a mixture."""

    name: str
    sample: Callable
    centres: torch.Tensor | None = None
    std: float = 0.0


def _mixture(name, centres, std):
    centres = torch.as_tensor(centres, dtype=torch.float32)

    def sample(n, draws):
        which = torch.randint(len(centres), (n,), generator=draws, device=draws.device)
        spread = torch.randn(n, 2, generator=draws, device=draws.device)
        return centres.to(draws.device)[which] + std * spread.clamp(-4, 4)

    return Distribution(name, sample, centres, std)


def gaussian(std=0.2):
    """One round heap in the middle."""
    return _mixture("one Gaussian", [(0.0, 0.0)], std)


def ring(modes=8, radius=0.75, std=0.02):
    """`modes` small heaps on a circle: the test of Metz et al. 2017 for mode collapse."""
    angles = [2 * math.pi * i / modes for i in range(modes)]
    return _mixture(f"a ring of {modes}", [(radius * math.cos(a), radius * math.sin(a)) for a in angles], std)


def grid(side=5, reach=0.8, std=0.02):
    """`side` x `side` small heaps: the harder test (Dumoulin et al. 2017; 25 heaps in most papers)."""
    places = torch.linspace(-reach, reach, side).tolist()
    return _mixture(f"a grid of {side * side}", [(x, y) for y in places for x in places], std)


def moons(std=0.04):
    """Two half-moons, one in the bend of the other."""

    def sample(n, draws):
        angle = math.pi * torch.rand(n, generator=draws, device=draws.device)
        upper = torch.randint(2, (n,), generator=draws, device=draws.device).bool()
        x = torch.where(upper, angle.cos() - 0.5, 0.5 - angle.cos())
        y = torch.where(upper, angle.sin() - 0.25, 0.25 - angle.sin())
        noise = torch.randn(n, 2, generator=draws, device=draws.device).clamp(-4, 4)
        return 0.55 * torch.stack([x, y], 1) + std * noise

    return Distribution("two moons", sample)


def spiral(turns=1.75, std=0.02):
    """One arm that winds outwards."""

    def sample(n, draws):
        way = torch.rand(n, generator=draws, device=draws.device).sqrt()  # as dense outside as inside
        angle = 2 * math.pi * turns * way
        noise = torch.randn(n, 2, generator=draws, device=draws.device).clamp(-4, 4)
        return 0.85 * way[:, None] * torch.stack([angle.cos(), angle.sin()], 1) + std * noise

    return Distribution("a spiral", sample)


def painted(mask):
    """Points all over the cells that are on in `mask`: rows of 0 and 1 from top to bottom, or a square tensor.

    Raises ValueError where no cell is on.
    """
    mask = torch.as_tensor(mask)
    if mask.ndim != 2 or not mask.any():
        raise ValueError(f"a mask of {tuple(mask.shape)} with {int((mask != 0).sum())} cells on was given; rows of 0 "
                         "and 1 with at least one 1 are expected: paint something")  # fmt: skip
    cells, (rows, columns) = (mask != 0).nonzero().float(), mask.shape

    def sample(n, draws):
        which = torch.randint(len(cells), (n,), generator=draws, device=draws.device)
        place = cells.to(draws.device)[which] + torch.rand(n, 2, generator=draws, device=draws.device)
        return torch.stack([2 * place[:, 1] / columns - 1, 1 - 2 * place[:, 0] / rows], 1)

    return Distribution("painted", sample)


class Points:
    """A distribution as data for `train`: each step's points are fresh, a function of (seed, step)."""

    labels, classes, shape, report, known, loaded = None, (), (2,), {}, None, {}

    def __init__(self, distribution, device="cpu", n=2_000):
        self.distribution, self.name, self.device = distribution, distribution.name, torch.device(device)
        self.images = distribution.sample(n, generator(self.device, 0, 0, "points"))  # a fixed part, to look at

    def __len__(self):
        return len(self.images)

    def near(self, device):
        return self if torch.device(device) == self.device else Points(self.distribution, device, len(self))

    to = near

    def floats(self, index, device=None):
        """Return the points at `index` of the fixed part, `(n, 2)`."""
        return self.images[index].to(device or self.device)

    def batches(self, seed, step, k=1, size=100, dtype=torch.float32):
        """Return the `k` batches of `size` points of a training step: `Batches` of `(k, size, 2)`."""
        points = self.distribution.sample(k * size, generator(self.device, seed, step, "points"))
        return Batches(points.to(dtype).view(k, size, 2), None)
