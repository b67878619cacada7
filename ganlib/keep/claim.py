"""One folder, one run: a `Claim` is the right to write to a run's folder.

A claim is a file in the folder, LOCK, that says who holds it. On one machine the operating system's
lock on that file decides (flock; on Windows msvcrt's); it ends with its process, however that ends.
Without such a lock, or if the file was written by another machine (two notebooks that mount one
Google Drive share no lock), the file is watched for some seconds, since its holder renews it. A run
that finds another's name in the file stops writing to the folder.
"""

import atexit
import os
import sys
import time
import uuid
import weakref
from contextlib import suppress

from ..machine.folder import path_of
from ..machine.held import locks
from ..machine.progress import say

LOCK = ".ganlib.lock"
RENEW, WATCH = 10.0, 30.0  # seconds between two renewals of the file; and to wait for one
OLD = 300.0  # seconds after which a claim of another machine that was not renewed has ended

claims = weakref.WeakValueDictionary()  # those of this process, by folder


class Taken(Exception):
    """Another run holds the folder now, and this one must not write to it any more."""


class Claim:
    """The right of one run to write to `folder`, from here to `release`, or the end of the process.

    Within a process the newest claim counts: the loop that holds the folder is ended first, and its
    claim is `Taken`. Raises BlockingIOError, an OSError, which names the holder, if another process
    holds the folder. If no file can be written there is no lock; saving will report that.
    """

    holder = staticmethod(lambda: None)  # a weak reference to what `train` returned
    given_up = False

    def __init__(self, folder):
        self.folder, self.key = path_of(folder).absolute(), _key(folder)
        self.token, self.process, self.file, self.made = uuid.uuid4().hex, os.getpid(), None, []
        self.about = locks.about() | {"token": self.token}
        if (before := claims.get(self.key)) is not None:
            before.end()
        for place in (self.folder, *self.folder.parents):
            if place.exists():
                break
            self.made.append(place)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._take(self.folder / LOCK)
        except BlockingIOError:
            self.release()
            raise
        except OSError:
            self.release()
            self.given_up = False
        claims[self.key] = self
        _watch_cells()

    def _take(self, path):
        """Lock the file, read who held it, and write this process into it."""
        self.file, locked = locks.locked(path)
        before = locks.read(path)
        mine = before.get("machine") == locks.machine()
        if before and not (mine and locked):
            if locks.alive(before) if mine else _renewed(path, before):
                raise BlockingIOError(locks.refusal(self.folder, before))
            say(f"{self.folder}: {locks.who(before)} has ended; this run takes the folder over")
        self._write()
        if not locked:  # of two that begin at once the last to write holds it
            time.sleep(0.3)
            if (now := locks.read(path)).get("token") != self.token:
                raise BlockingIOError(locks.refusal(self.folder, now))

    def _write(self):
        """Write this process, and the time, into the file."""
        self.renewed = time.monotonic()
        locks.write(self.file, self.about)

    def renew(self):
        """Write the time into the file, at most every RENEW seconds; calls between do nothing."""
        if self.file is not None and time.monotonic() - self.renewed > RENEW:
            with suppress(OSError):
                self.check()
                self._write()

    def check(self):
        """Raise `Taken` if another run holds the folder now."""
        # one that the garbage collector found is in the table no more, and saves a last time
        newer = claims.get(self.key, self) is not self
        if newer or self.given_up or os.getpid() != self.process:
            raise Taken("a newer run of this process")
        now = locks.read(self.folder / LOCK)
        if now.get("token", self.token) != self.token:
            raise Taken(locks.who(now))

    def end(self):
        """End the loop that holds this claim, which saves its run, and release the claim."""
        if (holder := self.holder()) is not None:
            holder.close()
        self.release()

    def release(self):
        """Remove the claim's file, and its folder if nothing was saved there."""
        self.given_up = True
        if claims.get(self.key) is self:
            del claims[self.key]
        if os.getpid() != self.process:
            return
        file, self.file = self.file, None
        if file is not None:
            path = self.folder / LOCK
            ours = locks.read(path).get("token", self.token) == self.token
            ours = ours and locks.is_at(file, path)
            if ours and os.name != "nt":  # while it is locked; Windows removes no file that is open
                with suppress(OSError):
                    path.unlink()
            os.close(file)
            if ours and os.name == "nt":
                with suppress(OSError):
                    path.unlink()
        with suppress(OSError):
            for place in self.made:
                place.rmdir()

    def __del__(self):
        with suppress(Exception):  # at the interpreter's end modules may be gone
            self.release()
            self.given_up = False  # in a cycle the loop that saves may be collected after this


def rest(folder=None):
    """Save the suspended runs of this process, whose loops were left and whose iterators are kept:
    the one in `folder`, or all. Each loop can still go on.
    """
    some = list(claims.values()) if folder is None else [claims.get(_key(folder))]
    for holder in (claim.holder() for claim in some if claim is not None):
        if holder is not None:
            holder.rest()


def in_use(folder):
    """Return a sentence that names the other process which holds the folder; None if none does."""
    path = path_of(folder) / LOCK
    if claims.get(_key(folder)) is not None or not path.exists():
        return None
    about = locks.read(path)
    try:
        file, locked = locks.locked(path, create=False)
    except BlockingIOError as error:
        return str(error)
    except OSError:
        return None
    os.close(file)
    if about.get("machine") == locks.machine():
        alive = not locked and locks.alive(about)
    else:
        alive = bool(about) and abs(time.time() - about.get("sign", 0)) < OLD
    return locks.refusal(path.parent, about) if alive else None


def _key(folder):
    return os.path.realpath(path_of(folder))


def _renewed(path, before):
    """Whether a run on another machine renews its claim; waits up to WATCH seconds for that."""
    if abs(time.time() - before.get("sign", 0)) > OLD:
        return False
    say(f"{path.parent}: waiting up to {WATCH:.0f} s to see whether {locks.who(before)} still runs")
    end = time.monotonic() + WATCH
    while time.monotonic() < end:
        time.sleep(min(1.0, WATCH / 10))
        now = locks.read(path)
        if now and now.get("sign") != before.get("sign"):
            return True
    return False


def _watch_cells():
    """In a notebook, save suspended runs at the end of each cell."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    if shell is not None and shell not in _watch_cells.watched:
        shell.events.register("post_run_cell", lambda *_: rest())
        _watch_cells.watched.append(shell)


_watch_cells.watched = []


def _forked():
    """In a forked process, drop the claims and locks of its parent."""
    for claim in list(claims.values()):
        if claim.file is not None:
            os.close(claim.file)
            claim.file = None
    claims.clear()


@atexit.register
def leave():
    """At the interpreter's end, save suspended runs and release their claims."""
    for claim in list(claims.values()):
        with suppress(Exception):
            claim.end()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)
