"""`Autosave`, a watcher that saves a run every so many seconds and at its end, in another folder if
the first cannot be written. `train(folder=...)` uses it.
"""

import time
from contextlib import suppress

from ..data.large.store import refuse_folder
from ..machine.folder import Folder, path_of
from ..machine.progress import say
from .checkpoint import FILE, FORMER, not_ours, put_aside, save, stand_in
from .claim import Claim, Taken
from .content import content_of
from .plain import plain

SHARE = 0.01  # the largest share of the run's time that goes into saving


class Autosave:
    """A watcher that saves the run `gan` in `folder` every `seconds`, or less often if saving would
    take more than 1 % of the run's time.

    A state is saved only if all figures up to it are known to be finite. If the folder cannot be
    written any more (a drive that was cut off, a full disk), the run goes on: one line says so,
    saving continues in `stand_in(folder)` on this machine, and returns to the folder as soon as
    that can be written again. `resume` looks in both. A checkpoint that is there already, and from
    which `gan` does not go on, is kept under another name. Raises ValueError for `seconds` of 0 or
    less.
    """

    claim = None

    def __init__(self, gan, folder, seconds=60.0):
        if isinstance(seconds, (str, bool, type(None))) or not seconds > 0:
            raise ValueError(
                f"save_seconds={seconds!r} was given; more than 0 seconds between two saves are "
                "expected"
            )
        self.gan, self.seconds, self.now = gan, seconds, None
        self.name, self.other = path_of(folder), stand_in(folder)  # as they are printed
        self.folder, self.elsewhere = self.name.absolute(), self.other.absolute()
        self.place, self.away, self.saved, self.refused = Folder(self.folder), None, None, None
        self.foreign = []  # folders with a run that is to be kept
        self._wait(time.monotonic(), 0.0)

    def hold(self, settings):
        """Claim the folder for this run; see `Claim`. Raises ValueError where the run, or the
        `settings` that it will remember, cannot be saved.
        """
        refuse_folder(self.name, "a run")
        content_of(self.gan)
        settings = plain(settings, "gan.trained_on")
        self.claim = Claim(self.folder)
        for place, name in ((self.folder, self.name), (self.elsewhere, self.other)):
            if (step := not_ours(place, self.gan)) is not None:
                self.foreign.append(place)
                what = f"a run at step {step:,}" if isinstance(step, int) else f"{step}, unreadable"
                say(
                    f"{name}: holds {what}, from which this run does not go on (resume does that); "
                    "it is kept there as checkpoint.kept-1.pt, or the next number"
                )
        return settings

    def update(self, now):
        """Save if a save is due, the run goes on and all figures so far are finite."""
        self.now = now
        try:
            if self.claim is not None:
                self.claim.renew()
        except Taken as error:
            self._end(error)
        if now.stats and now.reason is None and self.due() and now.finite():
            self.save()

    def due(self):
        return time.monotonic() >= self._due

    def save(self):
        """Save in the folder, or else in its stand-in. If neither can be written, a line says so
        and the run goes on.
        """
        if self.saved == self.gan.step:
            return
        start, failure, saved = time.monotonic(), None, False
        try:
            if self.claim is not None:
                self.claim.check()
                self.claim.made.clear()  # from now on the folder stays
            saved, failure = self._save()
            self.refused = None
        except ValueError as error:  # a value that no checkpoint can hold: not a matter of place
            if str(error) != self.refused:
                say(f"{self.name}: step {self.gan.step:,} is NOT SAVED: {error}")
            self.refused, failure = str(error), self.away
        except Taken as error:
            self._end(error)
            return
        self.away, self.saved = failure, self.gan.step if saved else None
        self._wait(start, time.monotonic() - start)

    def _end(self, taken):
        """End this run, and print why: another run has claimed its folder (`taken`)."""
        reason = f"{self.name} was taken over by {taken}; this run is saved there no more"
        if reason != self.refused:
            say(reason)
        self.refused, self.saved = reason, None
        self.now.reason = self.now.reason or reason

    def _save(self):
        """Save in the folder, else in its stand-in; return whether that was done, and what failed
        in the folder.
        """
        try:
            self.place.check()
            self._keep(self.folder)
            saved = save(self.folder, self.gan)
            self.place.check()
            if saved:
                self._keep(self.elsewhere)
                with suppress(OSError):  # its saves are older now
                    for name in (FILE, FORMER):
                        (self.elsewhere / name).unlink(missing_ok=True)
                    self.elsewhere.rmdir()
            if saved and self.away:
                say(f"{self.name}: can be written again; saved there at step {self.gan.step:,}")
            return saved, None
        except OSError as error:
            failure = str(error)
        try:
            self._keep(self.elsewhere)
            saved = save(self.elsewhere, self.gan)
            where = f"saving goes on in {self.other}, where `resume` will find it"
        except OSError as other:
            saved = False
            where = f"nor can {self.other} ({other}): the run goes on UNSAVED, and tries again"
        if not self.away:
            say(f"{self.name}: cannot be written ({failure}); {where}")
        return saved, failure

    def _keep(self, place):
        """Rename the checkpoint of another run in `place`, so that no save replaces it."""
        if place in self.foreign:
            put_aside(place)
            self.foreign.remove(place)

    def rest(self):
        """Save a suspended run (its loop was left, its iterator kept): it may never go on."""
        if self.now is not None and self.now.whole and self.now.stats:
            self.save()

    def close(self, now):
        """Save the end of the run and print where; but no step that raised, and no run without
        a step.
        """
        self.now = now
        if now.whole and now.stats:
            self.save()
            if self.saved is not None:
                where = self.other if self.away else self.name
                say(f"{where}: saved at step {self.saved:,}")
        if self.claim is not None:
            self.claim.release()

    def _wait(self, start, took):
        """Set when the next save is due, after one from `start` on that took `took` seconds."""
        self._due = start + took + max(self.seconds, took / SHARE)
