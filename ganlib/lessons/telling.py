"""The texts that `check` prints for a learner: a table with one line per quantity, and errors of
Python and torch in plain words (`MEANINGS`).
"""

import inspect
import linecache
import math
import re

from .task import Unfit, fresh, named, shape
from .words import aligned, tell

# (a pattern in the error's text, what it means); {0} is the first group of the pattern
MEANINGS = (
    (
        r"does not require grad and does not have a grad_fn",
        "there is nothing to differentiate: the loss was computed under torch.no_grad(), from "
        "detached values, or from a tensor without requires_grad_(True).",
    ),
    (
        r"differentiated Tensors does not require grad",
        "the gradient is asked for with respect to a tensor that does not require one: call "
        ".requires_grad_(True) on a copy of it, before the net is applied.",
    ),
    (
        r"not have been used in the graph",
        "the gradient is None: the loss does not depend on the tensor that it is taken of. Was the "
        "net applied to another copy, or was the copy detached?",
    ),
    (
        r"(?:unary|operand).*NoneType|'NoneType' object",
        "something is None where a value is needed. A gradient (.grad) is None until backward() "
        "has reached a tensor that requires one.",
    ),
    (
        r"backward through the graph a second time",
        "backward() was called twice on the same result: compute the loss anew for each.",
    ),
    (
        r"(?i)target size \(torch\.Size\((\[.*?\])\)\).*input size \(torch\.Size\((\[.*?\])\)\)",
        "the labels have shape {0}, D's logits {1}: D returns (N,), so make labels of shape (N,).",
    ),
    (
        r"size of tensor a \((\d+)\) must match the size of tensor b \((\d+)\)",
        "two shapes do not fit: a side of {0} meets one of {1}. D returns (N,), not (N, 1).",
    ),
    (
        r"shapes cannot be multiplied \((.*?) and (.*?)\)",
        "the shapes of a matrix product do not fit: {0} meets {1}.",
    ),
    (
        r"grad can be implicitly created only for scalar outputs",
        "backward() needs one number: take the mean (or the sum) over the batch first.",
    ),
    (
        r"leaf Variable that requires grad .*in-place",
        "a tensor that requires a gradient was changed in place: make a new one instead.",
    ),
    (
        r"[Oo]nly Tensors of floating point|could not infer output dtype|dtype.*Long",
        "whole numbers were used where floats are needed: call .float() first.",
    ),
    (
        r"'(?:float|int)' object has no attribute '(\w+)'",
        "a plain Python number has no .{0}(): use the math module for numbers, torch for tensors.",
    ),
    (
        r"must be Tensor, not (\w+)",
        "a torch function was given a plain Python {0}: use the math module for numbers.",
    ),
    (
        r"only one element tensors can be converted|a Tensor with \d+ elements cannot be converted",
        "a tensor of several numbers was used as one number: use torch's function, not math's.",
    ),
    (r"Boolean value of Tensor", "`if` needs one truth value, and got a tensor of several."),
)


def quantities(task, attempt, arguments, expected):
    """Return {name: tensor} of an attempt; raise Unfit, with the reason, for what cannot be
    compared with `expected`.
    """
    try:
        raw = task.observe(attempt, *fresh(arguments))
    except Unfit:
        raise
    except Exception as error:  # of any kind: 'Run all' must go on
        raise Unfit(explain(error, attempt)) from None
    if raw is None:
        raise Unfit(tell("it returns nothing: is `return` missing?"))
    if raw is ... or raw is NotImplemented:
        raise Unfit(tell("it returns {value}: fill it in.", value=str(raw)))
    kind = type(raw).__name__
    try:
        yours = named(raw)
    except (TypeError, ValueError, RuntimeError):
        raise Unfit(tell("it gives a {kind}; numbers are expected", kind=kind)) from None
    if yours.keys() != expected.keys():
        raise Unfit(tell("it gives a {kind}; a tensor is expected", kind=kind))
    for name, value in expected.items():
        if yours[name].shape != value.shape:
            raise Unfit(wrong_shape(yours[name], value, task.shape))
    return yours


def explain(error, attempt):
    """Return an error of the learner's code in the learner's terms, and the line where it rose."""
    text = (str(error).splitlines() or [""])[0][:200]
    if isinstance(error, NotImplementedError):
        return tell("it raises NotImplementedError: the placeholder is still there.")
    if isinstance(error, NameError):
        name = getattr(error, "name", None) or (re.findall(r"'(\w+)'", text) or [text])[0]
        meaning = tell(
            "the name {name} is not defined: is it spelled as above, and was the cell run that "
            "makes it?",
            name=repr(name),
        )
    else:
        whole = " ".join(str(error).split())
        for pattern, meaning in MEANINGS:
            if match := re.search(pattern, whole):
                meaning = tell(meaning).format(*match.groups())
                break
        else:
            meaning = f"{type(error).__name__}: {text}"
    return tell("it stops{place}: {meaning}", place=_place(error, attempt), meaning=meaning)


