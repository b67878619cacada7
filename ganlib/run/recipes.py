"""Recipes: nets, objective, penalty, optimizer settings and schedules together, as data to print
and to change.

`recipe(name, ...)` returns one. A new recipe is a function of (shape, classes, images) that returns
its settings, and a row of `RECIPES`.
"""

import copyreg
from collections.abc import Callable
from dataclasses import dataclass, fields

from .. import nets
from ..data import augment
from ..game import losses
from ..game.gan import GAN
from ..game.player import Player
from ..game.schedules import Cosine, Linear
from ..game.steps import WarmStart, begun_alone
from ..game.terms import Penalty, Question
from ..machine.choices import as_whole, one_of
from ..nets.rebuild import Net
from .optimizers.bounded import BoundedAdam


@dataclass(frozen=True, kw_only=True)
class Recipe(WarmStart):
    """A game, and all else that a run needs besides data, seed and length. Print it; change it
    with `dataclasses.replace(recipe, lr=...)`.

    name, source: what it is called, and the papers that it follows.
    G, D: functions that build a net, such as `Net`s. batch_size: images per step, made for it.
    lr, betas, ema: see `GAN`; opt_D: builds D's optimizer in place of Adam, see `Player`.
    images: the length of the run that the schedules are planned for; after it they keep their last
        values.
    until: the same as it was given, "5 min", where it was; see plans.py.

    `gan(seed)` builds the nets and their optimizers; `train` takes the recipe itself as the game.
    """

    name: str
    source: str
    G: Callable
    D: Callable
    batch_size: int = 100
    lr: float | Callable | tuple = 2e-4
    betas: tuple = (0.9, 0.999)
    ema: float | Callable | None = None
    opt_D: Callable | None = None
    images: int | None = None
    until: str | None = None

    def gan(self, seed=None, **settings):
        """Return a `GAN` with fresh nets; `seed` and other settings are passed to it."""
        G, D, rates = self.G(), self.D(), self.lr if isinstance(self.lr, (tuple, list)) else None
        if self.opt_D:
            D = Player(D, rates[1] if rates else self.lr, self.betas, self.opt_D)
        return GAN(G, D, lr=self.lr, betas=self.betas, ema=self.ema, seed=seed, **settings)

    def __str__(self):
        """Return a line per setting in use: name, source and nets, then the game, then the rest."""
        game = [field.name for field in fields(WarmStart)]
        others = [field.name for field in fields(self) if field.name not in game]
        values = {name: getattr(self, name) for name in (*others[:4], *game, *others[4:])}
        used = {name: x for name, x in values.items() if x is not None and x != 0}
        return "\n".join(f"{name:>10}  {getattr(x, '__name__', x)}" for name, x in used.items())


def recipe(name, shape=(1, 28, 28), classes=0, images=None):
    """Return the `Recipe` of this name, planned for `images` images; see `plans.recipe`, which is
    `ganlib.recipe`.
    """
    one_of("recipe", name, list(RECIPES))
    if images is not None and (as_whole(images) or 0) < 10:
        raise ValueError(f"images={images!r} was given; a plan of 10 images or more is expected")
    images, shape = as_whole(images), tuple(shape) if isinstance(shape, (tuple, list)) else shape
    sizes = shape if isinstance(shape, tuple) else (None,)
    short = len(sizes) < 2 and name != "classic"
    if short or None in map(as_whole, sizes) or (as_whole(classes) or -bool(classes)) < 0:
        raise ValueError(
            f"shape={shape!r} and classes={classes!r} were given; (C, H, W) of the images, as (1, "
            "28, 28), and a whole number of classes are expected"
        )
    settings = RECIPES[name](shape, {"classes": classes} if classes else {}, images)
    chosen = Recipe(name=name, **settings)
    for player in ("G", "D"):
        net = getattr(chosen, player)
        if classes and "classes" not in net.keywords and not (name == "acgan" and player == "D"):
            have = ", ".join(other for other in RECIPES if other not in UNCONDITIONAL)
            raise ValueError(f"{name!r} was given classes={classes}, and takes none; {have} do")
        if name != "classic":
            nets.scale(net.keywords["shape"], at_least=1)
    return chosen


