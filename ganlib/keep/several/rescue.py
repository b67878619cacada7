"""`Rescue`, a watcher of a run in several processes: if one of them is lost, another saves the run,
and all end with a sentence.
"""

import sys
import time
from contextlib import suppress

from torch import distributed

from ...machine import launch
from ...machine.folder import path_of
from ...machine.held import locks
from ...machine.several import joining
from ...machine.several.watching import Lost, Pulse, broken
from .. import checkpoint, claim

TRIES = 5.0  # seconds for which a folder is asked for that a lost process held


class Rescue:
    """A watcher of the run of this process. `train` puts it before all others, since it must be the
    first that is told of the end.

    A loss shows in the error that a message between processes raises, or in the silence of the
    other (`Pulse`). Then this process restores the run's last row, if it was in the middle of a
    step, and saves the run in its folder: the first process does so, or if it is lost, the next one
    that gets the folder. It raises `Lost`, whose message says what was saved. If the main thread
    hangs in a message, a thread does this and ends the process.

    records: the run's `Records`. autosave: an `Autosave`, or None without a folder; of the first
    process the one in use, of others a spare. settings: what the run remembers, for its claim.
    """

    def __init__(self, run, records, autosave, settings):
        self.run, self.records, self.autosave = run, records, autosave
        self.settings, self.now, self.pulse = settings, None, None

    def begin(self):
        """Start the signs of life."""
        place = None
        with suppress(ValueError):  # others than `launch.start` began these processes
            place = joining.from_environment()
        self.pulse = Pulse(self._in_a_thread, place)

    def __enter__(self):
        """Mark the begin of a step, in which a loss may leave the main thread waiting."""
        if self.pulse is not None:
            self.pulse.busy = True

    def __exit__(self, *_):
        if self.pulse is not None:
            self.pulse.busy = False

    def update(self, now):
        """Raise `Lost` if another process is lost."""
        self.now, self.pulse.busy = now, True
        if self.pulse.missing:
            raise Lost(self.pulse.who())

    def close(self, now):
        """Stop the signs of life at the run's end. If a message failed: save, and raise `Lost`."""
        self.now, error = now, sys.exception()
        if not broken(error) and not isinstance(error, Lost):
            self.pulse.close(done=now.reason is not None)
            return
        if not self.pulse.first_to_notice():
            time.sleep(60)  # the thread ends this process
        try:
            raise Lost(self._sentence(self.pulse.lost())) from error
        finally:
            self.pulse.close(done=False)

    def _in_a_thread(self, who):
        """Save, print why, and end the process: its main thread waits for a message for ever."""
        if self.run.device.type == "cuda":
            with suppress(Exception):  # or the device would wait, too
                distributed.distributed_c10d._abort_process_group()
        error = Lost(self._sentence(who))
        if self.autosave is not None and self.autosave.claim is not None:
            self.autosave.claim.release()
        launch.failed(error)

    def _sentence(self, who):
        at = self.run.step
        if not self.now.whole:
            self.records.back()
            self.now.whole = True  # what the first process saves next
        rank, size = distributed.get_rank(), (self.run.trained_on or {}).get("batch_size")
        return (
            f"{who}; process {rank} ends, at step {at:,}. {self._saved()}. The same command goes "
            f"on, with as many processes as share {size} images a step evenly: leave --batch-size "
            "out, or give each its part"
        )

    def _saved(self):
        """Save the run, unless the first process does; return what was saved: a sentence without a
        full stop.
        """
        step, autosave = self.run.step, self.autosave
        if autosave is None:
            return "Nothing is saved, since `train` was given no folder"
        if step == 0:
            return "Nothing was trained that could be saved"
        first = distributed.get_rank() == 0
        if not first and 0 not in self.pulse.missing and self.pulse.store is not None:
            return f"Process 0 saves the run in {autosave.name}"
        end = time.monotonic() + TRIES
        while True:
            if (there := self._kept()) is not None:
                return f"{autosave.name}: saved at step {there:,}"
            if first or self._holds():
                autosave.now = self.now
                autosave.save()
                if not first:
                    autosave.claim.release()
                where = autosave.other if autosave.away else autosave.name
                done = autosave.saved == step
                return f"{where}: saved at step {step:,}" if done else f"{where}: NOT SAVED"
            if time.monotonic() > end:
                break
            time.sleep(0.2)
        try:
            checkpoint.save(autosave.elsewhere, self.run)
        except (OSError, ValueError) as error:
            return f"Step {step:,} is NOT SAVED: {error}"
        return (
            f"{autosave.name} is still held by the lost process: saved at step {step:,} in "
            f"{autosave.other}, where going on will find it"
        )

    def _holds(self):
        """Whether this process could claim the folder."""
        about = locks.read(self.autosave.folder / claim.LOCK)
        if about and about.get("machine") != locks.machine():
            return False  # another machine's: there is no time to watch for its signs
        try:
            self.autosave.hold(self.settings)
        except BlockingIOError:
            return False
        return True

    def _kept(self):
        """Return the step of the run's checkpoint, if it is as far as this process; else None."""
        for place in (self.autosave.folder, self.autosave.elsewhere):
            step = checkpoint.step_of(path_of(place), self.run)
            if step is not None and step >= self.run.step:
                return step
        return None
