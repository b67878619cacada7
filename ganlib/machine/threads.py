"""`Threads`, a watcher of a run on the CPU: fewer threads while other processes keep cores busy."""

import statistics
import time

import torch

from .device import choice
from .progress import say

SLOW = 1.5  # steps that take so many times the seconds of the best: fewer threads are tried
FASTER = 1.15  # so many times as fast must steps be with another number of threads
CALM = 0.75  # steps that take so small a share of what they took: all threads are tried
STEPS, SECONDS = 3, 1.0  # a window: so many steps, and seconds, at least
TRIAL, LONG = 9, 4.0  # the same in a trial, but after so many seconds it ends with fewer steps
SHARE = 0.01  # the largest share of the run's time that trials take
QUIET = 30.0  # seconds before the first trial where fewer threads than usual were there already


def watch(reading):
    """Return a `Threads` for a run on the CPU; None where there is one thread, or as many as the
    user gave to `setup`. See there for `reading`.

    Usual threads are those that there are now, or more where `setup`, the watcher of an earlier run
    in this process, or that of the run before `resume` has taken fewer.
    """
    now, (usual, left) = torch.get_num_threads(), choice.usual
    usual = max(now, usual) if left == now else now
    return Threads(reading, usual) if usual > 1 and choice.threads is None else None


class Threads:
    """A watcher that notices when steps become slow, and takes fewer threads if they are faster.

    `timed(play)` notes the seconds of each step; the median of a window of steps is compared with
    the best so far. At 1.5 times its seconds the next windows are played with fewer threads: the
    run's own steps are the trial, since a single product of matrices does not show what many small
    operations lose that each wait for the slowest thread. With fewer than `usual` all are tried
    again now and then, and at once when steps become faster by themselves. Windows with the slower
    number take at most 1 % of the run's time, but for those that show a change.

    The threads of a CPU change the low bits of a run's numbers. So the history says `threads` in
    each row with fewer than usual, and in the first with all again; a checkpoint has both numbers:
    a run that is resumed goes on with as many as it had. How long a machine is busy nobody can
    repeat, so that such a run is no more the same bit for bit: `setup(threads=...)` fixes them, and
    then there is no such watcher.

    usual: how many there are on a quiet machine. reading: a dict whose entries join each row.
    """

    def __init__(self, reading, usual, clock=time.perf_counter):
        self.reading, self.usual, self.clock = reading, usual, clock
        self.times, self.spent, self.best, self.level = [], 0.0, float("inf"), None
        self.tried, self.left = None, []  # a trial: means by threads, and threads to try
        self.vain, self.downs = 0, 0  # trials that changed nothing; times that fewer were taken
        fewer = torch.get_num_threads() < usual
        self.due = clock() + QUIET * fewer
        if fewer:
            reading["threads"] = torch.get_num_threads()

    def timed(self, play):
        """Return `play`, timed: on a CPU a step has been computed when it returns."""

        def step():
            start = self.clock()
            stats = play()
            self.times.append(self.clock() - start)
            self.spent += self.times[-1]
            return stats

        return step

    def update(self, now):
        """Look at the last steps, if they are enough, and begin or end a trial."""
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
        """Begin a trial: windows of the present number of threads, and of others."""
        self.before, self.start = torch.get_num_threads(), self.clock()
        self.tried, self.left = {}, [self.before, *others]
        self._take(self.left.pop(0))

    def _take(self, count):
        torch.set_num_threads(count)
        choice.usual = self.usual, count
        if count != self.usual or "threads" in self.reading:
            self.reading["threads"] = count

    def _decide(self, now):
        """Go on with the trial, or take the threads that it found to be faster."""
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
        """Do nothing: what comes next needs the same threads as the run's end."""