def _classic(shape, classes, images):
    return {
        "source": "Goodfellow et al. 2014, as the usual MNIST tutorials play it",
        "G": Net(nets.MLPGenerator, shape=shape),
        "D": Net(nets.MLPDiscriminator, shape=shape),
    }


def _dcgan(shape, classes, images):
    return {
        "source": "Radford et al. 2016",
        "G": Net(nets.ConvGenerator, shape=shape, **classes),
        "D": Net(nets.ConvDiscriminator, shape=shape, norm="batch", **classes),
        "batch_size": 128,
        "betas": (0.5, 0.999),
    }


def _lsgan(shape, classes, images):
    own = {"source": "Mao et al. 2016, on DCGAN's nets", "objective": losses.least_squares}
    return _dcgan(shape, classes, images) | own


def _plain(shape, classes, **norm):
    """Return DCGAN's nets, but with a D that judges each image by itself (no batch statistics)."""
    return {
        "G": Net(nets.ConvGenerator, shape=shape, **classes),
        "D": Net(nets.ConvDiscriminator, shape=shape, **norm, **classes),
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
        "source": "Miyato et al. 2018, section 4; conditional: Miyato & Koyama 2018",
        "objective": losses.hinge,
        "n_critic": 5,
        "betas": (0.0, 0.9),
    }


def _r3gan(shape, classes, images):
    images = images or 10_000_000
    burn_in = images / 5
    return {
        "source": "Huang et al. 2024, the settings for StackedMNIST, with narrow nets",
        "G": Net(nets.ResidualGenerator, shape=shape, **classes),
        "D": Net(nets.ResidualDiscriminator, shape=shape, **classes),
        "objective": losses.relativistic,
        "penalty": losses.r1_r2(Cosine(1.0, 0.1, burn_in)),
        "batch_size": 64,
        "betas": (0.0, Cosine(0.9, 0.99, burn_in)),
        "ema": Cosine(0, images / 20, burn_in),
        "images": images,
    }


