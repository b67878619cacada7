"""Objectives: what each player minimises, per image, on logits; and penalties that keep D smooth."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class Objective:
    """The two losses of a game.

    `d_loss(real, fake)` and `g_loss(real, fake)` take D's logits `(N,)` on real and on fake images and return one
    loss per image, `(N,)`; the mean is taken by the step. `g_loss` is given None for `real` unless `paired` is True.
    """

    name: str
    d_loss: Callable[[Tensor, Tensor], Tensor]
    g_loss: Callable[[Tensor | None, Tensor], Tensor]
    paired: bool = False


saturating = Objective(
    "saturating",
    d_loss=lambda real, fake: softplus(-real) + softplus(fake),
    g_loss=lambda real, fake: -softplus(fake),
)
"""The minimax game itself, G minimising log(1 - D): Goodfellow et al. 2014, equation 1. Vanishes where D is sure."""

non_saturating = Objective(
    "non_saturating",
    d_loss=lambda real, fake: softplus(-real) + softplus(fake),
    g_loss=lambda real, fake: softplus(-fake),
)
"""Binary cross-entropy with logits, G asking for the label 'real': Goodfellow et al. 2014, section 3."""

least_squares = Objective(
    "least_squares",
    d_loss=lambda real, fake: (real - 1) ** 2 + fake**2,
    g_loss=lambda real, fake: (fake - 1) ** 2,
)
"""Squared distance to the labels 1 and 0: Mao et al. 2016, equation 9 (which halves both)."""

hinge = Objective(
    "hinge",
    d_loss=lambda real, fake: relu(1 - real) + relu(1 + fake),
    g_loss=lambda real, fake: -fake,
)
"""D stops where it is right by a margin of 1: Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17."""

wasserstein = Objective(
    "wasserstein",
    d_loss=lambda real, fake: fake - real,
    g_loss=lambda real, fake: -fake,
)
"""D is a critic, not a probability; it needs a Lipschitz bound (a penalty): Arjovsky et al. 2017, algorithm 1."""

relativistic = Objective(
    "relativistic",
    d_loss=lambda real, fake: softplus(fake - real),
    g_loss=lambda real, fake: softplus(real - fake),
    paired=True,
)
"""Each fake against one real: Jolicoeur-Martineau 2018; Huang et al. 2024 (R3GAN), equation 2."""


@dataclass(frozen=True)
class Penalty:
    """A term that joins D's loss, or a bound that is put on D's weights after its step.

    `term(judge, images, logits, draws)` returns one value per pair of a real and a fake, `(B,)`. `images (2B, C, H, W)`
    are the reals, then the fakes, `logits (2B,)` what D said of them; `judge(images)` asks D again, with the same
    dropout masks where the shape is the same; `draws` is the generator for random numbers. With `of_gradients` the
    images require gradients. `bound(D)` runs after D's optimizer. Penalties need a D that judges each image by itself:
    with batch statistics `discriminator_step` refuses them.
    """

    name: str
    term: Callable | None = None
    of_gradients: bool = False
    bound: Callable | None = None


def r1(gamma):
    """gamma/2 * |grad D|^2 at the reals, summed over C, H, W: Mescheder et al. 2018, equation 9."""
    _at_least_zero(gamma=gamma)
    return Penalty(
        f"r1({gamma})", lambda judge, x, logits, draws: gamma / 2 * _squared(x, logits)[0], of_gradients=True
    )


def r1_r2(gamma):
    """gamma/2 * |grad D|^2 at the reals and at the fakes: Huang et al. 2024 (R3GAN), equation 3."""
    _at_least_zero(gamma=gamma)
    return Penalty(
        f"r1_r2({gamma})", lambda judge, x, logits, draws: gamma / 2 * _squared(x, logits).sum(0), of_gradients=True
    )


def approximate_r1_r2(gamma, sigma=0.05):
    """`r1_r2` from a finite difference, with no second derivative: gamma/2 * (D(x) - D(x + sigma e))^2 / sigma^2.

    With e normal its mean tends to the squared gradient norm as sigma goes to 0: Lin et al. 2025, arXiv 2501.08316.
    Both passes share their dropout masks, or the difference would measure those.
    """
    _at_least_zero(gamma=gamma)
    if not sigma > 0:
        raise ValueError(f"sigma={sigma} was given; a step above 0 is expected, small against the pixels' range of 2")

    def term(judge, x, logits, draws):
        e = torch.randn(x.shape, generator=draws, device=x.device, dtype=x.dtype)
        return gamma / 2 * ((judge(x + sigma * e) - logits) / sigma).square().view(2, -1).sum(0)

    return Penalty(f"approximate_r1_r2({gamma}, {sigma})", term)


def gradient_penalty(weight=10.0):
    """weight * (|grad D(u)| - 1)^2, u between real and fake, one norm per image: Gulrajani et al. 2017, algorithm 1."""
    _at_least_zero(weight=weight)

    def term(judge, x, logits, draws):
        real, fake = x.detach().chunk(2)
        t = torch.rand(len(real), 1, 1, 1, generator=draws, device=x.device, dtype=x.dtype)
        u = torch.lerp(real, fake, t).requires_grad_()
        norm = torch.linalg.vector_norm(_gradient(u, judge(u)), dim=1)  # its own gradient at 0 is 0, a root's is not
        return weight * (norm - 1).square()

    return Penalty(f"gradient_penalty({weight})", term)


def clip_weights(limit=0.01):
    """Clamp every weight of D to [-limit, limit] after its step: Arjovsky et al. 2017, algorithm 1."""
    if not limit > 0:
        raise ValueError(f"limit={limit} was given; a number above 0 is expected (the paper's is 0.01)")

    @torch.no_grad()
    def bound(D):
        for weight in D.parameters():
            weight.clamp_(-limit, limit)

    return Penalty(f"clip_weights({limit})", bound=bound)


def _gradient(x, logits):
    """The gradient of each logit with respect to its own image, (N, C * H * W); it can be differentiated again."""
    return torch.autograd.grad(logits.sum(), x, create_graph=True)[0].flatten(1)


def _squared(x, logits):
    """The squared norms of these gradients for reals and fakes, (2, B)."""
    return _gradient(x, logits).square().sum(1).view(2, -1)


def _at_least_zero(**given):
    for name, value in given.items():
        if not value >= 0:
            raise ValueError(
                f"{name}={value} was given; a penalty's weight is at least 0: below it would reward steepness"
            )
