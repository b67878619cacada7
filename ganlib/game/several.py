"""Several GANs in one run, with one history and one checkpoint: a cycle, for example, in which each
GAN's tie leads through the other.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from .look import Look, alike, generated
from .moves import g_move


class Several:
    """GANs by name as one run, `Several(there=gan, back=other)`, for `train`, `save` and `resume`.

    All use the seed of the first, each with random streams of its own. Their data are
    `Together(there=..., back=...)`, their game is `Games(there=..., back=...)`, and their figures
    are named "there.d_loss". Each GAN is also an attribute: `run.there`.
    """

    def __init__(self, **gans):
        if not gans:
            raise ValueError(
                "no GAN was given; Several(there=..., back=...) takes one or more by name"
            )
        self.gans, self.history, self.trained_on = gans, [], None
        self.step = self.images_seen = 0
        self.seed = self._first.seed
        for name, gan in gans.items():
            gan.prefix = f"{name}/"

    def __getattr__(self, name):
        try:
            return self.__dict__["gans"][name]
        except KeyError:
            raise AttributeError(f"this run has no {name!r}, and no GAN of that name") from None

    def __setattr__(self, name, value):
        self.__dict__[name] = value
        if name in ("seed", "step", "images_seen", "capture", "parts"):  # each GAN needs these
            for gan in self.gans.values():
                setattr(gan, name, value)

    @property
    def _first(self):
        return next(iter(self.gans.values()))

    device, dtype = (
        property(lambda self, name=name: getattr(self._first, name)) for name in ("device", "dtype")
    )
    precision, world = (
        property(lambda self, name=name: getattr(self._first, name))
        for name in ("precision", "world")
    )
    classes, latent_dim, capture = 0, None, None

    @property
    def generation(self):
        """How often the tensors of any GAN were replaced by others."""
        return sum(gan.generation for gan in self.gans.values())

    def to(self, device=None, dtype=None):
        """Move all GANs to `device` and `dtype`, and return the run."""
        for gan in self.gans.values():
            gan.to(device, dtype)
        return self

    def match(self, data):
        """Raise ValueError where `data` is not a `Together` with the names of the GANs."""
        sets = getattr(data, "sets", {})
        if set(sets) != set(self.gans):
            raise ValueError(
                f"data of {', '.join(sets) or data.name} were given, and the GANs are "
                f"{', '.join(self.gans)}; "
                f"Together({', '.join(f'{name}=...' for name in self.gans)}) is expected"
            )

    def check(self, data):
        """Raise ValueError if the data are not those of the GANs, or a GAN does not fit its own."""
        self.match(data)
        for name, gan in self.gans.items():
            gan.check(data.sets[name])

    def look(self):
        """Return what a picture of the run shows: the look of each GAN, one above the other."""
        return _beside({name: gan.look() for name, gan in self.gans.items()})

    def state_dict(self):
        """Return the whole state of the run as tensors and plain values."""
        plain = {
            name: getattr(self, name)
            for name in ("seed", "step", "images_seen", "history", "trained_on")
        }
        return plain | {
            "precision": self.precision,
            "gans": {name: x.state_dict() for name, x in self.gans.items()},
        }

    def load_state_dict(self, state):
        """Replace the state of the run by `state`, as `state_dict` returned it."""
        for gan, part in self.states(state):
            gan.load_state_dict(part)
        for name in ("seed", "step", "images_seen", "trained_on"):
            setattr(self, name, state[name])
        self.history = list(state["history"])

    def states(self, state):
        """Yield (GAN, its part of the run's `state`) for each GAN of the run."""
        return ((gan, state["gans"][name]) for name, gan in self.gans.items())


@dataclass(frozen=True, init=False)
class Games:
    """The game of several GANs: one `Game` for each name. All D moves are played first; then the
    losses of all G's share one backward pass, so that a tie such as `losses.cycle(other)` trains
    both G's.
    """

    games: Mapping

    def __init__(self, **games):
        object.__setattr__(self, "games", games)

    @property
    def batches(self):
        return max(game.batches for game in self.games.values())

    def check(self, run, data):
        """Raise ValueError where names differ, or a game cannot be played."""
        if set(self.games) != set(run.gans):
            raise ValueError(
                f"games of {', '.join(self.games)} were given, and the GANs are "
                f"{', '.join(name or 'one, without a name' for name in run.gans)}"
            )
        run.match(data)
        for name, game in self.games.items():
            game.check(run.gans[name], data.sets[name])

    def step(self, run, batches):
        """Play one step of each game, and return the figures, named after their GANs."""
        figures, turns, seen = {}, [], 0
        for name, game in self.games.items():
            of_gan, turn = game.d_moves(run.gans[name], getattr(batches, name))
            turns.append(turn)
            figures |= {f"{name}.{figure}": value for figure, value in of_gan.items()}
            seen = max(seen, game.n_critic)
        for name, of_gan in zip(self.games, g_move(turns), strict=True):
            figures |= {f"{name}.{figure}": value for figure, value in of_gan.items()}
        run.step += 1
        run.images_seen += seen * batches.images.shape[1] * run.world
        return figures

    def look(self, run):
        """Return what a picture of the run shows, a `Look`."""
        return run.look()

    def describe(self):
        """Return the settings of each game, "there.n_critic", as `Game.describe` does."""
        return {
            f"{name}.{key}": value
            for name, game in self.games.items()
            for key, value in game.describe().items()
        }

    def reading(self):
        """Return what interprets the figures of each game, as `Game.reading` does."""
        return {
            f"{name}.{key}": value
            for name, game in self.games.items()
            for key, value in game.reading().items()
        }


def _beside(looks):
    """Return the looks of several GANs as one, the first on top.

    Images of another size or number of channels are adapted to those of the first. Points get one
    row per GAN.
    """
    first, columns = next(iter(looks.values())), max(one.columns for one in looks.values())
    if first.images.ndim == 2:
        return Look(generated(torch.cat([one.images for one in looks.values()])), rows=tuple(looks))
    blocks, rows = [], []
    for name, one in looks.items():
        images = alike(one.images, first.images)
        images = images[: len(images) // one.columns * one.columns].unflatten(0, (-1, one.columns))
        missing = images.new_ones(len(images), columns - one.columns, *images.shape[2:])
        blocks.append(torch.cat([images, missing], 1).flatten(0, 1))
        rows += [f"{name}: {row}" if row else name for row in one.rows or [""] * len(images)]
    return Look(generated(torch.cat(blocks)), columns, rows=tuple(rows))
