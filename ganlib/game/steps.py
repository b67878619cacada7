"""Variants of `Game`: `WarmStart`, in which G first learns without D; `OwnStep`, a function of the
user's as a game; and the moves as plain functions (`gan_step` and others).
"""

from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

import torch
from torch.nn.functional import adaptive_avg_pool2d, avg_pool2d

from ..machine.randomness import some_of
from . import losses
from .game import Game
from .moves import d_move, g_move
from .player import play
from .schedules import Linear

CODED = 2_000  # images of a set, and 16 x 16 pixels of each, that codes are fitted to at most


@dataclass(frozen=True)
class WarmStart(Game):
    """A game in which G first learns alone: for the first `warm` images it reconstructs the
    training images from codes of them; then it is `Game`.

    A code is the first `latent_dim` principal components of an image, scaled to variance 1, with
    noise, and as long as normal noise is, so that G knows what lies between the images, too. The
    loss is the mean absolute difference of the pixels, plus that of 4 x 4 means. A step is `MOVES`
    such moves of G, about as dear as one of the game. As in Bojanowski et al. 2018 (GLO), with
    codes that are computed, not learned. With `rehearse`, each step of the game begins with so many
    of these moves, so that G keeps what it knows: D may stand at a guess for long, or know a small
    set by heart. Without `train` there are no codes: a step raises ValueError.
    """

    warm: int = 0
    rehearse: int = 0
    MOVES = 5

    def check(self, gan, data):
        super().check(gan, data)
        if (self.warm or self.rehearse) and gan.latent_dim is None:
            raise ValueError(
                "a warm start draws from codes in place of noise, and G is fed something else; use "
                "dataclasses.replace(game, warm=0, rehearse=0)"
            )
        if self.warm or self.rehearse:
            fresh = _codes(data, gan.latent_dim, gan.device)
            before = getattr(gan, "codes", fresh)
            if [(x.shape, x.device) for x in before] == [(x.shape, x.device) for x in fresh]:
                for old, new in zip(before, fresh, strict=True):  # in place: a graph may read them
                    old.copy_(new)
                fresh = before
            gan.codes = fresh
            attraction = getattr(gan.G, "attraction", None)
            if attraction is not None and not attraction.filled:
                index = some_of(len(data), CODED).to(data.images.device)
                known = codes(gan.codes, data.floats(index, gan.device))
                labels = None if data.labels is None else data.labels[index].to(gan.device)
                attraction.fill(known, labels)

    def step(self, gan, batches):
        if self.warming(gan.images_seen):
            return self.step_alone(gan, batches)
        for move in range(self.rehearse):
            self.move_alone(gan, batches, move)
        return super().step(gan, batches)

    __call__ = step

    def step_alone(self, gan, batches):
        """Take `MOVES` moves of G on how well it draws the images of their codes."""
        n = batches.images.shape[1]
        for move in range(self.MOVES):
            figures = self.move_alone(gan, batches, move)
            gan.average(n * gan.world)
        gan.step += 1
        gan.images_seen += n * gan.world
        return figures

    def move_alone(self, gan, batches, move):
        """Take one such move, the `move`-th of this step; return its figures."""
        if not hasattr(gan, "codes"):
            raise ValueError(
                "a warm start needs codes of the data, which `train` makes; give it this game, or "
                "use dataclasses.replace(game, warm=0, rehearse=0)"
            )
        images, labels = batches.images, batches.labels
        real = images[move % len(images)]
        label = None if labels is None else labels[move % len(images)]
        z = disturbed(codes(gan.codes, real), gan.draws(f"codes/{move}"))

        def part(rows, mark):
            fake = gan.fake(len(real), f"warm/{move}", label, rows, mark, z).to(gan.dtype)
            apart = fake - real[rows]
            loss = apart.abs().mean() + avg_pool2d(apart, 4).abs().mean()
            return loss, {"g_loss": loss.detach()}

        with unmixed(gan.G):
            return play([gan], "G", len(real), part)

    def warming(self, images_seen):
        """Whether G still learns without D after `images_seen` images."""
        return images_seen < self.warm

    def describe(self):
        own = {name: getattr(self, name) for name in ("warm", "rehearse")}
        return super().describe() | {name: value for name, value in own.items() if value}


def begun_alone(images, share, rate, momentum=0.0, rehearse=0):
    """Return the settings of a run of `images` images in whose first `share` % G learns without D:
    `warm`, `rehearse`, and the schedules of the learning rates (G's, D's) and of Adam's betas. Then
    D learns first, and G goes on at `rate`. `momentum` is the first beta of the time without D.
    """
    left, warm = (100 - share) / 60, images * share // 100

    def planned(*points):  # x in % of the images, for a share of 40 %
        moved = ((x * share / 40 if x <= 40 else share + (x - 40) * left, y) for x, y in points)
        return Linear(tuple((x * images / 100, y) for x, y in moved))

    alone = (0, 1e-4), (2, 2e-3), (24, 2e-3), (40, 1e-4)
    lr = (
        planned(*alone, (41, 1e-6), (46, 1e-6), (52, rate), (70, rate), (100, round(rate / 50, 9))),
        planned((40, 1e-4), (43, 1e-3), (70, 1e-3), (100, 2e-5)),
    )
    first = Linear(((0, momentum), (warm - 1, momentum), (warm, 0.0))) if momentum else 0.0
    return {"warm": warm, "rehearse": rehearse, "lr": lr, "betas": (first, 0.99)}


