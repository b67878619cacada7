"""Pixel faces labelled with sentences that describe them ("dark face long red hair glasses"), for
the game of words, and a measure of how well G draws what a sentence says.
"""

import torch
from torch.nn.functional import pad

from ...data.images import Images
from ...data.shipped.faces import ATTRIBUTES, faces
from ..kept import wilson
from ..words.vocabulary import encode, vocabulary
from .reading import reader

SAID = ("length", "hair", "skin", "glasses", "hat")  # of a sentence; the paper's colour is not
LONGEST = 7  # words


def spoken(attributes):
    """Return the sentences, a list of `N`, of attributes int64 `(N, 6)`."""
    length, hair, skin = (ATTRIBUTES[name] for name in SAID[:3])
    return [
        f"{skin[c]} face {length[a]} {hair[b]} hair" + " glasses" * d + " hat" * e
        for a, b, c, d, e, _ in attributes.tolist()
    ]


EVERY = torch.cartesian_prod(*(torch.arange(len(ATTRIBUTES[name])) for name in SAID))
WORDS = vocabulary(spoken(pad(EVERY, (0, 1))))


def captions(hidden=0.2, seed=0):
    """Return (faces to train on, hidden sentences). The faces are `Images` whose labels are
    sentences, int64 `(N, 7)`, and whose classes are the words, for `games.words.recipe`; the
    sentences are those that none of these faces has, as attributes int64 `(K, 6)`, -1 for the
    paper.

    hidden: the share of the 160 sentences to hide, drawn by `seed`. Every word is shown. Raises
    ValueError for a share above 0.5.
    """
    if not 0 <= hidden <= 0.5:
        raise ValueError(f"hidden={hidden} was given; a share from 0 to 0.5 is expected")
    images, attributes = faces()
    away = _away(hidden, seed)
    shown = ~_among(attributes, away)
    rows = encode(spoken(attributes[shown]), WORDS, LONGEST)
    loaded = {"drawn": "faces in words", "hidden": hidden, "seed": seed}
    data = Images(images[shown], rows, WORDS, "faces in words", loaded=loaded)
    return data, pad(away, (0, 1), value=-1)


def _away(hidden, seed):
    """Return the hidden sentences, as attributes int64 `(K, 5)`."""
    order = torch.randperm(len(EVERY), generator=torch.Generator().manual_seed(seed))
    return EVERY[order[: round(hidden * len(EVERY))].sort().values]


def _among(attributes, some):
    """Return a mask `(N,)` of the attributes `(N, 6)` whose sentence is in `some (K, 5)`."""
    places = torch.tensor([80, 16, 4, 2, 1])  # of a sentence in EVERY
    return torch.isin(attributes[:, :5] @ places, some @ places)


class Told(dict):
    """What `judge_captions` measured, `{"shown": {...}, "hidden": {...}}`; it prints as a table."""

    def __str__(self):
        lines = [
            f"{'':8}{'all as asked':>14}  {'95 % interval':>16}"
            + "".join(f"{name:>9}" for name in SAID)
        ]
        for name, row in self.items():
            low, high = row["interval"]
            each = "".join(f"{row[key]:>9.1%}" for key in SAID)
            lines.append(f"{name:8}{row['all']:>14.1%}  {f'{low:.1%} to {high:.1%}':>16}{each}")
        return "\n".join(lines)


@torch.no_grad()
def judge_captions(gan, n=1000, known=None, hidden=None, seed=None):
    """Judge a G of `captions`: return a `Told`, a dict with "shown" and, where some are hidden,
    "hidden".

    Of `n` faces drawn from sentences, as often as real faces have them, or from hidden ones, each
    holds the share that has all five attributes as asked, `all`, with its Wilson 95 % `interval`,
    and the share of each attribute. known: a `FaceReader`, by default the shipped one. hidden,
    seed: of `captions`, by default those of the run. Raises ValueError for fewer than one face of
    each hidden sentence.
    """
    known = reader() if known is None else known
    loaded = (getattr(gan, "trained_on", None) or {}).get("loaded") or {}
    hidden = loaded.get("hidden", 0.2) if hidden is None else hidden
    away = _away(hidden, loaded.get("seed", 0) if seed is None else seed)
    if n < (least := max(1, len(away))):
        raise ValueError(
            f"n={n} was given, and {len(away)} sentences are hidden: {least} faces, one of each, "
            "are expected at least"
        )
    attributes = faces()[1]
    groups = {"shown": attributes[~_among(attributes, away)], "hidden": pad(away, (0, 1))}
    judged = Told()
    for name, group in groups.items():
        if not len(group):
            continue
        asked = group.repeat(-(-n // len(group)), 1)[:n]
        rows = encode(spoken(asked), WORDS, LONGEST).to(gan.device)
        parts = enumerate(rows.split(500))
        readings = [known.read(gan.sample(len(x), x, stream=f"told/{name}/{i}")) for i, x in parts]
        right = torch.cat(readings)[:, :5] == asked[:, :5]
        every = right.all(1)
        judged[name] = dict(zip(SAID, right.double().mean(0).tolist(), strict=True)) | {
            "all": every.double().mean().item(),
            "interval": wilson(int(every.sum()), len(every)),
        }
    return judged
