"""Files: written beside their place and moved there in one step, so that there is always the old one or the new one."""

import os


def replace(path, write, durable=True):
    """Write the file `path` by `write(file object)`; raises OSError, with what to do, where that is impossible.

    `durable` waits until it is safe on the disk, which takes milliseconds to seconds; without it a crash of the whole
    machine can lose the file.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        beside = path.with_name(f".{path.name}.tmp")  # always the same name: what a killed process leaves is used up
        try:
            with open(beside, "wb") as file:
                write(file)
                if durable:
                    file.flush()
                    os.fsync(file.fileno())
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
