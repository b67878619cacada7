"""Game: what is played, as a frozen value.

To `train`, a game is whatever has `batches` (how many batches a step takes), `step(run, batches)`,
`check(run, data)`, `look(run)`, `describe()` and `reading()`, as `Game` has them.
"""

from dataclasses import dataclass, fields

import torch

from ..machine.values import text
from . import losses
from .contract import evaluating
from .moves import d_move, g_move


@dataclass(frozen=True)
class Game:
    """The game of one GAN: `n_critic` moves of D, then one of G.

    objective: what both minimise, an `Objective` of `losses`.
    penalty: a `Penalty` that joins D's loss, or bounds its weights.
    augment: an `Augmentation`: it changes what D sees.
    question: a `Question` for D's second head. tie: a `Tie` that joins G's loss.
    shared_fakes: both moves see one and the same batch, its reals and its fakes, as in many tutorials: G draws once
        instead of twice. (`n_critic` has to be 1 then.)
    places: D may return a logit for each place, `(N, h, w)`; a loss is the mean over the places of an image.

    `train(gan, data, Game(objective=losses.hinge), until=...)` plays it. Raises ValueError for settings that exclude
    each other.
    """

    objective: losses.Objective = losses.non_saturating
    n_critic: int = 1
    penalty: object = None
    augment: object = None
    question: object = None
    shared_fakes: bool = False
    tie: object = None
    places: bool = False

    def __post_init__(self):
        if self.n_critic < 1:
            raise ValueError(f"n_critic={self.n_critic} was given; at least 1 move of D per move of G is expected")
        if self.shared_fakes and self.n_critic != 1:
            raise ValueError(f"shared_fakes=True and n_critic={self.n_critic} were given; with shared fakes D has 1 "
                             "move")  # fmt: skip

    @property
    def batches(self):
        """How many batches a step takes: one for each move of D, and one more if G's loss reads real images."""
        return self.n_critic + (self.objective.paired and not self.shared_fakes)

    def check(self, gan, data):
        """Raise ValueError where the players cannot play this game on `data`."""
        if list(gan.gans) != [""]:
            raise ValueError(f"this run has several GANs ({', '.join(gan.gans)}), and was given one game; give "
                             f"Games({', '.join(f'{name}=...' for name in gan.gans)})")  # fmt: skip
        gan.check(data, self.places)
        if self.question is not None:
            self.question.check(gan)
        if self.tie is not None:
            labels = None if data.labels is None else data.labels[:2].to(gan.device)
            with torch.no_grad(), evaluating(gan.G):
                source = gan.noise(2)
                values = self.tie.loss(gan.fake(2, "check", labels, noise=source).to(gan.dtype), source)
            if values.shape != (2,):
                raise ValueError(f"{self.tie.name} returned {tuple(values.shape)} for 2 fakes; one loss per image, "
                                 "(2,), is expected: end with flatten(1).mean(1)")  # fmt: skip

    def step(self, gan, batches):
        """Play one step; returns the figures of the last D move and of G's, 0-d tensors on the device.

        `batches` holds `images (k, B, C, H, W)` and `labels (k, B)` or None, k being `self.batches`. Counts the step in
        `gan.step`, and the images that D saw in `gan.images_seen`.
        """
        figures, turn = self.d_moves(gan, batches)
        figures |= g_move([turn])[0]
        gan.step += 1
        gan.images_seen += self.n_critic * batches.images.shape[1] * gan.world
        return figures

    __call__ = step

    def d_moves(self, gan, batches):
        """Play D's moves; returns their figures, and G's turn as `g_move` takes it."""
        images, labels = batches.images, batches.labels
        if len(images) < self.batches:
            raise ValueError(f"this game takes {self.batches} batches a step, and was given {len(images)}: "
                             f"data.batches(gan.seed, gan.step, k={self.batches})")  # fmt: skip
        labels = [None] * len(images) if labels is None else labels
        fake, last = (gan.fake(images.shape[1], "G", labels[0]), 0) if self.shared_fakes else (None, -1)
        for move in range(self.n_critic):
            figures = d_move(gan, self, images[move], labels[move], move, fake)
        return figures, (gan, self, images[last], labels[last], fake)

    def look(self, gan):
        """Return what a picture of the run shows, a `Look`."""
        return gan.look()

    def describe(self):
        """The settings by name, as text and numbers: a run remembers what it played by these."""
        own = (field.name for field in fields(Game))
        settings = {name: text(getattr(self, name)) for name in own}
        return {name: value for name, value in settings.items() if value or name not in ("tie", "places")}

    def reading(self):
        """What one needs to read the figures of this game, for each row of a run's history.

        `objective`, its name; `guess`, what D loses where it cannot tell, for an objective that has such a value; and
        `absolute`, whether the sigmoid of a logit is D's probability of 'real' (1.0) or means nothing (0.0).
        """
        guess = self.objective.guess
        named = {"objective": text(self.objective), "absolute": float(self.objective.absolute)}
        return named | ({} if guess is None else {"guess": guess})
