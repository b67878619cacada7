"""`coverage` measures how well fake points in the plane cover a distribution.

`plane.frame` writes it under its pictures.
"""

from dataclasses import dataclass

import torch

from ..machine.randomness import generator


@dataclass(frozen=True)
class Coverage:
    """How well fakes cover a distribution of points, as `coverage` measured it.

    `modes` is how many of the `of` modes of a mixture the fakes reach (both are None for other
    distributions), `share` the share of fakes that are good, and `covered` the share of real points
    that have a fake nearby.
    """

    modes: int | None
    of: int | None
    share: float
    covered: float

    def __str__(self):
        return self._say(" of the fakes", " of the real points")

    def _say(self, of_fakes="", of_reals=""):
        modes = "" if self.of is None else f"{self.modes} of {self.of} modes, "
        return f"{modes}{self.share:.0%}{of_fakes} good, {self.covered:.0%}{of_reals} covered"


@torch.no_grad()
def coverage(fakes, distribution, n=2_000):
    """Return the `Coverage` of a `Distribution` by the points `fakes (N, 2)`.

    `n` real points are drawn to compare with. For a mixture, a fake is good within 4 standard
    deviations of a centre; a mode is reached if at least a fifth of its fair share of the fakes,
    and at least one, is good and nearest to its centre. For other distributions, a fake is good
    within a limit of the nearest real point, within which 99 % of fresh real points have one. A
    real point is covered if a fake is within that limit, for mixtures too.
    """
    draws = generator("cpu", 0, 0, "coverage")
    fakes, real, others = (
        fakes.float().cpu(),
        distribution.sample(n, draws),
        distribution.sample(n, draws),
    )
    limit = torch.cdist(others, real).amin(1).quantile(0.99)
    distances = torch.cdist(fakes, real)
    share, covered = ((distances.amin(axis) <= limit).float().mean() for axis in (1, 0))
    modes = of = None
    if distribution.centres is not None:
        away, which = torch.cdist(fakes, distribution.centres).min(1)
        good, of = away <= 4 * distribution.std, len(distribution.centres)
        share = good.float().mean()
        counts = torch.bincount(which[good], minlength=of)
        modes = int((counts >= max(1, 0.2 * len(fakes) / of)).sum())
    return Coverage(modes, of, share.item(), covered.item())
