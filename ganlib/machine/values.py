"""Values that are numbers, or functions of the images seen."""


def at(value, seen):
    """What a number or schedule is after `seen` images."""
    return value(seen) if callable(value) else value


def text(value):
    """A number as it is; a schedule or an objective as one would type it; a function of the user's own by its name."""
    if callable(value) and not hasattr(value, "values"):
        return getattr(value, "__qualname__", type(value).__name__)
    return value if value is None or isinstance(value, (int, float, str)) else repr(value)


def extremes(value):
    """The numbers that decide whether a number or schedule is in range; none for a function of the user's own."""
    return getattr(value, "values", ()) if callable(value) else (value,)
