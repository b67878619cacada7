"""Metrics: pure functions of features `(N, d)` or of classes `(N,)`, in float64 on the CPU. No SciPy."""

import math
from typing import NamedTuple

import torch


def frechet_distance(real, fake):
    """Return the Frechet distance of two sets of features `(N, d)` and `(M, d)`, as normal distributions; 0 is best.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2), with unbiased covariances: Heusel et al. 2017, section 2 (with
    Inception features it is the 'FID'). It is biased upward for few samples: compare at equal N and M, and give the
    distance of real against real beside it. Raises ValueError for too few samples, other widths, values not finite.
    """
    real, fake = _features(real=real, fake=fake)
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
    real, fake = _features(real=real, fake=fake)
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
    real, fake = _features(real=real, fake=fake)
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
    fake, real = _features(1, fake=fake, real=real)
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
    fake, train, held_out = _features(fake=fake, train=train, held_out=held_out)
    if len(train) != len(held_out):
        raise ValueError(f"{len(train)} train and {len(held_out)} held_out features; cut the larger set to the smaller")
    seen, unseen = (_neighbours(fake, x, 1)[0] for x in (train, held_out))
    share = ((seen < unseen).double() + 0.5 * (seen == unseen)).mean().item()
    return Memorisation(share, (share - 0.5) / (0.25 / len(fake)) ** 0.5)


def class_diversity(fake, fake_classes, real, real_classes):
    """Return per class the mean distance of two fakes over that of two reals: 1 is as diverse, 0 collapsed.

    Features `(N, d)` with classes int64 `(N,)`, `(M, d)` with `(M,)`; a list over 0 .. the largest class, None for one
    of fewer than 2 fakes. Raises ValueError for a class that has a fake, but no 2 reals that differ.
    """
    fake, real = _features(1, fake=fake, real=real)
    _check_classes("fake_classes", fake_classes, None, len(fake))
    _check_classes("real_classes", real_classes, None, len(real))

    def mean_distance(x):
        total = sum(torch.cdist(c, x, compute_mode="donot_use_mm_for_euclid_dist").sum() for c in _chunks(x, x))
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
    (logits,) = _features(what="logits", fake=logits)
    log_p = logits.log_softmax(1)
    log_marginal = log_p.logsumexp(0) - math.log(len(log_p))  # finite even where every p underflows
    return (log_p.exp() * (log_p - log_marginal)).sum(1).mean().exp().item()


def cross_entropy(logits, labels):
    """Return the mean -log p(label) in nats of the labels int64 `(N,)` asked for, by a classifier's logits `(N, C)`."""
    (logits,) = _features(1, what="logits", fake=logits)
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


def _features(least=2, what="features", **named):
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


def _check_classes(name, classes, n_classes=None, n="N"):
    if classes.dtype != torch.int64 or classes.ndim != 1 or len(classes) == 0 or n not in ("N", len(classes)):
        raise ValueError(f"{name} of {classes.dtype} {tuple(classes.shape)} were given; torch.int64 ({n},) is expected")
    top = classes.max() if n_classes is None else n_classes - 1
    if classes.min() < 0 or classes.max() > top:
        raise ValueError(f"{name} from {classes.min()} to {classes.max()} were given; 0 to {top} is expected")


def _chunks(x, y):
    return x.split(max(1, min(1000, 2_500_000 // len(y))))  # at most 20 MB for a matrix against y


def _squared_distances(x, y):
    """Yield rows of x and their squared distances to y `(rows, M)`, in one buffer, less d eps (|x|^2 + |y|^2)."""
    centre = y.mean(0)  # small norms, small errors
    x, y = x - centre, y - centre
    keep = 1 - (x.shape[1] + 8) * torch.finfo(torch.float64).eps  # the most that rounding adds: no tie is lost
    xx, yy = (keep * z.square().sum(1, keepdim=True) for z in (x, y))
    x, y = torch.cat([-2 * x, xx, torch.ones_like(xx)], 1), torch.cat([y, torch.ones_like(yy), yy], 1)
    chunks = _chunks(torch.arange(len(x)), y)
    buffer = torch.empty(len(chunks[0]), len(y), dtype=torch.float64)
    for rows in chunks:
        yield rows, torch.mm(x[rows], y.T, out=buffer[: len(rows)])


def _neighbours(x, y, k):
    """Return the squared distances of the k nearest of y, and their indices, `(N, k)`; exactly 0 for a copy."""
    found = []
    for rows, rough in _squared_distances(x, y):
        near = rough.topk(min(k + 4, len(y)), largest=False).indices.sort().values  # 4 to spare: rounding may reorder
        exact, place = (x[rows, None] - y[near]).square().sum(2).sort(stable=True)
        found.append((exact[:, :k], near.gather(1, place[:, :k])))
    return [torch.cat(parts) for parts in zip(*found, strict=True)]


def _kernel_sum(x, y):
    return sum(torch.addmm(x.new_ones(1), c, y.T, alpha=1 / x.shape[1]).pow(3).sum().item() for c in _chunks(x, y))
