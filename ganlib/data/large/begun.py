"""Check that a conversion may begin or go on in a folder: with the options that it began with, and
only one process at a time.
"""

import contextlib
import os
from collections import Counter

from ...machine.held import locks
from ..prepared import LARGEST
from .late import as_plain, restored
from .store import UNFINISHED, about_of
from .writing import CODES, USED, listed, sealed

LOCK = ".converting"
WHOLE = {  # what a conversion's state has, and of which kind
    **dict.fromkeys(("settings", "notes", "counts", "values"), dict),
    **dict.fromkeys(("shards", "again", "listed", "dropped", "labels", "sizes", "odd"), list),
    **dict.fromkeys(("items", "images", "grey", "skipped"), int),
    **dict.fromkeys(("name", "mark", "no_labels"), str),
    "ended": bool,
}


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
        sound(state, folder)
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
    written into it, a new folder is removed. Raises BlockingIOError, which says who it is, if
    another process converts into it, OSError if it cannot be written.
    """
    made, mine, path = not folder.exists(), True, folder / LOCK
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file, locked = locks.locked(path)
    except BlockingIOError:
        raise BlockingIOError(_in_use(folder, locks.read(path))) from None
    except OSError as error:
        raise OSError(
            f"{folder} cannot be written ({error.strerror or error}); give a folder that can be"
        ) from error
    try:
        before = locks.read(path)
        if not locked and locks.here(before) and locks.alive(before):  # a drive without locks
            mine = made = False
            raise BlockingIOError(_in_use(folder, before))
        with contextlib.suppress(OSError):  # a full disk, which whoever writes next says
            locks.write(file, locks.about())
        yield
    finally:
        if os.name == "nt":  # which removes no file that is open
            os.close(file)
        with contextlib.suppress(OSError):
            if mine:
                path.unlink()
        if os.name != "nt":
            os.close(file)
        if made:
            with contextlib.suppress(OSError):  # removed if it is empty
                folder.rmdir()


def _in_use(folder, about):
    return (
        f"another process converts into {folder}: {locks.who(about)}; wait for it, or give another "
        "folder"
    )


def sound(state, folder):
    """Return the state of a `Draft` that was read from a file. Raises OSError for one that no
    conversion has written.
    """
    try:
        seal = state.pop("seal", None)  # earlier releases have none
        if seal is not None and seal != sealed(state):
            raise ValueError("its content has another SHA-256 than it should have")
        _has(state, WHOLE)
        for shard in state["shards"]:
            _has(shard, dict.fromkeys(("number", "count", "planes", "first", "late", "waits"), int))
            if min(shard["count"], shard["late"], shard["first"]) < 0:
                raise ValueError("a shard of less than no images")
            if shard["planes"] not in (1, 3):
                raise ValueError(f"images of {shard['planes']} planes")
            for name in ("end", "sha256", "settled", "noted", "kept"):
                shard[name]  # noqa: B018 (raises where it is missing)
        sizes, values = state["sizes"], state["values"]
        if [shard["number"] for shard in state["shards"]] != [*range(len(state["shards"]))]:
            raise ValueError("shards in another order")
        if not (isinstance(sizes[0], int) and sizes[0] > 0 and isinstance(sizes[1], list)):
            raise ValueError(f"sizes = {str(sizes)[:100]}")
        _has(state["settings"], {"size": int, "fit": str})
        if (
            not 1 <= state["settings"]["size"] <= LARGEST
            or min(state["items"], state["images"]) < 0
        ):
            raise ValueError("a number out of range")
        counted = sum(shard["count"] for shard in state["shards"])
        if not counted == state["images"] <= state["items"] < 2**53:
            raise ValueError(f"{counted} images in shards, {state['images']} of all")
        if any(shard["late"] >= 2**53 for shard in state["shards"]):
            raise ValueError("a number out of range")
        _has(values, {"ranges": dict, "lost": dict, "clear": int})
        as_plain(restored(None, values))
        Counter(state["notes"])
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise OSError(
            f"{folder / UNFINISHED} cannot be read ({str(error)[:200] or type(error).__name__}), "
            "and the conversion cannot go on; remove the folder, and begin anew"
        ) from error
    return state


def _has(value, kinds):
    if not isinstance(value, dict):
        raise ValueError(f"a {type(value).__name__} in place of a dict")
    for name, kind in kinds.items():
        if not isinstance(value.get(name), kind) or (
            isinstance(value[name], bool) and kind is not bool
        ):
            raise ValueError(f"{name} = {str(value.get(name))[:100]}")
