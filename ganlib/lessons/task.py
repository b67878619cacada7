"""The three kinds of exercise: `Task` (a function to write or to repair), `Prediction` (a guess
before a run) and `Experiment` (a number that a run gives).
"""

import dis
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from .words import tell


@dataclass(frozen=True)
class Task:
    """A function to write, or to repair.

    `cases()` lists at least two (text, arguments), one of them extreme; `answer` is a right
    function; `slips` are pairs of a remark and a function that makes this mistake; `hints` are
    three, from a nudge to nearly the solution. `faulty` is the function with one fault that the
    learner repairs, or None where there is nothing to begin with.

    `observe(function, *arguments)` returns what is compared: a value, or a dict from the name of
    each quantity to its value. By default it is what the function returns. It raises `Unfit` if
    that cannot be compared. `shape` says in words what the result is shaped like.
    """

    cases: Callable
    answer: Callable
    slips: tuple
    hints: tuple
    faulty: Callable | None = None
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
    if value.ndim == 0:
        return tell("one number")
    return tell("a tensor of shape {shape}", shape=tuple(value.shape))


def named(value):
    """Return {name of the quantity: float64 tensor on the CPU}."""
    if isinstance(value, dict):
        return {name: _flat(part) for name, part in value.items()}
    return {"result": _flat(value)}


def _flat(value):
    """Return numbers, or tensors in a tuple or list, as one float64 tensor on the CPU."""
    if isinstance(value, (tuple, list)) and any(isinstance(part, torch.Tensor) for part in value):
        return torch.cat(
            [torch.as_tensor(part).detach().double().cpu().flatten() for part in value]
        )
    return torch.as_tensor(value).detach().double().cpu()


def fresh(arguments):
    """Return the arguments with copies of the tensors, which an attempt may change."""
    return [value.clone() if isinstance(value, torch.Tensor) else value for value in arguments]


def numbers(*values):
    """Return a float32 or int64 tensor of the values."""
    return torch.tensor(values)


def normal(*shape, seed=0, dtype=torch.float32):
    """Return normal numbers that `seed` alone decides."""
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def empty(attempt):
    """Whether a function holds nothing but `...` or `pass`, and perhaps a docstring."""
    code = getattr(attempt, "__code__", None)
    steps = (
        ()
        if code is None
        else [op for op in dis.get_instructions(code) if op.opname not in ("RESUME", "NOP")]
    )
    nothing = {"LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    return bool(steps) and all(op.opname in nothing and op.argval in (None, ...) for op in steps)


def set_weights(*nets, seed=0):
    """Fill the nets with normal weights of standard deviation 0.5, which `seed` alone decides."""
    draws = torch.Generator().manual_seed(seed)
    for weight in (weight for net in nets for weight in net.parameters()):
        nn.init.normal_(weight, std=0.5, generator=draws)


PER_PAIR = "one number for each, without a mean"
