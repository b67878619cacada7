"""Read a setting that is a number or a schedule: its present value, its text, its bounds."""


def at(value, seen):
    """Return the value of a number or schedule after `seen` images."""
    return value(seen) if callable(value) else value


def text(value):
    """Return a number as it is, a schedule or objective as code, a custom function by its name."""
    if callable(value) and not hasattr(value, "values"):
        return getattr(value, "__qualname__", type(value).__name__)
    return value if value is None or isinstance(value, (int, float, str)) else repr(value)


def extremes(value):
    """Return the bounds of a number or schedule, NaN (in no range) for what is none of them."""
    bounds = getattr(value, "values", ()) if callable(value) else (value,)
    return [float(x) if hasattr(x, "__float__") else float("nan") for x in bounds]
