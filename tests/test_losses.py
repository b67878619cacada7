import pytest
import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

import ganlib
from ganlib import losses, nets

LOGITS = torch.linspace(-8.1, 8, 33, dtype=torch.float64)  # hinge's corners are not among them


def closed_forms():
    """name: (d_loss(real, fake), g_loss(real, fake)), with probabilities, as in the papers."""

    def bce(logits, label):
        return binary_cross_entropy(
            logits.sigmoid(), torch.full_like(logits, label), reduction="none"
        )

    zero = torch.zeros((), dtype=torch.float64)
    return {
        "saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: (1 - f.sigmoid()).log()),
        "non_saturating": (lambda r, f: bce(r, 1) + bce(f, 0), lambda r, f: bce(f, 1)),
        "least_squares": (lambda r, f: r * r - 2 * r + 1 + f * f, lambda r, f: f * f - 2 * f + 1),
        "hinge": (
            lambda r, f: torch.maximum(1 - r, zero) + torch.maximum(1 + f, zero),
            lambda r, f: -f,
        ),
        "wasserstein": (lambda r, f: -(r - f), lambda r, f: -f),
        "relativistic": (
            lambda r, f: -(r - f).sigmoid().log(),
            lambda r, f: -(f - r).sigmoid().log(),
        ),
        "relativistic_average": (  # D(x, y) = sigmoid(C(x) - E[C(y)])
            lambda r, f: bce(r - f.sum() / len(f), 1) + bce(f - r.sum() / len(r), 0),
            lambda r, f: bce(r - f.sum() / len(f), 0) + bce(f - r.sum() / len(r), 1),
        ),
    }


@pytest.mark.parametrize("name", closed_forms())
def test_values_and_gradients_are_those_of_the_closed_form(name):
    objective, (d_form, g_form) = getattr(losses, name), closed_forms()[name]
    assert objective.name == name
    for ours, form in ((objective.d_loss, d_form), (objective.g_loss, g_form)):
        results = []
        for loss in (ours, form):
            real, fake = LOGITS.clone().requires_grad_(), LOGITS.flip(0).clone().requires_grad_()
            values = loss(real, fake)
            values.sum().backward()
            results += [(values.detach(), real.grad, fake.grad)]
        for a, b in zip(*results, strict=True):
            assert (a is None and b is None) or torch.allclose(a, b, rtol=1e-9, atol=1e-12)
            assert a is None or a.shape == LOGITS.shape


def test_which_objectives_are_paired():
    paired = [name for name in closed_forms() if getattr(losses, name).paired]
    assert paired == ["relativistic", "relativistic_average"]
    for name in closed_forms():  # the others' G never sees the reals
        if name not in paired:
            assert getattr(losses, name).g_loss(None, LOGITS).shape == LOGITS.shape


def test_saturating_and_non_saturating_are_told_apart():
    one = torch.ones(1, dtype=torch.float64)
    assert losses.saturating.g_loss(None, one).item() == pytest.approx(
        -1.3132616875182228, rel=1e-12
    )
    sure = torch.tensor(
        [-10.0], dtype=torch.float64, requires_grad=True
    )  # D is sure that it is a fake
    gradients = [
        torch.autograd.grad(getattr(losses, name).g_loss(None, sure).sum(), sure)[0].item()
        for name in ("saturating", "non_saturating")
    ]
    assert gradients == pytest.approx([-4.5397868702434395e-05, -0.9999546021312976], rel=1e-9)


@pytest.mark.parametrize("name", closed_forms())
@pytest.mark.parametrize("logit", [-50.0, 50.0])
def test_values_and_gradients_stay_finite_and_d_hears_of_its_errors(name, logit):
    objective = getattr(losses, name)
    real, fake = (
        torch.tensor([-logit], requires_grad=True),
        torch.tensor([logit], requires_grad=True),
    )
    d_loss, g_loss = objective.d_loss(real, fake), objective.g_loss(real.detach(), fake)
    d_gradients = torch.autograd.grad(d_loss.sum(), (real, fake))
    (g_gradient,) = torch.autograd.grad(g_loss.sum(), fake)
    assert all(torch.isfinite(t).all() for t in (d_loss, g_loss, *d_gradients, g_gradient))
    if logit > 0:  # D has it all wrong
        assert d_gradients[0] <= -0.99 and d_gradients[1] >= 0.99
    elif name != "saturating":  # D has it all right, and G must still be told
        assert g_gradient <= -0.99


