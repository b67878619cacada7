"""Neighbours: figures of features `(N, d)` that ask which ones lie near each other; float64 on the CPU."""

from typing import NamedTuple

import torch


class Manifold(NamedTuple):
    precision: float
    recall: float
    density: float
    coverage: float
    density_error: float  # standard error over the fakes; the shares have that of a share


class PrecisionRecall(NamedTuple):
    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    density: float
    coverage: float


def manifold(real, fake, k_pr=3, k_dc=5):
    """Return `precision_recall` with k_pr and `density_coverage` with k_dc of `(N, d)`, `(M, d)` in one pass.

    A sample's ball reaches to its k-th nearest neighbour in its own set, not counting itself, border included (ties to
    within the rounding of float64 count). A perfect generator has a density near 1 and a coverage near 1 - 2^-k. Ten
    fakes repeated have high precision and density, recall and coverage near 0. Raises ValueError for too large a k.
    """
    real, fake = features(real=real, fake=fake)
    for k, name, x in ((k_pr, "real", real), (k_pr, "fake", fake), (k_dc, "real", real)):
        if not 1 <= k < len(x):
            raise ValueError(f"k={k} and {len(x)} {name} features were given; k from 1 to {len(x) - 1} is expected")
    squared = _neighbours(real, real, max(k_pr, k_dc) + 1)[0]  # the first is the sample itself, at 0
    real_pr, real_dc = squared[:, k_pr], squared[:, k_dc]
    fake_pr = _neighbours(fake, fake, k_pr + 1)[0][:, k_pr]
    precise, balls = 0, []
    recalled, covered = (torch.zeros(len(real), dtype=torch.bool) for _ in range(2))
    for rows, squared in _squared_distances(fake, real):
        precise += (squared <= real_pr).any(1).count_nonzero().item()
        recalled |= (squared <= fake_pr[rows, None]).any(0)
        inside = squared <= real_dc
        balls.append(inside.sum(1) / k_dc)
        covered |= inside.any(0)
    recall, coverage = (hit.double().mean().item() for hit in (recalled, covered))
    balls = torch.cat(balls).double()
    return Manifold(precise / len(fake), recall, balls.mean().item(), coverage, (balls.std() / len(fake) ** 0.5).item())


def precision_recall(real, fake, k=3):
    """Return the shares of fakes in a ball of the reals and vice versa: Kynkaanniemi et al. 2019; see `manifold`."""
    return PrecisionRecall(*manifold(real, fake, k, k)[:2])


def density_coverage(real, fake, k=5):
    """Return the mean count of real balls that a fake is in, over k, and the share that hold one: Naeem et al. 2020."""
    return DensityCoverage(*manifold(real, fake, 1, k)[2:4])


class Nearest(NamedTuple):
    distance: torch.Tensor
    index: torch.Tensor


def nearest(fake, real):
    """Return Euclidean distance and index, `(N,)`, of the real `(M, d)` nearest to each fake `(N, d)`; 0 for a copy."""
    fake, real = features(1, fake=fake, real=real)
    squared, index = (z.flatten() for z in _neighbours(fake, real, 1))
    return Nearest(squared.sqrt(), index)


class Memorisation(NamedTuple):
    share: float  # 0.5 is none
    z: float


def memorisation(fake, train, held_out):
    """Return the share of fakes `(N, d)` nearer to `train` `(M, d)` than to `held_out` `(M, d)`; a tie counts a half.

    A sign test in the spirit of the data-copying test of Meehan et al. 2020, not their statistic, and without cells.
    z = (share - 0.5) / sqrt(0.25 / N) takes the fakes as independent, but all are compared with the same samples: its
    deviation without copying was 1.0 to 2.0, not 1 (N = M = 500, d = 8 and 64). Raises ValueError for unequal sets.
    """
    fake, train, held_out = features(fake=fake, train=train, held_out=held_out)
    if len(train) != len(held_out):
        raise ValueError(f"{len(train)} train and {len(held_out)} held_out features; cut the larger set to the smaller")
    seen, unseen = (_neighbours(fake, x, 1)[0] for x in (train, held_out))
    share = ((seen < unseen).double() + 0.5 * (seen == unseen)).mean().item()
    return Memorisation(share, (share - 0.5) / (0.25 / len(fake)) ** 0.5)


def features(least=2, what="features", **named):
    """Check and return each tensor as float64 on the CPU; their widths must agree with the first one's."""
    first, checked = next(iter(named)), []
    for name, x in named.items():
        if x.ndim != 2 or not x.is_floating_point() or not x.shape[1]:
            raise ValueError(f"{name} {what} are {x.dtype} {tuple(x.shape)}; float (N, d) of an extractor is expected")
        if len(x) < least:
            raise ValueError(f"{len(x)} {name} {what} were given; at least {least} are needed, 10,000 are usual")
        if x.shape[1] != named[first].shape[1]:
            raise ValueError(f"{first} {what} of width {named[first].shape[1]} and {name} ones of {x.shape[1]} were "
                             "given; use the same extractor for both")  # fmt: skip
        x = x.detach().cpu().double()
        if bad := (~(x.abs() < 1e30)).sum():  # the cube of a product of larger ones could overflow
            raise ValueError(f"{name} {what} hold {bad} values that are not finite, or beyond 1e30; look at the images")
        checked.append(x)
    return checked


def chunks(x, y):
    return x.split(max(1, min(1000, 2_500_000 // len(y))))  # at most 20 MB for a matrix against y


def _squared_distances(x, y):
    """Yield rows of x and their squared distances to y `(rows, M)`, in one buffer, less d eps (|x|^2 + |y|^2)."""
    centre = y.mean(0)  # small norms, small errors
    x, y = x - centre, y - centre
    keep = 1 - (x.shape[1] + 8) * torch.finfo(torch.float64).eps  # the most that rounding adds: no tie is lost
    xx, yy = (keep * z.square().sum(1, keepdim=True) for z in (x, y))
    x, y = torch.cat([-2 * x, xx, torch.ones_like(xx)], 1), torch.cat([y, torch.ones_like(yy), yy], 1)
    parts = chunks(torch.arange(len(x)), y)
    buffer = torch.empty(len(parts[0]), len(y), dtype=torch.float64)
    for rows in parts:
        yield rows, torch.mm(x[rows], y.T, out=buffer[: len(rows)])


def _neighbours(x, y, k):
    """Return the squared distances of the k nearest of y, and their indices, `(N, k)`; exactly 0 for a copy."""
    found = []
    for rows, rough in _squared_distances(x, y):
        near = rough.topk(min(k + 4, len(y)), largest=False).indices.sort().values  # 4 to spare: rounding may reorder
        exact, place = (x[rows, None] - y[near]).square().sum(2).sort(stable=True)
        found.append((exact[:, :k], near.gather(1, place[:, :k])))
    return [torch.cat(parts) for parts in zip(*found, strict=True)]
