"""Super-resolution without D: G takes its step on L1 alone."""

import torch

import ganlib
from ganlib.games import enlarging


def make(seed=0):
    torch.manual_seed(0)
    data = ganlib.load("digits").subset(slice(0, 400))
    made = enlarging.recipe("l1", data, images=400, width=8, blocks=1)
    return made.gan(seed), data, made
