"""Objectives: what each player minimises, per image, on logits. (The terms that join them: terms.py.)"""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import relu, softplus

from .terms import Penalty, Question, approximate_r1_r2, auxiliary_classifier, clip_weights  # noqa: F401  # isort: skip
from .terms import gradient_penalty, mutual_information, r1, r1_r2  # noqa: F401  # isort: skip


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

    def __repr__(self):
        return f"losses.{self.name}"


saturating = Objective("saturating", d_loss=lambda real, fake: softplus(-real) + softplus(fake),
                       g_loss=lambda real, fake: -softplus(fake))  # fmt: skip
"""The minimax game itself, G minimising log(1 - D): Goodfellow et al. 2014, equation 1. Vanishes where D is sure."""

non_saturating = Objective("non_saturating", d_loss=lambda real, fake: softplus(-real) + softplus(fake),
                           g_loss=lambda real, fake: softplus(-fake))  # fmt: skip
"""Binary cross-entropy with logits, G asking for the label 'real': Goodfellow et al. 2014, section 3."""

least_squares = Objective("least_squares", d_loss=lambda real, fake: (real - 1) ** 2 + fake**2,
                          g_loss=lambda real, fake: (fake - 1) ** 2)  # fmt: skip
"""Squared distance to the labels 1 and 0: Mao et al. 2016, equation 9 (which halves both)."""

hinge = Objective("hinge", d_loss=lambda real, fake: relu(1 - real) + relu(1 + fake),
                  g_loss=lambda real, fake: -fake)  # fmt: skip
"""D stops where it is right by a margin of 1: Lim & Ye 2017; Miyato et al. 2018, equations 16 and 17."""

wasserstein = Objective("wasserstein", d_loss=lambda real, fake: fake - real,
                        g_loss=lambda real, fake: -fake)  # fmt: skip
"""D is a critic, not a probability; it needs a Lipschitz bound (a penalty): Arjovsky et al. 2017, algorithm 1."""

relativistic = Objective("relativistic", d_loss=lambda real, fake: softplus(fake - real),
                         g_loss=lambda real, fake: softplus(real - fake), paired=True)  # fmt: skip
"""Each fake against one real: Jolicoeur-Martineau 2018; Huang et al. 2024 (R3GAN), equation 2."""

ABSOLUTE = ("saturating", "non_saturating")  # of these a logit of 0 means: as likely real as fake
