"""Objectives: what each player minimises, per image, on logits. Softplus keeps them stable at any logit."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import softplus


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


non_saturating = Objective(
    "non_saturating",
    d_loss=lambda real, fake: softplus(-real) + softplus(fake),
    g_loss=lambda real, fake: softplus(-fake),
)
"""Binary cross-entropy with logits, G asking for the label 'real': Goodfellow et al. 2014, section 3."""
