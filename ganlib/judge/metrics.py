"""Metrics: pure functions of features `(N, d)` or of classes `(N,)`, in float64 on the CPU. No SciPy."""

import math
from typing import NamedTuple

import torch

from .neighbours import (
    chunks,
    density_coverage,
    features,
    manifold,
    memorisation,
    nearest,
    precision_recall,
)

__all__ = [
    "class_diversity", "class_histogram", "cross_entropy", "density_coverage", "frechet_distance", "inception_score",
    "kid", "manifold", "memorisation", "modes", "nearest", "precision_recall",
]  # fmt: skip


def frechet_distance(real, fake):
    """Return the Frechet distance of two sets of features `(N, d)` and `(M, d)`, as normal distributions; 0 is best.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), with unbiased covariances: Heusel et al. 2017, section 2 (with
    Inception features it is the 'FID'). It is biased upward for few samples: compare at equal N and M, and give the
    distance of real against real beside it. Raises ValueError for too few samples, other widths, values not finite.
    """
    real, fake = features(real=real, fake=fake)
    difference = real.mean(0) - fake.mean(0)
    s1, s2 = (torch.cov(x.T).view(x.shape[1], -1) for x in (real, fake))
    values, vectors = torch.linalg.eigh(s1)
    root = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    # the root of a symmetric matrix: S1 S2 itself is not symmetric, and the mean of S1 S2 and S2 S1 has another root
    cross = torch.linalg.eigvalsh(root @ s2 @ root).clamp(min=0).sqrt().sum()
    return (difference @ difference + s1.trace() + s2.trace() - 2 * cross).item()


class Kid(NamedTuple):
    value: float
    error: float | None  # None for one subset


def kid(real, fake, subsets=100, size=1000, seed=0):
    """Return the kernel distance of two sets of features `(N, d)` and `(M, d)`; 0 is best, and chance goes below it.

    The unbiased squared MMD with the kernel (x.y / d + 1)^3, Binkowski et al. 2018, section 4: the mean over `subsets`
    draws of `size` of each set without replacement, from a generator of its own. `error`, the standard deviation over
    them / sqrt(subsets), is the noise of choosing subsets, not of drawing the N and M samples: fresh samples spread 1.3
    to 1.9 times as much (d = 16, N = 4000, 50 of 400). subsets=1 and size=N=M give the estimate from all samples.
    """
    real, fake = features(real=real, fake=fake)
    few = min(len(real), len(fake))
    if subsets < 1 or not 2 <= size <= few:
        raise ValueError(f"subsets={subsets}, size={size} were given; give 1 or more, and a size from 2 to {few}")
    g = torch.Generator().manual_seed(seed)
    values = torch.empty(subsets, dtype=torch.float64)
    for i in range(subsets):
        x, y = (z[torch.randperm(len(z), generator=g)[:size]] for z in (real, fake))
        own = sum(_kernel_sum(z, z) - (z.square().sum(1) / z.shape[1] + 1).pow(3).sum() for z in (x, y))
        values[i] = own / (size * (size - 1)) - 2 * _kernel_sum(x, y) / size**2
    return Kid(values.mean().item(), (values.std() / subsets**0.5).item() if subsets > 1 else None)


def class_diversity(fake, fake_classes, real, real_classes):
    """Return per class the mean distance of two fakes over that of two reals: 1 is as diverse, 0 collapsed.

    Features `(N, d)` with classes int64 `(N,)`, `(M, d)` with `(M,)`; a list over 0 .. the largest class, None for one
    of fewer than 2 fakes. Raises ValueError for a class that has a fake, but no 2 reals that differ.
    """
    fake, real = features(1, fake=fake, real=real)
    _check_classes("fake_classes", fake_classes, None, len(fake))
    _check_classes("real_classes", real_classes, None, len(real))

    def mean_distance(x):
        total = sum(torch.cdist(c, x, compute_mode="donot_use_mm_for_euclid_dist").sum() for c in chunks(x, x))
        return total.item() / (len(x) * (len(x) - 1))

    ratios = []
    for label in range(max(fake_classes.max().item(), real_classes.max().item()) + 1):
        f, r = fake[fake_classes.cpu() == label], real[real_classes.cpu() == label]
        spread = mean_distance(r) if len(r) > 1 else 0
        if len(f) and not spread:
            raise ValueError(f"class {label} has {len(f)} fakes and {len(r)} reals; give 2 or more reals that differ")
        ratios.append(mean_distance(f) / spread if len(f) > 1 else None)
    return ratios


