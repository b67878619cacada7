"""The exercises of the notebooks: `check` judges a function, `predict` and `compare` a guess before
a run, `answer` the number of an experiment; `hint` helps a step at a time.

The exercises of each notebook are in a file of its name in this folder: `TASKS`, a dict from names
to `Task`s, `Prediction`s and `Experiment`s. A new file is found without being listed here.
"""

import contextlib
import difflib
import dis
import io
import math
from importlib import import_module
from pathlib import Path

import torch

from .task import Experiment, Prediction, Task, Unfit
from .telling import distance, explain, number, table, wrong_arguments, wrong_shape

TASKS = {}
for file in sorted(Path(__file__).parent.glob("*.py")):
    if file.stem not in ("__init__", "check", "task", "telling"):
        TASKS |= import_module(f".{file.stem}", __package__).TASKS
CLOSE = 1e-4
_hinted, _predicted = {}, {}  # of this kernel: hints seen, and guesses


def check(attempt, hint=0):
    """Print whether `attempt`, the function that an exercise asks for by this name, is right.

    For a wrong function a table has one line for each quantity: its name, yours and what is
    expected; a mistake that is known gets a remark. A function that holds nothing but `...` is
    not done yet. `hint` 1, 2 or 3 prints that hint, too. Errors in the function are reported, never
    raised; raises ValueError for a name that no exercise has, and for what is no function.
    """
    if not callable(attempt):
        raise ValueError(
            f"check takes the function itself, as in exercises.check(d_loss), not {attempt!r:.40}: "
            "write its name without quotes and brackets"
        )
    name = getattr(attempt, "__name__", str(attempt))
    task = _find(name, Task, "check")
    print(f"{name}: {verdict(task, attempt)}")
    if hint:
        _print_hint(name, task, hint)


def hint(name, number=None):
    """Print a hint for the exercise `name` (a name, or the function): the next one at each call, or
    hint `number`, 1 to 3. Raises ValueError for a name or a number that there is not.
    """
    name = name if isinstance(name, str) else getattr(name, "__name__", str(name))
    task = _find(name)
    seen = min(_hinted.get(name, 0) + 1, len(task.hints)) if number is None else number
    _print_hint(name, task, seen)
    _hinted[name] = seen


def predict(name, value):
    """Note what you expect of the run in the next cell: a number, or one of the words to choose
    from. `...` stands for no prediction yet.
    """
    task = _find(name, Prediction, "predict")
    _predicted.pop(name, None)
    if _blank(value):
        print(f"{name}: no prediction yet ({_kind(task)})")
        return
    said = _read(task, value)
    if said is None:
        print(f"{name}: {_kind(task)} is asked for, not {value!r}")
        return
    _predicted[name] = said
    print(f"{name}: {_text(said)} is noted. Run the next cell to see.")


def compare(name, result):
    """Compare the run's `result` with what you predicted, and print both and the reason.

    `result` is a number or a word, or a function without arguments that returns one; it is called
    only if there is a prediction, so that an exercise left out costs no time and tells nothing.
    """
    task = _find(name, Prediction, "compare")
    if name not in _predicted:
        print(f"{name}: predict first, in the cell above; then run this cell.")
        return
    guess, ran = _predicted[name], _read(task, result() if callable(result) else result)
    if ran is None:
        print(f"{name}: the run gave no result that can be compared; is its cell as it was?")
        return
    if task.choices:
        right, apart = guess == ran, ""
    else:
        right, apart = abs(guess - ran) <= task.within, distance(guess, ran)
    remark = "" if right else _remark(task, guess) or apart
    print(
        f"{name}: {'right' if right else 'not this time'}.\n"
        f"  your prediction  {_text(guess)}\n  the run          {_text(ran)}"
    )
    for line in (remark, f"Why: {task.why}"):
        if line:
            print(f"  {line}")
    if not _inside(ran, task.right):
        print("  (The run is not the one that was meant: has its cell been changed?)")


def answer(name, value):
    """Print whether the number that you measured is right, and why it is so. `...` stands for no
    answer yet.
    """
    task = _find(name, Experiment, "answer")
    if _blank(value):
        print(f"{name}: no answer yet (a number)")
        return
    said = _read(task, value)
    if said is None:
        print(f"{name}: a number is asked for, not {value!r}")
    elif _inside(said, task.right):
        print(f"{name}: right, {_text(said)}.\n  Why: {task.why}")
    else:
        side = "low" if said < task.right[0] else "high"
        print(
            f"{name}: not yet. {_text(said)} is too {side}."
            + (f"\n  {remark}" if (remark := _remark(task, said)) else "")
        )


