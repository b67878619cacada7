"""Training: what `train` is given, checked at the call; and the watchers that it builds for the loop."""

from ..game.steps import as_game, gan_step
from ..machine import processes
from .history import Records
from .loop import RUN, Now, loop
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
    record_every: every so many steps a row of figures joins `gan.history`: the step's own and those of `history.row`.
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
    if missing := [name for name in RUN if not hasattr(gan, name)]:
        raise ValueError(f"a {type(gan).__name__} was given as the run; it has no {', '.join(missing)}: give a GAN")
    game, data = as_game(step), data.near(gan.device)
    game.check(gan, data)
    rank, world = processes.place()
    k, size = game.batches, batch_size * world
    settings = {"data": f"{data.name}, {len(data)} of {data.shape}", "batch_size": size} | game.describe()
    settings |= {"classes": list(map(str, data.classes))} if data.classes else {}
    _same(gan.trained_on or settings, settings)
    settings |= {"loaded": data.loaded} if getattr(data, "loaded", None) else {}
    for rule in rules:
        if hasattr(rule.rule, "check"):
            rule.rule.check(game.reading())
    data.batches(gan.seed, gan.step, k, size)  # raises where a batch is larger than the data
    watchers = []
    if evaluate_every is not None:
        from ..judge.evaluation import Judge

        watchers.append(Judge(gan, data, evaluate_every, evaluate))
    if folder is not None and rank == 0:
        from ..keep.autosave import Autosave

        watchers.append(Autosave(gan, folder, save_seconds))
    if view is not None:
        watchers.append(view)

    def play(eager=False):
        before, step = gan.step, getattr(game, "eager", game) if eager else game
        batches = data.batches(gan.seed, gan.step, k, size, gan.dtype).to(gan.device)
        stats = step.step(gan, batches.part(rank, world) if world > 1 else batches)
        if not isinstance(stats, dict):
            raise ValueError(f"the step returned {type(stats).__name__}; a dict of 0-d tensors is expected")
        if gan.step == before:  # a step of the user's own that leaves the counting to us
            gan.step, gan.images_seen = gan.step + 1, gan.images_seen + k * size
        return stats

    records = Records(gan, data, game, play, record_every, evaluate_every)
    return Training(gan, _begin(gan, game, settings, play, records, rules, watchers, view))


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


def _begin(gan, game, settings, play, records, rules, watchers, view):
    """The loop, or, of a run that is finished, a line that says so and its last picture."""
    gan.trained_on = settings
    processes.share([weight for one in gan.gans.values() for player in one.players.values()
                     for net in player.nets() for weight in net.state_dict().values()])  # fmt: skip
    now = Now(gan, game)
    if done := next((rule for rule in rules if rule.of_run and rule(now)), None):
        now.reason, now.progress = f"this run is finished: {done(now)}", 1.0
        if view is not None:
            view.close(now)
        above = "that" if callable(done.rule) else repr(done.rule)
        print(f"{now.reason}. To go on, raise `until` above {above} (in the notebooks STEPS, on the command line "
              "--steps); to start anew, resume(..., fresh=True) (FRESH = True, another --out).")  # fmt: skip
        return
    yield from loop(gan, game, play, records, rules, watchers, _cost)


def _cost(name, better):
    """How much a value of the figure `name` costs: the table of figures is read when it is asked for."""
    from ..judge.figures import cost, direction

    way = direction(name, better)
    return lambda value: cost(value, way)


def _same(then, now):
    """Raise ValueError where a run that was trained one way is given another. Where the data lie does not count."""
    names = dict.fromkeys([*now, *then])
    if changed := [name for name in names if name != "loaded" and now.get(name) != then.get(name)]:
        was, given = (", ".join(f"{name} = {what.get(name)}" for name in changed) for what in (then, now))
        raise ValueError(f"this run was trained with {was}, and is given {given} now; use the same, or start anew in "
                         "another folder or with fresh=True (in the notebooks: FRESH = True)")  # fmt: skip
