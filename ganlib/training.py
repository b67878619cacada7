"""Training: the loop around the step, what it records, and how it ends."""

import signal
import threading
import time
from dataclasses import dataclass, field

from . import evaluation, parallel
from .gan import GAN
from .keeper import Keeper
from .records import Records
from .steps import gan_step, played
from .until import Rule


@dataclass
class Now:
    """Where the run is: `step` and `images` since its beginning, `seconds` since this call, `stats` of the last step.

    `stats` are 0-d tensors on the device: reading one waits for it. `reason` says why the run ends, in its last `now`.
    """

    gan: GAN
    seconds: float = 0.0
    stats: dict = field(default_factory=dict)
    progress: float | None = None
    reason: str | None = None

    @property
    def step(self):
        return self.gan.step

    @property
    def images(self):
        return self.gan.images_seen

    @property
    def history(self):
        return self.gan.history

    def every(self, n):
        """True at every `n`-th step of the run."""
        return self.step % n == 0

    def best(self, name="frechet_distance"):
        """True where this step's evaluation gave the lowest `name` of the run: `if now.best(): save(...)`."""
        found = [row[name] for row in self.history if name in row]
        return bool(found) and self.history[-1]["step"] == self.step and self.history[-1].get(name) == min(found)


def train(gan, data, step=gan_step, *, until, view=None, folder=None, save_seconds=60, batch_size=100, record_every=50,
          evaluate_every=None, evaluate=evaluation.quick):  # fmt: skip
    """Train, and hand the loop a `Now` after each step: `for now in train(gan, data, step, until=10_000): ...`

    until: a number of steps, "1M images", "100 epochs", "60s" ("5 min", "1h"), any callable of `now` (it ends the run
        by returning True, or a sentence that says why), or a list of these: the first that holds ends the run, and
        `now.reason` names it. Steps, images and epochs count from the run's beginning, seconds from this call.
    view: told of each step by `view.update(now)` and of the end by `view.close(now)`.
    folder: where the run is saved every `save_seconds` (seldomer where that would cost more than 1 % of the time) and
        at its end, however that comes; give `resume` the same. Where it cannot be written any more, saving goes on in
        a folder of this machine, and that is said.
    batch_size: of each process, where torchrun started several: they share out each batch and average their gradients.
    record_every: every so many steps a row of figures joins `gan.history`: the step's own and those of `records.row`.
    evaluate_every: every so many steps the figures of `evaluate(gan, data)`, a dict, join it as well, so that
        `now.best("frechet_distance")` tells whether these weights are the best so far, and `below` and `plateau` can
        end the run. By default 2,000 fakes are judged; `partial(ganlib.evaluate, n=..., extractor=...)` says otherwise.

    An interrupt (the kernel's stop button, Ctrl-C) and SIGTERM let the step finish and end the loop cleanly; the next
    call goes on. A second interrupt raises KeyboardInterrupt at once. Where a figure stops being finite the run ends:
    it goes back to its last finite row, and the reason names the step and the layer. Raises ValueError for nets that
    do not fit the data, a batch larger than the data, an `until` that it cannot read or that needs figures nobody
    asked for.
    """
    rules = [Rule(rule, len(data)) for rule in (until if isinstance(until, (list, tuple)) and until else [until])]
    if record_every < 1:
        raise ValueError(f"record_every={record_every} was given; a number of steps of at least 1 is expected")
    if evaluate_every is not None and evaluate_every < 1:
        raise ValueError(f"evaluate_every={evaluate_every} was given; a number of steps of at least 1 is expected")
    if evaluate_every is None and (needs := [rule.rule.needs for rule in rules if hasattr(rule.rule, "needs")]):
        raise ValueError(f"until waits for {needs[0]!r}, and nothing evaluates: give evaluate_every=...")
    k, game = played(step)
    data = data.near(gan.device)
    gan.check(data)
    rank, world = parallel.place()
    size = batch_size * world
    given = {"data": f"{data.name}, {len(data)} of {data.shape}", "batch_size": size} | game
    given |= {"classes": list(map(str, data.classes))} if data.classes else {}
    then = gan.trained_on or given
    if changed := [name for name in given | then if given.get(name) != then.get(name)]:
        was, now = (", ".join(f"{name} = {what.get(name)}" for name in changed) for what in (then, given))
        raise ValueError(f"this run was trained with {was}, and is given {now} now; use the same, or start anew in "
                         "another folder or with fresh=True (in the notebooks: FRESH = True)")  # fmt: skip
    for rule in rules:
        if hasattr(rule.rule, "check"):
            rule.rule.check(game.get("objective"))
    if evaluate_every is not None and evaluate is evaluation.quick:
        evaluation.quick.check(gan, data)
    data.batches(gan.seed, gan.step, k, size)  # raises where a batch is larger than the data
    gan.trained_on = given
    parallel.share([weight for net in (gan.G, gan.D, gan.G_ema) if net for weight in net.state_dict().values()])
    now = Now(gan)
    now.progress = max((rule.progress(now) for rule in rules if rule.unit), default=None)
    if done := next((rule for rule in rules if rule.of_run and rule(now)), None):
        now.reason = f"this run is finished: {done(now)}"
        if view is not None:
            view.update(now, force=True)
            view.close(now)
        above = "that" if callable(done.rule) else repr(done.rule)
        print(f"{now.reason}. To go on, raise `until` above {above} (in the notebooks STEPS, on the command line "
              "--steps); to start anew, resume(..., fresh=True) (FRESH = True, another --out).")  # fmt: skip
        return

    def play(eager=False):
        before, move = gan.step, getattr(step, "eager", step) if eager else step
        batches = data.batches(gan.seed, gan.step, k, size, gan.dtype).to(gan.device)
        stats = move(gan, batches.part(rank, world) if world > 1 else batches)
        if not isinstance(stats, dict):
            raise ValueError(f"the step returned {type(stats).__name__}; a dict of 0-d tensors is expected")
        if gan.step == before:  # a step of the user's own that leaves the counting to us
            gan.step, gan.images_seen = gan.step + 1, gan.images_seen + k * size
        return stats

    records = Records(gan, data, game.get("objective", "a step of your own"), play)
    keeper = Keeper(gan, folder, save_seconds) if folder is not None and rank == 0 else None
    with _deferred_interrupt() as interrupted:
        if view is not None:
            view.update(now, force=True)
        start, whole = time.monotonic(), True
        try:
            while now.reason is None:
                whole = False
                now.stats = play()
                records.saw(now.stats)
                whole = True
                now.seconds = time.monotonic() - start
                judged = evaluate_every is not None and now.every(evaluate_every)
                row = now.every(record_every) or gan.step == 1 or judged
                broken = records.add(now) if row else None
                now.progress = max((rule.progress(now) for rule in rules if rule.unit), default=None)
                if judged and not broken:
                    figures = evaluate(gan, data).items()
                    figures = {name: value.item() if hasattr(value, "item") else value for name, value in figures}
                    gan.history[-1] |= {name: value for name, value in figures.items() if isinstance(value, float)}
                now.reason = broken or next(filter(None, (rule(now) for rule in rules)), None) or interrupted(now)
                now.reason = parallel.agree(now.reason)
                now.reason = now.reason and (records.lost() or now.reason)
                if keeper and now.reason is None and keeper.due() and (row or world == 1):
                    now.reason = None if row else records.lost()  # nothing is saved unread
                    keeper.save()
                if view is not None:
                    view.update(now, force=now.reason is not None)
                yield now
                if now.reason is None and world == 1 and interrupted(now):  # it came while the loop's body ran
                    now.reason = records.lost() or interrupted(now)
                    if view is not None:
                        view.update(now, force=True)
        finally:
            if keeper and whole and not records.replaying:  # not in the midst of a step that raised
                keeper.close()
            if view is not None:
                view.close(now)


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
