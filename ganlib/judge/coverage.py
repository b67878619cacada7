"""Coverage: how well points in the plane cover a distribution: modes, good fakes, real points reached."""

from dataclasses import dataclass

import torch

from ..machine.randomness import generator


@dataclass(frozen=True)
class Coverage:
    """`modes` found of `of` (None: no mixture); the `share` of good fakes; the share of real points `covered`."""

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
    """Judge fakes `(n, 2)`: a `Coverage`.

    Of a mixture a fake is good within 4 standard deviations of a centre, and a mode is found where at least a fifth of
    its fair share of fakes is. Of others a fake is good where a real point is as near as to 99 % of real points.
    `covered` is this the other way round.
    """
    draws = generator("cpu", 0, 0, "coverage")
    fakes, real, others = fakes.float().cpu(), distribution.sample(n, draws), distribution.sample(n, draws)
    near = torch.cdist(others, real).amin(1).quantile(0.99)
    apart = torch.cdist(fakes, real)
    share, covered = ((apart.amin(axis) <= near).float().mean() for axis in (1, 0))
    modes = of = None
    if distribution.centres is not None:
        away, which = torch.cdist(fakes, distribution.centres).min(1)
        good, of = away <= 4 * distribution.std, len(distribution.centres)
        share = good.float().mean()
        found = torch.bincount(which[good], minlength=of)
        modes = int((found >= max(1, 0.2 * len(fakes) / of)).sum())
    return Coverage(modes, of, share.item(), covered.item())
