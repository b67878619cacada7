"""`Task`: one exercise, as test cases, the right answer, and common mistakes with hints."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Task:
    """One exercise. `cases()` lists (text, arguments), `answer` is a right function, and `slips`
    are pairs of a hint and a function that makes this mistake.

    `observe(function, *arguments)` returns what is compared, by default what the function returns;
    it raises `Unfit` if that cannot be compared. `gives` and `shape` are words for the message.
    """

    cases: Callable
    answer: Callable
    slips: tuple
    observe: Callable = lambda function, *arguments: function(*arguments)
    gives: str = "it gives"
    shape: str = "see the function's first line"


class Unfit(Exception):
    """What a function returned cannot be compared; the message says why."""


def shape(value):
    return "one number" if value.ndim == 0 else f"a tensor of {tuple(value.shape)}"


def numbers(*values):
    return torch.tensor(values)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def set_weights(*nets, seed=0):
    """Fill the nets with normal weights of standard deviation 0.5, which `seed` alone decides."""
    draws = torch.Generator().manual_seed(seed)
    for weight in (weight for net in nets for weight in net.parameters()):
        nn.init.normal_(weight, std=0.5, generator=draws)


PER_PAIR = "one number for each, without a mean"