def _small(shape, classes, images):
    """Return a recipe for a minute or two of two CPU cores; settings: benchmarks/LOG.md."""
    images = images or 120_000
    return {
        "source": "Huang et al. 2024 with R1 + R2 as in Lin et al. 2025, on nets made for a CPU",
        "G": Net(nets.CompactGenerator, shape=shape, **classes),
        "D": Net(nets.CompactDiscriminator, shape=shape, **classes),
        "objective": losses.relativistic,
        "penalty": losses.approximate_r1_r2(0.3, 0.05),
        "batch_size": 50 if images <= 140_000 else 100 if images <= 400_000 else 200,
        "lr": Linear(((0, 1e-4), (images // 10, 2e-3), (images // 2, 2e-3), (images, 4e-5))),
        "betas": (0.0, 0.99),
        "ema": Linear(((0, 0), (150_000, 15_000))),
        "images": images,
    }


def _pictures(shape, classes, images):
    """G is alone for 70 % of the images, then D learns first; settings: benchmarks/LOG.md."""
    images, own = images or 150_000, {"anchors": 2000, "tempered": True}
    return _small(shape, classes, images) | {
        "source": "GLO (Bojanowski et al. 2018) first, then the game of `small`",
        "G": Net(nets.PictureGenerator, latent_dim=64, shape=shape, **own, **classes),
        "D": Net(nets.PictureDiscriminator, shape=shape, **classes),
        "penalty": losses.approximate_r1_r2(0.1, 0.05),
        "batch_size": 32,
        "opt_D": BoundedAdam,  # else D, which stands at a guess for long, can explode
        **begun_alone(images, 70, 1.5e-4, momentum=0.9, rehearse=1),
        "ema": Linear(((0, 0), (60_000, 10_000))),
    }


def _style(shape, classes, images):
    """As `pictures`, but for thousands of images: more noise, no anchors. With classes D is asked
    for them. Above 16 pixels, and with classes, the penalty sees a speckle and G rehearses (LOG).
    """
    images, answers = images or 150_000, {"answers": classes["classes"]} if classes else {}
    own = {"penalty": losses.approximate_r1_r2(0.3, 0.05), **begun_alone(images, 30, 5e-4)}
    if classes or max(shape) > 16:
        own = {
            "question": losses.auxiliary_classifier(0.2) if classes else None,
            "penalty": losses.r1_r2(0.3),
            "batch_size": 16 if images <= 200_000 else 32,
            **begun_alone(images, 10, 1e-3, rehearse=1),
        }
    return _pictures(shape, classes, images) | {
        "source": "Karras et al. 2019 and 2020, begun and played as `pictures` is",
        "G": Net(nets.StyleGenerator, shape=shape, level=True, **classes),
        "D": Net(nets.PictureDiscriminator, shape=shape, **classes, **answers),
        "opt_D": BoundedAdam if max(shape) > 32 else None,  # see DECISIONS, 102
        **own,
    }


def _infogan(shape, classes, images):
    """Return `small` with a question for D; the noise is 10 + 2 numbers of codes, and 62 more."""
    small = _small(shape, {}, images)
    return small | {
        "source": "Chen et al. 2016, ten classes and two continuous codes, in the game of `small`",
        "G": small["G"].but(latent_dim=74, categorical=10),
        "D": small["D"].but(answers=12),
        "penalty": losses.approximate_r1_r2(1.0, 0.05),
        "question": losses.mutual_information(10, 2),
    }


def _acgan(shape, classes, images):
    if not classes:
        raise ValueError(
            'recipe("acgan") asks D for the class: give classes=... (as a command: --conditional)'
        )
    return _plain(shape, {}) | {
        "source": "Odena et al. 2017",
        "G": Net(nets.ConvGenerator, shape=shape, **classes),
        "D": Net(nets.ConvDiscriminator, shape=shape, answers=classes["classes"]),
        "question": losses.auxiliary_classifier(),
        "betas": (0.5, 0.999),
    }


UNCONDITIONAL = ("classic", "infogan")  # recipes that take no classes
RECIPES = {
    "classic": _classic,
    "dcgan": _dcgan,
    "lsgan": _lsgan,
    "wgan": _wgan,
    "wgan-gp": _wgan_gp,
    "sngan": _sngan,
    "r3gan": _r3gan,
    "small": _small,
    "pictures": _pictures,
    "style": _style,
    "infogan": _infogan,
    "acgan": _acgan,
}


def _by_its_text(value):
    """Pickle an objective, a penalty, ... of ganlib as its text, "losses.r1(1.0)", since functions
    in functions have no name to find them by; one of the user's own as any object.
    """
    try:
        again = _of_text(repr(value))
    except Exception:  # a text that means nothing here
        again = None
    same = type(again) is type(value) and all(
        _alike(x, vars(again)[name]) for name, x in vars(value).items()
    )
    return (_of_text, (repr(value),)) if same else object.__reduce_ex__(value, 4)


def _alike(a, b):
    """Whether two settings are equal; functions are if they are the same code on equal values."""
    if not hasattr(a, "__code__") or not hasattr(b, "__code__"):
        return a == b
    values = ([cell.cell_contents for cell in f.__closure__ or ()] for f in (a, b))
    return a.__code__ is b.__code__ and all(map(_alike, *values))


def _of_text(text):
    names = {"losses": losses, "augment": augment, "Cosine": Cosine, "Linear": Linear}
    return eval(text, {"__builtins__": {}}, names)  # a pickle may run code in any case


for kind in (losses.Objective, Penalty, Question, augment.Augmentation):
    copyreg.pickle(kind, _by_its_text)
