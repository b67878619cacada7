"""Super-resolution with D: digits from 7x7 to 28x28, held to the true ones by L1 and features."""

from dataclasses import replace

import torch

import ganlib
from ganlib import losses
from ganlib.games import enlarging, photographs


def make(seed=0, channels=1):
    torch.manual_seed(0)
    data = photographs.split(ganlib.load("digits"))[0].subset(slice(0, 400))
    made = enlarging.recipe("gan", data, images=400, width=8, blocks=1)
    made = replace(made, penalty=losses.r1_r2(0.3))  # draws no noise, which processes do not share
    settings = {}
    if channels != 1:
        data = ganlib.Images(data.images.expand(-1, channels, -1, -1), name="colours")
        settings = {"source": data}
    return made.gan(seed, **settings), data, made


def misfit():
    """G enlarges grey pictures, and its source is in colour."""
    return make(channels=3)
