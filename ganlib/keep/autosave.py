"""Autosave: a watcher that saves a run by the clock, at its end, and elsewhere where its folder has gone."""

import shutil
import time
from pathlib import Path

from ..machine.folder import Folder
from .checkpoint import save, stand_in

SHARE = 0.01  # of the run's time, at most, goes into saving


class Autosave:
    """Saves the run in `folder` every `seconds`, or seldomer where that would cost more than 1 % of the run's time.

    A state is saved only where every figure up to it is known to be finite. A folder that cannot be written any
    more (a drive that was cut off, a full disk) stops nothing: that is said once, saving goes on in a folder of this
    machine, and back in the old place as soon as it is there again; `resume` knows both.
    """

    def __init__(self, gan, folder, seconds=60.0):
        if not seconds > 0:
            raise ValueError(f"save_seconds={seconds} was given; more than 0 seconds between two saves are expected")
        self.gan, self.folder, self.elsewhere, self.seconds = gan, Path(folder), stand_in(folder), seconds
        self.place, self.away, self.saved = Folder(self.folder), None, None
        self._wait(time.monotonic(), 0.0)

    def update(self, now):
        """Save, where that is due and the run goes on."""
        if now.stats and now.reason is None and self.due() and now.finite():
            self.save()

    def due(self):
        return time.monotonic() >= self._due

    def save(self):
        """Save, in the folder or in its place. Nothing here raises OSError: a run is worth more than a file of it."""
        if self.saved == self.gan.step:
            return
        start, away, saved = time.monotonic(), None, False
        try:
            self.place.check()
            saved = save(self.folder, self.gan)
            self.place.check()
            if saved:
                shutil.rmtree(self.elsewhere, ignore_errors=True)  # what an earlier process left there is older now
            if saved and self.away:
                print(f"{self.folder}: can be written again; saved there at step {self.gan.step:,}")
        except OSError as error:
            away = str(error)
            try:
                saved = save(self.elsewhere, self.gan)
                where = f"saving goes on in {self.elsewhere}, where `resume` will find it"
            except OSError as other:
                saved = False
                where = f"nor can {self.elsewhere} ({other}): the run goes on UNSAVED, and tries again"
            if not self.away:
                print(f"{self.folder}: cannot be written ({away}); {where}")
        self.away, self.saved = away, self.gan.step if saved else None
        self._wait(start, time.monotonic() - start)

    def close(self, now):
        """Save the end of the run, and say where; not in the midst of a step that raised, nor before the first."""
        if not (now.whole and now.stats):
            return
        self.save()
        if self.saved is not None:
            print(f"{self.elsewhere if self.away else self.folder}: saved at step {self.saved:,}", flush=True)

    def _wait(self, start, took):
        self._due = start + took + max(self.seconds, took / SHARE)
