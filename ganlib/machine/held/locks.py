"""Lock files, for `claim.py`: a file that says which process holds it, under a lock of the
operating system.
"""

import json
import os
import platform
import shlex
import sys
import time
from contextlib import suppress
from pathlib import Path

from ..progress import readable

SIZE = 2048  # bytes of the file: it is always written whole, in one go


def locked(path, create=True):
    """Open and lock a file; return (the open file, whether the system locked it). Raises
    BlockingIOError, which names the holder, if another process holds it.
    """
    while True:
        flags = os.O_RDWR | (os.O_CREAT if create else 0) | getattr(os, "O_BINARY", 0)
        file = os.open(path, flags, 0o666)
        try:
            locked = _lock(file)
        except BlockingIOError:
            os.close(file)
            for _ in range(20):  # it may have begun this very moment
                if said := read(path):
                    break
                time.sleep(0.02)
            raise BlockingIOError(refusal(path.parent, said)) from None
        if is_at(file, path):
            return file, locked
        os.close(file)  # who held it has removed it in between


def _lock(file):
    """Lock an open file, and return whether this file system can. Raises BlockingIOError if another
    process holds it.
    """
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(file, SIZE, os.SEEK_SET)  # beyond what others read
            try:
                msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
            except PermissionError as error:
                raise BlockingIOError from error
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except (OSError, ImportError):  # some network drives have no locks
        return False
    return True


def write(file, about):
    """Write the dict `about` (see there), with the time, into an open file."""
    content = json.dumps(about | {"sign": time.time()}).encode()
    os.lseek(file, 0, os.SEEK_SET)
    os.write(file, content.ljust(SIZE))


def is_at(file, path):
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(file), os.stat(path))
    except OSError:
        return False


def read(path):
    """Return the dict that `write` wrote into the file; {} if it cannot be read."""
    try:
        about = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return about if isinstance(about, dict) else {}


def about():
    """Return a dict that identifies this process."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if hasattr(shell, "kernel"):
        command = f"the notebook {os.environ.get('JPY_SESSION_NAME', '')}".rstrip()
    else:
        command = shlex.join(getattr(sys, "orig_argv", sys.argv))[:200]
    return {
        "process": os.getpid(),
        "host": platform.node(),
        "machine": machine(),
        "started": _started(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "command": command,
    }


def machine():
    """Return text that identifies this machine, as of its last start."""
    with suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return platform.node()


def _started(process):
    """Return when a process began, in Linux's clock ticks; None elsewhere, or if it is gone."""
    with suppress(OSError, IndexError):
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    return None


def here(about):
    """Whether `about` was written on this machine, since it was started."""
    return about.get("machine") == machine()


def alive(about):
    """Whether the process that wrote `about`, on this machine, still runs."""
    process = about.get("process")
    if not isinstance(process, int) or process == os.getpid() or os.name == "nt":
        return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        pass  # another user's
    return about.get("started") == _started(process)


def who(about):
    """Return text on the holder of a folder: process, host, since when, with which command."""
    if not about:
        return "another process"
    return (
        f"process {about.get('process')} on {about.get('host')}, since {about.get('since')} "
        f"({readable(str(about.get('command')))})"
    )


def refusal(folder, about):
    """Return the sentence of the BlockingIOError if the process `about` holds `folder`."""
    return (
        f"{folder} is in use by another run: {who(about)}. Two runs in one folder would overwrite "
        "each other: give another folder, or end that one"
    )