def test_known_values():
    one = torch.ones(1, dtype=torch.float64)
    assert losses.non_saturating.g_loss(None, one).item() == pytest.approx(
        0.31326168751822286, rel=1e-12
    )
    assert losses.non_saturating.d_loss(0 * one, 0 * one).item() == pytest.approx(
        1.3862943611198906, rel=1e-12
    )


@pytest.mark.parametrize("logit", [-50.0, 50.0])
def test_the_gradient_is_right_where_a_written_out_sigmoid_loses_it(logit):
    fake = torch.tensor([logit], requires_grad=True)
    losses.non_saturating.g_loss(None, fake).sum().backward()
    assert fake.grad.item() == pytest.approx(-torch.sigmoid(torch.tensor(-logit)).item(), rel=1e-6)


# Penalties


def draws():
    return torch.Generator().manual_seed(0)


class Quadratic(nn.Module):
    """D(x) = a |x|^2 / 2 + b . x, whose gradient is a x + b."""

    def __init__(self, a=0.7, scale=1.0):
        super().__init__()
        torch.manual_seed(0)
        self.a = nn.Parameter(torch.tensor(a, dtype=torch.float64))
        self.b = nn.Parameter(scale * torch.randn(12, dtype=torch.float64))

    def forward(self, x, labels=None):
        x = x.flatten(1)
        return self.a * x.square().sum(1) / 2 + x @ self.b

    def squared(self, x):
        return (self.a * x.flatten(1) + self.b).square().sum(1)


def term(penalty, D, x):
    x = x.clone().requires_grad_(penalty.of_gradients)
    return penalty.weight * penalty.term(D, x, D(x), draws())


@pytest.fixture
def x():
    return torch.randn(10, 3, 2, 2, dtype=torch.float64, generator=draws())


def test_exact_penalties_are_those_of_the_closed_form(x):
    D = Quadratic()
    assert torch.allclose(term(losses.r1(3.0), D, x), 1.5 * D.squared(x[:5]), rtol=1e-12)
    assert torch.allclose(
        term(losses.r1_r2(3.0), D, x), 1.5 * (D.squared(x[:5]) + D.squared(x[5:])), rtol=1e-12
    )
    t = torch.rand(5, 1, 1, 1, dtype=torch.float64, generator=draws())
    u = x[:5] + t * (x[5:] - x[:5])
    assert torch.allclose(
        term(losses.gradient_penalty(7.0), D, x), 7 * (D.squared(u).sqrt() - 1) ** 2, rtol=1e-12
    )


@pytest.mark.parametrize(
    "penalty",
    [losses.r1(3.0), losses.r1_r2(3.0), losses.gradient_penalty(), losses.approximate_r1_r2(3.0)],
    ids=lambda penalty: penalty.name,
)
def test_the_gradient_of_a_penalty_is_that_of_finite_differences(penalty, x):
    D = nn.Sequential(
        nn.Flatten(), nn.Linear(12, 8), nn.Tanh(), nn.Linear(8, 1), nn.Flatten(0)
    ).double()
    loss = term(penalty, D, x).mean()
    gradients = torch.autograd.grad(loss, list(D.parameters()), allow_unused=True)
    for weight, gradient in zip(D.parameters(), gradients, strict=True):
        flat = weight.data.view(-1)
        for i in (0, len(flat) // 2, len(flat) - 1):
            values = []
            for step in (1e-6, -2e-6):
                flat[i] += step
                values.append(term(penalty, D, x).mean().item())
            flat[i] += 1e-6
            ours = 0.0 if gradient is None else gradient.view(-1)[i].item()
            assert ours == pytest.approx((values[0] - values[1]) / 2e-6, rel=1e-5, abs=1e-7)


def test_the_norm_is_one_per_image_not_one_of_the_batch():
    """64 images with unit gradients: 0. One norm of the whole batch would be 8, its penalty 49."""
    D = Quadratic(a=0.0)
    D.b.data /= D.b.data.norm()
    x = torch.randn(128, 3, 2, 2, dtype=torch.float64)
    assert term(losses.gradient_penalty(1.0), D, x).abs().max() < 1e-20


def test_a_flat_d_gives_a_finite_gradient_penalty():
    D = Quadratic(a=0.0, scale=0.0)
    loss = term(losses.gradient_penalty(), D, torch.randn(4, 3, 2, 2, dtype=torch.float64)).mean()
    assert loss == 10
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(loss, (D.a, D.b)))


