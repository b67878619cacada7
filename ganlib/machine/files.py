"""Write a file beside its place, move it in one step: the old or the new one is always whole."""

import os
import shutil
import threading

ROOM = 2**20  # bytes of a disk that stay free
TOKEN = os.urandom(4).hex()  # of this process: several machines may use one folder


def replace(path, write, durable=True, size=0, former=None):
    """Write the file `path` by `write(file object)`; raise OSError, with advice, where that fails.

    `durable` waits until it is safe on the disk, milliseconds to seconds; else a crash of the
    machine can lose it. `size` is its number of bytes, if known: a disk without room is refused
    before writing. `former` is where the old file goes; without, it is lost.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if size and (free := shutil.disk_usage(path.parent).free) < size + ROOM:
            raise OSError(
                f"the disk is full: {free / 1e6:,.1f} MB free, {(size + ROOM) / 1e6:,.1f} MB needed"
            )
        draft = temporary(path)
        try:
            with open(draft, "wb") as file:
                write(file)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
            if former is not None and path.exists():
                os.replace(path, former)
            os.replace(draft, path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise OSError(
            f"cannot write {path} ({error}); choose a folder that can be written, with room on its "
            "disk. What was saved before is as it was"
        ) from error
    if durable and os.name == "posix":  # the new name is safe only when the folder is
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        except OSError:
            pass  # some network folders cannot do this; the file is there all the same
        finally:
            os.close(folder)


def temporary(path):
    """Return the file that `replace` writes first: another for each process and thread."""
    mark = f"{TOKEN}-{os.getpid()}-{threading.get_ident()}"
    return path.with_name(f".{path.name}.ganlib-{mark}.tmp")
