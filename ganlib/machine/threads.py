"""`Threads`, a watcher that takes fewer CPU threads for a run while other processes use the cores,
and more again when these are free.
"""

import statistics
import time

import torch

from .device import choice
from .progress import say

SLOW = 1.5  # fewer threads are tried when a step takes this many times the best seconds
FASTER = 1.15  # another number of threads is taken if steps are this many times as fast
CALM = 0.75  # all threads are tried when a step takes this share of its earlier seconds
STEPS, SECONDS = 3, 1.0  # least steps and seconds of a window, over which times are averaged
TRIAL, LONG = 9, 4.0  # least steps of a window in a trial; seconds that end it with fewer steps
SHARE = 0.01  # the largest share of the run's time that trials take
QUIET = 30.0  # seconds before the first trial where fewer threads than usual were there already


def watch(reading):
    """Return a `Threads` for a run on the CPU; None if nothing is to be watched: there is only one
    thread, or the user chose their number by `setup(threads=...)`. `reading` is as in `Threads`.

    Usual threads are the present ones; or more, if there are fewer than usual already by the choice
    of `setup`, of an earlier run in this process, or of the run that was resumed.
    """
    now, (usual, left) = torch.get_num_threads(), choice.usual
    usual = max(now, usual) if left == now else now
    return Threads(reading, usual) if usual > 1 and choice.threads is None else None


class Threads:
    """A watcher that notices when steps become slow, and takes fewer threads if that is faster.

    usual: the number of threads on a quiet machine.
    reading: a dict whose entries are added to each row of the history.

    `timed(play)` measures the seconds of each step. The median of a window of steps is compared
    with the best so far: at 1.5 times its seconds, the next windows of the run are a trial, played
    with fewer threads. (A single matrix product is no trial: it does not show what many small
    operations lose, each of which waits for the slowest thread.) With fewer threads than `usual`
    all are tried again from time to time, and at once when steps become faster by themselves.
    Trials take at most 1 % of the run's time, except those that end in a change.

    The number of threads changes the low bits of a run's numbers, so a run with this watcher cannot
    be repeated bit for bit; after `setup(threads=...)` there is no such watcher. The number is an
    entry `threads` of each row with fewer threads than usual, and of the first row with all of them
    again. A checkpoint holds it, and `usual`; a resumed run goes on with that number.
    """

    def __init__(self, reading, usual, clock=time.perf_counter):
        self.reading, self.usual, self.clock = reading, usual, clock
        self.times, self.spent, self.best, self.level = [], 0.0, float("inf"), None
        self.tried, self.left = None, []  # a trial: {threads: mean seconds}, threads still to try
        self.vain, self.downs = 0, 0  # trials without a change; changes to fewer threads
        fewer = torch.get_num_threads() < usual
        self.due = clock() + QUIET * fewer
        if fewer:
            reading["threads"] = torch.get_num_threads()

    def timed(self, play):
        """Return a function that calls `play`, one step, and measures its seconds."""

        def step():
            start = self.clock()
            stats = play()
            self.times.append(self.clock() - start)
            self.spent += self.times[-1]
            return stats

        return step

    def update(self, now):
        """Compare the last steps, if they fill a window; begin, continue or end a trial."""
        if now.recorded and self.reading.get("threads") == self.usual:
            del self.reading["threads"]  # this step's row has said so
        steps = STEPS if self.tried is None else TRIAL
        enough = len(self.times) >= steps and self.spent >= SECONDS
        if not (enough or (self.tried is not None and self.spent >= LONG)):
            return
        middle, mean = statistics.median(self.times), self.spent / len(self.times)
        self.times, self.spent, count = [], 0.0, torch.get_num_threads()
        if self.tried is not None:
            self.tried[count] = mean
            self._decide(now)
        elif count == self.usual:
            slow = middle > SLOW * self.best
            self.best = min(self.best, middle)
            self.vain = self.vain if slow else 0
            if slow and self.clock() >= self.due:
                self._try(sorted({count - 1, count // 2, 1}, reverse=True))
        else:
            self.level = self.level or mean
            if mean < CALM * self.level or self.clock() >= self.due:
                self._try([self.usual])

    def _try(self, others):
        """Begin a trial: a window with the present number of threads, and one with each other."""
        self.before, self.start = torch.get_num_threads(), self.clock()
        self.tried, self.left = {}, [self.before, *others]
        self._take(self.left.pop(0))

    def _take(self, count):
        torch.set_num_threads(count)
        choice.usual = self.usual, count
        if count != self.usual or "threads" in self.reading:
            self.reading["threads"] = count

    def _decide(self, now):
        """Go on with the trial; at its end keep the fastest number of threads."""
        if self.left:
            return self._take(self.left.pop(0))
        tried, before = self.tried, self.before
        fastest = min(tried, key=tried.get)
        fastest = before if tried[fastest] * FASTER > tried[before] else fastest
        self.tried, self.level = None, tried[fastest]
        self._take(fastest)
        wait = (self.clock() - self.start) / SHARE
        if fastest == before == self.usual:
            self.due, self.vain = self.clock() + wait * 2**self.vain, min(self.vain + 1, 5)
        elif fastest == self.usual:
            self.due = 0.0  # it may have been a short calm
            say(f"step {now.step:,}: the cores are free again: {fastest} threads")
        else:
            self.downs += fastest < before
            self.due = self.clock() + wait * min(self.downs, 4)
            if fastest != before:
                times = ", ".join(f"{n}: {1000 * t:,.0f} ms" for n, t in tried.items())
                say(
                    f"step {now.step:,}: other processes keep cores busy (a step by threads: "
                    f"{times}), so threads={fastest} until they are free again"
                )

    def close(self, now):
        """Do nothing: the number of threads stays for what is computed after the run."""
