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
    """An independent way, in NumPy.

    The trace of (S1 S2)^1/2 is the sum of the roots of the eigenvalues of S1 S2.
    """
    a, b = a.numpy(), b.numpy()
    s1, s2 = (numpy.atleast_2d(numpy.cov(x, rowvar=False)) for x in (a, b))
    roots = numpy.sqrt(numpy.linalg.eigvals(s1 @ s2).astype(complex)).real.sum()
    return ((a.mean(0) - b.mean(0)) ** 2).sum() + numpy.trace(s1) + numpy.trace(s2) - 2 * roots


@pytest.mark.parametrize("d", [1, 2, 16, 64])
def test_frechet_distance_agrees_with_an_independent_way(d):
    a, b = draws(0, 500, d), draws(1, 400, d, 1.5, 0.3)
    assert metrics.frechet_distance(a, b) == pytest.approx(by_eigenvalues(a, b), rel=1e-8)


def test_frechet_distance_of_commuting_covariances_has_a_closed_form():
    """Diagonal covariances: sum (m1 - m2)^2 + (s1 - s2)^2; points built to have them exactly."""
    base = torch.tensor([[1.0, 1], [1, -1], [-1, 1], [-1, -1]], dtype=torch.float64) * math.sqrt(
        3 / 4
    )
    a = base * torch.tensor([2.0, 3.0]) + torch.tensor([1.0, 0.0])
    b = base * torch.tensor([5.0, 0.5])
    assert metrics.frechet_distance(a, b) == pytest.approx(1 + 9 + 6.25, rel=1e-12)


def test_the_root_is_that_of_the_symmetric_product():
    """The known wrong version, the root of (S1 S2 + S2 S1) / 2, is far from it here."""
    a, b = draws(0, 1000, 8), draws(1, 1000, 8)
    s1, s2 = torch.cov(a.T), torch.cov(b.T)
    wrong_root = torch.linalg.eigvalsh((s1 @ s2 + s2 @ s1) / 2).clamp(min=0).sqrt().sum()
    wrong = (
        (a.mean(0) - b.mean(0)).square().sum() + s1.trace() + s2.trace() - 2 * wrong_root
    ).item()
    right = metrics.frechet_distance(a, b)
    assert abs(wrong - right) > 0.05 * right and right == pytest.approx(
        by_eigenvalues(a, b), rel=1e-8
    )


def test_identical_collapsed_and_few():
    a = draws(0, 200, 12)
    assert abs(metrics.frechet_distance(a, a)) < 1e-9 * torch.cov(a.T).trace()
    collapsed = a[:1].repeat(50, 1)
    expected = (a.mean(0) - a[0]).square().sum() + torch.cov(a.T).trace()
    assert metrics.frechet_distance(a, collapsed) == pytest.approx(expected.item(), rel=1e-10)
    few = draws(3, 5, 12)  # fewer samples than features: a singular covariance
    assert metrics.frechet_distance(a, few) == pytest.approx(by_eigenvalues(a, few), rel=1e-6)
    assert metrics.frechet_distance(a, few) == pytest.approx(
        metrics.frechet_distance(few, a), rel=1e-6
    )


def test_float32_features_are_taken_in_float64():
    a, b = (x.float() + 1000 for x in (draws(0, 500, 8), draws(1, 500, 8)))
    assert metrics.frechet_distance(a, b) == pytest.approx(
        by_eigenvalues(a.double(), b.double()), rel=1e-8
    )


@pytest.mark.parametrize(
    "real, fake, message",
    [
        (torch.zeros(5, 3), torch.zeros(5, 4), "width 3 and fake ones of 4"),
        (torch.zeros(1, 3), torch.zeros(5, 3), "1 real features .* at least 2"),
        (
            torch.zeros(5, 3),
            torch.full((5, 3), float("nan")),
            "fake features hold 15 values that are not finite",
        ),
        (torch.zeros(5, 3, dtype=torch.uint8), torch.zeros(5, 3), "torch.uint8"),
        (torch.zeros(5, 3), torch.zeros(5, 3, 2), r"\(5, 3, 2\)"),
    ],
)
def test_bad_features(real, fake, message):
    with pytest.raises(ValueError, match=message):
        metrics.frechet_distance(real, fake)


