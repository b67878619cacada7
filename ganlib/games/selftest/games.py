"""The checks of the other games, on small parts of the data that ship: words, captions of faces,
clips, super-resolution, flows, translations.
"""

from dataclasses import replace
from functools import partial

import torch

from ...data.loading import load
from .. import enlarging
from ..clips import drawing as clips
from ..clips.moving import gliding
from ..faces.captions import captions
from ..flows import matching as flows
from ..translation import KINDS, translation
from ..words import drawing as words
from ..words.handwriting import numbers
from .playing import SIZE, STEPS, capturing, play, some_images

N, IMAGES = 64, STEPS * SIZE  # images of a set, and those that a run is planned for


def in_words(images=IMAGES):
    """Return (data, game) of numbers in words."""
    data = numbers(N, hidden=(), only=(12, 20, 42, 57))
    return data, words.recipe(data, images)


def in_captions(images=IMAGES):
    """Return (data, game) of faces and their sentences."""
    data = captions()[0].subset(slice(0, N))
    return data, words.recipe(data, images)


def in_clips(kind, images=IMAGES):
    """Return (data, game) of clips."""
    data = gliding(N)
    return data, clips.recipe(data, kind, images)


def in_large(stage, images=IMAGES):
    """Return (data, game) of a stage of super-resolution."""
    data = load("digits").subset(slice(0, N))
    return data, enlarging.recipe(stage, data, images=images, width=8, blocks=1)


def in_steps(stage, images=IMAGES):
    """Return (data, game) of a stage of a flow."""
    settings = {"images": max(30, images), "widths": (8, 8)}
    if stage == "copy":
        settings["teacher"] = flows.recipe("teacher", **settings).G()
    return load("digits").subset(slice(0, N)), flows.recipe(stage, **settings)


def playing(make, device):
    """Play the game that `make()` returns; without D's part, D is expected not to move."""
    torch.manual_seed(0)
    data, game = make()
    still = () if getattr(game, "adversary", True) else ("D",)
    play(game.gan(0), data, game, device, still=still)


def translated(kind, images=IMAGES):
    """Return (run, data, game) of a translation of digits to images of noise."""
    torch.manual_seed(0)
    a, b = load("digits").subset(slice(0, N)), some_images((1, 28, 28), N)
    run, data, game = translation(kind, a, b, images, seed=0)
    return run, data, small_pools(game)


def small_pools(game):
    """Return the game with small pools of past fakes, which are full after a step or two."""
    if hasattr(game, "games"):
        return type(game)(game.until, **{k: small_pools(x) for k, x in game.games.items()})
    return replace(game, pool=min(game.pool, 12))


def translating(kind, device):
    """Play a translation."""
    play(*translated(kind), device)


def with_run(make):
    """Return a function of the number of steps: (a run, its data, the game that `make` returns)."""

    def parts(steps):
        torch.manual_seed(0)
        data, game = make(images=steps * SIZE)
        return game.gan(0), data, game

    return parts


def of_translation(kind):
    """Return a function of a number of steps: the parts for `capturing`, of a translation."""
    return lambda steps: translated(kind, steps * SIZE)


MADE = {
    "words": in_words,
    "faces in words": in_captions,
    **{f"clips {kind}": partial(in_clips, kind) for kind in clips.KINDS},
    **{f"enlarging {stage}": partial(in_large, stage) for stage in enlarging.STAGES},
    **{f"flow {stage}": partial(in_steps, stage) for stage in flows.STAGES},
}
PARTS = {name: with_run(make) for name, make in MADE.items()}
PARTS |= {f"translation {kind}": of_translation(kind) for kind in KINDS}
QUICK = ("words", "translation cycle", "enlarging gan")
CHECKS = [  # as in checks.py
    *((f"game {name}", partial(playing, make), name in QUICK) for name, make in MADE.items()),
    *((f"game translation {x}", partial(translating, x), x == "cycle") for x in KINDS),
    *((f"captured {name}", partial(capturing, parts), False) for name, parts in PARTS.items()),
]
