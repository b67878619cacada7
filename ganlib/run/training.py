"""Training: what `train` is given, checked at the call; and the watchers that it builds for the loop."""

from ..game.moves import gan_step, played
from ..keep.autosave import Keeper
from ..machine import processes
from .history import Records
from .loop import Now, loop
from .until import Rule


def train(gan, data, step=gan_step, *, until, view=None, folder=None, save_seconds=60, batch_size=100, record_every=50,
          evaluate_every=None, evaluate=None):  # fmt: skip
    """Train, and hand the loop a `Now` after each step: `for now in train(gan, data, step, until=10_000): ...`

    until: a number of steps, "1M images", "100 epochs", "60s" ("5 min", "1h"), any callable of `now` (it ends the run
        by returning True, or a sentence that says why), or a list of these: the first that holds ends the run, and
        `now.reason` names it. Steps, images and epochs count from the run's beginning, seconds from this call.
    view: a watcher: told of each step by `view.update(now)` and of the end by `view.close(now)`.
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
    it goes back to its last finite row, and the reason names the step and the layer. Raises ValueError, at the call and
    not only once the loop begins, for nets that do not fit the data, a batch larger than the data, an `until` that it
    cannot read or that needs figures nobody asked for.
    """
    rules = [Rule(rule, len(data)) for rule in (until if isinstance(until, (list, tuple)) and until else [until])]
    for name, value in (("record_every", record_every), ("evaluate_every", evaluate_every)):
        if value is not None and value < 1:
            raise ValueError(f"{name}={value} was given; a number of steps of at least 1 is expected")
    if evaluate_every is None and (needs := [rule.rule.needs for rule in rules if hasattr(rule.rule, "needs")]):
        raise ValueError(f"until waits for {needs[0]!r}, and nothing evaluates: give evaluate_every=...")
    k, game = played(step)
    data = data.near(gan.device)
    gan.check(data)
    rank, world = processes.place()
    size = batch_size * world
    given = {"data": f"{data.name}, {len(data)} of {data.shape}", "batch_size": size} | game
    given |= {"classes": list(map(str, data.classes))} if data.classes else {}
    _same(gan.trained_on or given, given)
    for rule in rules:
        if hasattr(rule.rule, "check"):
            rule.rule.check(game.get("objective"))
    data.batches(gan.seed, gan.step, k, size)  # raises where a batch is larger than the data
    watchers = []
    if evaluate_every is not None:
        from ..judge.judging import Judge

        watchers.append(Judge(gan, data, evaluate_every, evaluate))
    if folder is not None and rank == 0:
        watchers.append(Keeper(gan, folder, save_seconds))
    if view is not None:
        watchers.append(view)

    def play(eager=False):
        before, move = gan.step, getattr(step, "eager", step) if eager else step
        batches = data.batches(gan.seed, gan.step, k, size, gan.dtype).to(gan.device)
        stats = move(gan, batches.part(rank, world) if world > 1 else batches)
        if not isinstance(stats, dict):
            raise ValueError(f"the step returned {type(stats).__name__}; a dict of 0-d tensors is expected")
        if gan.step == before:  # a step of the user's own that leaves the counting to us
            gan.step, gan.images_seen = gan.step + 1, gan.images_seen + k * size
        return stats

    objective = game.get("objective", "a step of your own")
    records = Records(gan, data, objective, play, record_every, evaluate_every)
    return Training(gan, _begin(gan, given, play, records, rules, watchers, view))


class Training:
    """What `train` returns: the steps, to be looped over."""

    def __init__(self, gan, steps):
        self.gan, self.steps = gan, steps

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.steps)

    def close(self):
        """Leave the loop, as `break` does: all that watches the run is told of its end."""
        self.steps.close()

    def __repr__(self):
        return (f"<the run at step {self.gan.step:,}: nothing is trained until you loop over it: "
                "for now in ganlib.train(...): pass>")  # fmt: skip


def _begin(gan, given, play, records, rules, watchers, view):
    """The loop, or, of a run that is finished, a line that says so and its last picture."""
    gan.trained_on = given
    processes.share([weight for net in (gan.G, gan.D, gan.G_ema) if net for weight in net.state_dict().values()])
    now = Now(gan)
    if done := next((rule for rule in rules if rule.of_run and rule(now)), None):
        now.reason, now.progress = f"this run is finished: {done(now)}", 1.0
        if view is not None:
            view.close(now)
        above = "that" if callable(done.rule) else repr(done.rule)
        print(f"{now.reason}. To go on, raise `until` above {above} (in the notebooks STEPS, on the command line "
              "--steps); to start anew, resume(..., fresh=True) (FRESH = True, another --out).")  # fmt: skip
        return
    yield from loop(gan, play, records, rules, watchers)


def _same(then, now):
    """Raise ValueError where a run that was trained one way is given another."""
    if changed := [name for name in now | then if now.get(name) != then.get(name)]:
        was, given = (", ".join(f"{name} = {what.get(name)}" for name in changed) for what in (then, now))
        raise ValueError(f"this run was trained with {was}, and is given {given} now; use the same, or start anew in "
                         "another folder or with fresh=True (in the notebooks: FRESH = True)")  # fmt: skip
