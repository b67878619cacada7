"""Exercises: `check(function)` says whether a function that a notebook asked for is right, and if not, what is wrong.

The tasks of each notebook are in a file of its name beside this one; a new file is taken as it is.
"""

import contextlib
import difflib
import dis
import io
import math
from importlib import import_module
from pathlib import Path

import torch

from .task import Unfit, shape

TASKS = {}
for file in sorted(Path(__file__).parent.glob("*.py")):
    if file.stem not in ("__init__", "check", "task"):
        TASKS |= import_module(f".{file.stem}", __package__).TASKS
CLOSE = 1e-4


def check(attempt):
    """Say whether `attempt`, the function that an exercise asks for under its name, is right: a printed line.

    A wrong one is told for which arguments it gives what, what is expected, and, where its answers are those of a
    known slip, which one. A function with nothing but `...` in it is not done yet. Never raises for what the function
    does; raises ValueError for a name that no exercise has.
    """
    name = getattr(attempt, "__name__", str(attempt))
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        raise ValueError(f"there is no exercise {name!r}" + (f"; did you mean {near[0]!r}?" if near else ""))
    print(f"{name}: {verdict(TASKS[name], attempt)}")


def verdict(task, attempt):
    """Return what `check` says, without the name: "right", "not done yet", or what is wrong."""
    if _empty(attempt):
        return "not done yet"
    state = torch.get_rng_state()  # an attempt may seed it
    try:
        return _judged(task, attempt)
    finally:
        torch.set_rng_state(state)


def _judged(task, attempt):
    for text, arguments in task.cases():
        expected = _flat(task.observe(task.answer, *_fresh(arguments)))
        try:
            raw = task.observe(attempt, *_fresh(arguments))
        except Unfit as error:
            return f"not yet. For {text} {error}"
        except Exception as error:  # whatever it is, 'Run all' goes on
            said = (str(error).splitlines() or [""])[0][:200]
            return f"not yet. For {text} it stopped with {type(error).__name__}: {said}"
        if raw is None or raw is ...:
            return f"not yet. For {text} it returns nothing: is `return` missing? {_say(expected)} is expected."
        try:
            found = _flat(raw)
        except (TypeError, ValueError, RuntimeError):
            return f"not yet. For {text} it gives a {type(raw).__name__}; numbers are expected: {_say(expected)}"
        if found.shape != expected.shape:
            return f"not yet. For {text} it gives {shape(found)}; {shape(expected)} is expected: {task.shape}"
        if not torch.allclose(found, expected, rtol=CLOSE, atol=CLOSE):
            with contextlib.redirect_stdout(io.StringIO()):  # what it prints was printed once
                slips = [hint for hint, slip in task.slips if _agree(task, attempt, slip)]
            what = f"not yet. For {text} {task.gives} {_say(found)}; {_say(expected)} is expected."
            return " ".join([what, *slips[:1]])
    return "right"


def _empty(attempt):
    """Whether there is nothing in a function but `...` or `pass`, and a docstring."""
    code = getattr(attempt, "__code__", None)
    steps = () if code is None else [one for one in dis.get_instructions(code) if one.opname not in ("RESUME", "NOP")]
    nothing = {"LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    return bool(steps) and all(one.opname in nothing and one.argval in (None, ...) for one in steps)


def _agree(task, attempt, slip):
    """Whether the attempt does in each case what the slip does."""
    try:
        pairs = [[_flat(task.observe(one, *_fresh(arguments))) for one in (attempt, slip)]
                 for _, arguments in task.cases()]  # fmt: skip
        return all(a.shape == b.shape and torch.allclose(a, b, rtol=CLOSE, atol=CLOSE) for a, b in pairs)
    except Exception:
        return False


def _fresh(arguments):
    return [value.clone() if isinstance(value, torch.Tensor) else value for value in arguments]


def _flat(value):
    """Numbers as float64, on the CPU."""
    if isinstance(value, (tuple, list)) and any(isinstance(one, torch.Tensor) for one in value):
        return torch.cat([torch.as_tensor(one).detach().double().cpu().flatten() for one in value])
    return torch.as_tensor(value).detach().double().cpu()


def _say(value):
    numbers = [f"{x:,.0f}" if math.isfinite(x) and x == round(x) else f"{x:.4g}" for x in value.flatten()[:6].tolist()]
    return numbers[0] if value.numel() == 1 else "[" + ", ".join(numbers) + ", ..." * (value.numel() > 6) + "]"
