"""The loop: one step after another, a row of figures now and then, watchers that are told, and an end.

It knows no view, no file and no metric. Whatever looks at a run while it goes on is a watcher: an object with
`update(now)`, called once before the first step and after each step, and `close(now)`, called once at the end.
"""

import signal
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field

from ..machine import processes

# What a run is to the loop, to checkpoints and to the live view: whatever has these. `GAN` and `Several` are two.
RUN = ("seed", "step", "images_seen", "history", "trained_on", "device", "dtype", "gans", "state_dict",
       "load_state_dict", "check", "look")  # fmt: skip


@dataclass
class Now:
    """Where the run is: `step` and `images` since its beginning, `seconds` since this call, `stats` of the last step.

    `stats` are 0-d tensors on the device: reading one waits for it. `reason` says why the run ends, in its last `now`.
    """

    gan: object  # or whatever else the run is: see `RUN`
    game: object = None
    seconds: float = 0.0
    stats: dict = field(default_factory=dict)
    progress: float | None = None
    reason: str | None = None
    whole: bool = True  # False while a step is half done, as when it raised: such a state is not to be saved
    _finite: object = None
    _cost: object = None

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
        """Whether the history has a row of this very step: its figures are known to be finite then."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    def finite(self):
        """Whether all figures up to this step are finite. Between two rows this waits for the device.

        Of several processes, which would have to wait for each other, none does: there it is True at a row only.
        """
        if self.recorded or self._finite is None:
            return True
        return processes.place()[1] == 1 and self._finite()

    def every(self, n):
        """True at every `n`-th step of the run."""
        return self.step % n == 0

    def look(self):
        """Return what a picture of the run shows, as its game says."""
        return self.gan.look() if self.game is None else self.game.look(self.gan)

    def best(self, name="frechet_distance", better=None):
        """True where this step's evaluation gave the best `name` of the run: `if now.best(): save(...)`.

        Which way is better the table of figures says (`judge.figures`); for a figure of your own say it: "lower",
        "higher", or the number to which it is to come near. Raises ValueError where neither says it.
        """
        values = [row[name] for row in self.history if name in row]
        if not values or not self.recorded or name not in self.history[-1]:
            return False
        cost = self._cost(name, better)
        return cost(values[-1]) == min(map(cost, values))


def loop(run, game, play, records, rules, watchers, cost=None):
    """Play steps, and yield a `Now` after each, until a rule, an interrupt or a figure that is not finite ends it.

    play: `play()` plays one step of `game` and returns its figures, a dict of 0-d tensors.
    records: adds the rows of the history, and knows whether all figures were finite (see `Records`).
    rules: each a function of `now` that returns why the run ends, or None.
    watchers: told in this order, of each step before the rules are asked, and of the end, however that comes.
    cost: a function of (name, better) to a function of a figure's values that is the lower the better they are.
    """
    now = Now(run, game, _finite=records.finite, _cost=cost)

    def tell_progress():
        now.progress = max((rule.progress(now) for rule in rules if rule.unit), default=None)

    with _deferred_interrupt() as interrupted:
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
                now.reason = now.reason or next(filter(None, (rule(now) for rule in rules)), None) or interrupted(now)
                now.reason = processes.agree(now.reason)
                now.reason = now.reason and (records.lost() or now.reason)
                yield now
                if now.reason is None and processes.place()[1] == 1 and interrupted(now):  # in the loop's body
                    now.reason = records.lost() or interrupted(now)
        finally:
            now.whole = now.whole and not records.replaying
            with ExitStack() as each:  # every one of them, also where another's raises
                for watcher in reversed(watchers):
                    each.callback(watcher.close, now)


class _deferred_interrupt:
    """The first SIGINT or SIGTERM is noted, and said when called; another SIGINT raises. Needs the main thread."""

    WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}

    def __enter__(self):
        self.seen, self.before = None, {}
        if threading.current_thread() is threading.main_thread():
            self.before = {which: signal.signal(which, self._note) for which in self.WORDS}
        return self

    def __exit__(self, *_):
        for which, before in self.before.items():
            if before is not None:  # None: not Python's own
                signal.signal(which, before)

    def __call__(self, now):
        return self.seen and f"{self.seen} at step {now.step:,}; run again to go on"

    def _note(self, which, _):
        if self.seen and which == signal.SIGINT:
            raise KeyboardInterrupt
        self.seen = self.seen or self.WORDS[which]
