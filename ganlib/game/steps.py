"""The game as plain functions, and a plain function as a game."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial

from . import losses
from .game import Game
from .moves import d_move, g_move


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
        if hasattr(game, "batches") and hasattr(game, "step"):
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
