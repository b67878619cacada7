import math

import numpy
import pytest
import torch

from ganlib import metrics


def draws(seed, n, d, scale=1.0, shift=0.0):
    g = torch.Generator().manual_seed(seed)
    mix = torch.randn(d, d, generator=g, dtype=torch.float64)
    return scale * torch.randn(n, d, generator=g, dtype=torch.float64) @ mix + shift


def by_eigenvalues(a, b):
    """An independent way: the trace of (S1 S2)^1/2 is the sum of the roots of the eigenvalues of S1 S2, in NumPy."""
    a, b = a.numpy(), b.numpy()
    s1, s2 = (numpy.atleast_2d(numpy.cov(x, rowvar=False)) for x in (a, b))
    roots = numpy.sqrt(numpy.linalg.eigvals(s1 @ s2).astype(complex)).real.sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + numpy.trace(s1) + numpy.trace(s2) - 2 * roots


@pytest.mark.parametrize("d", [1, 2, 16, 64])
def test_frechet_distance_agrees_with_an_independent_way(d):
    a, b = draws(0, 500, d), draws(1, 400, d, 1.5, 0.3)
    assert metrics.frechet_distance(a, b) == pytest.approx(by_eigenvalues(a, b), rel=1e-8)


def test_frechet_distance_of_commuting_covariances_has_a_closed_form():
    """Diagonal covariances: sum (m1 - m2)^2 + (s1 - s2)^2. The points are built to have them exactly."""
    base = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64) * math.sqrt(3 / 4)
    a = base * torch.tensor([2.0, 3.0]) + torch.tensor([1.0, 0.0])
    b = base * torch.tensor([5.0, 0.5])
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 9 + 6.25, rel=1e-12)


def test_the_root_is_that_of_the_symmetric_product():
    """The known wrong version, the root of (S1 S2 + S2 S1) / 2, is far from it here."""
    a, b = draws(0, 1000, 8), draws(1, 1000, 8)
    s1, s2 = torch.cov(a.T), torch.cov(b.T)
    wrong_root = torch.linalg.eigvalsh((s1 @ s2 + s2 @ s1) / 2).clamp(min=0).sqrt().sum()
    wrong = ((a.mean(0) - b.mean(0)).square().sum() + s1.trace() + s2.trace() - 2 * wrong_root).item()
    right = metrics.frechet_distance(a, b)
    assert abs(wrong - right) > 0.05 * right and right == pytest.approx(by_eigenvalues(a, b), rel=1e-8)


def test_identical_collapsed_and_few():
    a = draws(0, 200, 12)
    assert abs(metrics.frechet_distance(a, a)) < 1e-9 * torch.cov(a.T).trace()
    collapsed = a[:1].repeat(50, 1)
    expected = (a.mean(0) - a[0]).square().sum() + torch.cov(a.T).trace()
    assert metrics.frechet_distance(a, collapsed) == pytest.approx(expected.item(), rel=1e-10)
    few = draws(3, 5, 12)  # fewer samples than features: a singular covariance
    assert metrics.frechet_distance(a, few) == pytest.approx(by_eigenvalues(a, few), rel=1e-6)
    assert metrics.frechet_distance(a, few) == pytest.approx(metrics.frechet_distance(few, a), rel=1e-6)


def test_float32_features_are_taken_in_float64():
    a, b = (x.float() + 1000 for x in (draws(0, 500, 8), draws(1, 500, 8)))
    assert metrics.frechet_distance(a, b) == pytest.approx(by_eigenvalues(a.double(), b.double()), rel=1e-8)


@pytest.mark.parametrize("real, fake, message", [
    (torch.zeros(5, 3), torch.zeros(5, 4), "width 3 and fake ones of 4"),
    (torch.zeros(1, 3), torch.zeros(5, 3), "1 real features .* at least 2"),
    (torch.zeros(5, 3), torch.full((5, 3), float("nan")), "fake features hold 15 values that are not finite"),
    (torch.zeros(5, 3, dtype=torch.uint8), torch.zeros(5, 3), "torch.uint8"),
    (torch.zeros(5, 3), torch.zeros(5, 3, 2), r"\(5, 3, 2\)"),
])  # fmt: skip
def test_bad_features(real, fake, message):
    with pytest.raises(ValueError, match=message):
        metrics.frechet_distance(real, fake)


def test_modes():
    assert metrics.modes(torch.arange(1000), 1000) == (1000, pytest.approx(0, abs=1e-12))
    assert metrics.modes(torch.zeros(26_000, dtype=torch.int64), 1000) == (1, pytest.approx(math.log(1000)))
    half = torch.tensor([0] * 3 + [7])  # 3/4 ln(3/4 * 10) + 1/4 ln(1/4 * 10)
    assert metrics.modes(half, 10) == (2, pytest.approx(0.75 * math.log(7.5) + 0.25 * math.log(2.5)))


def test_the_sampling_floor_of_the_divergence():
    """An ideal sampler at 26,000 samples and 1,000 modes: 999 / 52,000 = 0.0192 in theory."""
    classes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    count, kl = metrics.modes(classes, 1000)
    assert count == 1000 and kl == pytest.approx(999 / 52_000, rel=0.1)


@pytest.mark.parametrize("classes, message", [
    (torch.tensor([0, 10]), "0 to 10 were given; 0 to 9"), (torch.tensor([-1, 1]), "-1 to 1"),
    (torch.tensor([0.5]), "float32"), (torch.tensor([], dtype=torch.int64), r"\(0,\)"),
])  # fmt: skip
def test_bad_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        metrics.modes(classes, 10)