def verdict(task, attempt):
    """Return what `check` prints after the name: "right", "not done yet", "not repaired yet" or
    "not yet", and what is wrong.
    """
    if _empty(attempt):
        return "not done yet"
    state = torch.get_rng_state()  # an attempt may change it
    try:
        with torch.enable_grad():
            return _judged(task, attempt)
    finally:
        torch.set_rng_state(state)


def _judged(task, attempt):
    """Return the verdict on a function that is not empty: what is wrong in the first case that
    fails, or "right".
    """
    if told := wrong_arguments(attempt, task.answer):
        return f"not yet: {told}"
    for text, arguments in task.cases():
        expected = _named(task.observe(task.answer, *_fresh(arguments)))
        try:
            raw = task.observe(attempt, *_fresh(arguments))
        except Unfit as error:
            return f"not yet. For {text} {error}"
        except Exception as error:  # of any kind: 'Run all' must go on
            return f"not yet. For {text} {explain(error, attempt)}"
        if raw is None or raw is ... or raw is NotImplemented:
            what = "nothing: is `return` missing?" if raw is None else f"{raw}: fill it in."
            return f"not yet. For {text} it returns {what}"
        try:
            found = _named(raw)
        except (TypeError, ValueError, RuntimeError):
            return f"not yet. For {text} it gives a {type(raw).__name__}; numbers are expected"
        if found.keys() != expected.keys():
            return f"not yet. For {text} it gives a {type(raw).__name__}; a tensor is expected"
        for name in expected:
            if found[name].shape != expected[name].shape:
                return f"not yet. For {text} {wrong_shape(found[name], expected[name], task.shape)}"
        rows = [
            (name, found[name], value, _near(found[name], value))
            for name, value in expected.items()
        ]
        if not all(row[3] for row in rows):
            with contextlib.redirect_stdout(io.StringIO()):  # what it prints was shown before
                if task.given is not None and _agree(task, attempt, task.given):
                    return f"not repaired yet. For {text}:\n{table(rows)}"
                remarks = [remark for remark, slip in task.slips if _agree(task, attempt, slip)]
            return "\n".join(
                [f"not yet. For {text}:", table(rows), *(f"  {r}" for r in remarks[:1])]
            )
    return "right"


def _print_hint(name, task, number):
    if number not in range(1, len(task.hints) + 1):
        raise ValueError(f"hint {number!r}: {name} has the hints 1 to {len(task.hints)}")
    print(f"{name}, hint {number} of {len(task.hints)}: {task.hints[number - 1]}")


def _find(name, kind=None, asked=""):
    """Return the exercise `name`; raise ValueError if there is none, or none of this kind."""
    if name not in TASKS:
        near = difflib.get_close_matches(name, TASKS, n=1)
        raise ValueError(
            f"there is no exercise {name!r}" + (f"; did you mean {near[0]!r}?" if near else "")
        )
    task = TASKS[name]
    if kind is not None and not isinstance(task, kind):
        use = {Task: "check(function)", Prediction: "predict and compare", Experiment: "answer"}
        raise ValueError(f"{name!r} is not for {asked}: use {use[type(task)]}")
    return task


def _kind(task):
    return "one of " + ", ".join(map(repr, task.choices)) if task.choices else "a number"


def _blank(value):
    return (
        value is ... or value is None or (isinstance(value, str) and value.strip() in ("", "..."))
    )


def _read(task, value):
    """Return a choice as it is spelled, or a finite number; None for anything else."""
    choices = getattr(task, "choices", ())
    if choices:
        return next((c for c in choices if c.lower() == str(value).strip().lower()), None)
    try:
        value = float(value)
    except (TypeError, ValueError, RuntimeError):
        return None
    return value if math.isfinite(value) else None


def _text(value):
    return value if isinstance(value, str) else number(value)


def _inside(value, right):
    return right[0] <= value <= right[1] if isinstance(right, tuple) else value == right


def _remark(task, said):
    """Return the remark on a known wrong value, or ""."""
    for remark, wrong in task.slips:
        if isinstance(wrong, (int, float)):
            wrong = (wrong - 0.02 * abs(wrong) - 1e-9, wrong + 0.02 * abs(wrong) + 1e-9)
        if _inside(said, wrong):
            return remark
    return ""


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
        for _, arguments in task.cases():
            one, other = (_named(task.observe(f, *_fresh(arguments))) for f in (attempt, slip))
            if not all(
                one[name].shape == other[name].shape and _near(one[name], other[name], nan=True)
                for name in one
            ):
                return False
        return True
    except Exception:
        return False


def _near(one, other, nan=False):
    return torch.allclose(one, other, rtol=CLOSE, atol=CLOSE, equal_nan=nan)


def _fresh(arguments):
    """Return the arguments with copies of the tensors, which an attempt may change."""
    return [value.clone() if isinstance(value, torch.Tensor) else value for value in arguments]


def _named(value):
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
