"""Pairs that draw and judge pictures of sentences: the compact nets, and for pictures in colour a
style-based G and the D of `pictures`, each with a reader of words.

A sentence is a row of whole numbers, int64 `(N, L)`: places in a list of words, 0 where there is no
word. `games.words` makes them of texts.
"""

import torch
from torch import nn
from torch.nn.functional import embedding, rms_norm

from ..compact import CompactDiscriminator, CompactGenerator
from ..pictures import PictureDiscriminator
from ..style import StyleGenerator

LOUD = 0.25  # of the noise's size: louder, and G draws one picture for each sentence


class Sentence(nn.Module):
    """Maps sentences, int64 `(N, L)`, to vectors `(N, width)` of root mean square `loud`.

    An embedding of the words, a recurrent net with gates (GRU, Cho et al. 2014, equations 5 to 8)
    that skips places without a word, and a linear layer, in operations that a page knows.
    `loud=None` leaves the length as it is.
    """

    def __init__(self, words, width, loud=None, dim=32, hidden=64):
        super().__init__()
        self.hidden = hidden
        self.word = nn.Embedding(words, dim, padding_idx=0)
        self.input, self.state = nn.Linear(dim, 3 * hidden), nn.Linear(hidden, 3 * hidden)
        self.out = nn.Linear(hidden, width)
        for layer in (self.input, self.state):
            nn.init.uniform_(layer.weight, -(hidden**-0.5), hidden**-0.5)
        there = torch.ones(words, hidden)
        there[0] = 0
        constants = {"there": there, "minus": torch.tensor([-1.0])}
        constants["loud"] = None if loud is None else torch.tensor([loud])
        for name, value in constants.items():
            self.register_buffer(name, value, persistent=False)

    def forward(self, words):
        if not torch.is_autocast_enabled(words.device.type):
            return self.read(words)
        with torch.autocast(words.device.type, enabled=False):
            return self.read(words)

    def read(self, words):
        h, dim = self.hidden, self.word.embedding_dim
        said, there = (x.flatten(1) for x in (self.word(words), embedding(words, self.there)))
        state = self.there[:1]  # 0, of any number of sentences
        for place in range(words.shape[1]):
            x, old = self.input(said[:, place * dim : (place + 1) * dim]), self.state(state)
            reset = torch.sigmoid(x[:, :h] + old[:, :h])
            change = torch.sigmoid(self.minus * (x[:, h : 2 * h] + old[:, h : 2 * h]))
            new = torch.tanh(x[:, 2 * h :] + reset * old[:, 2 * h :])
            change = change * there[:, place * h : (place + 1) * h]  # none where there is no word
            state = state + change * (new + self.minus * state)
        vector = self.out(state)
        if self.loud is None:
            return vector
        return self.loud * rms_norm(vector, vector.shape[1:], eps=1e-6)


class WordsGenerator(CompactGenerator):
    """The G of `games.words`: `CompactGenerator`, fed noise `(N, latent_dim)` and, behind it, what
    `Sentence` makes of the words: `said` numbers, each of LOUD times the size of the noise's.

    `words`: how many words there are, with 0, which is none. `length`: of the longest sentence.
    `loud`: how large its numbers are, None for no limit.
    """

    def __init__(
        self, latent_dim=64, shape=(1, 28, 28), widths=None, words=2, length=2, said=64, loud=LOUD
    ):
        super().__init__(latent_dim + said, shape, widths)
        self.settings = {
            "latent_dim": latent_dim,
            "shape": self.shape,
            "widths": self.settings["widths"],
            "words": words,
            "length": length,
            "said": said,
            "loud": loud,
        }
        self.latent_dim, self.length = latent_dim, length
        self.sentence = Sentence(words, said, loud)
        del self.classes  # its labels are no classes

    def forward(self, z, labels):
        return self.layers(torch.cat([z, self.sentence(labels).to(z.dtype)], 1))


class WordsStyleGenerator(StyleGenerator):
    """The G of `games.words` in colour: `StyleGenerator`, whose mapping net is fed noise and the
    sentence, as loud as the noise: the time without D keeps it from drawing one picture for each.
    Its styles have `latent_dim + said` numbers.
    """

    def __init__(
        self,
        latent_dim=64,
        shape=(3, 32, 32),
        widths=None,
        words=2,
        length=2,
        said=32,
        loud=1.0,
        level=False,
    ):
        super().__init__(latent_dim + said, shape, widths, level=level)
        own = {"words": words, "length": length, "said": said, "loud": loud}
        own |= {"level": True} if level else {}
        widths = self.settings["widths"]
        self.settings = {"latent_dim": latent_dim, "shape": self.shape, "widths": widths} | own
        self.latent_dim, self.length = latent_dim, length
        self.sentence = Sentence(words, said, loud)
        del self.classes

    def styles(self, z, labels):
        return super().styles(torch.cat([z, self.sentence(labels).to(z.dtype)], 1))


class Asked:
    """A D with the sentence projected on its features, which adds to the logit whether they fit
    (Miyato & Koyama 2018, equation 3).
    """

    def __init__(self, shape=(1, 28, 28), widths=None, words=2):
        super().__init__(shape, widths)
        keys = ("shape", "widths")
        self.settings = {key: self.settings[key] for key in keys} | {"words": words}
        width = self.verdict.linear.in_features
        self.sentence = Sentence(words, width)
        nn.init.normal_(self.sentence.out.weight, std=0.25 * width**-0.5)

    def forward(self, images, labels):
        places = self.layers(images).permute(0, 2, 3, 1).flatten(1)
        with torch.autocast(places.device.type, enabled=False):  # as `Verdict` does, for penalties
            places = places.to(self.verdict.linear.weight.dtype)
            return self.verdict(places) + (self.sentence(labels) * places).sum(1)


class WordsDiscriminator(Asked, CompactDiscriminator):
    """The D of `games.words`: `CompactDiscriminator`, asked about a picture and its sentence."""


class WordsPictureDiscriminator(Asked, PictureDiscriminator):
    """The D of `games.words` in colour: `PictureDiscriminator`, asked about both."""


def sentences(rows, net):
    """Raise ValueError unless `rows` are sentences that a net is asked in, int64 (N, L)."""
    most = net.settings["words"] - 1
    fits = rows is not None and rows.dtype == torch.int64 and rows.ndim == 2 and rows.numel()
    if not fits or not 0 <= rows.min() <= rows.max() <= most:
        given = "none" if rows is None else f"{rows.dtype} {tuple(rows.shape)}"
        raise ValueError(
            f"labels {given} were given; sentences, int64 (N, L) from 0 to {most}, are expected: "
            "games.words.encode(texts, words, length) makes them"
        )
