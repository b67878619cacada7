"""The loop plays steps, adds rows to the history, and tells watchers: objects with `update(now)`
(before the first step, and after each) and `close(now)`. It knows no view, file or metric.
"""

import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..machine import processes


@dataclass
class Now:
    """Where a run is: `step` and `images` since its start, `seconds` since this call of `train`.

    `stats` are the figures of the last step, 0-d tensors on the device: reading one waits for it.
    `reason` says why the run ends; it is None until the last `now`.
    """

    gan: object  # a GAN, or another run: see RUN in training.py
    game: object = None
    seconds: float = 0.0
    stats: dict = field(default_factory=dict)
    progress: float | None = None
    reason: str | None = None
    whole: bool = True  # False while a step is half done, or raised: do not save such a state
    _finite: object = None
    _best: object = None

    @property
    def step(self):
        return self.gan.step

    @property
    def images(self):
        return self.gan.images_seen

    @property
    def history(self):
        return self.gan.history

    @property
    def recorded(self):
        """Whether the history has a row for this very step; its figures are known to be finite."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    def finite(self):
        """Return whether all figures up to this step are finite; between two rows this waits for
        the device.

        With several processes it is True at rows only, since they would have to wait for each
        other.
        """
        if self.recorded or self._finite is None:
            return True
        return processes.place()[1] == 1 and self._finite()

    def every(self, n):
        """Return True at every `n`-th step of the run."""
        return self.step % n == 0

    def look(self):
        """Return what a picture of the run shows, a `Look`."""
        return self.gan.look() if self.game is None else self.game.look(self.gan)

    def best(self, name="frechet_distance", better=None):
        """Return True if this step's evaluation gave the best `name` so far: `if now.best():
        save(...)`.

        The table of figures (`judge.figures`) knows which way is better. For a figure of the user's
        own, `better` says it: "lower", "higher", or the best value. Raises ValueError if neither
        does, and if the evaluations leave `name` out.
        """
        return self.recorded and self._best is not None and self._best(self.history, name, better)


def loop(run, game, play, records, rules, watchers, interrupted, best=None):
    """Play steps, and yield a `Now` after each, until a rule, an interrupt or a figure that is not
    finite.

    play: `play()` plays one step of `game` and returns its figures, a dict of 0-d tensors.
    records: adds rows to the history, and knows whether all figures were finite; see `Records`.
    rules: functions of `now` that return why the run ends, or None.
    watchers: objects that are told of each step, in this order, before the rules are asked; and of
        the end.
    interrupted: a context that notes signals; `interrupted(now)` returns why one ends the run.
    best: whether the last of some rows has the best `name`: a function of (rows, name, better).
    """
    now = Now(run, game, _finite=records.finite, _best=best)

    def tell_progress():
        now.progress = max((rule.progress(now) for rule in rules if rule.unit), default=None)

    with interrupted:
        tell_progress()
        try:
            for watcher in watchers:
                watcher.update(now)
            start = time.monotonic()
            while now.reason is None:
                now.whole = False
                now.stats = play()
                records.saw(now.stats)
                now.whole = True
                now.seconds = time.monotonic() - start
                now.reason = records.add(now) if records.due(now) else None
                tell_progress()
                for watcher in watchers:
                    watcher.update(now)
                ends = (end(now) for end in (*rules, interrupted))
                now.reason = processes.agree(now.reason or next(filter(None, ends), None))
                now.reason = now.reason and (records.lost() or now.reason)
                yield now
                # an interrupt in the loop's body
                if now.reason is None and processes.place()[1] == 1 and interrupted(now):
                    now.reason = records.lost() or interrupted(now)
        finally:
            unread = getattr(sys.exception(), "between_steps", False)  # no batch: see checks.read
            now.whole = (now.whole or unread) and not records.replaying
            with ExitStack() as each:  # all are told, even if one raises
                for watcher in reversed(watchers):
                    each.callback(watcher.close, now)
