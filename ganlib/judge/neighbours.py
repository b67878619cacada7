"""Metrics that ask which features lie near each other; metrics.py offers them to users.

Features are `(N, d)`; all is computed in float64 on the CPU.
"""

from typing import NamedTuple

import torch


class Manifold(NamedTuple):
    """What `manifold` returns."""

    precision: float
    recall: float
    density: float
    coverage: float
    density_error: float  # standard error over the fakes; that of a share follows from it


class PrecisionRecall(NamedTuple):
    """What `precision_recall` returns."""

    precision: float
    recall: float


class DensityCoverage(NamedTuple):
    """What `density_coverage` returns."""

    density: float
    coverage: float


def manifold(real, fake, k_pr=3, k_dc=5):
    """Return `precision_recall` with k_pr and `density_coverage` with k_dc, from one pass.

    `real (N, d)` and `fake (M, d)` are features. The ball of a sample reaches to its k-th nearest
    neighbour in its own set, not counting itself; points on its border are inside (ties to within
    the rounding of float64 count). A perfect generator has a density near 1 and a coverage near
    `1 - 2^-k`. Ten fakes, repeated, have high precision and density, but a recall and coverage near
    0. Raises ValueError if k is not below the number of samples.
    """
    real, fake = features(real=real, fake=fake)
    for k, name, x in ((k_pr, "real", real), (k_pr, "fake", fake), (k_dc, "real", real)):
        if not 1 <= k < len(x):
            raise ValueError(
                f"k={k} and {len(x)} {name} features were given; k from 1 to {len(x) - 1} is "
                "expected"
            )
    squared = _neighbours(real, real, max(k_pr, k_dc) + 1)[0]  # + 1: the first is the sample itself
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
    return Manifold(
        precise / len(fake),
        recall,
        balls.mean().item(),
        coverage,
        (balls.std() / len(fake) ** 0.5).item(),
    )


def precision_recall(real, fake, k=3):
    """Return the share of fakes in a ball of the reals, and of reals in a ball of the fakes.

    Kynkaanniemi et al. 2019; for the balls see `manifold`.
    """
    return PrecisionRecall(*manifold(real, fake, k, k)[:2])


def density_coverage(real, fake, k=5):
    """Return density and coverage, from the balls of the reals (see `manifold`): Naeem et al. 2020.

    Density is the mean number of balls that a fake is in, over k; coverage the share of balls that
    hold a fake.
    """
    return DensityCoverage(*manifold(real, fake, 1, k)[2:4])


class Nearest(NamedTuple):
    """What `nearest` returns."""

    distance: torch.Tensor
    index: torch.Tensor


def nearest(fake, real):
    """Return distance and index of the real `(M, d)` nearest to each fake `(N, d)`, both `(N,)`.

    The distance is Euclidean, and 0 for a copy.
    """
    fake, real = features(1, fake=fake, real=real)
    squared, index = (part.flatten() for part in _neighbours(fake, real, 1))
    return Nearest(squared.sqrt(), index)


class Memorisation(NamedTuple):
    """What `memorisation` returns."""

    share: float  # 0.5: nothing is memorised
    z: float


def memorisation(fake, train, held_out):
    """Return the share of fakes `(N, d)` nearer to `train (M, d)` than to `held_out (M, d)`, and z.

    A tie counts as a half. This is a sign test in the spirit of the data-copying test of Meehan et
    al. 2020, but not their statistic, and without cells. z = (share - 0.5) / sqrt(0.25 / N) treats
    the fakes as independent, but all are compared with the same samples: without copying its
    standard deviation was 1.0 to 2.0, not 1 (N = M = 500, d = 8 and 64). Raises ValueError if the
    two sets differ in size.
    """
    fake, train, held_out = features(fake=fake, train=train, held_out=held_out)
    if len(train) != len(held_out):
        raise ValueError(
            f"{len(train)} train and {len(held_out)} held_out features; cut the larger set to the "
            "smaller"
        )
    seen, unseen = (_neighbours(fake, x, 1)[0] for x in (train, held_out))
    share = ((seen < unseen).double() + 0.5 * (seen == unseen)).mean().item()
    return Memorisation(share, (share - 0.5) / (0.25 / len(fake)) ** 0.5)


class Copying(NamedTuple):
    """What `copying` returns."""

    share: float | None  # None if all training images are alike
    ratios: torch.Tensor


