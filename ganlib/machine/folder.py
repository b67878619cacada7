"""`path_of` reads a path of the user's; `Folder` is a folder that may disappear while it is in use,
such as one on a network drive.
"""

import os
from pathlib import Path


def path_of(path):
    """Return `path`, a text or `os.PathLike`, as a `Path` with ~ replaced by the home folder.
    Raises ValueError for anything else.
    """
    try:
        if "\0" in os.fsdecode(path):
            raise TypeError
        return Path(os.fsdecode(path)).expanduser()
    except RuntimeError:  # ~ of nobody
        raise ValueError(f"{path!r} begins with the home folder of nobody here") from None
    except TypeError:
        raise ValueError(
            f"{path!r} was given as a path; a text or a pathlib.Path is expected"
        ) from None


class Folder:
    """A folder that may disappear while it is in use, and must not be made anew then.

    `held` is the folder, or before it exists the nearest existing folder above it. If `held` has
    gone, a new folder would stand where nobody looks for it.
    """

    def __init__(self, path):
        self.path = path.absolute()
        self.held = next(place for place in (self.path, *self.path.parents) if place.exists())

    def check(self):
        """Raise OSError if `held` has gone; call this before each use of the folder."""
        if not self.held.exists():
            raise OSError(f"{self.held} has gone")
        if self.path.exists():
            self.held = self.path
