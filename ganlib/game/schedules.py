"""Schedules: values that change with the images seen. Wherever one is taken, a number will do, or
any function of the images seen. A new kind is a frozen dataclass here, with `__call__(seen)` and
`values`, between which it stays.
"""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Cosine:
    """Half a cosine from `start` to `end` over the first `images` images, constant afterwards.

    The burn-in of Huang et al. 2024 (R3GAN), appendix; Loshchilov & Hutter 2017, equation 5,
    without restarts.
    """

    start: float
    end: float
    images: float

    def __post_init__(self):
        if not self.images > 0:
            raise ValueError(
                f"images={self.images} was given; a burn-in of more than 0 images is expected"
            )

    def __call__(self, seen):
        done = min(1.0, seen / self.images)
        return self.end + (self.start - self.end) * (1 + math.cos(math.pi * done)) / 2

    @property
    def values(self):
        """The two values between which it stays."""
        return self.start, self.end


@dataclass(frozen=True)
class Linear:
    """Straight lines through `points`, pairs (images seen, value); constant before the first point
    and after the last.
    """

    points: tuple

    def __post_init__(self):
        places = [place for place, _ in self.points]
        if not places or places != sorted(set(places)):
            raise ValueError(
                f"points={self.points} was given; pairs (images, value) with growing images are "
                "expected"
            )

    def __call__(self, seen):
        before = [point for point in self.points if point[0] <= seen]
        after = self.points[len(before) :]
        if not before or not after:
            return (before[-1:] or after)[0][1]
        (x0, y0), (x1, y1) = before[-1], after[0]
        return y0 + (y1 - y0) * (seen - x0) / (x1 - x0)

    @property
    def values(self):
        """The values at its points, between which it stays."""
        return tuple(value for _, value in self.points)
