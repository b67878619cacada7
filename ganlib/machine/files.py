"""Files: written beside their place and moved there in one step, so that there is always the old one or the new one."""

import os
import shutil

ROOM = 2**20  # bytes of a disk that are left free


def replace(path, write, durable=True, size=0, former=None):
    """Write the file `path` by `write(file object)`; raises OSError, with what to do, where that is impossible.

    `durable` waits until it is safe on the disk, which takes milliseconds to seconds; without it a crash of the whole
    machine can lose the file. `size`: how many bytes it will have, where that is known: a disk without room for them
    is refused before anything is written. `former`: where the file that stood at `path` goes; it is lost otherwise.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if size and (free := shutil.disk_usage(path.parent).free) < size + ROOM:
            raise OSError(f"the disk is full: {free / 1e6:,.1f} MB free, {(size + ROOM) / 1e6:,.1f} MB needed")
        beside = temporary(path)
        try:
            with open(beside, "wb") as file:
                write(file)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            if former is not None and path.exists():
                os.replace(path, former)
            os.replace(beside, path)
        except BaseException:
            beside.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(
            f"cannot write {path} ({error}); choose a folder that can be written, with room on its disk. "
            "What was saved before is as it was"
        ) from error
    if durable and os.name == "posix":  # the new name itself is safe only when the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError:
            pass  # some network folders cannot: the file is written all the same
        finally:
            os.close(folder)


def temporary(path):
    """Where `replace` writes the file at first. Always the same name: what a killed process leaves is used up."""
    return path.with_name(f".{path.name}.tmp")
