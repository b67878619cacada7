"""What decoding is fed: named items, and which files are none of the user's."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

BYTES = 256 * 2**20  # of one file
HASHED = 2**27  # bytes of files that are told from others by their content; larger ones by names, sizes and times


@dataclass
class Source:
    """`items()` yields (name, what `decode` takes); `mark` tells it from others; `labels`, where it knows them."""

    name: str
    mark: str
    items: Callable[[], Iterator]
    count: int
    skipped: list = field(default_factory=list)  # (name, why)
    labels: list | None = None
    classes: tuple = ()


def mark(*facts):
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def hidden(name):
    """Whether a file is none of the user's: .DS_Store, __MACOSX/..., Thumbs.db."""
    parts = PurePosixPath(name).parts
    return any(part.startswith(".") or part == "__MACOSX" for part in parts) or parts[-1].lower() == "thumbs.db"
