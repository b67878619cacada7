"""`Source`, the named images that `prepared` decodes, and which files to ignore."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import PurePosixPath

BYTES = 256 * 2**20  # most bytes of one file
HASHED = 2**27  # bytes; the mark of a larger set comes from names, sizes and times, not content


@dataclass
class Source:
    """Images to decode: `items()` yields `count` pairs (name, what `decode` takes or an exception).

    `mark` is a fingerprint that changes with the images, "" if there is none; `labels` (of the
    items so far) and `classes` are set where the source has them.
    """

    name: str
    mark: str
    items: Callable[[], Iterator]
    count: int
    skipped: list = field(default_factory=list)  # (name, why) of files that are left out
    labels: list | None = None
    classes: tuple = ()


def mark(*facts):
    """Return the fingerprint of these facts, a SHA-256."""
    return hashlib.sha256(repr(facts).encode()).hexdigest()


def hidden(name):
    """Whether a file is the system's, not the user's: .DS_Store, __MACOSX/..., Thumbs.db."""
    parts = PurePosixPath(name).parts
    return (
        any(part.startswith(".") or part == "__MACOSX" for part in parts)
        or parts[-1].lower() == "thumbs.db"
    )
