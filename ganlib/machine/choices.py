"""Choices: an argument that is one of a few names, and the error that helps where it is not."""

import difflib


def one_of(what, name, names, hint=""):
    """Return `name`; raises ValueError where it is none of `names`, with the most similar one, and `hint`."""
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), [str(one) for one in names], n=1)
    near = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"unknown {what} {name!r}; {', '.join(map(repr, names))} are known{near}{hint}")
