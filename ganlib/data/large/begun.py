"""Check that a conversion may begin or go on in a folder: with the options that it began with, and
only one process at a time.
"""

import contextlib
import os

from .store import UNFINISHED, about_of
from .writing import CODES, USED, listed

LOCK = ".converting"


def begun_of(folder, settings):
    """Return the state of the `Draft` in `folder`, None for a new one. Raises ValueError where
    other settings began it, or the folder holds something else.
    """
    state = about_of(folder, UNFINISHED)
    ours = CODES, USED
    if state is None and any(x.name not in ours and x.name[0] != "." for x in folder.iterdir()):
        raise ValueError(
            f"{folder} is not empty, and holds no conversion; give a folder that is new or empty"
        )
    if state is not None:
        refuse(folder, state["settings"], settings)
        state["labels"] = [listed(label) for label in state["labels"]]
    return state


def refuse(folder, then, now):
    """Raise ValueError if a conversion began with other settings (`then`) than those of `now`."""
    if changed := [name for name in now if then.get(name) != now[name]]:
        before, given = (
            ", ".join(f"{name}={what.get(name)!r}" for name in changed) for what in (then, now)
        )
        raise ValueError(
            f"the images in {folder} were converted with {before}, and {given} is given now; use "
            "the same, or another folder"
        )


@contextlib.contextmanager
def alone(folder):
    """A context that creates a folder, if needed, and locks it for this process. If nothing was
    written into it, a new folder is removed. Raises BlockingIOError if another process converts
    into it, OSError if it cannot be written.
    """
    made, held, empty = not folder.exists(), False, False
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written ({error.strerror or error}); give a folder that can be"
        ) from error
    try:
        try:
            if os.name == "nt":
                import msvcrt

                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            else:
                import fcntl

                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            raise BlockingIOError(
                f"another process converts into {folder}; wait for it, or give another folder"
            ) from None
        except OSError:
            pass  # some network drives have no locks
        held = True
        yield
    finally:
        with contextlib.suppress(OSError):
            if empty := held and made and [path.name for path in folder.iterdir()] == [LOCK]:
                (folder / LOCK).unlink()  # Windows keeps what is open, and so the empty folder
        os.close(file)
        if empty:
            with contextlib.suppress(OSError):
                folder.rmdir()
