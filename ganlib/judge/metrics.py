"""Metrics: pure functions of features `(N, d)` or of classes `(N,)`.

They compute in float64 on the CPU, without SciPy. Those that ask which features are near each other
are in neighbours.py; the one that takes images, in float32, is in sliced.py. figures.py says which
ones `evaluate` reports.
"""

import math
from typing import NamedTuple

import torch

from .neighbours import (
    chunks,
    copying,
    density_coverage,
    features,
    manifold,
    memorisation,
    nearest,
    precision_recall,
)
from .sliced import sliced_wasserstein

__all__ = [
    "class_diversity",
    "class_histogram",
    "copying",
    "cross_entropy",
    "density_coverage",
    "frechet_distance",
    "inception_score",
    "kid",
    "manifold",
    "memorisation",
    "modes",
    "nearest",
    "precision_recall",
    "sliced_wasserstein",
]


def frechet_distance(real, fake):
    """Return the Frechet distance between features `(N, d)` and `(M, d)`; 0 is best.

    Both are taken as normal distributions: |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2),
    with unbiased covariances: Heusel et al. 2017, section 2 (with Inception features it is the
    'FID'). Few samples bias it upward: compare at equal N and M, and report the distance between
    two sets of reals beside it. Raises ValueError for fewer than 2 samples, widths that differ, and
    values that are not finite.
    """
    real, fake = features(real=real, fake=fake)
    difference = real.mean(0) - fake.mean(0)
    s1, s2 = (torch.cov(x.T).view(x.shape[1], -1) for x in (real, fake))
    values, vectors = torch.linalg.eigh(s1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    # eigvalsh needs a symmetric matrix: S1 S2 is not, and its mean with S2 S1 has other roots
    cross = torch.linalg.eigvalsh(root @ s2 @ root).clamp(min=0).sqrt().sum()
    return (difference @ difference + s1.trace() + s2.trace() - 2 * cross).item()


class Kid(NamedTuple):
    """What `kid` returns."""

    value: float
    error: float | None  # None if there is one subset only


def kid(real, fake, subsets=100, size=1000, seed=0):
    """Return the kernel distance (KID) between features `(N, d)` and `(M, d)`; 0 is best.

    It is the unbiased squared MMD with the kernel (x.y / d + 1)^3, which chance can make negative:
    Binkowski et al. 2018, section 4. The mean over `subsets` subsets of `size` samples of each set,
    drawn without replacement with `seed`, is returned with `error`, the standard deviation over the
    subsets / sqrt(subsets). That is the noise of choosing subsets, not of drawing the N and M
    samples: fresh samples spread 1.3 to 1.9 times as much (d = 16, N = 4000, 50 subsets of 400).
    subsets=1 and size=N=M give the estimate from all samples. Raises ValueError for `subsets` below
    1, or a `size` below 2 or above N or M.
    """
    real, fake = features(real=real, fake=fake)
    few = min(len(real), len(fake))
    if subsets < 1 or not 2 <= size <= few:
        raise ValueError(
            f"subsets={subsets}, size={size} were given; give 1 or more, and a size from 2 to {few}"
        )
    g = torch.Generator().manual_seed(seed)
    values = torch.empty(subsets, dtype=torch.float64)
    for i in range(subsets):
        x, y = (z[torch.randperm(len(z), generator=g)[:size]] for z in (real, fake))
        within = sum(
            _kernel_sum(z, z) - (z.square().sum(1) / z.shape[1] + 1).pow(3).sum() for z in (x, y)
        )
        values[i] = within / (size * (size - 1)) - 2 * _kernel_sum(x, y) / size**2
    return Kid(values.mean().item(), (values.std() / subsets**0.5).item() if subsets > 1 else None)


def class_diversity(fake, fake_classes, real, real_classes):
    """Return for each class the mean distance between two fakes over that between two reals.

    1 is as diverse as the reals, 0 is collapsed. Takes features `(N, d)` with classes int64 `(N,)`
    for the fakes, `(M, d)` with `(M,)` for the reals; returns a list over the classes from 0 to the
    largest, with None for a class of fewer than 2 fakes. Raises ValueError for a class that has a
    fake but no 2 reals that differ.
    """
    fake, real = features(1, fake=fake, real=real)
    _check_classes("fake_classes", fake_classes, None, len(fake))
    _check_classes("real_classes", real_classes, None, len(real))

    def mean_distance(x):
        total = sum(
            torch.cdist(c, x, compute_mode="donot_use_mm_for_euclid_dist").sum()
            for c in chunks(x, x)
        )
        return total.item() / (len(x) * (len(x) - 1))

    ratios = []
    for label in range(max(fake_classes.max().item(), real_classes.max().item()) + 1):
        f, r = fake[fake_classes.cpu() == label], real[real_classes.cpu() == label]
        spread = mean_distance(r) if len(r) > 1 else 0
        if len(f) and not spread:
            raise ValueError(
                f"class {label} has {len(f)} fakes and {len(r)} reals; give 2 or more reals that "
                "differ"
            )
        ratios.append(mean_distance(f) / spread if len(f) > 1 else None)
    return ratios


def inception_score(logits):
    """Return exp E KL(p(y|x) || p(y)) for the logits `(N, C)` of fakes: from 1 to C, the best.

    Salimans et al. 2016, section 4, without splitting the samples; for digits it is called the
    'MNIST score'. It does not see mode collapse within a class: one perfect image per class reaches
    C.
    """
    (logits,) = features(what="logits", fake=logits)
    log_p = logits.log_softmax(1)
    log_marginal = log_p.logsumexp(0) - math.log(len(log_p))  # finite even where every p underflows
    return (log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp().item()


def cross_entropy(logits, labels):
    """Return the mean of -log p(label), in nats, by a classifier's `logits (N, C)` for fakes.

    `labels`, int64 `(N,)`, are the classes that G was given for them.
    """
    (logits,) = features(1, what="logits", fake=logits)
    _check_classes("labels", labels, logits.shape[1], len(logits))
    return torch.nn.functional.cross_entropy(logits, labels.cpu()).item()


class Histogram(NamedTuple):
    """What `class_histogram` returns."""

    shares: list[float]
    kl: float  # in nats


def class_histogram(classes, n_classes, expected=None):
    """Return a `Histogram`: the shares of `classes`, and their KL divergence from `expected`.

    `classes` are int64 `(N,)` in 0 .. n_classes - 1; `expected` has n_classes shares, which are
    equal by default. Raises ValueError if a class occurs whose expected share is 0.
    """
    _check_classes("classes", classes, n_classes)
    share = classes.cpu().bincount(minlength=n_classes).double() / len(classes)
    expected = [1 / n_classes] * n_classes if expected is None else expected
    expected = torch.as_tensor(expected, dtype=torch.float64, device="cpu")
    if (
        expected.shape != share.shape
        or not (expected >= 0).all()
        or not abs(expected.sum() - 1) < 1e-6
    ):
        raise ValueError(
            f"expected {tuple(expected.shape)}, sum {expected.sum():g}; give {n_classes} shares of "
            "sum 1"
        )
    if (missing := (share > 0) & (expected == 0)).any():
        raise ValueError(
            f"classes {missing.nonzero().flatten().tolist()} occur, but are expected with a share "
            "of 0"
        )
    return Histogram(
        share.tolist(), max(0.0, (share.xlogy(share) - share.xlogy(expected)).sum().item())
    )


class Modes(NamedTuple):
    """What `modes` returns."""

    count: int
    kl: float  # from equal shares, in nats


def modes(classes, n_classes):
    """Return how many modes a sample covers, and its KL divergence from equal shares in nats.

    `classes`, int64 `(N,)` in 0 .. n_classes - 1, are the modes that a classifier found in the
    samples. The convention of StackedMNIST (Metz et al. 2017; Lin et al. 2018) is 26,000 samples
    and 1,000 classes. Even an ideal sampler has a divergence of about (n_classes - 1) / 2N: report
    that too.
    """
    shares, kl = class_histogram(classes, n_classes)
    return Modes(sum(share > 0 for share in shares), kl)


def _check_classes(name, classes, n_classes=None, n="N"):
    """Raise ValueError unless `classes` are int64 `(n,)` in 0 .. n_classes - 1."""
    if (
        classes.dtype != torch.int64
        or classes.ndim != 1
        or len(classes) == 0
        or n not in ("N", len(classes))
    ):
        raise ValueError(
            f"{name} of {classes.dtype} {tuple(classes.shape)} were given; torch.int64 ({n},) is "
            "expected"
        )
    top = classes.max() if n_classes is None else n_classes - 1
    if classes.min() < 0 or classes.max() > top:
        raise ValueError(
            f"{name} from {classes.min()} to {classes.max()} were given; 0 to {top} is expected"
        )


def _kernel_sum(x, y):
    """Return the sum of KID's kernel over all pairs of a row of x and a row of y."""
    return sum(
        torch.addmm(x.new_ones(1), c, y.T, alpha=1 / x.shape[1]).pow(3).sum().item()
        for c in chunks(x, y)
    )
