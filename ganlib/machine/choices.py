"""Check an argument that must be one of a few names, with an error that helps."""

import difflib


def one_of(what, name, names, hint=""):
    """Return `name` if it is in `names`; else raise ValueError, with the most similar name and
    `hint`. `what` is the kind of thing that it names, for the message.
    """
    if name in names:
        return name
    near = difflib.get_close_matches(str(name), [str(known) for known in names], n=1)
    near = f"; did you mean {near[0]!r}?" if near else ""
    raise ValueError(
        f"unknown {what} {name!r}; {', '.join(map(repr, names))} are known{near}{hint}"
    )
