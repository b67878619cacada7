"""The exercises of the notebooks: `check` judges a function, `predict` and `compare` a guess before
a run, `answer` the number of an experiment; `hint` helps a step at a time, `language` chooses the
language of all this.

The exercises of each notebook are in a file of its name in the folder tasks: `TASKS`, a dict from
names to `Task`s, `Prediction`s and `Experiment`s. A new file is found without being listed here.
"""

import contextlib
import difflib
import io
import math
from importlib import import_module
from pathlib import Path

import torch

from .task import Experiment, Prediction, Task, Unfit, empty, fresh, named
from .telling import distance, number, quantities, table, wrong_arguments
from .words import language as language
from .words import tell

TASKS = {}
for file in sorted((Path(__file__).parent / "tasks").glob("[!_]*.py")):
    TASKS |= import_module(f".tasks.{file.stem}", __package__).TASKS
CLOSE = 1e-4
_hinted, _predicted = {}, {}  # in this kernel: hints seen and predictions made, by exercise


def check(attempt, hint=0):
    """Print whether `attempt`, the function that an exercise asks for by this name, is right.

    For a wrong function a table has one line for each quantity: its name, yours and what is
    expected; a mistake that is known gets a remark. A function that holds nothing but `...` is
    not done yet. `hint` 1, 2 or 3 prints that hint, too. Errors in the function are reported, never
    raised; raises ValueError for a name that no exercise has, and for what is no function.
    """
    if not callable(attempt):
        raise ValueError(
            tell(
                "check takes the function itself, as in exercises.check(d_loss), not {this}: write "
                "its name without quotes and brackets",
                this=f"{attempt!r:.40}",
            )
        )
    name = getattr(attempt, "__name__", str(attempt))
    task = _find(name, Task, "check")
    _print(name, verdict(task, attempt))
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
        _print(name, tell("no prediction yet ({kind})", kind=_kind(task)))
        return
    said = _read(task, value)
    if said is None:
        _print(name, tell("{kind} is asked for, not {value}", kind=_kind(task), value=repr(value)))
        return
    _predicted[name] = said
    _print(name, tell("{value} is noted. Run the next cell to see.", value=_text(said)))


def compare(name, result):
    """Compare the run's `result` with what you predicted, and print both and the reason.

    `result` is a number or a word, or a function without arguments that returns one; it is called
    only if there is a prediction, so that an exercise left out costs no time and tells nothing.
    """
    task = _find(name, Prediction, "compare")
    if name not in _predicted:
        _print(name, tell("predict first, in the cell above; then run this cell."))
        return
    guess, ran = _predicted[name], _read(task, result() if callable(result) else result)
    if ran is None:
        said = tell("the run gave no result that can be compared; is its cell as it was?")
        _print(name, said)
        return
    if task.choices:
        right, apart = guess == ran, ""
    else:
        right, apart = abs(guess - ran) <= task.within, distance(guess, ran)
    remark = "" if right else _remark(task, guess) or apart
    _print(name, tell("right.") if right else tell("not this time."))
    print(tell("  your prediction  {value}", value=_text(guess)))
    print(tell("  the run          {value}", value=_text(ran)))
    if remark:
        print(f"  {remark}")
    print(tell("  Why: {why}", why=tell(task.why)))
    if not _inside(ran, task.right):
        print(tell("  (The run is not the one that was meant: has its cell been changed?)"))


def answer(name, value):
    """Print whether the number that you measured is right, and why it is so. `...` stands for no
    answer yet.
    """
    task = _find(name, Experiment, "answer")
    if _blank(value):
        _print(name, tell("no answer yet (a number)"))
        return
    said = _read(task, value)
    if said is None:
        _print(name, tell("a number is asked for, not {value}", value=repr(value)))
    elif _inside(said, task.right):
        _print(name, tell("right, {value}.", value=_text(said)))
        print(tell("  Why: {why}", why=tell(task.why)))
    else:
        low = tell("not yet. {value} is too low.", value=_text(said))
        high = tell("not yet. {value} is too high.", value=_text(said))
        _print(name, low if said < task.right[0] else high)
        if remark := _remark(task, said):
            print(f"  {remark}")


def verdict(task, attempt):
    """Return what `check` prints after the name: "right", "not done yet", "not repaired yet" or
    "not yet", and what is wrong.
    """
    if empty(attempt):
        return tell("not done yet")
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
        return tell("not yet: {told}", told=told)
    for text, arguments in task.cases():
        text = tell(text)
        expected = named(task.observe(task.answer, *fresh(arguments)))
        try:
            yours = quantities(task, attempt, arguments, expected)
        except Unfit as error:
            return tell("not yet. For {case} {told}", case=text, told=error)
        rows = [
            (name, yours[name], value, _near(yours[name], value))
            for name, value in expected.items()
        ]
        if not all(row[3] for row in rows):
            with contextlib.redirect_stdout(io.StringIO()):  # what it prints was shown before
                if task.faulty is not None and _agree(task, attempt, task.faulty):
                    said = tell("not repaired yet. For {case}:", case=text)
                    return f"{said}\n{table(rows)}"
                remarks = [remark for remark, slip in task.slips if _agree(task, attempt, slip)]
            said = tell("not yet. For {case}:", case=text)
            return "\n".join([said, table(rows), *(f"  {tell(r)}" for r in remarks[:1])])
    return tell("right")


def _print(name, told):
    print(tell("{name}: {told}", name=name, told=told))


def _print_hint(name, task, number):
    if number not in range(1, len(task.hints) + 1):
        raise ValueError(
            tell(
                "hint {number}: {name} has the hints 1 to {count}",
                number=repr(number),
                name=name,
                count=len(task.hints),
            )
        )
    print(
        tell(
            "{name}, hint {number} of {count}: {hint}",
            name=name,
            number=number,
            count=len(task.hints),
            hint=tell(task.hints[number - 1]),
        )
    )


def _find(name, kind=None, asked=""):
    """Return the exercise `name`; raise ValueError if there is none, or none of this kind."""
    if name not in TASKS:
        told = tell("there is no exercise {name}", name=repr(name))
        for near in difflib.get_close_matches(name, TASKS, n=1):
            told += tell("; did you mean {name}?", name=repr(near))
        raise ValueError(told)
    task = TASKS[name]
    if kind is not None and not isinstance(task, kind):
        use = {Task: "check(function)", Prediction: "predict and compare", Experiment: "answer"}
        told = tell(
            "{name} is not for {asked}: use {use}",
            name=repr(name),
            asked=asked,
            use=tell(use[type(task)]),
        )
        raise ValueError(told)
    return task


def _kind(task):
    if not task.choices:
        return tell("a number")
    return tell("one of {choices}", choices=", ".join(map(repr, task.choices)))


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
            return tell(remark)
    return ""


def _agree(task, attempt, slip):
    """Whether the attempt and `slip`, a known mistake, give the same in each case."""
    try:
        for _, arguments in task.cases():
            one, other = (named(task.observe(f, *fresh(arguments))) for f in (attempt, slip))
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
