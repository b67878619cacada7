"""Turn values into plain ones, all that a checkpoint holds: loading one must never run code."""

import datetime
import decimal
import enum
import numbers
import operator
import os
import uuid
from collections import OrderedDict, deque
from collections.abc import Mapping

import torch

EXACT = (type(None), bool, int, float, complex, str, bytes, torch.Tensor, torch.nn.Parameter)
TIMES = (datetime.date, datetime.time)  # a datetime is a date
HINT = "numbers, texts, tensors, and lists and dicts of these are expected"


def plain(value, name, figures=False):
    """Return `value` as tensors, numbers, texts, None, and lists, tuples, sets and dicts of these.

    Numbers and arrays of numpy become those of Python, and lists; times, paths, types and devices
    of torch become text (times in ISO 8601), lengths of time seconds, an `Enum` its value.
    Subclasses become the class they come from, named tuples tuples. With `figures`, tensors of one
    number become that number. What is plain already is returned as it is, the same object. Raises
    ValueError for all else, with `name`, the place of the value, and its type.
    """
    kind = type(value)
    if isinstance(value, torch.Tensor):
        return _tensor(value, figures)
    if kind in EXACT:
        return value
    if isinstance(value, enum.Enum):
        return plain(value.value, name, figures)
    if isinstance(value, Mapping):
        pairs = [
            (plain(key, f"the key {key!r} of {name}"), plain(x, f"{name}[{key!r}]", figures))
            for key, x in value.items()
        ]
        if kind in (dict, OrderedDict) and all(
            key is old_key and x is old
            for (key, x), (old_key, old) in zip(pairs, value.items(), strict=True)
        ):
            return value  # with what a net's state notes beside its tensors
        return dict(pairs)
    if isinstance(value, (list, tuple, deque, range)):
        items = [plain(x, f"{name}[{i}]", figures) for i, x in enumerate(value)]
        if kind in (list, tuple) and all(map(operator.is_, items, value)):
            return value
        return tuple(items) if isinstance(value, tuple) else items
    if isinstance(value, (set, frozenset)):
        return {plain(x, f"an element of {name}") for x in value}
    if isinstance(value, (*TIMES, datetime.timedelta)):
        return value.isoformat() if isinstance(value, TIMES) else value.total_seconds()
    if isinstance(value, os.PathLike):
        return plain(os.fspath(value), name)
    if isinstance(value, (torch.dtype, torch.device, uuid.UUID)):
        return str(value)
    if kind.__module__.startswith("numpy") and hasattr(value, "tolist"):  # a number or an array
        inner = value.tolist()
        if type(inner) is not kind:  # numpy's long double stays what it is, see below
            return plain(inner, name, figures)
    if isinstance(value, (str, bytes, bytearray)):
        return str.__str__(value) if isinstance(value, str) else bytes(value)
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (numbers.Real, decimal.Decimal)):
        return float(value)
    if isinstance(value, numbers.Complex):
        return complex(value)
    raise ValueError(
        f"{name} is a {kind.__module__}.{kind.__qualname__}, which a checkpoint cannot hold; {HINT}"
    )


def _tensor(value, figures):
    """Return a tensor of torch's own class, or the number in it."""
    if figures and value.numel() == 1 and value.ndim == 0:
        return value.item()
    return value if type(value) in EXACT else value.detach().as_subclass(torch.Tensor)
