"""The exercises of notebook 05: test cases, answers, and common mistakes with hints."""

import math

from .task import Task, numbers


def _bells():
    return [("means 1 and 3, standard deviations 2 and 0.5", (1.0, 2.0, 3.0, 0.5))]


def _between():
    near = numbers([0.1, 0.9, 2.0, 0.3], [0.8, 0.7, 1.0, 0.2], [1.5, 0.4, 3.0, 0.9])
    return [("three reals, four fakes and the fakes' radii", (near, numbers(0.2, 0.5, 0.3, 0.1)))]


def _beliefs():
    return [("three images of two classes", (numbers([0.9, 0.1], [0.2, 0.8], [0.6, 0.4]),))]


def _entropy(p):
    return -(p * p.log()).sum(-1)


def _share():
    return [("a share of 0.9 of 400", (0.9, 400)), ("0.5 of 25", (0.5, 25))]


TASKS = {
    "frechet_1d": Task(
        _bells,
        lambda m1, s1, m2, s2: (m1 - m2) ** 2 + (s1 - s2) ** 2,
        (
            (
                "The spread is missing: add the squared difference of the standard deviations.",
                lambda m1, s1, m2, s2: (m1 - m2) ** 2,
            ),
            (
                "Those are the variances' difference: it is the standard deviations'.",
                lambda m1, s1, m2, s2: (m1 - m2) ** 2 + (s1**2 - s2**2) ** 2,
            ),
            (
                "That is its square root: the Frechet distance as published stays squared.",
                lambda m1, s1, m2, s2: math.sqrt((m1 - m2) ** 2 + (s1 - s2) ** 2),
            ),
        ),
    ),
    "recall": Task(
        _between,
        lambda near, radii: (near <= radii).any(1).float().mean(),
        (
            (
                "That is the share of fakes that lie near a real one: recall asks the reals.",
                lambda near, radii: (near <= radii).any(0).float().mean(),
            ),
            (
                "That is the share of pairs: one near fake is enough for a real image.",
                lambda near, radii: (near <= radii).float().mean(),
            ),
            (
                "That asks that all fakes be near: one is enough.",
                lambda near, radii: (near <= radii).all(1).float().mean(),
            ),
        ),
    ),
    "class_score": Task(
        _beliefs,
        lambda p: (_entropy(p.mean(0)) - _entropy(p).mean()).exp(),
        (
            (
                "The exponential is missing: this is the information in nats.",
                lambda p: _entropy(p.mean(0)) - _entropy(p).mean(),
            ),
            (
                "The two are exchanged: the mean image is to be undecided, each single one sure.",
                lambda p: (_entropy(p).mean() - _entropy(p.mean(0))).exp(),
            ),
            (
                "That looks at variety alone: a fake that is half a 3 and half a 5 would count as "
                "two.",
                lambda p: _entropy(p.mean(0)).exp(),
            ),
        ),
    ),
    "half_width": Task(
        _share,
        lambda share, n: 1.96 * math.sqrt(share * (1 - share) / n),
        (
            (
                "That is one standard error; 95 % take 1.96 of them.",
                lambda share, n: math.sqrt(share * (1 - share) / n),
            ),
            (
                "The number of images is missing: this is the spread of single ones.",
                lambda share, n: 1.96 * math.sqrt(share * (1 - share)),
            ),
            (
                "The square root is missing: this is a variance.",
                lambda share, n: 1.96 * share * (1 - share) / n,
            ),
        ),
    ),
}