@contextmanager
def unmixed(G):
    """A context without style mixing. A G that has to draw one given image, with the style of
    another in its later layers, would learn to let its first layer decide all.
    """
    mixing = getattr(G, "mixing", 0) if hasattr(G, "styles") else 0
    if mixing:
        G.mixing = 0
    try:
        yield
    finally:
        if mixing:
            G.mixing = mixing


def codes(basis, images):
    """Return codes `(N, latent_dim)` of images `(N, C, H, W)`, each of length sqrt(latent_dim)."""
    mean, directions = basis
    z = ((_small(images) - mean) @ directions).to(images.dtype)
    return z * z.shape[1] ** 0.5 / torch.linalg.vector_norm(z, dim=1, keepdim=True).clamp(min=1e-6)


def disturbed(z, draws):
    """Return codes plus noise of up to 0.7 times their length, scaled to sqrt(latent_dim)."""
    noise = torch.randn(z.shape, generator=draws, device=z.device, dtype=z.dtype)
    share = torch.rand(len(z), 1, generator=draws, device=z.device, dtype=z.dtype) * 0.5**0.5
    z = z + share * noise
    lengths = (torch.linalg.vector_norm(x, dim=1, keepdim=True) for x in (noise, z))
    return z * next(lengths) / next(lengths)


def _small(images):
    sides = [min(16, side) for side in images.shape[2:]]
    return adaptive_avg_pool2d(images.float(), sides).flatten(1)


def _codes(data, dim, device):
    """Return (mean `(P,)`, directions `(P, dim)`): the principal components of small images, each
    divided by its standard deviation; 0 where a set has fewer. The largest number of each is
    positive, on every machine.
    """
    index = some_of(len(data), CODED).to(data.images.device)
    x = _small(data.floats(index, device)).cpu().double()  # Apple's MPS has no float64
    mean = x.mean(0)
    _, spread, directions = torch.linalg.svd(x - mean, full_matrices=False)
    largest = directions.gather(1, directions.abs().argmax(1, keepdim=True))
    directions = directions * largest.sign()
    kept = int((spread[:dim] > 1e-6 * len(x) ** 0.5).sum())
    basis = torch.zeros(x.shape[1], dim, dtype=torch.float64)
    basis[:, :kept] = directions[:kept].T * (len(x) ** 0.5 / spread[:kept])
    return mean.float().to(device), basis.float().to(device)


@dataclass(frozen=True)
class OwnStep:
    """A game that is one function of the user's: `play(gan, batches)` returns a dict of 0-d
    tensors.

    What the nets draw at random in it (dropout) depends on the seed and the step alone, and a bf16
    run is played under autocast, as in other games. `objective` says how the figures are read
    (`d_loss`; `d_real` and `d_fake`, mean logits; `p_real` and `p_fake`, mean probabilities);
    without it nothing is known of them.
    """

    play: Callable
    batches: int = 1
    objective: losses.Objective | None = None
    opaque = True  # not captured as a CUDA graph unasked: it may branch in Python at each step

    def check(self, run, data):
        run.check(data)

    def step(self, run, batches):
        with ExitStack() as stack:
            for gan in run.gans.values():
                for which, player in gan.players.items():
                    stack.enter_context(gan._drawing(player.net, f"{which} of a step"))
            figures = self.play(run, batches)
        return figures

    def look(self, run):
        return run.look()

    def describe(self):
        return {}

    def reading(self):
        if self.objective is None:
            return {"objective": "a step of your own"}
        return Game(self.objective).reading()


def as_game(step):
    """Return `step` as a game. It may be a game or its method `step`; `gan_step`, bare or in a
    `functools.partial`; or any function of (gan, batches), which takes one batch per step, or as
    many as its attribute `batches` says, and may name its `objective` in another. Raises ValueError
    for positional arguments in a partial.
    """
    for game in (step, getattr(step, "__self__", None)):  # `game.step` is the game's
        if hasattr(game, "batches") and hasattr(game, "step") and not isinstance(game, type):
            return game
    if (
        isinstance(step, partial) and step.func is gan_step
    ):  # as it was spelled before there was `Game`
        if step.args:
            raise ValueError(
                "partial(gan_step, ...) binds positional arguments; name them, or give "
                "Game(objective=...)"
            )
        return Game(**step.keywords)
    if step is gan_step:
        return Game()
    if isinstance(step, type) or not callable(step):
        recipe = f"; ganlib.recipe({step!r}) is one" if isinstance(step, str) else ""
        raise ValueError(
            f"{step!r} was given as the step; a Game(...), a recipe or a function of (gan, "
            f"batches) is expected{recipe}"
        )
    return OwnStep(step, getattr(step, "batches", 1), getattr(step, "objective", None))


def gan_step(gan, batches, objective=losses.non_saturating, **settings):
    """Play one step of `Game(objective, **settings)`, and return its figures; see `Game`. (`train`
    takes the `Game` itself.)
    """
    return Game(objective, **settings).step(gan, batches)


def discriminator_step(
    gan,
    real,
    objective=losses.non_saturating,
    penalty=None,
    labels=None,
    move=0,
    augment=None,
    question=None,
    fake=None,
):
    """Take one step of D alone; see `moves.d_move`."""
    return d_move(
        gan,
        Game(objective, penalty=penalty, augment=augment, question=question),
        real,
        labels,
        move,
        fake,
    )


def generator_step(
    gan,
    real,
    objective=losses.non_saturating,
    labels=None,
    augment=None,
    question=None,
    fake=None,
    tie=None,
):
    """Take one step of G alone; see `moves.g_move`."""
    game = Game(objective, augment=augment, question=question, tie=tie)
    return g_move([(gan, game, real, labels, fake)])[0]