def _place(error, attempt):
    """Return " at line 3, `x = ...`": the last line of the attempt that was reached."""
    code, step, line = getattr(attempt, "__code__", None), error.__traceback__, None
    while step is not None:
        if step.tb_frame.f_code is code:
            line = step.tb_lineno
        step = step.tb_next
    if line is None:
        return ""
    source = linecache.getline(code.co_filename, line).strip()
    line -= code.co_firstlineno - 1
    if not source:
        return tell(" at its line {line}", line=line)
    return tell(" at its line {line}, `{source}`", line=line, source=source)


def wrong_arguments(attempt, answer):
    """Return what is wrong with the number of arguments that the attempt takes, or None."""
    names = [
        name
        for name, parameter in inspect.signature(answer).parameters.items()
        if parameter.default is parameter.empty
    ]
    try:
        signature = inspect.signature(attempt)
    except (TypeError, ValueError):
        return None
    try:
        signature.bind(*names)
    except TypeError:
        takes = list(signature.parameters)
        return tell(
            "{takes}; the exercise calls it with {count} ({names})",
            takes=_takes(takes),
            count=len(names),
            names=", ".join(names),
        )
    return None


def _takes(names):
    """Return in words which arguments a function takes."""
    if not names:
        return tell("it takes no argument")
    if len(names) == 1:
        return tell("it takes 1 argument ({name})", name=names[0])
    return tell("it takes {count} arguments ({names})", count=len(names), names=", ".join(names))


def wrong_shape(yours, expected, words):
    """Return what to say of a result of the wrong shape."""
    told = tell(
        "it gives {yours}; {expected} is expected: {words}",
        yours=shape(yours),
        expected=shape(expected),
        words=tell(words),
    )
    if expected.ndim == 1:
        n = len(expected)
        if n > 1 and tuple(yours.shape) == (n, n):
            told += tell(
                ".\n  A tensor of ({n}, 1) met one of ({n},), and made all pairs: D returns (N,)",
                n=n,
            )
        elif tuple(yours.shape) == (n, 1):
            told += tell(".\n  One dimension is left over: D returns (N,), not (N, 1)")
    return told


def table(rows):
    """Return lines of text for rows (name, yours, expected, whether they agree)."""
    lines = [["", tell("yours"), tell("expected"), ""]]
    for name, yours, expected, agree in rows:
        lines.append([tell(name), *_pair(yours, expected), "" if agree else tell("<-- differs")])
    return aligned(lines)


def _pair(yours, expected, most=8):
    """Return both as text. Of long ones show the part where the first difference is."""
    mine, other = yours.flatten(), expected.flatten()
    apart = ((mine - other).abs() > 1e-4).nonzero() if mine.shape == other.shape else []
    start = max(0, min(int(apart[0]) - 2, len(mine) - most)) if len(apart) else 0
    return say(yours, start), say(expected, start)


def say(value, start=0, most=8):
    """Return a number, or the eight numbers of a tensor from `start` on, as text."""
    flat = value.flatten()
    texts = [number(round(x, 6) + 0.0) for x in flat[start : start + most].tolist()]
    if value.ndim == 0:
        return texts[0]
    return (
        "[" + "..., " * (start > 0) + ", ".join(texts) + ", ..." * (len(flat) > start + most) + "]"
    )


def number(x):
    """Return a number as text, with five digits."""
    whole = math.isfinite(x) and x == round(x) and abs(x) < 1e9
    return f"{x:,.0f}" if whole else f"{x:.5g}"


def distance(guess, ran):
    """Return in words how far a guess is from the run's number."""
    if guess * ran < 0:
        return tell("The sign is wrong.")
    if guess and ran and not 1 / 3 < guess / ran < 3:
        if abs(guess) > abs(ran):
            return tell("That is {number} times too large.", number=_short(guess / ran))
        return tell("That is {number} times too small.", number=_short(ran / guess))
    apart = _short(abs(guess - ran))
    if guess > ran:
        return tell("That is {number} too high.", number=apart)
    return tell("That is {number} too low.", number=apart)


def _short(x):
    """Return a number as text, with two digits."""
    return number(float(f"{x:.2g}"))
