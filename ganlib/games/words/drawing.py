"""The game of words, a `Recipe`: G draws a picture of a sentence, D judges whether both fit."""

from dataclasses import dataclass

import torch

from ... import nets
from ...game import losses
from ...game.look import Look, generated
from ...game.moves import d_move
from ...game.schedules import Linear
from ...game.steps import begun_alone
from ...machine.randomness import some_of
from ...nets.fed.words import sentences
from ...run.recipes import Net, Recipe
from ...run.recipes import recipe as planned
from .vocabulary import said

SENTENCES, SHOWN = 6, 8  # of a look, and pictures of each


@dataclass(frozen=True, kw_only=True)
class Worded(Recipe):
    """A `Recipe` whose labels are sentences, int64 `(N, L)`; `recipe` makes one.

    wrong: the share of D's fakes that are real pictures under the sentence of another one: a G that
        draws well, but not what was said, looks like these (Reed et al. 2016, section 4.2; Tao et
        al. 2022, DF-GAN).
    words: the list of words, see `vocabulary`; the first, "", stands for no word.
    """

    wrong: float = 0.2
    words: tuple = ()

    def __post_init__(self):
        super().__post_init__()
        if not 0 <= self.wrong <= 1:
            raise ValueError(f"wrong={self.wrong} was given; a share from 0 to 1 is expected")

    def check(self, gan, data):
        """Raise ValueError where the players cannot play this game on `data`."""
        sentences(data.labels, gan.G)
        super().check(gan, data)

    def d_moves(self, gan, batches):
        if not self.wrong:
            return super().d_moves(gan, batches)
        images, labels = batches.images, batches.labels
        gan.ready(images.shape[2:], labels[0])
        for move in range(self.n_critic):
            real, rows = images[move], labels[move]
            with torch.no_grad():
                fake = gan.fake(len(real), f"D{move}", rows).to(gan.dtype)
                fake = mismatched(fake, real, rows, round(self.wrong * len(real)))
            figures = d_move(gan, self, real, rows, move, fake)
        return figures, (gan, self, images[-1], labels[-1], None)

    def look(self, gan):
        """Return rows of pictures: each row is a sentence, each column one noise."""
        if gan.examples is None:
            return gan.look()
        rows = gan.examples.unique(dim=0)
        rows = rows[some_of(len(rows), SENTENCES)]
        noise = gan.noise(SHOWN).repeat(len(rows), 1)
        images = gan.sample(labels=rows.repeat_interleave(SHOWN, 0).to(gan.device), noise=noise)
        return Look(generated(images), SHOWN, rows=tuple(said(rows, self.words)))

    def describe(self):
        return super().describe() | {"wrong": self.wrong}


def mismatched(fake, real, labels, count):
    """Return the fakes, with the first `count` replaced by real pictures of another sentence: that
    of the next of the following eight images whose sentence differs. If none does, the fake stays.
    """
    other = torch.zeros_like(labels[:count, 0], dtype=torch.bool)
    place = torch.arange(count, device=labels.device)
    for step in range(1, min(len(labels), 9)):
        following = (torch.arange(count, device=labels.device) + step) % len(labels)
        fits = ~other & (labels[following] != labels[:count]).any(1)
        place, other = torch.where(fits, following, place), other | fits
    swapped = torch.where(other.view(-1, 1, 1, 1), real[place].to(fake.dtype), fake[:count])
    return torch.cat([swapped, fake[count:]])


def recipe(data, images=None, wrong=0.2, gamma=None, latent_dim=None):
    """Return the `Worded` recipe for a set whose labels are sentences, such as `numbers()`.

    Grey pictures are drawn by the compact pair of `small`; pictures in colour by a style-based G,
    which begins without D, as that of the recipe `style` does.

    images: the length that the schedules are planned for, 80,000 by default. wrong: see `Worded`.
    gamma: the weight of D's penalty, by default 3, or 0.3 in colour. latent_dim: the numbers of
    noise, 32 or 64. Raises ValueError for a set without sentences or words.
    """
    if data.labels is None or data.labels.ndim != 2 or len(data.classes) < 2:
        raise ValueError(
            f"{data.name!r} has no sentences: labels int64 (N, L) and, as classes, the words are "
            "expected (games.words.encode makes the labels)"
        )
    images = 80_000 if images is None else images
    if images < 10:
        raise ValueError(f"images={images} was given; a plan of 10 images or more is expected")
    shared = {"shape": data.shape, "words": len(data.classes)}
    of_G = shared | {"length": data.labels.shape[1], "said": 32}
    if data.shape[0] == 3:
        style = planned("style", data.shape, images=images)
        plan = begun_alone(images, 30, 5e-4)
        kind = {name: plan[name] for name in ("lr", "warm")} | {"batch_size": 32, "ema": style.ema}
        kind |= {
            "source": "Reed et al. 2016, on a style-based G, begun and played as `style`",
            "G": Net(nets.WordsStyleGenerator, latent_dim=latent_dim or 64, level=True, **of_G),
            "D": Net(nets.WordsPictureDiscriminator, **shared),
        }
    else:
        kind = {
            "source": "Reed et al. 2016, on the nets and the game of `small`",
            "G": Net(nets.WordsGenerator, latent_dim=latent_dim or 32, **of_G),
            "D": Net(nets.WordsDiscriminator, **shared),
            "batch_size": 50,
            "lr": Linear(((0, 1e-4), (images // 10, 1e-3), (images // 2, 1e-3), (images, 4e-5))),
            "ema": Linear(((0, 0), (150_000, 15_000))),
        }
    if gamma is None:
        gamma = 0.3 if data.shape[0] == 3 else 3.0
    return Worded(
        name="words",
        objective=losses.relativistic,
        penalty=losses.approximate_r1_r2(gamma, 0.05),
        betas=(0.0, 0.99),
        images=images,
        wrong=wrong,
        words=tuple(data.classes),
        **kind,
    )
