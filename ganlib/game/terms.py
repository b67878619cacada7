"""Terms that join a loss beside the objective: a `Penalty` keeps D smooth; a `Question` is answered
by a second head of D (InfoGAN, ACGAN); a `Tie` compares a fake with what G drew it from
(translation, super-resolution, transport). A new term is one function here.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch.nn.functional import cross_entropy

from ..machine.values import extremes
from ..nets.known import classes_of, ours
from . import losses


@dataclass(frozen=True)
class Penalty:
    """`weight` times a term that is added to D's loss, or a bound on D's weights after its step.

    `term(judge, images, logits, draws)` returns one value per pair of a real and a fake, `(B,)`.
    `images (2B, C, H, W)` are the reals, then the fakes, before any augmentation; `logits (2B,)`
    are D's. `judge(x)` runs D again, with the same dropout masks, and the same augmentation where
    the shape is the same; `draws` is a `torch.Generator`. `of_gradients`: the images need
    gradients. `of_differences`: logits must have full precision. `weight` is a number or a
    schedule. `bound(D)` runs after D's optimizer. A penalty needs a D that judges each image by
    itself; `discriminator_step` refuses batch statistics.
    """

    name: str
    term: Callable | None = None
    weight: float | Callable = 1.0
    of_gradients: bool = False
    of_differences: bool = False
    bound: Callable | None = None

    def __repr__(self):
        return f"losses.{self.name}"


def r1(gamma):
    """gamma/2 * |grad D|^2 at the reals, summed over C, H, W: Mescheder et al. 2018, equation 9."""
    _at_least_zero(gamma=gamma)
    return Penalty(
        f"r1({gamma})",
        lambda judge, x, logits, draws: _squared(x, logits)[0] / 2,
        gamma,
        of_gradients=True,
    )


def r1_r2(gamma):
    """gamma/2 * |grad D|^2 at the reals and at the fakes: Huang et al. 2024 (R3GAN), equation 3."""
    _at_least_zero(gamma=gamma)
    return Penalty(
        f"r1_r2({gamma})",
        lambda judge, x, logits, draws: _squared(x, logits).sum(0) / 2,
        gamma,
        of_gradients=True,
    )


def approximate_r1_r2(gamma, sigma=0.05):
    """`r1_r2` by a finite difference, without second derivatives: gamma/2 * (D(x) - D(x + sigma
    e))^2 / sigma^2, with e normal. Its mean tends to the squared gradient norm as sigma goes to 0:
    Lin et al. 2025, arXiv 2501.08316. Both passes share dropout masks and augmentation, whose noise
    it would measure else.
    """
    _at_least_zero(gamma=gamma)
    if not sigma > 0:
        raise ValueError(
            f"sigma={sigma} was given; a step above 0 is expected, small against the pixels' range "
            "of 2"
        )

    def term(judge, x, logits, draws):
        e = torch.randn(x.shape, generator=draws, device=x.device, dtype=x.dtype)
        return ((judge(x + sigma * e) - logits) / sigma).square().view(2, -1).sum(0) / 2

    return Penalty(f"approximate_r1_r2({gamma}, {sigma})", term, gamma, of_differences=True)


def gradient_penalty(weight=10.0):
    """weight * (|grad D(u)| - 1)^2, u between real and fake, one norm per image: Gulrajani et al.
    2017, algorithm 1.
    """
    _at_least_zero(weight=weight)

    def term(judge, x, logits, draws):
        real, fake = x.detach().chunk(2)
        t = torch.rand(
            len(real), *[1] * (x.ndim - 1), generator=draws, device=x.device, dtype=x.dtype
        )
        u = torch.lerp(real, fake, t).requires_grad_()
        norm = torch.linalg.vector_norm(
            _gradient(u, judge(u)), dim=1
        )  # its own gradient at 0 is 0, a root's is not
        return (norm - 1).square()

    return Penalty(f"gradient_penalty({weight})", term, weight)


def clip_weights(limit=0.01):
    """Clamp D's weights to [-limit, limit] after its step: Arjovsky et al. 2017, algorithm 1."""
    if not limit > 0:
        raise ValueError(
            f"limit={limit} was given; a number above 0 is expected (the paper's is 0.01)"
        )

    @torch.no_grad()
    def bound(D):
        for weight in D.parameters():
            weight.clamp_(-limit, limit)

    return Penalty(f"clip_weights({limit})", bound=bound)


@dataclass(frozen=True)
class Question:
    """`weight` times the error of D's second head about what an image was drawn from; joins both
    losses.

    `loss(answers, z, labels)` takes the answers `(N, q)` of a D with `answers=q`, and the noise
    `(N, latent_dim)` and labels `(N,)` of the images; it returns one loss per image, `(N,)`. It is
    computed for the fakes, with `of_reals` for the reals too (whose noise is None). D learns to
    answer, and G to draw images whose answer can be read. `categorical` is the setting that G
    needs; `weight` is a number or a schedule.
    """

    name: str
    loss: Callable
    weight: float | Callable = 1.0
    of_reals: bool = False
    categorical: int = 0

    def __repr__(self):
        return f"losses.{self.name}"

    def check(self, gan):
        """Raise ValueError for nets that cannot answer."""
        codes = classes_of(gan.G, "categorical") if ours(gan.G) else self.categorical
        if codes != self.categorical:
            raise ValueError(
                f"{self.name} asks for {self.categorical} classes of codes, and G has {codes}; "
                f"build it with categorical={self.categorical}"
            )
        D = getattr(gan.D, "_orig_mod", gan.D)  # of torch.compile
        if "read" not in inspect.signature(D.forward).parameters:
            raise ValueError(
                f"{self.name} asks D for answers, and its forward(images, labels) takes no "
                "read=True; ConvDiscriminator, ResidualDiscriminator and CompactDiscriminator with "
                "answers=... do"
            )


