"""The checks of the other games, on small parts of what ships: words, faces in words, clips,
super-resolution, translations.
"""

from functools import partial

import torch

from ...data.loading import load
from .. import enlarging
from ..clips import drawing as clips
from ..clips.moving import gliding
from ..faces.captions import captions
from ..translation import KINDS, translation
from ..words import drawing as words
from ..words.handwriting import numbers
from .playing import SIZE, STEPS, play, some_images

N, IMAGES = 64, STEPS * SIZE  # images of a set, and those that a run is planned for


def in_words():
    data = numbers(N, hidden=(), only=(12, 20, 42, 57))
    return data, words.recipe(data, IMAGES)


def in_captions():
    data = captions()[0].subset(slice(0, N))
    return data, words.recipe(data, IMAGES)


def in_clips(kind):
    data = gliding(N)
    return data, clips.recipe(data, kind, IMAGES)


def in_large(stage):
    data = load("digits").subset(slice(0, N))
    return data, enlarging.recipe(stage, data, images=IMAGES, width=8, blocks=1)


def playing(make, device):
    """Play the game that `make()` returns, with its data; D stands still where it has no part."""
    torch.manual_seed(0)
    data, game = make()
    still = () if getattr(game, "adversary", True) else ("D",)
    play(game.gan(0), data, game, device, still=still)


def translating(kind, device):
    """Translate digits to images of noise, and back where there is a cycle."""
    torch.manual_seed(0)
    a, b = load("digits").subset(slice(0, N)), some_images((1, 28, 28), N)
    play(*translation(kind, a, b, IMAGES, seed=0), device)


CHECKS = [  # as in checks.py
    ("game words", partial(playing, in_words), True),
    ("game faces in words", partial(playing, in_captions), False),
    *((f"game clips {x}", partial(playing, partial(in_clips, x)), False) for x in clips.KINDS),
    *((f"game translation {x}", partial(translating, x), x == "cycle") for x in KINDS),
    *(
        (f"game enlarging {x}", partial(playing, partial(in_large, x)), x == "gan")
        for x in enlarging.STAGES
    ),
]
