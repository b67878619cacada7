"""Metrics: pure functions of features `(N, d)` or of classes `(N,)`, in float64 on the CPU. No SciPy."""

from typing import NamedTuple

import torch


def frechet_distance(real, fake):
    """Return the Frechet distance of two sets of features `(N, d)` and `(M, d)`, as normal distributions; 0 is best.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), with unbiased covariances: Heusel et al. 2017, section 2 (with
    Inception features it is the 'FID'). It is biased upward for few samples: compare at equal N and M, and give the
    distance of real against real beside it. Raises ValueError for too few samples, other widths, values not finite.
    """
    real, fake = (_features(name, x) for name, x in (("real", real), ("fake", fake)))
    if real.shape[1] != fake.shape[1]:
        raise ValueError(f"real features of width {real.shape[1]} and fake ones of {fake.shape[1]} were given; use the "
                         "same extractor for both")  # fmt: skip
    difference = real.mean(0) - fake.mean(0)
    s1, s2 = (torch.cov(x.T).view(x.shape[1], -1) for x in (real, fake))
    values, vectors = torch.linalg.eigh(s1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    # the root of a symmetric matrix: S1 S2 itself is not symmetric, and the mean of S1 S2 and S2 S1 has another root
    cross = torch.linalg.eigvalsh(root @ s2 @ root).clamp(min=0).sqrt().sum()
    return (difference @ difference + s1.trace() + s2.trace() - 2 * cross).item()


class Modes(NamedTuple):
    """How many classes occur, and the Kullback-Leibler divergence of their shares from equal ones, in nats."""

    count: int
    kl: float


def modes(classes, n_classes):
    """Count the modes that a sample covers: `classes` int64 `(N,)` in 0 .. n_classes - 1, as a classifier saw them.

    The convention of StackedMNIST (Metz et al. 2017; Lin et al. 2018): 26,000 samples, 1,000 classes. Even an ideal
    sampler has a divergence of about (n_classes - 1) / 2N: say it beside the figure.
    """
    if classes.dtype != torch.int64 or classes.ndim != 1 or len(classes) == 0:
        raise ValueError(f"classes of {classes.dtype} {tuple(classes.shape)} were given; torch.int64 (N,) is expected")
    if classes.min() < 0 or classes.max() >= n_classes:
        raise ValueError(
            f"classes from {classes.min()} to {classes.max()} were given; 0 to {n_classes - 1} is expected"
        )
    share = classes.cpu().bincount(minlength=n_classes).double() / len(classes)
    present = share[share > 0]
    return Modes(len(present), (present * (present * n_classes).log()).sum().item())


def _features(name, x):
    if x.ndim != 2 or not x.is_floating_point():
        raise ValueError(f"{name} features of {x.dtype} {tuple(x.shape)} were given; float (N, d) is expected, as an "
                         "extractor returns them")  # fmt: skip
    if len(x) < 2:
        raise ValueError(
            f"{len(x)} {name} features were given; at least 2 are needed for a covariance, 10,000 are usual"
        )
    x = x.detach().cpu().double()
    if not x.isfinite().all():
        raise ValueError(f"{name} features hold {(~x.isfinite()).sum()} values that are not finite; look at the images")
    return x
