"""`Autosave`, a watcher that saves a run every so many seconds and at its end, in another folder if
the first cannot be written. `train(folder=...)` uses it.
"""

import shutil
import time
from pathlib import Path

from ..machine.folder import Folder
from .checkpoint import save, stand_in

SHARE = 0.01  # the largest share of the run's time that goes into saving


class Autosave:
    """A watcher that saves the run `gan` in `folder` every `seconds`, or less often if saving would
    take more than 1 % of the run's time.

    A state is saved only if all figures up to it are known to be finite. If the folder cannot be
    written any more (a drive that was cut off, a full disk), the run goes on: one line says so,
    saving continues in `stand_in(folder)` on this machine, and returns to the folder as soon as
    that can be written again. `resume` looks in both. Raises ValueError for `seconds` of 0 or less.
    """

    def __init__(self, gan, folder, seconds=60.0):
        if not seconds > 0:
            raise ValueError(
                f"save_seconds={seconds} was given; more than 0 seconds between two saves are "
                "expected"
            )
        self.gan, self.folder, self.elsewhere, self.seconds = (
            gan,
            Path(folder),
            stand_in(folder),
            seconds,
        )
        self.place, self.away, self.saved = Folder(self.folder), None, None
        self._wait(time.monotonic(), 0.0)

    def update(self, now):
        """Save if a save is due, the run goes on and all figures so far are finite."""
        if now.stats and now.reason is None and self.due() and now.finite():
            self.save()

    def due(self):
        return time.monotonic() >= self._due

    def save(self):
        """Save in the folder or in its stand-in. An OSError is printed, and the run goes on."""
        if self.saved == self.gan.step:
            return
        start, failure, saved = time.monotonic(), None, False
        try:
            self.place.check()
            saved = save(self.folder, self.gan)
            self.place.check()
            if saved:
                shutil.rmtree(self.elsewhere, ignore_errors=True)  # its saves are older now
            if saved and self.away:
                print(f"{self.folder}: can be written again; saved there at step {self.gan.step:,}")
        except OSError as error:
            failure = str(error)
            try:
                saved = save(self.elsewhere, self.gan)
                where = f"saving goes on in {self.elsewhere}, where `resume` will find it"
            except OSError as other:
                saved = False
                where = (
                    f"nor can {self.elsewhere} ({other}): the run goes on UNSAVED, and tries again"
                )
            if not self.away:
                print(f"{self.folder}: cannot be written ({failure}); {where}")
        self.away, self.saved = failure, self.gan.step if saved else None
        self._wait(start, time.monotonic() - start)

    def close(self, now):
        """Save the end of the run and print where; not in a step that raised, nor before any."""
        if not (now.whole and now.stats):
            return
        self.save()
        if self.saved is not None:
            print(
                f"{self.elsewhere if self.away else self.folder}: saved at step {self.saved:,}",
                flush=True,
            )

    def _wait(self, start, took):
        """Set when the next save is due, after one that took `took` seconds from `start` on."""
        self._due = start + took + max(self.seconds, took / SHARE)