def test_the_approximate_penalty_tends_to_the_exact_one(x):
    """Over many draws the mean is the squared norm, within 4 standard errors.

    The error falls with sigma.
    """
    D = Quadratic()
    exact = 0.5 * (D.squared(x[:5]) + D.squared(x[5:])).detach()

    def estimate(sigma, n=20_000):
        g, penalty = draws(), losses.approximate_r1_r2(1.0, sigma)
        many = x.repeat_interleave(n // 10, 0)
        values = (
            penalty.term(D, many, D(many), g).detach().view(5, -1)
        )  # (reals: 5, draws); fakes are paired in order
        return values.mean(1), values.std(1) / values.shape[1] ** 0.5

    mean, error = estimate(1e-4, 200_000)
    assert ((mean - exact).abs() < 4 * error).all() and (error / exact < 0.02).all()
    assert (estimate(1.0)[0] - exact).abs().max() > 10 * (
        mean - exact
    ).abs().max()  # far too large a step shows


def test_the_approximate_penalty_forbids_d_to_see_noise_and_the_exact_one_does_not():
    """D(x) = -c |x - flat|^2 tells a flat image from one with a speckle. There it has no slope: R1
    and R2 are 0. The difference is not: c^2 sigma^2 (n^2 + 2 n) / 2 for each of n values, for all
    that a drawn speckle does to D.
    """
    flat = torch.full((2, 3, 4, 4), 0.3, dtype=torch.float64)
    c, n, sigma = 0.7, 48, 0.05

    def D(x):
        return -c * (x - flat[:1]).square().flatten(1).sum(1)

    for exact in (losses.r1_r2(1.0), ganlib.recipe("style", (3, 16, 16), 6).penalty):
        assert term(exact, D, flat).item() == 0
    many, penalty = flat[:1].expand(200_000, -1, -1, -1), losses.approximate_r1_r2(1.0, sigma)
    values = penalty.term(D, many, D(many), draws())  # a real and a fake, both flat
    form = c**2 * sigma**2 * (n**2 + 2 * n)
    assert abs(values.mean().item() - form) < 4 * values.std().item() / 100_000**0.5 < 0.02 * form


def test_both_passes_of_the_approximate_penalty_share_their_masks(small, digits):
    """A D with dropout that hardly depends on its input has hardly any penalty.

    Masks of their own would show.
    """
    gan = small(dtype=torch.float64)
    for weight in gan.D.layers[0].parameters():
        weight.data *= 1e-4 if weight.ndim == 2 else 100.0
    real = digits.batches(0, 0, dtype=torch.float64).images[0]
    stats = ganlib.discriminator_step(gan, real, penalty=losses.approximate_r1_r2(1.0, 0.05))
    logits = [gan.judge(real, stream).detach() for stream in ("one", "other")]
    assert ((logits[0] - logits[1]) / 0.05).square().mean() > 1e3 * stats["penalty"]


def test_the_step_adds_the_penalty_to_ds_loss(small, digits):
    """Two steps by hand, the exact penalty of reals, against `discriminator_step`, in float64."""
    gan, hand = small(dtype=torch.float64), small(dtype=torch.float64)
    real = digits.batches(0, 0, dtype=torch.float64).images[0]
    gan.D.eval()
    hand.D.eval()
    for _ in range(2):
        stats = ganlib.discriminator_step(gan, real, losses.non_saturating, losses.r1(2.0))
        x = real.clone().requires_grad_()
        logits, fake = hand.D(x), hand.D(hand.fake(100, "D0").detach())
        (gradient,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
        r1 = gradient.square().sum((1, 2, 3)).mean()
        bce = (torch.log1p(torch.exp(-logits)) + torch.log1p(torch.exp(fake))).mean()
        hand.opt_D.zero_grad()
        (bce + r1).backward()
        hand.opt_D.step()
        assert stats["penalty"].item() == pytest.approx(r1.item(), rel=1e-9)
        assert stats["d_loss"].item() == pytest.approx(bce.item(), rel=1e-9)
    for ours, theirs in zip(gan.D.parameters(), hand.D.parameters(), strict=True):
        assert torch.allclose(ours, theirs, rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    "penalty",
    [losses.r1(1.0), losses.approximate_r1_r2(1.0), losses.gradient_penalty()],
    ids=lambda penalty: penalty.name,
)
@pytest.mark.parametrize("name", ["relativistic", "wasserstein", "non_saturating"])
def test_objectives_and_penalties_combine_and_are_reproducible(small, digits, name, penalty):
    from functools import partial

    step = partial(ganlib.gan_step, objective=getattr(losses, name), penalty=penalty, n_critic=2)
    histories = []
    for _ in range(2):
        gan = small()
        for _ in ganlib.train(gan, digits, step, until=4, batch_size=10, record_every=1):
            pass
        histories.append(gan.history)
    assert histories[0] == histories[1] and all(row["penalty"] > 0 for row in histories[0])


def test_weights_are_clipped_after_the_step(small, digits):
    gan = small()
    ganlib.discriminator_step(
        gan, digits.batches(0, 0).images[0], losses.wasserstein, losses.clip_weights(0.02)
    )
    largest = max(weight.abs().max().item() for weight in gan.D.parameters())
    assert largest == pytest.approx(0.02)


def test_spectral_norm_is_torchs(digits):
    """D under torch's parametrization trains in the same step.

    Its layers keep a largest singular value near 1.
    """
    torch.manual_seed(0)
    D = nets.MLPDiscriminator(widths=(32, 16), dropout=0.0)
    for layer in D.layers:
        if isinstance(layer, nn.Linear):
            nn.utils.parametrizations.spectral_norm(layer)
    gan = ganlib.GAN(nets.MLPGenerator(8, widths=(16, 32)), D, lr=1e-3)
    for _ in ganlib.train(gan, digits, until=60, batch_size=20):
        pass
    D.eval()
    norms = [
        torch.linalg.matrix_norm(layer.weight, 2).item()
        for layer in D.layers
        if isinstance(layer, nn.Linear)
    ]
    assert norms == pytest.approx([1.0] * 3, abs=0.1)


def test_a_penalty_on_batch_statistics_is_refused_with_the_reason(digits):
    D = nn.Sequential(
        nn.Flatten(), nn.Linear(784, 4), nn.BatchNorm1d(4), nn.Linear(4, 1), nn.Flatten(0)
    )

    class Takes(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = D

        def forward(self, x, labels=None):
            return self.net(x)

    gan = ganlib.GAN(nets.MLPGenerator(), Takes())
    with pytest.raises(
        ValueError, match=r"r1\(1.0\) was asked of a D with BatchNorm.*no gradient of one image"
    ):
        ganlib.discriminator_step(gan, digits.batches(0, 0).images[0], penalty=losses.r1(1.0))


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: losses.r1(-1), "gamma=-1"),
        (lambda: losses.r1_r2(float("nan")), "gamma=nan"),
        (lambda: losses.gradient_penalty(-10), "weight=-10"),
        (lambda: losses.approximate_r1_r2(1, 0), "sigma=0"),
        (lambda: losses.clip_weights(0), "limit=0"),
    ],
)
def test_impossible_penalties(make, message):
    with pytest.raises(ValueError, match=message):
        make()
