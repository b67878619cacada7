"""`check(function)` says whether a function that a notebook's exercise asks for is right, and if
not, what is wrong.

The exercises of each notebook are in a file of its name in this folder: `TASKS`, a dict from names
of functions to `Task`s. A new file is found without being listed here.
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
    """Print whether `attempt`, the function that an exercise asks for by this name, is right.

    For a wrong function the line names the arguments, what it returned and what is expected; if its
    answers are those of a known mistake, a hint follows. A function that holds nothing but `...` is
    not done yet. Errors in the function are reported, never raised; raises ValueError for a name
    that no exercise has.
    """
    name = getattr(attempt, "__name__", str(attempt))
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        raise ValueError(
            f"there is no exercise {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    print(f"{name}: {verdict(TASKS[name], attempt)}")


def verdict(task, attempt):
    """Return what `check` prints after the name: "right", "not done yet", or what is wrong."""
    if _empty(attempt):
        return "not done yet"
    state = torch.get_rng_state()  # an attempt may change it
    try:
        return _judged(task, attempt)
    finally:
        torch.set_rng_state(state)


def _judged(task, attempt):
    """Return the verdict on a function that is not empty: what is wrong in the first case that
    fails, or "right".
    """
    for text, arguments in task.cases():
        expected = _flat(task.observe(task.answer, *_fresh(arguments)))
        try:
            raw = task.observe(attempt, *_fresh(arguments))
        except Unfit as error:
            return f"not yet. For {text} {error}"
        except Exception as error:  # of any kind: 'Run all' must go on
            message = (str(error).splitlines() or [""])[0][:200]
            return f"not yet. For {text} it stopped with {type(error).__name__}: {message}"
        if raw is None or raw is ...:
            return (
                f"not yet. For {text} it returns nothing: is `return` missing? {_say(expected)} "
                "is expected."
            )
        try:
            numbers = _flat(raw)
        except (TypeError, ValueError, RuntimeError):
            return (
                f"not yet. For {text} it gives a {type(raw).__name__}; numbers are expected: "
                f"{_say(expected)}"
            )
        if numbers.shape != expected.shape:
            return (
                f"not yet. For {text} it gives {shape(numbers)}; {shape(expected)} is expected: "
                f"{task.shape}"
            )
        if not torch.allclose(numbers, expected, rtol=CLOSE, atol=CLOSE):
            with contextlib.redirect_stdout(io.StringIO()):  # what it prints was shown before
                slips = [hint for hint, slip in task.slips if _agree(task, attempt, slip)]
            message = (
                f"not yet. For {text} {task.gives} {_say(numbers)}; {_say(expected)} is expected."
            )
            return " ".join([message, *slips[:1]])
    return "right"


def _empty(attempt):
    """Whether a function holds nothing but `...` or `pass`, and perhaps a docstring."""
    code = getattr(attempt, "__code__", None)
    steps = (
        ()
        if code is None
        else [op for op in dis.get_instructions(code) if op.opname not in ("RESUME", "NOP")]
    )
    nothing = {"LOAD_CONST", "RETURN_CONST", "RETURN_VALUE"}
    return bool(steps) and all(op.opname in nothing and op.argval in (None, ...) for op in steps)


def _agree(task, attempt, slip):
    """Whether the attempt and `slip`, a known mistake, give the same in each case."""
    try:
        pairs = [
            [_flat(task.observe(function, *_fresh(arguments))) for function in (attempt, slip)]
            for _, arguments in task.cases()
        ]
        return all(
            a.shape == b.shape and torch.allclose(a, b, rtol=CLOSE, atol=CLOSE) for a, b in pairs
        )
    except Exception:
        return False


def _fresh(arguments):
    """Return the arguments with copies of the tensors, which an attempt may change."""
    return [value.clone() if isinstance(value, torch.Tensor) else value for value in arguments]


def _flat(value):
    """Return numbers, or tensors in a tuple or list, as one float64 tensor on the CPU."""
    if isinstance(value, (tuple, list)) and any(isinstance(part, torch.Tensor) for part in value):
        return torch.cat(
            [torch.as_tensor(part).detach().double().cpu().flatten() for part in value]
        )
    return torch.as_tensor(value).detach().double().cpu()


def _say(value):
    numbers = [
        f"{x:,.0f}" if math.isfinite(x) and x == round(x) else f"{x:.4g}"
        for x in value.flatten()[:6].tolist()
    ]
    return (
        numbers[0]
        if value.numel() == 1
        else "[" + ", ".join(numbers) + ", ..." * (value.numel() > 6) + "]"
    )
