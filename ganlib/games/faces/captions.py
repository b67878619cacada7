"""Pixel faces under sentences that say what they have: "dark face long red hair glasses"."""

import torch

from ...data.images import Images
from ...data.shipped.faces import ATTRIBUTES, faces
from ..words.vocabulary import encode, vocabulary

SAID = ("length", "hair", "skin", "glasses", "hat")  # of a sentence; the paper's colour is not
LONGEST = 7  # words


def spoken(attributes):
    """Return the sentences, a list of `N`, of attributes int64 `(N, 6)`."""
    length, hair, skin = (ATTRIBUTES[name] for name in SAID[:3])
    return [
        f"{skin[c]} face {length[a]} {hair[b]} hair" + " glasses" * d + " hat" * e
        for a, b, c, d, e, _ in attributes.tolist()
    ]


def captions(hidden=0.2, seed=0):
    """Return (faces that are shown, sentences that are not): `Images` whose labels are sentences,
    int64 `(N, 7)`, and whose classes are the words, for `games.words.recipe`; and the attributes
    int64 `(K, 6)` of the sentences that no shown face has, -1 for the paper.

    hidden: the share of the 160 sentences to hide, drawn by `seed`. Every word is shown.
    """
    if not 0 <= hidden <= 0.5:
        raise ValueError(f"hidden={hidden} was given; a share from 0 to 0.5 is expected")
    images, attributes = faces()
    sizes = [len(ATTRIBUTES[name]) for name in SAID]
    every = torch.cartesian_prod(*map(torch.arange, sizes))
    order = torch.randperm(len(every), generator=torch.Generator().manual_seed(seed))
    away = every[order[: round(hidden * len(every))].sort().values]
    places = torch.tensor([80, 16, 4, 2, 1])  # of a sentence among all, in this order
    shown = ~torch.isin(attributes[:, :5] @ places, away @ places)
    words = vocabulary(spoken(torch.nn.functional.pad(every, (0, 1))))
    rows = encode(spoken(attributes[shown]), words, LONGEST)
    data = Images(images[shown], rows, words, "faces in words")
    return data, torch.nn.functional.pad(away, (0, 1), value=-1)
