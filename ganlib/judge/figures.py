"""The table of figures: what `evaluate` measures, which way is better, and where it is shown.

A figure is one row here and one function in metrics.py; evaluation, curves, card, doctor and the rules that end a run
read the table.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn.functional import cross_entropy

from . import metrics

MAIN = "frechet_distance"  # by which runs are compared, unless one says otherwise


@dataclass(frozen=True)
class Figure:
    """One row. `measure(seen)` returns a number, or None where a `Seen` does not hold what it needs.

    better: "lower", "higher", or the number that is best.
    error: a function of (seen, value) to the standard error; or `bootstrap`; None where nobody knows it.
    floor: what real images get, where that is known; measured otherwise.
    panel, colour: the panel of `curves` that shows it, if any. line: the history's column of what real images get.
    """

    name: str
    measure: Callable
    better: str | float
    error: Callable | None = None
    floor: float | None = None
    panel: str | None = None
    colour: str | None = None
    line: str | None = None


@dataclass
class Seen:
    """What the figures are measured of: features `(N, d)` of real and of fake images, and what goes with them.

    logits: the extractor's function from features to classes, or None. labels: the classes that the fakes were asked
    for, int64 `(N,)`, or None. train, unseen: features of as many training images as of held-out ones, or None.
    """

    real: torch.Tensor
    fake: torch.Tensor
    logits: Callable | None = None
    labels: torch.Tensor | None = None
    train: torch.Tensor | None = None
    unseen: torch.Tensor | None = None

    @cached_property
    def real_logits(self):
        return self.logits and self.logits(self.real)

    @cached_property
    def fake_logits(self):
        return self.logits and self.logits(self.fake)

    @cached_property
    def classes(self):
        """(shares of the fakes' classes, their KL divergence from the real ones' or None, whether all occur there)."""
        if self.logits is None:
            return None
        count = self.real_logits.shape[1]
        real = metrics.class_histogram(self.real_logits.argmax(1), count).shares
        fake = self.fake_logits.argmax(1)
        known = all(real[c] for c in fake.unique())
        return metrics.class_histogram(fake, count, real if known else None), known

    @cached_property
    def kid(self):
        return metrics.kid(self.real, self.fake, size=min(1000, len(self.real) // 2))

    @cached_property
    def manifold(self):
        return metrics.manifold(self.real, self.fake)

    def resampled(self, real, fake):
        """Return the features at these indices, for a bootstrap; the shares of the real classes stay what they are."""
        found = Seen(self.real[real], self.fake[fake], self.logits)
        found.real_logits, found.fake_logits = self.real_logits, self.logits and self.fake_logits[fake]
        return found


def bootstrap(seen, value):
    """The standard error is the spread over samples of the fakes and reals, drawn with replacement."""
    raise NotImplementedError


def _share(seen, value):
    """The standard error of a share of the fakes."""
    return math.sqrt(value * (1 - value) / len(seen.fake))


def _class_kl(seen):
    return seen.classes[0].kl if seen.classes and seen.classes[1] else None


def _class_diversity(seen):
    """The mean over the classes of which there are two real images."""
    if _class_kl(seen) is None:
        return None
    fake, real = seen.fake_logits.argmax(1), seen.real_logits.argmax(1)
    enough = real.bincount(minlength=seen.real_logits.shape[1])[fake] > 1
    if not enough.any():
        return None
    ratios = metrics.class_diversity(seen.fake[enough], fake[enough], seen.real, real)
    ratios = [ratio for ratio in ratios if ratio is not None]
    return sum(ratios) / len(ratios) if ratios else None


def _accuracy(seen):
    if seen.labels is None or seen.logits is None:
        return None
    return (seen.fake_logits.argmax(1) == seen.labels).double().mean().item()


def _cross_entropy(seen):
    known = seen.labels is not None and seen.logits is not None
    return metrics.cross_entropy(seen.fake_logits, seen.labels) if known else None


def _cross_entropy_error(seen, value):
    each = cross_entropy(seen.fake_logits.double(), seen.labels, reduction="none")
    return each.std().item() / math.sqrt(len(seen.fake))


def _memorised(seen):
    return None if seen.unseen is None else metrics.memorisation(seen.fake, seen.train, seen.unseen).share


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(MAIN, lambda seen: metrics.frechet_distance(seen.real, seen.fake), "lower", bootstrap,
               panel="Frechet distance", colour="tab:blue", line="floor"),
        Figure("kid", lambda seen: seen.kid.value, "lower", lambda seen, value: seen.kid.error),
        Figure("precision", lambda seen: seen.manifold.precision, "higher", _share,
               panel="shares", colour="tab:orange"),
        Figure("recall", lambda seen: seen.manifold.recall, "higher", _share,
               panel="shares", colour="tab:red"),
        Figure("density", lambda seen: seen.manifold.density, 1.0, lambda seen, value: seen.manifold.density_error),
        Figure("coverage", lambda seen: seen.manifold.coverage, "higher", _share,
               panel="shares", colour="tab:purple"),
        Figure("inception_score", lambda seen: seen.logits and metrics.inception_score(seen.fake_logits), "higher",
               bootstrap, panel="score of the classes", colour="tab:blue", line="real_inception_score"),
        Figure("class_kl", _class_kl, "lower", bootstrap),
        Figure("class_diversity", _class_diversity, 1.0),
        Figure("accuracy", _accuracy, "higher", _share),
        Figure("cross_entropy", _cross_entropy, "lower", _cross_entropy_error),
        Figure("memorised", _memorised, 0.5, _share, floor=0.5),
    )
}  # fmt: skip


def direction(name, better=None):
    """Return which way the figure `name` is better: "lower", "higher", or the number that is best.

    `better` says it for a figure of one's own. Raises ValueError where neither it nor the table says so.
    """
    if better is None and name in FIGURES:
        return FIGURES[name].better
    if better in ("lower", "higher") or (isinstance(better, (int, float)) and not isinstance(better, bool)):
        return better
    raise ValueError(f"nothing says which way {name!r} is better (better={better!r}); the table of figures knows "
                     f"{', '.join(FIGURES)}: for one of your own give better=\"lower\", \"higher\", or the number "
                     "that is best")  # fmt: skip


def cost(value, way):
    """Return a number that is the lower the better `value` is; `way` is what `direction` returned."""
    return {"lower": value, "higher": -value}.get(way) if isinstance(way, str) else abs(value - way)
