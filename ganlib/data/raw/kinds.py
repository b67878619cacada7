"""Bring raw labels to plain values, warn of names of classes that look alike, and say what
something is that is no data set.
"""

import math
import operator
import os
import re
import unicodedata
from collections import defaultdict
from typing import NamedTuple

SET = ("name", "shape", "labels", "classes", "near", "batches", "__len__")
PICTURES = re.compile(rb"\x89PNG|\xff\xd8\xff|GIF8|BM|II\*\0|MM\0\*|RIFF....WEBP", re.DOTALL)


class Odd(NamedTuple):
    text: str  # why a label is no class


def plain_of(value):
    """Return a label as None, bool, int, float, str, a tuple of numbers, or `Odd`."""
    kind = type(value).__name__
    if hasattr(value, "tolist"):
        size = value.numel() if hasattr(value, "numel") else value.size
        if size > 10_000:
            return Odd(f"a {kind} of {tuple(value.shape)} is no class")
        value = value.tolist()
    while isinstance(value, (list, tuple)) and len(value) == 1:
        value = value[0]
    if isinstance(value, bytes):
        value = value.decode(errors="replace")
    if isinstance(value, float) and math.isnan(value):
        return None
    if value is None or isinstance(value, (bool, int, float, str)):
        return value.strip() if isinstance(value, str) else value
    if isinstance(value, (list, tuple)) and all(isinstance(v, (int, float)) for v in value):
        return tuple(value)
    try:
        return operator.index(value)
    except TypeError:
        return Odd(f"a {kind} is no class")


def alike(names):
    """Return warnings, sentences, on names of classes that differ only in case, spaces, or the
    coding of an accent: probably one class that was split by mistake.
    """
    groups = defaultdict(list)
    for name in names:
        plain = unicodedata.normalize("NFKC", str(name)).casefold()
        groups[re.sub(r"[\W_]+", " ", plain).strip()].append(ascii(str(name)))
    twice = [group for group in groups.values() if len(group) > 1]
    return [
        f"the classes {', '.join(group[:5])} are spelled nearly alike, and stay classes of their "
        "own: rename them if they are one"
        for group in twice
    ]


def no_archive(path, kinds):
    """Return the end of a sentence: what the file at `path` is, which is no folder and no archive.
    `kinds` says how files of each kind begin, see `source.KINDS`.
    """
    with open(path, "rb") as file:
        begins = file.read(1024)
    if PICTURES.match(begins):
        return ": it is one picture; give the folder that it lies in"
    for what, start in kinds.items():
        if re.match(start, begins, re.DOTALL | re.IGNORECASE) and "archive" not in what:
            return f": it is {what}"
    return ""


def refuse_arrays(data):
    """Raise ValueError for an array that is one picture, and for a pair of images and labels."""
    shape = tuple(getattr(data, "shape", ()))
    if len(shape) == 3 and shape[-1] in (3, 4):
        raise ValueError(
            f"an array of {shape} was given, which is one picture; a set of them is expected: "
            "(N, H, W) or (N, H, W, C), or a list"
        )
    if isinstance(data, tuple) and len(data) == 2 and len(getattr(data[0], "shape", ())) > 2:
        raise ValueError(
            f"a pair was given, whose first part is an array of {tuple(data[0].shape)}; give "
            "images with their labels as zip(images, labels)"
        )


def data_set(data):
    """Raise ValueError for what is no data set, as `Images` and `Shards` are."""
    if isinstance(data, type) or not all(hasattr(data, name) for name in SET):
        kind = type(data).__name__
        how = "ganlib.load(dataset, size=64) makes one of another library's data set"
        if isinstance(data, (str, os.PathLike)):
            how = f"ganlib.load({os.fspath(data)!r}) loads one"
        elif hasattr(data, "permute"):
            how = "ganlib.Images(tensor) makes one of uint8 (N, C, H, W)"
        elif hasattr(data, "dataset"):
            how = "ganlib.load(loader.dataset, size=64) makes one of it, and train makes batches"
        raise ValueError(f"a {kind} was given as the data; a data set is expected: {how}")
