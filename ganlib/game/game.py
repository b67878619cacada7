"""A game: everything that decides how a step is played, as a frozen value.

`train` takes any object with `batches` (how many batches a step takes), `step(run, batches)`,
`check(run, data)`, `look(run)`, `describe()` and `reading()`. A new kind of game subclasses `Game`,
or has these six itself.
"""

from dataclasses import dataclass, fields

import torch

from ..machine.values import text
from . import losses
from .contract import evaluating
from .moves import d_move, g_move

PARTS = {"objective": "d_loss", "penalty": "weight", "augment": "transform"}
PARTS |= {"question": "loss", "tie": "loss"}  # the attribute that tells each


@dataclass(frozen=True)
class Game:
    """The game of one GAN: `n_critic` moves of D, then one of G.

    objective: the two losses, an `Objective` of `losses`.
    penalty: a `Penalty`, added to D's loss, or a bound on D's weights.
    augment: an `Augmentation` of all images that D sees.
    question: a `Question` for D's second head. tie: a `Tie`, added to G's loss.
    shared_fakes: both moves see the same reals and fakes, as in many tutorials, so that G draws
        once instead of twice; n_critic must be 1.
    places: D may return a logit for each place, `(N, h, w)`; the loss of an image is their mean.

    Play it with `train(gan, data, Game(objective=losses.hinge), until=...)`. Raises ValueError for
    settings that exclude each other.
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
        for name, has in PARTS.items():  # `objective="hinge"`, say, or `penalty=losses.r1`
            part = getattr(self, name)
            if not hasattr(part, has) and (part is not None or name == "objective"):
                made = "losses.hinge, losses.r1(1.0) or augment.ada"
                raise ValueError(f"{name}={part!r} was given; a value is expected, such as {made}")
        if not hasattr(self.n_critic, "__index__") or self.n_critic < 1:
            raise ValueError(f"n_critic={self.n_critic!r} was given; at least 1 move is expected")
        if self.shared_fakes and self.n_critic != 1:
            raise ValueError(
                f"shared_fakes=True and n_critic={self.n_critic} were given; with shared fakes D "
                "has 1 move"
            )

    @property
    def batches(self):
        """How many batches a step takes: one per move of D, one more if G's loss needs reals."""
        return self.n_critic + (self.objective.paired and not self.shared_fakes)

    def check(self, gan, data):
        """Raise ValueError where the players cannot play this game on `data`."""
        if list(gan.gans) != [""]:
            raise ValueError(
                f"this run has several GANs ({', '.join(gan.gans)}), and was given one game; give "
                f"Games({', '.join(f'{name}=...' for name in gan.gans)})"
            )
        gan.check(data, self.places)
        if self.question is not None:
            self.question.check(gan)
        if self.tie is not None:
            labels = None if data.labels is None else data.labels[:2].to(gan.device)
            with torch.no_grad(), evaluating(gan.G):
                source = gan.noise(2)
                values = self.tie.loss(
                    gan.fake(2, "check", labels, noise=source).to(gan.dtype), source
                )
            if values.shape != (2,):
                raise ValueError(
                    f"{self.tie.name} returned {tuple(values.shape)} for 2 fakes; one loss per "
                    "image, (2,), is expected: end with flatten(1).mean(1)"
                )

    def step(self, gan, batches):
        """Play one step, and return the figures of the last D move and of G's move, 0-d tensors.

        `batches` holds `images (k, B, C, H, W)` and `labels (k, B)` or None, with k =
        `self.batches`. Counts the step in `gan.step`, and the real images that D saw in
        `gan.images_seen`.
        """
        figures, turn = self.d_moves(gan, batches)
        figures |= g_move([turn])[0]
        gan.step += 1
        gan.images_seen += self.n_critic * batches.images.shape[1] * gan.world
        return figures

    __call__ = step

    def d_moves(self, gan, batches):
        """Play D's moves; return the figures of the last, and G's turn in the form of `g_move`."""
        images, labels = batches.images, batches.labels
        if len(images) < self.batches:
            raise ValueError(
                f"this game takes {self.batches} batches a step, and was given {len(images)}: "
                f"data.batches(gan.seed, gan.step, k={self.batches})"
            )
        labels = [None] * len(images) if labels is None else labels
        fake, last = None, -1
        if self.shared_fakes:
            gan.ready(images.shape[2:], labels[0])
            fake, last = gan.fake(images.shape[1], "G", labels[0]), 0
        for move in range(self.n_critic):
            figures = d_move(gan, self, images[move], labels[move], move, fake)
        return figures, (gan, self, images[last], labels[last], fake)

    def look(self, gan):
        """Return what a picture of the run shows, a `Look`."""
        return gan.look()

    def describe(self):
        """Return the settings by name, as text and numbers. A run stores them, refuses others."""
        names = (field.name for field in fields(Game))
        settings = {name: text(getattr(self, name)) for name in names}
        return {key: x for key, x in settings.items() if x or key not in ("tie", "places")}

    def reading(self):
        """Return what is needed to interpret the figures of this game; each history row holds it.

        `objective` is its name; `guess` D's loss where it cannot tell reals from fakes, if the
        objective has such a value; `absolute` is 1.0 if the sigmoid of a logit is a probability,
        else 0.0.
        """
        guess = self.objective.guess
        named = {"objective": text(self.objective), "absolute": float(self.objective.absolute)}
        return named | ({} if guess is None else {"guess": guess})
