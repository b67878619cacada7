"""Check arguments that must be one of a few names, a whole number, or true or false. The errors
name the argument, its value, and what is expected.
"""

import difflib
import operator


def one_of(what, name, names, hint=""):
    """Return `name` if it is in `names`; else raise ValueError, with the most similar name and
    `hint`. `what` is the kind of thing that it names, for the message.
    """
    if name in names:
        return name
    raise ValueError(
        f"unknown {what} {name!r}; {', '.join(map(repr, names))} are known"
        f"{did_you_mean(name, names)}{hint}"
    )


def did_you_mean(name, names):
    """Return "; did you mean 'x'?", where x is the one of `names` that `name` resembles; or ""."""
    near = difflib.get_close_matches(str(name), [str(known) for known in names], n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def whole(name, value, least=1):
    """Return `value` as an int if it is a whole number of at least `least`, also one of numpy or
    torch, or a float such as 1e4; else raise ValueError. A truth value and a text are no numbers.
    """
    number = as_whole(value)
    if number is None or number < least:
        raise ValueError(
            f"{name}={value!r} was given; a whole number of at least {least} is expected"
        )
    return number


def as_whole(value):
    """Return `value` as an int, see `whole`; None if it is no whole number."""
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return int(value) if isinstance(value, float) and value.is_integer() else None


def made(name, value, kind, such):
    """Return `value` if it is an instance of the class `kind`; else raise ValueError, with an
    example of one.
    """
    if not isinstance(value, kind):
        raise ValueError(f"{name}={value!r} was given; an {kind.__name__}, {such}, is expected")
    return value


def flag(name, value):
    """Return `value` as a bool if it is True or False (or 1 or 0); else raise ValueError: a text
    such as "false", which counts as true in Python, is refused.
    """
    if not isinstance(value, str) and value in (True, False):
        return bool(value)
    raise ValueError(
        f"{name}={value!r} was given; True or False, without quotation marks, is expected"
    )
