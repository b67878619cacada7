"""The table of figures: the metrics that `evaluate` reports.

Each row says how a metric is measured, which direction is better, and where it is shown. A new one
is a row in `FIGURES` and a function in metrics.py: all who judge a run read the table.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch.nn.functional import cross_entropy

from . import metrics
from .sliced import SIDE

MAIN = "frechet_distance"  # runs are compared by it, unless the user names another metric
PATCHES, DIRECTIONS = 32, 256  # fewer than metrics.sliced_wasserstein draws, for speed
ENOUGH = 128  # images a side for a distance between distributions
SOME, NEIGHBOURS = 20, 12  # for a mean over pairs of images; for those that ask for the 5 nearest


@dataclass(frozen=True)
class Figure:
    """One row of the table, a metric.

    measure: a function of a `Seen` that returns the metric's value; or a sentence, why it has none;
        or None if it does not apply.
    better: "lower", "higher", or the number that is best.
    error: a function of (seen, value) that returns the standard error, or `bootstrap`; None if it
        is unknown.
    floor: what real images get, if that is known; otherwise it is measured.
    panel, colour: the panel of `curves` that shows the metric, and the colour of its line; None if
        none does.
    line: the key of the history that holds what real images get, for a second line in that panel.
    needs: attributes of the `Seen`: the metric does not apply where one of them is None.
    least: the fewest images a side.
    """

    name: str
    measure: Callable
    better: str | float
    error: Callable | None = None
    floor: float | None = None
    panel: str | None = None
    colour: str | None = None
    line: str | None = None
    needs: tuple = ()
    least: int = 2

    def value(self, seen):
        """Return the value for a `Seen`; a sentence, why there is none; None if it is unfit."""
        if any(getattr(seen, name) is None for name in self.needs):
            return None
        if (few := min(len(seen.real), len(seen.fake))) < self.least:
            return too_few(few, self.least)
        value = self.measure(seen)
        return f"it is {value}" if value in (math.inf, -math.inf) or value != value else value


def too_few(count, least):
    """Return the sentence that says why a metric is left out, where images are few."""
    return f"{count} image{'s' * (count > 1)} a side, {least} are needed"


@dataclass
class Seen:
    """What metrics are measured on: features `(N, d)` of real and fake images, and more.

    logits: the extractor's function from features to logits of the classes, or None.
    labels: the classes that G was given for the fakes, int64 `(N,)`, or None.
    train, unseen: features of images that G was trained on, and of held-out ones, or None.
    images: as many real images as fakes themselves, uint8 `(N, C, H, W)` each, or None.
    colours: the `extractors.Pixels` of fakes and of training images, or None.
    """

    real: torch.Tensor
    fake: torch.Tensor
    logits: Callable | None = None
    labels: torch.Tensor | None = None
    train: torch.Tensor | None = None
    unseen: torch.Tensor | None = None
    images: tuple | None = None
    colours: tuple | None = None

    @cached_property
    def real_logits(self):
        return self.logits and self.logits(self.real)

    @cached_property
    def fake_logits(self):
        return self.logits and self.logits(self.fake)

    @cached_property
    def classes(self):
        """The `Histogram` of the fakes' classes, and whether all of these occur among the reals.

        If they do, its KL divergence is from the shares of the real classes. None without `logits`.
        """
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
        """Return a `Seen` of the features at the indices `real` and `fake`, for a bootstrap.

        It keeps the logits of all reals, so that the shares of the real classes do not change.
        """
        sample = Seen(self.real[real], self.fake[fake], self.logits)
        sample.real_logits, sample.fake_logits = (
            self.real_logits,
            self.logits and self.fake_logits[fake],
        )
        return sample


def bootstrap(seen, value):
    """Mark a metric whose standard error is its spread over samples drawn with replacement.

    It is never called: `evaluate` draws the samples, of fakes and of reals, for all such metrics.
    """
    raise NotImplementedError


def _share(seen, value):
    """Return the standard error of a share of the fakes."""
    return math.sqrt(value * (1 - value) / len(seen.fake))


def _class_kl(seen):
    return seen.classes[0].kl if seen.classes[1] else None


def _class_diversity(seen):
    """Return the mean over the classes that have real images which differ, or None."""
    if _class_kl(seen) is None:
        return None
    fake, real = seen.fake_logits.argmax(1), seen.real_logits.argmax(1)
    classes = [c for c in fake.unique() if len(seen.real[real == c].unique(dim=0)) > 1]
    enough = torch.isin(fake, torch.tensor(classes, dtype=torch.int64))
    if not enough.any():
        return None
    ratios = metrics.class_diversity(seen.fake[enough], fake[enough], seen.real, real)
    ratios = [ratio for ratio in ratios if ratio is not None]
    return sum(ratios) / len(ratios) if ratios else None


def _accuracy(seen):
    return (seen.fake_logits.argmax(1) == seen.labels).double().mean().item()


def _cross_entropy_error(seen, value):
    each = cross_entropy(seen.fake_logits.double(), seen.labels, reduction="none")
    return each.std().item() / math.sqrt(len(seen.fake))


def _memorised(seen):
    size = min(len(seen.train), len(seen.unseen))
    if size < SOME:
        return f"{size} training and held-out images each, {SOME} are needed"
    return metrics.memorisation(seen.fake, seen.train[:size], seen.unseen[:size]).share


def _copied(seen):
    share = metrics.copying(*seen.colours).share
    return "all training images are alike" if share is None else share


def no_patches(count, shape):
    """Return why `count` images of a `shape` have no `sliced_wasserstein`, or None."""
    if len(shape) > 3:
        return "these are clips, it compares patches of images"
    if min(shape[1:]) < SIDE:
        return f"images of {shape[2]} x {shape[1]}, its patches are {SIDE} x {SIDE}"
    return too_few(count, ENOUGH) if count < ENOUGH else None


def _sliced(seen):
    """Return the mean over the levels, in the unit of published tables."""
    real, fake = seen.images
    if why := no_patches(len(real), real.shape[1:]):
        return why
    levels = metrics.sliced_wasserstein(real, fake, patches=PATCHES, directions=DIRECTIONS).values()
    return 1000 * sum(levels) / len(levels)


def _of_manifold(name, colour):
    """Return the row of a share that `metrics.manifold` measures."""
    return Figure(
        name,
        lambda seen: getattr(seen.manifold, name),
        "higher",
        _share,
        panel="shares",
        colour=colour,
        least=NEIGHBOURS,
    )


FIGURES = {
    figure.name: figure
    for figure in (
        Figure(
            MAIN,
            lambda seen: metrics.frechet_distance(seen.real, seen.fake),
            "lower",
            bootstrap,
            panel="Frechet distance",
            colour="tab:blue",
            line="floor",
            least=ENOUGH,
        ),
        Figure(
            "sliced_wasserstein",
            _sliced,
            "lower",
            panel="sliced Wasserstein distance",
            colour="tab:blue",
            line="real_sliced_wasserstein",
            needs=("images",),
            least=ENOUGH,
        ),
        Figure(
            "kid",
            lambda seen: seen.kid.value,
            "lower",
            lambda seen, value: seen.kid.error,
            least=SOME,
        ),
        _of_manifold("precision", "tab:orange"),
        _of_manifold("recall", "tab:red"),
        Figure(
            "density",
            lambda seen: seen.manifold.density,
            1.0,
            lambda seen, value: seen.manifold.density_error,
            least=NEIGHBOURS,
        ),
        _of_manifold("coverage", "tab:purple"),
        Figure(
            "inception_score",
            lambda seen: metrics.inception_score(seen.fake_logits),
            "higher",
            bootstrap,
            panel="score of the classes",
            colour="tab:blue",
            line="real_inception_score",
            needs=("logits",),
        ),
        Figure("class_kl", _class_kl, "lower", bootstrap, needs=("logits",)),
        Figure("class_diversity", _class_diversity, 1.0, needs=("logits",)),
        Figure("accuracy", _accuracy, "higher", _share, needs=("logits", "labels")),
        Figure(
            "cross_entropy",
            lambda seen: metrics.cross_entropy(seen.fake_logits, seen.labels),
            "lower",
            _cross_entropy_error,
            needs=("logits", "labels"),
        ),
        Figure("memorised", _memorised, 0.5, _share, floor=0.5, needs=("train", "unseen")),
        Figure("copied", _copied, "lower", _share, line="real_copied", needs=("colours",)),
    )
}


def direction(name, better=None):
    """Return which values of the metric `name` are better: "lower", "higher", or the best number.

    `better`, if it is given, is the answer: for a metric of the user's own. Raises ValueError if
    neither it nor the table has one.
    """
    if better is None and name in FIGURES:
        return FIGURES[name].better
    if better in ("lower", "higher") or (
        isinstance(better, (int, float)) and not isinstance(better, bool)
    ):
        return better
    raise ValueError(
        f"nothing says which way {name!r} is better (better={better!r}); the table of figures "
        f'knows {", ".join(FIGURES)}: for one of your own give better="lower", "higher", or '
        "the number that is best"
    )


def cost(value, way):
    """Return a number that is lower for a better `value`; `way` is what `direction` returned."""
    return {"lower": value, "higher": -value}.get(way) if isinstance(way, str) else abs(value - way)