def test_modes():
    assert metrics.modes(torch.arange(1000), 1000) == (1000, pytest.approx(0, abs=1e-12))
    assert metrics.modes(torch.zeros(26_000, dtype=torch.int64), 1000) == (
        1,
        pytest.approx(math.log(1000)),
    )
    half = torch.tensor([0] * 3 + [7])  # 3/4 ln(3/4 * 10) + 1/4 ln(1/4 * 10)
    assert metrics.modes(half, 10) == (
        2,
        pytest.approx(0.75 * math.log(7.5) + 0.25 * math.log(2.5)),
    )


def test_the_sampling_floor_of_the_divergence():
    """An ideal sampler at 26,000 samples and 1,000 modes: 999 / 52,000 = 0.0192 in theory."""
    classes = torch.randint(1000, (26_000,), generator=torch.Generator().manual_seed(0))
    count, kl = metrics.modes(classes, 1000)
    assert count == 1000 and kl == pytest.approx(999 / 52_000, rel=0.1)


@pytest.mark.parametrize(
    "classes, message",
    [
        (torch.tensor([0, 10]), "0 to 10 were given; 0 to 9"),
        (torch.tensor([-1, 1]), "-1 to 1"),
        (torch.tensor([0.5]), "float32"),
        (torch.tensor([], dtype=torch.int64), r"\(0,\)"),
    ],
)
def test_bad_classes(classes, message):
    with pytest.raises(ValueError, match=message):
        metrics.modes(classes, 10)


def fidelity(module):
    """A module of torch-fidelity, an oracle by other hands.

    Without it only the tests that ask for it are skipped.
    """
    return pytest.importorskip("torch_fidelity." + module)


def sets(kind):
    """Real and fake features `(N, 8)`, ordinary and degenerate."""
    real, fake = draws(0, 300, 8), draws(1, 300, 8, 1.2, 0.3)
    return {
        "random": (real, fake),
        "shifted": (real + 100, fake + 100),
        "close": (real, real + 0.1 * fake),
        "collapsed": (real, fake[:1].repeat(300, 1)),
        "collapsed on a real": (real, real[:1].repeat(300, 1)),
        "ten repeated": (real, fake[:10].repeat(30, 1)),
        "identical": (real, real.clone()),
        "few": (draws(2, 6, 8), draws(3, 6, 8)),
        "far": (real, fake + 1e4),
        "integers": (real.round(), fake.round()),
        "one and the same": (real[:1].repeat(300, 1), real[:1].repeat(300, 1)),
    }[kind]


KINDS = [
    "random",
    "shifted",
    "close",
    "collapsed",
    "collapsed on a real",
    "ten repeated",
    "identical",
    "few",
    "far",
    "integers",
    "one and the same",
]
DIFFERENCES = {}  # the largest relative difference from each oracle; `pytest -s` prints them


def agree(metric, oracle, value, expected, rel=1e-6, abs=1e-9):
    difference = numpy.max(
        numpy.abs(numpy.subtract(value, expected)) / numpy.maximum(numpy.abs(expected), 1e-3)
    )
    DIFFERENCES[metric, oracle] = max(DIFFERENCES.get((metric, oracle), 0), float(difference))
    assert value == pytest.approx(expected, rel=rel, abs=abs)


@pytest.fixture(scope="module", autouse=True)
def report():
    yield
    for (metric, oracle), difference in DIFFERENCES.items():
        print(f"\n{metric} against {oracle}: {difference:.1e}", end="")


@pytest.fixture(autouse=True)
def the_global_generator_is_left_alone():
    before = torch.get_rng_state()
    yield
    assert torch.equal(before, torch.get_rng_state())


def matrix(a, b):
    return numpy.sqrt(((a.numpy()[:, None] - b.numpy()[None]) ** 2).sum(-1))


def radii(x, k):
    distances = matrix(x, x)
    return numpy.array([sorted(numpy.delete(row, i))[k - 1] for i, row in enumerate(distances)])