def inception_score(logits):
    """Return exp E KL(p(y|x) || p(y)) of the logits `(N, C)` of the fakes, from 1 to C, the best.

    Salimans et al. 2016, section 4, in one split; of digits, the 'MNIST score'. One perfect image per class reaches C.
    """
    (logits,) = features(what="logits", fake=logits)
    log_p = logits.log_softmax(1)
    log_marginal = log_p.logsumexp(0) - math.log(len(log_p))  # finite even where every p underflows
    return (log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp().item()


def cross_entropy(logits, labels):
    """Return the mean -log p(label) in nats of the labels int64 `(N,)` asked for, by a classifier's logits `(N, C)`."""
    (logits,) = features(1, what="logits", fake=logits)
    _check_classes("labels", labels, logits.shape[1], len(logits))
    return torch.nn.functional.cross_entropy(logits, labels.cpu()).item()


class Histogram(NamedTuple):
    shares: list[float]
    kl: float  # nats


def class_histogram(classes, n_classes, expected=None):
    """Return the shares of `classes`, int64 `(N,)` in 0 .. n_classes - 1, and their KL divergence from `expected`.

    `expected`: n_classes shares, equal ones by default. Raises ValueError where it is 0 for a class that occurs.
    """
    _check_classes("classes", classes, n_classes)
    share = classes.cpu().bincount(minlength=n_classes).double() / len(classes)
    expected = [1 / n_classes] * n_classes if expected is None else expected
    expected = torch.as_tensor(expected, dtype=torch.float64, device="cpu")
    if expected.shape != share.shape or not (expected >= 0).all() or not abs(expected.sum() - 1) < 1e-6:
        raise ValueError(f"expected {tuple(expected.shape)}, sum {expected.sum():g}; give {n_classes} shares of sum 1")
    if (missing := (share > 0) & (expected == 0)).any():
        raise ValueError(f"classes {missing.nonzero().flatten().tolist()} occur, but are expected with a share of 0")
    return Histogram(share.tolist(), max(0.0, (share.xlogy(share) - share.xlogy(expected)).sum().item()))


class Modes(NamedTuple):
    count: int
    kl: float  # nats, from equal shares


def modes(classes, n_classes):
    """Count the modes that a sample covers: `classes` int64 `(N,)` in 0 .. n_classes - 1, as a classifier saw them.

    The convention of StackedMNIST (Metz et al. 2017; Lin et al. 2018): 26,000 samples, 1,000 classes. Even an ideal
    sampler has a divergence of about (n_classes - 1) / 2N: say it beside the figure.
    """
    shares, kl = class_histogram(classes, n_classes)
    return Modes(sum(share > 0 for share in shares), kl)


def _check_classes(name, classes, n_classes=None, n="N"):
    if classes.dtype != torch.int64 or classes.ndim != 1 or len(classes) == 0 or n not in ("N", len(classes)):
        raise ValueError(f"{name} of {classes.dtype} {tuple(classes.shape)} were given; torch.int64 ({n},) is expected")
    top = classes.max() if n_classes is None else n_classes - 1
    if classes.min() < 0 or classes.max() > top:
        raise ValueError(f"{name} from {classes.min()} to {classes.max()} were given; 0 to {top} is expected")


def _kernel_sum(x, y):
    return sum(torch.addmm(x.new_ones(1), c, y.T, alpha=1 / x.shape[1]).pow(3).sum().item() for c in chunks(x, y))