def mutual_information(categorical=10, continuous=2, weight=1.0, continuous_weight=0.1):
    """Read the codes of a G with `categorical=...` from its fakes: InfoGAN, Chen et al. 2016,
    equation 5.

    The codes are the first numbers of the noise: the largest of the first `categorical` names a
    class, the next `continuous` are values. The loss is cross-entropy for the class, plus
    `continuous_weight` times the negative log-likelihood of a normal distribution of variance 1
    (without its constant) for the values. Their weight is smaller, as in the paper's section 6, or
    they would take the class's place.
    """
    _at_least_zero(weight=weight, continuous_weight=continuous_weight)

    def loss(answers, z, labels):
        if answers.shape[1] != categorical + continuous:
            raise ValueError(
                f"D gives {answers.shape[1]} answers; {categorical} + {continuous}, one for each "
                f"code, are expected: build it with answers={categorical + continuous}"
            )
        name, value = answers[:, :categorical], answers[:, categorical : categorical + continuous]
        far = (
            continuous_weight
            * (value - z[:, categorical : categorical + continuous]).square().sum(1)
            / 2
        )
        return far + (
            cross_entropy(name, z[:, :categorical].argmax(1), reduction="none")
            if categorical
            else 0
        )

    return Question(
        f"mutual_information({categorical}, {continuous}, {weight})",
        loss,
        weight,
        categorical=categorical,
    )


def auxiliary_classifier(weight=1.0):
    """Read the class from reals and fakes: ACGAN, Odena et al. 2017, equation 3. D's `answers` is
    the number of classes.
    """
    _at_least_zero(weight=weight)

    def loss(answers, z, labels):
        if labels is None:
            raise ValueError(
                "auxiliary_classifier was asked about images without labels; give data that has "
                "labels"
            )
        try:
            return cross_entropy(answers, labels, reduction="none")
        except IndexError:
            raise ValueError(
                f"D gives {answers.shape[1]} answers, and labels go up to {labels.max()}; build D "
                "with answers=..., as many as there are classes"
            ) from None

    return Question(f"auxiliary_classifier({weight})", loss, weight, of_reals=True)


@dataclass(frozen=True)
class Tie:
    """`weight` times how far a fake is from what it must keep of its source; it is added to G's
    loss.

    `loss(fakes, sources)` takes fakes `(N, ...)` and what G drew them from, noise `(N, latent_dim)`
    or images of another set `(N, ...)`, and returns one loss per image, `(N,)`. `weight` is a
    number or a schedule.
    """

    name: str
    loss: Callable
    weight: float | Callable = 1.0

    def __repr__(self):
        return f"losses.{self.name}"


def near(weight=1.0, power=1):
    """|fake - source|^power, the mean over all values, for sources of the fakes' shape.

    With power 1 it is the identity-like term of many translations, with 2 a transport cost.
    """
    _at_least_zero(weight=weight)

    def loss(fakes, sources):
        if fakes.shape != sources.shape:
            raise ValueError(
                f"near compares fakes {tuple(fakes.shape)} with their sources "
                f"{tuple(sources.shape)}; one and the same shape is expected: a tie of your own "
                "may compare others"
            )
        return (fakes - sources).abs().pow(power).flatten(1).mean(1)

    return Tie(f"near({weight}, {power})", loss, weight)


def cycle(back, weight=10.0):
    """|back(fake) - source|, the mean over all values: the way back must end where it began.

    `back` is the GAN that goes the other way; its G learns from this too. Play both in one run, see
    `Several`. Zhu et al. 2017 (CycleGAN), equation 2.
    """
    _at_least_zero(weight=weight)

    def loss(fakes, sources):
        returned = back.fake(len(fakes), "cycle", noise=fakes)
        return (returned.to(sources.dtype) - sources).abs().flatten(1).mean(1)

    return Tie(f"cycle({weight})", loss, weight)


def _gradient(x, logits):
    """Return the gradient of each logit with respect to its own image, `(N, C * H * W)`; it can be
    differentiated again.
    """
    return torch.autograd.grad(logits.sum(), x, create_graph=True)[0].flatten(1)


def _squared(x, logits):
    """The squared norms of these gradients for reals and fakes, (2, B)."""
    return _gradient(x, logits).square().sum(1).view(2, -1)


def _at_least_zero(**weights):
    for name, value in weights.items():
        if not all(v >= 0 for v in extremes(value)):
            raise ValueError(
                f"{name}={value} was given; the weight of a term is at least 0: below it would "
                "reward what it punishes"
            )


def guess_of(row):
    """Return `guess` for a row of a history, or None. (Rows of earlier releases only name the
    objective.)
    """
    named = getattr(losses, str(row.get("objective")).removeprefix("losses."), None)
    return row.get("guess", named.guess if isinstance(named, losses.Objective) else None)