def by_hand(real, fake, k_pr, k_dc):
    cross, real_pr, real_dc, fake_pr = (
        matrix(real, fake),
        radii(real, k_pr),
        radii(real, k_dc),
        radii(fake, k_pr),
    )
    return (
        (cross <= real_pr[:, None]).any(0).mean(),
        (cross <= fake_pr).any(1).mean(),
        (cross <= real_dc[:, None]).sum() / k_dc / len(fake),
        (cross.min(1) <= real_dc).mean(),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_frechet_distance_agrees_with_torch_fidelity(kind):
    fid = fidelity("metric_fid")
    statistics = [fid.fid_features_to_statistics(x) for x in sets(kind)]
    expected = fid.fid_statistics_to_metric(*statistics, False)["frechet_inception_distance"]
    scale = max(
        float(numpy.trace(s["sigma"])) for s in statistics
    )  # roots of rounding noise are sqrt(eps)
    agree(
        "frechet_distance",
        "torch-fidelity",
        metrics.frechet_distance(*sets(kind)),
        expected,
        abs=1e-6 * scale,
    )


@pytest.mark.parametrize("kind", KINDS)
def test_kid_agrees_with_torch_fidelity_and_by_hand(kind):
    real, fake = sets(kind)
    value, error = metrics.kid(real, fake, 1, len(real))
    n, d = real.shape

    def kernel(a, b):
        return (a.numpy() @ b.numpy().T / d + 1) ** 3

    off = ~numpy.eye(n, dtype=bool)
    expected = (kernel(real, real)[off].mean() + kernel(fake, fake)[off].mean()) - 2 * kernel(
        real, fake
    ).mean()
    rounding = 1e-12 * max(kernel(fake, fake).max(), kernel(real, real).max())
    agree("kid", "NumPy", value, expected, abs=rounding)
    assert error is None
    settings = {"kid_subsets": 1, "kid_subset_size": n, "verbose": False}
    expected = fidelity("metric_kid").kid_features_to_metric(real, fake, **settings)
    agree("kid", "torch-fidelity", value, expected["kernel_inception_distance_mean"], abs=rounding)


def test_kid_is_unbiased():
    """The mean over many small subsets of one distribution is near 0, the biased one far above."""
    real, fake = (torch.randn(2000, 8, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    value, error = metrics.kid(real, fake, 400, 20)
    full = metrics.kid(real, fake, 1, 2000).value
    assert (
        abs(value - full) < 4 * error < 0.1
    )  # the biased one is more than 2 * (2^3 - 1) / 20 = 0.7 above
    assert (
        metrics.kid(real, fake, 400, 20)
        == (value, error)
        != metrics.kid(real, fake, 400, 20, seed=1)
    )


def test_the_error_of_kid_is_that_of_the_mean_over_subsets():
    real, fake = sets("random")
    means = [metrics.kid(real, fake, 16, 30, seed) for seed in range(60)]
    spread = numpy.std([mean.value for mean in means], ddof=1)
    assert numpy.mean([mean.error for mean in means]) == pytest.approx(spread, rel=0.3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("k_pr, k_dc", [(3, 5), (1, 2), (5, 1)])
def test_manifold_agrees_by_hand(kind, k_pr, k_dc):
    real, fake = sets(kind)
    value = metrics.manifold(real, fake, k_pr, k_dc)
    for name, x, expected in zip(
        value._fields, value[:4], by_hand(real, fake, k_pr, k_dc), strict=False
    ):
        agree(name, "NumPy", x, expected)
    assert metrics.precision_recall(real, fake, k_pr) == value[:2]
    assert metrics.density_coverage(real, fake, k_dc) == value[2:4]


@pytest.mark.parametrize(
    "kind, n", [(kind, 25) for kind in KINDS] + [("random", 300), ("close", 300)]
)
def test_precision_recall_agrees_with_torch_fidelity(kind, n):
    """With copies only up to 25 samples.

    Beyond that its torch.cdist multiplies matrices, and copies are apart.
    """
    real, fake = (x[:n] for x in sets(kind))
    expected = fidelity("metric_prc").prc_features_to_metric(
        fake, real, verbose=False, prc_neighborhood=3
    )
    value = metrics.precision_recall(real, fake)
    for name in value._fields:
        agree(
            name, "torch-fidelity", getattr(value, name), expected[name], abs=1e-7
        )  # its means are float32


def test_a_ball_of_known_radius():
    """Reals at 0, 1, 3, 7 on a line: for k=1 radii are 1, 1, 2, 4; a fake on a border is inside."""
    real = torch.tensor([[0.0], [1], [3], [7]])
    assert (
        metrics.precision_recall(real, torch.tensor([[-1.0], [11.5], [-1.5], [5]]), 1).precision
        == 0.5
    )
    assert metrics.density_coverage(real, torch.tensor([[-1.0], [5]]), 1) == (1.5, 0.75)
    assert metrics.manifold(real, real + 1e6, 1, 1)[:4] == (0, 0, 0, 0)


def test_ties_survive_rounding_and_chunks_in_float32():
    x = draws(0, 700, 48).float() + 1000
    assert metrics.manifold(x, x.flip(0), 1, 1)[:4] == (
        1,
        1,
        pytest.approx(2, abs=0.01),
        1,
    )  # itself and its nearest
    one = x[:1].repeat(700, 1)
    assert metrics.manifold(x, one).recall == 1 / 700
    assert metrics.manifold(torch.zeros(10, 3), torch.zeros(10, 3))[:4] == (
        1,
        1,
        2,
        1,
    )  # no rounding: `<` would give 0
    real, fake = (z + 2**22 for z in sets("random"))  # far from 0, but not from each other
    assert metrics.manifold(real, fake)[:4] == pytest.approx(by_hand(real, fake, 3, 5))


def test_ten_repeated_fakes_have_precision_and_density_but_no_recall_or_coverage():
    real, ten = (torch.randn(n, 8, generator=torch.Generator().manual_seed(n)) for n in (1000, 10))
    precision, recall, density, coverage, _ = metrics.manifold(real, ten.repeat(100, 1))
    assert precision >= 0.8 and density > 0.7 and recall < 0.02 and coverage < 0.1


@pytest.mark.parametrize("kind", KINDS)
def test_nearest_agrees_by_hand(kind):
    real, fake = sets(kind)
    distance, index = metrics.nearest(fake, real)
    expected = matrix(fake, real)
    agree("nearest", "NumPy", distance.numpy(), expected.min(1), abs=0)
    assert (
        expected[range(len(fake)), index] == pytest.approx(expected.min(1), rel=1e-9, abs=0)
    ) and len(index) > 0
    assert index.dtype == torch.int64 and distance.shape == index.shape == (len(fake),)


@pytest.mark.parametrize("kind", KINDS)
def test_memorisation_agrees_by_hand(kind):
    train, held_out = sets(kind)
    fake = torch.cat([draws(7, 40, 8), train[:5], held_out[:3]])
    seen, unseen = matrix(fake, train).min(1), matrix(fake, held_out).min(1)
    expected = numpy.where(seen == unseen, 0.5, seen < unseen).mean()
    share, z = metrics.memorisation(fake, train, held_out)
    agree("memorisation", "NumPy", share, expected)
    assert z == pytest.approx((expected - 0.5) * 2 * math.sqrt(len(fake)))


def test_memorisation_of_all_and_of_none():
    train, held_out = sets("random")
    assert metrics.memorisation(train[:100] + 1e-9, train, held_out) == (1, 10)
    assert metrics.memorisation(draws(5, 100, 8), train, train.flip(0)) == (0.5, 0)


@pytest.mark.parametrize("kind", KINDS[:-1])
def test_class_diversity_agrees_by_hand(kind):
    real, fake = sets(kind)
    real_classes, fake_classes = (
        torch.arange(len(real)) % 3,
        torch.arange(len(fake)).clamp(max=1) + 1,
    )
    value = metrics.class_diversity(fake, fake_classes, real, real_classes)

    def mean(x):
        return numpy.mean(
            [numpy.linalg.norm(a - b) for i, a in enumerate(x.numpy()) for b in x.numpy()[:i]]
        )

    expected = mean(fake[fake_classes == 2]) / mean(real[real_classes == 2])
    assert value[:2] == [None, None]
    agree("class_diversity", "NumPy", value[2], expected, abs=0)


@pytest.mark.parametrize("scale", [0, 1, 30, 2000])
def test_inception_score_agrees_with_torch_fidelity(scale):
    logits = scale * draws(0, 300, 10)
    expected = fidelity("metric_isc").isc_features_to_metric(logits, splits=1)[
        "inception_score_mean"
    ]
    agree("inception_score", "torch-fidelity", metrics.inception_score(logits), expected)


def test_inception_score_of_known_cases():
    assert metrics.inception_score(100 * torch.eye(10).repeat(5, 1)) == pytest.approx(10, rel=1e-12)
    sure = torch.tensor([[0.0, -5000.0, -9000.0]]).repeat(
        4, 1
    )  # every probability but one underflows
    assert metrics.inception_score(sure) == pytest.approx(1, rel=1e-12)


def test_cross_entropy_agrees_by_hand():
    for scale in (1, 30):
        logits, labels = scale * draws(0, 300, 10), torch.arange(300) % 10
        p = numpy.exp(logits.numpy()) / numpy.exp(logits.numpy()).sum(1, keepdims=True)
        expected = -numpy.log(p[range(300), labels]).mean()
        agree("cross_entropy", "NumPy", metrics.cross_entropy(logits, labels), expected)
    assert metrics.cross_entropy(torch.zeros(1, 10), torch.tensor([3])) == pytest.approx(
        math.log(10)
    )


def test_class_histogram():
    classes = torch.tensor([0] * 3 + [2])
    shares, kl = metrics.class_histogram(classes, 3)
    assert shares == [0.75, 0, 0.25] and kl == pytest.approx(
        0.75 * math.log(2.25) + 0.25 * math.log(0.75)
    )
    assert metrics.class_histogram(classes, 3, [0.75, 0, 0.25]).kl == 0
    expected = 0.75 * math.log(7.5) + 0.25 * math.log(2.5)
    assert metrics.class_histogram(classes, 3, [0.1, 0.8, 0.1]).kl == pytest.approx(
        expected, rel=1e-12
    )


def test_no_graph_is_kept():
    x = draws(0, 20, 4).requires_grad_()
    assert not metrics.nearest(x, x).distance.requires_grad
    assert metrics.kid(x, x, 2, 10) == metrics.kid(x.detach(), x.detach(), 2, 10)


X, LABELS, NAN = (
    torch.zeros(5, 3),
    torch.zeros(5, dtype=torch.int64),
    torch.full((5, 3), float("nan")),
)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: metrics.kid(X, X), "size=1000 were given; give 1 or more, and a size from 2 to 5"),
        (lambda: metrics.kid(X, X, 0, 5), "subsets=0"),
        (lambda: metrics.kid(X, X, 1, 1), "size=1 "),
        (
            lambda: metrics.kid(X, 1e200 * torch.ones(5, 3).double(), 1, 5),
            "fake features hold 15 .* beyond 1e30",
        ),
        (lambda: metrics.kid(X, X[:, :0], 1, 5), r"\(5, 0\)"),
        (lambda: metrics.manifold(X, X), "k=5 and 5 real features were given; k from 1 to 4"),
        (lambda: metrics.precision_recall(X, X[:3]), "k=3 and 3 fake"),
        (lambda: metrics.density_coverage(X, X, 0), "k=0"),
        (lambda: metrics.density_coverage(X, NAN, 2), "fake features hold 15"),
        (
            lambda: metrics.nearest(X.byte(), X),
            "fake features are torch.uint8 .* float .* extractor",
        ),
        (lambda: metrics.nearest(X, X[:0]), "0 real features were given; at least 1"),
        (
            lambda: metrics.memorisation(X, X, X[:4]),
            "5 train and 4 held_out features; cut the larger",
        ),
        (
            lambda: metrics.memorisation(X, X, X[:, :2]),
            "fake features of width 3 and held_out ones of 2",
        ),
        (
            lambda: metrics.class_diversity(X, LABELS, X, LABELS + 1),
            "class 0 has 5 fakes and 0 reals; give 2",
        ),
        (
            lambda: metrics.class_diversity(X, LABELS, X, LABELS),
            "class 0 has 5 fakes and 5 reals; .* differ",
        ),
        (
            lambda: metrics.class_diversity(X, LABELS[:4], X, LABELS),
            r"fake_classes of torch.int64 \(4,\) .* \(5,\)",
        ),
        (lambda: metrics.class_diversity(X, LABELS, X, LABELS - 1), "real_classes from -1"),
        (lambda: metrics.inception_score(NAN), "logits hold 15"),
        (lambda: metrics.inception_score(X.long()), "logits are torch.int64"),
        (lambda: metrics.cross_entropy(X, LABELS + 3), "labels from 3 to 3 were given; 0 to 2"),
        (
            lambda: metrics.class_histogram(LABELS, 2, [0, 1]),
            r"classes \[0\] occur, but are expected with a share of 0",
        ),
        (
            lambda: metrics.class_histogram(LABELS, 2, [1.0]),
            r"expected \(1,\), sum 1; give 2 shares of sum 1",
        ),
        (lambda: metrics.class_histogram(LABELS, 2, [0.5, 0.6]), "sum 1.1"),
        (lambda: metrics.class_histogram(LABELS, 2, [1.5, -0.5]), "give 2 shares"),
        (lambda: metrics.class_histogram(LABELS, 2, [math.nan, 1]), "sum nan"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_the_standard_error_of_the_density():
    """Against the spread over 200 fresh sets of fakes."""
    real = draws(0, 300, 4)
    fresh = [metrics.manifold(real, draws(0, 300 + 200 * (i + 1), 4)[-200:]) for i in range(200)]
    spread = torch.tensor([value.density for value in fresh]).std().item()
    assert fresh[0].density_error == pytest.approx(spread, rel=0.25)
