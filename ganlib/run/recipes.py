"""Recipes: nets, objective, penalty, optimizer settings and schedules together, as data to print and to change."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass, fields
from functools import partial

from .. import nets
from ..game import losses
from ..game.augment import Augmentation
from ..game.gan import GAN
from ..game.moves import gan_step
from ..game.schedules import Cosine, Linear


@dataclass(frozen=True)
class Recipe:
    """All that a run needs beside data, seed and time. Print it; change it with `dataclasses.replace(recipe, lr=...)`.

    `G` and `D` are `functools.partial`s of a net: their settings are in `G.keywords`. `gan(seed)` makes the nets and
    their optimizers, `step` is what `train` plays, `batch_size` what it was made for. `images` is the length of the run
    that the schedules are planned for; after it they stay as they are.
    """

    name: str
    source: str
    G: Callable
    D: Callable
    objective: losses.Objective = losses.non_saturating
    penalty: losses.Penalty | None = None
    question: losses.Question | None = None
    augment: Augmentation | None = None
    n_critic: int = 1
    shared_fakes: bool = False
    batch_size: int = 100
    lr: float | Callable = 2e-4
    betas: tuple = (0.9, 0.999)
    ema: float | Callable | None = None
    images: int | None = None

    def gan(self, seed=None, **settings):
        """Return a `GAN` with fresh nets; `seed` and other settings are passed on to it."""
        return GAN(self.G(), self.D(), lr=self.lr, betas=self.betas, ema=self.ema, seed=seed, **settings)

    @property
    def step(self):
        """`gan_step` with this recipe's objective, n_critic, penalty, augmentation, question and sharing of fakes."""
        names = ("objective", "n_critic", "penalty", "augment", "question", "shared_fakes")
        return partial(gan_step, **{name: getattr(self, name) for name in names})

    def __str__(self):
        """One line per setting that is in use."""
        lines = []
        for field in fields(self):
            value = getattr(self, field.name)
            if isinstance(value, partial):
                keywords = ", ".join(f"{key}={v!r}" for key, v in value.keywords.items())
                value = f"nets.{value.func.__name__}({keywords})"
            if value is not None and value is not False:
                lines.append(f"{field.name:>10}  {value}")
        return "\n".join(lines)


def recipe(name, shape=(1, 28, 28), classes=0, images=None):
    """Return the `Recipe` of this name for images of `shape` (C, H, W), conditional on `classes` if there are any.

    classic, dcgan, lsgan, wgan, wgan-gp, sngan, r3gan, small, infogan or acgan; `recipe(name).source` says where it is
    from. `images` is how many the run is planned for: schedules that end with it are stretched to it; each recipe has
    a plan of its own. Raises ValueError for an unknown name, a shape that its nets cannot draw, classes for a recipe
    that takes none, and acgan without them.
    """
    if name not in RECIPES:
        near = difflib.get_close_matches(str(name), RECIPES, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"recipe {name!r} was given; {', '.join(RECIPES)} are known{hint}")
    if images is not None and not images >= 10:
        raise ValueError(f"images={images} was given; how many images the run is planned for is expected, 10 or more")
    settings = RECIPES[name](tuple(shape), {"classes": classes} if classes else {}, images)
    made = Recipe(name, **settings)
    for player in ("G", "D"):
        net = getattr(made, player)
        if classes and "classes" not in net.keywords and not (name == "acgan" and player == "D"):
            raise ValueError(f"classes={classes} was given, and {name!r} has no conditional nets; dcgan, wgan-gp, "
                             "sngan, r3gan, small and acgan have")  # fmt: skip
        if name != "classic":
            nets.scale(net.keywords["shape"], at_least=1)
    return made


def _classic(shape, classes, images):
    return {
        "source": "Goodfellow et al. 2014, as the usual MNIST tutorials play it",
        "G": partial(nets.MLPGenerator, shape=shape),
        "D": partial(nets.MLPDiscriminator, shape=shape),
    }


def _dcgan(shape, classes, images):
    return {
        "source": "Radford et al. 2016",
        "G": partial(nets.ConvGenerator, shape=shape, **classes),
        "D": partial(nets.ConvDiscriminator, shape=shape, norm="batch", **classes),
        "batch_size": 128,
        "betas": (0.5, 0.999),
    }


def _lsgan(shape, classes, images):
    return _dcgan(shape, classes, images) | {"source": "Mao et al. 2016, on DCGAN's nets",
                                             "objective": losses.least_squares}  # fmt: skip


