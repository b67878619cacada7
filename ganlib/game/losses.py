"""Objectives: what each player minimises, per image, on logits. The terms of terms.py (penalties,
questions, ties) can be reached from here by name too: `losses.r1`, `losses.near`, ...

A new objective is one value here, and one row in tests/test_losses.py.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

import torch
from torch import Tensor
from torch.nn.functional import relu, softplus


@dataclass(frozen=True)
class Objective:
    """The two losses of a game.

    `d_loss(real, fake)` and `g_loss(real, fake)` take D's logits `(N,)` for real and for fake
    images, and return one loss per image, `(N,)`; the step takes the mean. `g_loss` gets None for
    `real`, unless `paired` is True. `halves`: if `d_loss` is a function of the reals plus one of
    the fakes, these two. `absolute`: whether a logit has a meaning by itself, so that its sigmoid
    is D's probability of 'real'.
    """

    name: str
    d_loss: Callable[[Tensor, Tensor], Tensor]
    g_loss: Callable[[Tensor | None, Tensor], Tensor]
    paired: bool = False
    halves: tuple[Callable, Callable] | None = None
    absolute: bool = False

    def __repr__(self):
        return f"losses.{self.name}"

    @property
    def guess(self):
        """D's loss where it cannot tell reals from fakes: the least d_loss(x, x). None if that is
        not above 0: the losses of a Wasserstein critic, for example, have no scale.
        """
        logits = torch.linspace(-2, 2, 401, dtype=torch.float64)
        try:
            least = self.d_loss(logits, logits).min().item()
        except Exception:  # an objective of the user's own may know other logits only
            return None
        return least if least > 0 else None


def _of_halves(name, of_reals, of_fakes, g_loss, absolute=False):
    """Return an objective whose d_loss is of_reals(real) + of_fakes(fake)."""
    return Objective(
        name,
        lambda real, fake: of_reals(real) + of_fakes(fake),
        g_loss,
        halves=(of_reals, of_fakes),
        absolute=absolute,
    )


saturating = _of_halves(
    "saturating", lambda x: softplus(-x), softplus, lambda _, fake: -softplus(fake), absolute=True
)
"""The minimax game itself, G minimising log(1 - D): Goodfellow et al. 2014, equation 1. G's
gradient vanishes where D is sure.
"""

non_saturating = _of_halves(
    "non_saturating",
    lambda real: softplus(-real),
    softplus,
    lambda real, fake: softplus(-fake),
    absolute=True,
)
"""Binary cross-entropy with logits, G wanting the label 'real': Goodfellow et al. 2014, sec. 3."""

least_squares = _of_halves(
    "least_squares", lambda x: (x - 1) ** 2, lambda x: x**2, lambda real, fake: (fake - 1) ** 2
)
"""Squared distance to the labels 1 and 0: Mao et al. 2016, equation 9 (which halves both)."""

hinge = _of_halves(
    "hinge", lambda real: relu(1 - real), lambda fake: relu(1 + fake), lambda real, fake: -fake
)
"""D stops where it is right by a margin of 1: Lim & Ye 2017; Miyato et al. 2018, eq. 16 and 17."""

wasserstein = Objective(
    "wasserstein", d_loss=lambda real, fake: fake - real, g_loss=lambda real, fake: -fake
)
"""D is a critic, not a probability; it needs a Lipschitz bound, as a penalty gives: Arjovsky et al.
2017, algorithm 1.
"""

relativistic = Objective(
    "relativistic",
    d_loss=lambda real, fake: softplus(fake - real),
    g_loss=lambda real, fake: softplus(real - fake),
    paired=True,
)
"""Each fake against one real: Jolicoeur-Martineau 2018; Huang et al. 2024 (R3GAN), equation 2."""

relativistic_average = Objective(
    "relativistic_average",
    d_loss=lambda real, fake: softplus(fake.mean() - real) + softplus(fake - real.mean()),
    g_loss=lambda real, fake: softplus(real - fake.mean()) + softplus(real.mean() - fake),
    paired=True,
)
"""Each against the mean of the others in a pass: Wang et al. 2018 (ESRGAN), equations 1 and 2."""


def __getattr__(name):
    """Return a penalty, question or tie of terms.py, which is loaded when first needed."""
    terms = import_module(f"{__package__}.terms")
    term = getattr(terms, name, None)
    if getattr(term, "__module__", None) == terms.__name__:
        return term
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