def copying(fake, train, ratio=0.5):
    """Return the share of fakes `(N, d)` that are copies of `train (M, d)`, and the ratio of each.

    The ratio of a fake is its distance to the nearest training sample, over the distance of that
    sample to its own nearest neighbour in `train` that differs from it: 0 for a copy, about 1 for a
    fresh sample. A fake is a copy below `ratio`. Carlini et al. 2023 ("Extracting Training Data
    from Diffusion Models", section 5) calibrate a distance likewise, by the mean distance to 50
    neighbours. Fresh samples of a distribution that varies in k directions have a share of about
    ratio^k. Training samples differ if they are further apart than 1e-5 of their root mean square
    length: duplicates calibrate nothing. Where no two of them differ, the share is None. Raises
    ValueError for a `ratio` outside 0 to 1.
    """
    if not 0 < ratio <= 1:
        raise ValueError(f"ratio={ratio} was given; above 0, and at most 1, is expected")
    fake, train = features(1, fake=fake, train=train)
    squared, index = (part.flatten() for part in _neighbours(fake, train, 1))
    # what float32 rounds off the features of one image, read in two batches
    same = 1e-10 * train.square().sum(1).mean()
    to_nearest = torch.empty(len(fake), dtype=torch.float64)
    for rows, apart in _squared_distances(train[index], train):
        to_nearest[rows] = apart.masked_fill_(apart <= same, torch.inf).amin(1)
    ratios = (squared / to_nearest).sqrt()
    share = (ratios < ratio).double().mean().item() if to_nearest.isfinite().all() else None
    return Copying(share, ratios)


def features(least=2, what="features", **named):
    """Return each named tensor as float64 on the CPU, in a list.

    Raises ValueError unless all are float `(N, d)` with N of at least `least`, the same d, and
    finite values below 1e30. `what` is the word for them in messages.
    """
    first, checked = next(iter(named)), []
    for name, x in named.items():
        if x.ndim != 2 or not x.is_floating_point() or not x.shape[1]:
            raise ValueError(
                f"{name} {what} are {x.dtype} {tuple(x.shape)}; float (N, d) of an extractor is "
                "expected"
            )
        if len(x) < least:
            raise ValueError(
                f"{len(x)} {name} {what} were given; at least {least} are needed, 10,000 are usual"
            )
        if x.shape[1] != named[first].shape[1]:
            raise ValueError(
                f"{first} {what} of width {named[first].shape[1]} and {name} ones of {x.shape[1]} "
                "were given; use the same extractor for both"
            )
        x = x.detach().cpu().double()
        if bad := (~(x.abs() < 1e30)).sum():  # the cube of a product of larger ones could overflow
            raise ValueError(
                f"{name} {what} hold {bad} values that are not finite, or beyond 1e30; look at the "
                "images"
            )
        checked.append(x)
    return checked


def chunks(x, y):
    """Return x in parts, so that a matrix of one part against y takes at most 20 MB."""
    return x.split(max(1, min(1000, 2_500_000 // len(y))))


def _squared_distances(x, y):
    """Yield indices of rows of x with their squared distances to y, `(rows, M)`.

    The distances are in a buffer that the next ones overwrite. Each is lowered by about d eps
    (|x|^2 + |y|^2), the most that rounding can add, so that no tie is lost.
    """
    centre = y.mean(0)  # small norms have small rounding errors
    x, y = x - centre, y - centre
    keep = 1 - (x.shape[1] + 8) * torch.finfo(torch.float64).eps
    xx, yy = (keep * z.square().sum(1, keepdim=True) for z in (x, y))
    x, y = (
        torch.cat([-2 * x, xx, torch.ones_like(xx)], 1),
        torch.cat([y, torch.ones_like(yy), yy], 1),
    )
    parts = chunks(torch.arange(len(x)), y)
    buffer = torch.empty(len(parts[0]), len(y), dtype=torch.float64)
    for rows in parts:
        yield rows, torch.mm(x[rows], y.T, out=buffer[: len(rows)])


def _neighbours(x, y, k):
    """Return squared distances and indices, `(N, k)`, of the k nearest rows of y; 0 for a copy."""
    results = []
    for rows, rough in _squared_distances(x, y):
        # 4 more than k, since rounding may have changed their order
        near = rough.topk(min(k + 4, len(y)), largest=False).indices.sort().values
        exact, place = (x[rows, None] - y[near]).square().sum(2).sort(stable=True)
        results.append((exact[:, :k], near.gather(1, place[:, :k])))
    return [torch.cat(parts) for parts in zip(*results, strict=True)]
