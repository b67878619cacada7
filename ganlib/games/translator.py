"""The state and the game of a translation: a GAN that is fed images of one domain and learns the
look of another.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch

from ..game.game import Game
from ..game.gan import GAN
from ..game.look import Look, generated
from ..game.moves import d_move
from ..game.player import Player
from ..game.several import Games
from ..game.source import Drawn
from ..machine.randomness import generator
from .pool import Pool


class Translator(GAN):
    """The state of a translation in one direction: a `GAN` whose G is fed images of `source`.

    source, target: the two domains, `Images`; D is shown those of the target, by `train`'s `data`.
    heads: nets that the tie needs (`ties.Heads`): a third player, trained with G.
    partner: the `Translator` of the way back, if the run has one; `look` shows it.

    `pool` holds past fakes for D. Other settings are those of `GAN`.
    """

    def __init__(self, G, D, source, target, heads=None, **settings):
        super().__init__(G, D, source=source, **settings)
        self.target, self.pool, self.partner = Drawn(target), Pool(), None
        if heads is not None:
            self.players["heads"] = Player(heads, self.players["G"].lr, self.betas)

    def to(self, device=None, dtype=None):
        super().to(device, dtype)
        self.pool.to(device, dtype)
        if device is not None:
            self.target.to(device)
        return self

    def target_now(self, n):
        """Return `n` images of the target domain, of the present step, `(n, C, H, W)`."""
        return self.target.draw(n, self.draws("noise/target"), next(self.G.parameters()))

    def fake(self, n, stream, labels=None, rows=slice(None), mark="", noise=None):
        if stream == "G" and not mark and "heads" in self.players:  # a move of G begins
            self.players["heads"].optimizer.zero_grad()
        return super().fake(n, stream, labels, rows, mark, noise)

    def move(self, which):
        super().move(which)
        if which == "G" and "heads" in self.players:
            super().move("heads")

    def look(self):
        """Return what a picture of the run shows: 16 sources, their fakes below them, and below
        these the way back, where there is one.
        """
        return self.shown(self.noise(16))

    def shown(self, source):
        """Return the `Look` of images `source (8 k, C, H, W)` of the source domain."""
        rows = {"source": source, "fake": self.sample(noise=source)}
        if self.partner is not None:
            rows["back"] = self.partner.sample(noise=rows["fake"])
        blocks = [x.unflatten(0, (-1, 8)) for x in rows.values()]
        images = generated(torch.stack(blocks, 1).flatten(0, 2))
        return Look(images, 8, rows=tuple(rows) * (len(source) // 8))

    def _parts(self):
        parts = super()._parts() | {"pool": self.pool}
        if heads := self.players.get("heads"):
            parts |= {"heads": heads.net, "opt_heads": heads.optimizer}
        return parts


@dataclass(frozen=True, kw_only=True)
class TranslationGame(Game):
    """The `Game` of one `Translator`: D judges places, and is shown past fakes too.

    kind: the name of the tie. pool: how many past fakes are kept, 0 for none. batch_size, images:
    the images of a step, and those of the run that the schedules are planned for; until: the same
    as it was given, "5 min", where it was.
    """

    places: bool = True
    kind: str = "none"
    pool: int = 50
    batch_size: int = 32
    images: int | None = None
    until: str | None = None
    name = property(lambda self: self.kind)

    def d_moves(self, gan, batches):
        if not self.pool:
            return super().d_moves(gan, batches)
        gan.ready(batches.images.shape[2:])
        for move, real in enumerate(batches.images[: self.n_critic]):
            stream = f"{gan.prefix}pool/{move}"  # the same in all processes
            draws = gan.draws(f"pool/{move}") if gan.capture else None
            draws = draws or generator(gan.device, gan.seed, gan.step, stream)
            with torch.no_grad():
                fake = gan.fake(len(real), f"D{move}").to(gan.dtype)
            figures = d_move(gan, self, real, None, move, gan.pool.swap(fake, self.pool, draws))
        return figures, (gan, self, batches.images[-1], None, None)

    def warming(self, images_seen):
        """Whether the pool still grows: a step is recorded as a CUDA graph afterwards."""
        return images_seen < self.pool

    def describe(self):
        return super().describe() | {"game": f"translation: {self.kind}", "pool": self.pool}

    def reading(self):
        """Return the same as `Game`, but no guess, and no probabilities.

        A mean over places has none: where both domains show the same, an empty corner, D can never
        tell, so that its loss says how much of a picture differs, too. The doctor reads such a game
        as that of a critic, by D's lead and by the fakes.
        """
        reading = super().reading()
        reading.pop("guess", None)
        return reading | {"absolute": 0.0}


@dataclass(frozen=True, init=False)
class BothWays(Games):
    """The games of two `Translator`s, there and back, as one; its attributes are those of
    `TranslationGame`.
    """

    games: Mapping
    kind: str
    batch_size: int
    images: int
    until: str | None
    augment = None
    name = property(lambda self: self.kind)

    def __init__(self, until=None, **games):
        first = next(iter(games.values()))
        super().__init__(**games)
        for name in ("kind", "batch_size", "images"):
            object.__setattr__(self, name, getattr(first, name))
        object.__setattr__(self, "until", until)

    def warming(self, images_seen):
        """Whether a pool still grows."""
        return any(game.warming(images_seen) for game in self.games.values())
