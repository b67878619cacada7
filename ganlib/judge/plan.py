"""The plan of an evaluation: how many images are compared, with which, and which figures are left
out.

`evaluation.evaluate` follows it. It is made, and all errors are raised, before an image is read.
"""

import math
from dataclasses import dataclass

from ..machine.choices import whole
from .figures import ENOUGH, FIGURES, MAIN, no_patches, too_few

HALVED = 256  # images: smaller sets are compared as a whole, and have no floors
TRAIN = 10_000  # training images, at most, that are searched for copies
PICTURES, VALUES = 1000, 2**26  # images a side whose patches are compared, and what they may hold


@dataclass(frozen=True)
class Plan:
    """What `evaluate` compares.

    extractor: a module or function from images to features.
    chosen: why that one, a sentence.
    shipped: whether MNIST's shipped features are the real images.
    halved: whether one half of the data is compared with, and the other gives the floors.
    n: how many fakes and real images.
    pictures: how many of them sliced_wasserstein compares: 1,000 of 32 x 32 take 3 s on one thread.
    missing: `{name: why}` of the figures that such images, or so few, cannot have.
    """

    extractor: object
    chosen: str
    shipped: bool
    halved: bool
    n: int
    pictures: int
    missing: dict

    @property
    def main(self):
        """The figure by which runs on these data are compared; None where all are missing."""
        return next((name for name in (MAIN, "kid", "coverage") if name not in self.missing), None)


def check(gan, data):
    """Raise ValueError unless an extractor can compare what `gan` draws with `data`."""
    if list(gan.gans) != [""]:
        raise ValueError(
            f"this run has several GANs ({', '.join(gan.gans)}); judge each on its own data: "
            "evaluate(run.gans[...], data.sets[...])"
        )
    if len(data.shape) not in (3, 4):
        raise ValueError(
            f"{data.name!r} holds {data.shape} each; images (C, H, W), or clips (C, T, H, W), are "
            "what an extractor reads: give train an evaluate of your own for others"
        )
    if gan.classes and data.labels is None:
        raise ValueError(
            f"G is conditional on {gan.classes} classes, and {data.name!r} has no labels for it"
        )


def plan(data, n, held_out, extractor, chosen, shipped):
    """Return the `Plan` of an evaluation: of arguments of `evaluate`, and what `features.choose`
    returned. Raises ValueError for an `n` that there are no images for.
    """
    n = None if n is None else whole("n", n)
    shipped = shipped and held_out is None
    halved = held_out is None and not shipped and len(data) >= HALVED
    there = len(data if held_out is None else held_out)
    available = 10_000 if shipped else there // (2 if halved else 1)
    if n is not None and n > available:
        half = ", and one half of them is for the floor" if halved else ""
        raise ValueError(
            f"n={n} was given, and there are {available} real images to compare with: "
            f"{data.name!r} has {len(data)}{half}"
        )
    n = min(10_000, available) if n is None else n
    # MNIST's shipped features come without images: those of the data are halved for it
    there //= 2 if held_out is None and there >= HALVED else 1
    pictures = min(n, there, max(ENOUGH, min(PICTURES, VALUES // math.prod(data.shape))))
    missing = {
        name: too_few(n, figure.least)
        for name, figure in FIGURES.items()
        if n < figure.least and not figure.needs
    }
    if why := no_patches(pictures, data.shape):
        missing["sliced_wasserstein"] = why
    return Plan(extractor, chosen, shipped, halved, n, pictures, missing)