def _plain(shape, classes, **norm):
    """DCGAN's nets with a D that judges each image by itself."""
    return {
        "G": partial(nets.ConvGenerator, shape=shape, **classes),
        "D": partial(nets.ConvDiscriminator, shape=shape, **norm, **classes),
        "batch_size": 64,
    }


def _wgan(shape, classes, images):
    return _plain(shape, classes) | {
        "source": "Arjovsky et al. 2017, algorithm 1, with Adam without momentum for RMSProp",
        "objective": losses.wasserstein,
        "penalty": losses.clip_weights(0.01),
        "n_critic": 5,
        "lr": 5e-5,
        "betas": (0.0, 0.99),
    }


def _wgan_gp(shape, classes, images):
    return _plain(shape, classes) | {
        "source": "Gulrajani et al. 2017, algorithm 1",
        "objective": losses.wasserstein,
        "penalty": losses.gradient_penalty(10.0),
        "n_critic": 5,
        "lr": 1e-4,
        "betas": (0.0, 0.9),
    }


def _sngan(shape, classes, images):
    return _plain(shape, classes, norm="spectral") | {
        "source": "Miyato et al. 2018, section 4: hinge and spectral norm; conditional: Miyato & Koyama 2018",
        "objective": losses.hinge,
        "n_critic": 5,
        "betas": (0.0, 0.9),
    }


def _r3gan(shape, classes, images):
    images = images or 10_000_000
    burn_in = images / 5
    return {
        "source": "Huang et al. 2024, the settings for StackedMNIST, with narrow nets",
        "G": partial(nets.ResidualGenerator, shape=shape, **classes),
        "D": partial(nets.ResidualDiscriminator, shape=shape, **classes),
        "objective": losses.relativistic,
        "penalty": losses.r1_r2(Cosine(1.0, 0.1, burn_in)),
        "batch_size": 64,
        "betas": (0.0, Cosine(0.9, 0.99, burn_in)),
        "ema": Cosine(0, images / 20, burn_in),
        "images": images,
    }


def _small(shape, classes, images):
    """For two CPU cores; planned for what they see in a minute or two. Settings: benchmarks/LOG.md.

    In a longer run the noise of small batches is what keeps the distance up, not the number of steps.
    """
    images = images or 120_000
    return {
        "source": "Huang et al. 2024 with the approximate R1 + R2 of Lin et al. 2025, on nets made for a CPU",
        "G": partial(nets.CompactGenerator, shape=shape, **classes),
        "D": partial(nets.CompactDiscriminator, shape=shape, **classes),
        "objective": losses.relativistic,
        "penalty": losses.approximate_r1_r2(0.3, 0.05),
        "batch_size": 50 if images <= 140_000 else 100 if images <= 400_000 else 200,
        "lr": Linear(((0, 1e-4), (images // 10, 2e-3), (images // 2, 2e-3), (images, 4e-5))),
        "betas": (0.0, 0.99),
        "ema": Linear(((0, 0), (150_000, 15_000))),
        "images": images,
    }


def _infogan(shape, classes, images):
    """One question more than `small`, and noise that holds the codes: 10 + 2 of them, 62 numbers beside."""
    small = _small(shape, {}, images)
    return small | {
        "source": "Chen et al. 2016, ten classes and two continuous codes found without labels, in the game of `small`",
        "G": partial(small["G"].func, **small["G"].keywords | {"latent_dim": 74, "categorical": 10}),
        "D": partial(small["D"].func, **small["D"].keywords, answers=12),
        "penalty": losses.approximate_r1_r2(1.0, 0.05),
        "question": losses.mutual_information(10, 2),
    }


def _acgan(shape, classes, images):
    if not classes:
        raise ValueError('recipe("acgan") asks D for the class: give it classes=..., as many as the labels have '
                         "(on the command line: --conditional)")  # fmt: skip
    return _plain(shape, {}) | {
        "source": "Odena et al. 2017",
        "G": partial(nets.ConvGenerator, shape=shape, **classes),
        "D": partial(nets.ConvDiscriminator, shape=shape, answers=classes["classes"]),
        "question": losses.auxiliary_classifier(),
        "betas": (0.5, 0.999),
    }


RECIPES = {
    "classic": _classic, "dcgan": _dcgan, "lsgan": _lsgan, "wgan": _wgan, "wgan-gp": _wgan_gp, "sngan": _sngan,
    "r3gan": _r3gan, "small": _small, "infogan": _infogan, "acgan": _acgan,
}  # fmt: skip
