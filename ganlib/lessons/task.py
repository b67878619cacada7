"""The three kinds of exercise: `Task` (a function to write or to repair), `Prediction` (a guess
before a run) and `Experiment` (a number that a run gives).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class Task:
    """A function to write, or to repair.

    `cases()` lists at least two (text, arguments), one of them extreme; `answer` is a right
    function; `slips` are pairs of a remark and a function that makes this mistake; `hints` are
    three, from a nudge to nearly the solution. `given` is the function with one fault that the
    learner repairs, or None where there is nothing to begin with.

    `observe(function, *arguments)` returns what is compared: a value, or a dict from the name of
    each quantity to its value. By default it is what the function returns. It raises `Unfit` if
    that cannot be compared. `shape` says in words what the result is shaped like.
    """

    cases: Callable
    answer: Callable
    slips: tuple
    hints: tuple
    given: Callable | None = None
    observe: Callable = lambda function, *arguments: function(*arguments)
    shape: str = "see the function's first line"


@dataclass(frozen=True)
class Prediction:
    """A guess that the learner makes before a run.

    `right` is the choice that the run confirms, or the (low, high) between which its number lies on
    any machine; a guess within `within` of the run's number is right. `choices` are the words to
    choose from, none where a number is asked for. `slips` are pairs of a remark and a wrong guess:
    a choice, a number or (low, high). `why` explains the result.
    """

    right: str | tuple
    why: str
    slips: tuple
    hints: tuple
    choices: tuple = ()
    within: float = 0.0


@dataclass(frozen=True)
class Experiment:
    """A number that the learner measures. Between `right`, (low, high), lie the results of all
    machines; `slips`, `hints` and `why` are as in `Prediction`.
    """

    right: tuple
    why: str
    slips: tuple
    hints: tuple


class Unfit(Exception):
    """What a function returned cannot be compared; the message says why."""


def shape(value):
    """Return words for a tensor's shape: "one number" or "a tensor of shape (3,)"."""
    return "one number" if value.ndim == 0 else f"a tensor of shape {tuple(value.shape)}"


def numbers(*values):
    """Return a float32 or int64 tensor of the values."""
    return torch.tensor(values)


def normal(*shape, seed=0, dtype=torch.float32):
    """Return normal numbers that `seed` alone decides."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def set_weights(*nets, seed=0):
    """Fill the nets with normal weights of standard deviation 0.5, which `seed` alone decides."""
    draws = torch.Generator().manual_seed(seed)
    for weight in (weight for net in nets for weight in net.parameters()):
        nn.init.normal_(weight, std=0.5, generator=draws)


PER_PAIR = "one number for each, without a mean"
