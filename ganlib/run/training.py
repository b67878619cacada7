"""`train`: checks its arguments at the call, and builds the watchers (save, judge) for the loop."""

import sys
import threading
import weakref
from contextlib import nullcontext

from ..data.raw.kinds import data_set
from ..game.steps import as_game, gan_step
from ..machine import launch, processes
from ..machine.choices import whole
from ..machine.progress import say
from ..machine.threads import watch
from ..machine.values import text
from ..nets.trying import training_mode
from .checks import figures, fingerprint, read, same, with_gradients
from .history import Records
from .interrupt import Interrupts
from .loop import Now, loop
from .until import Rule, best, in_images

# A run, for the loop, checkpoints and the live view, is any object with these: `GAN`, `Several`.
RUN = (
    "seed",
    "step",
    "images_seen",
    "history",
    "trained_on",
    "device",
    "dtype",
    "gans",
    "state_dict",
    "load_state_dict",
    "check",
    "look",
)


def train(
    gan,
    data,
    step=gan_step,
    *,
    until,
    view=None,
    folder=None,
    save_seconds=60,
    batch_size=100,
    record_every=50,
    evaluate_every=None,
    evaluate=None,
    sync_batch_norm=False,
    capture=True,
):
    """Train: `for now in train(gan, data, game, until=10_000): ...` yields a `Now` after each step.

    gan: a `GAN`, or `Several` of them. data: `Images`, or another data set (see data/images.py).
    step: what is played: a `Game`, a recipe, or a function of (gan, batches); by default the
        classic game.
    until: a number of steps, "1M images", "100 epochs", "60s" ("5 min", "1h"), a function of `now`
        that returns True or why the run ends, or a list of these; the first that holds ends the
        run, and `now.reason` names it. Steps, images and epochs count from the run's start, seconds
        from this call; but a time that the recipe was planned for (`recipe(until="5 min")`) ends
        where its schedules end, at the number of images that was measured then.
    view: a watcher, such as `LiveView`: it gets `view.update(now)` at each step, `view.close(now)`
        at the end.
    folder: where the run is saved every `save_seconds` (less often if that took more than 1 % of
        the time) and at its end, however it ends; `resume` takes the same folder. If it cannot be
        written any more, saving goes on in a folder of this machine, and a line says so. A folder
        belongs to one run: in this process the newer call ends the loop of the older one.
    batch_size: images per batch and process. Processes that torchrun started share out each batch
        and average their gradients; where one is lost, the others save the run and raise `Lost`, a
        ConnectionError.
    sync_batch_norm: with several processes, whether batch normalisation takes its statistics over
        the images of all, as one process would; by default each takes those of its own images.
    record_every: steps between two rows of `gan.history`, which hold the step's figures and those
        of `history.row`.
    evaluate_every: steps between two evaluations, whose figures join the history: then `now.best()`
        works, and `below` and `plateau` can end the run. `evaluate(gan, data)` returns a dict; by
        default at most 2,000 fakes are evaluated, 500 where EfficientNet-Lite0 reads them;
        `partial(ganlib.evaluate, n=..., extractor=..., quiet=True)` changes that.
    capture: whether the steps are played as CUDA graphs where that works, several times as fast:
        on CUDA, in one process, with nets, losses and games of ganlib; see `compile_step`.

    An interrupt (the kernel's stop button, Ctrl-C) or SIGTERM lets the step finish and ends the
    loop; the next call goes on. A second interrupt raises KeyboardInterrupt at once. If a figure is
    no longer finite, the run goes back to its last finite row and ends, and the reason names step
    and layer. Raises ValueError at the call for nets that do not fit the data, a batch larger than
    the data, other data or settings than the run began with, gradients that are switched off, and
    an `until` that cannot be read, or needs evaluations that were not asked for or a figure that
    they leave out, and where several processes have other data or settings; BlockingIOError if
    another process trains in `folder`.
    """
    game = as_game(step)
    data_set(data)
    rules = [
        Rule(in_images(rule, game, len(data)), len(data))
        for rule in (until if isinstance(until, (list, tuple)) and until else [until])
    ]
    batch_size = whole("batch_size", batch_size)
    record_every = whole("record_every", record_every)
    evaluate_every = None if evaluate_every is None else whole("evaluate_every", evaluate_every)
    watches = callable(getattr(view, "update", None)) and callable(getattr(view, "close", None))
    if view is not None and (isinstance(view, type) or not watches):
        raise ValueError(
            f"view={view!r} was given; a watcher with update(now) and close(now) is expected, such "
            "as LiveView(...), or None"
        )
    needs = [rule.rule.needs for rule in rules if hasattr(rule.rule, "needs")]
    if evaluate_every is None and needs:
        raise ValueError(
            f"until waits for {needs[0]!r}, and nothing evaluates: give evaluate_every=..."
        )
    if missing := [name for name in RUN if not hasattr(gan, name)]:
        raise ValueError(
            f"a {type(gan).__name__} was given as the run; it has no {', '.join(missing)}: give a "
            "GAN"
        )
    with_gradients(gan)
    identity, data = fingerprint(data), data.near(gan.device)
    game.check(gan, data)
    for one in gan.gans.values():
        training_mode(one)
    rank, world = processes.place()
    k, size = game.batches, batch_size * world
    settings = {
        "data": f"{data.name}, {len(data)} of {data.shape}",
        "batch_size": size,
    } | game.describe()
    settings |= {"classes": list(map(str, data.classes))} if data.classes else {}
    settings |= identity
    same(gan.trained_on or settings, settings)
    settings |= {"loaded": data.loaded} if getattr(data, "loaded", None) else {}
    if (plan := (gan.trained_on or {}).get("plan") or _plan_of(game, batch_size)) is not None:
        settings["plan"] = plan
    for rule in rules:
        if hasattr(rule.rule, "check"):
            rule.rule.check(game.reading())
    data.batches(gan.seed, gan.step, k, size)  # raises where a batch is larger than the data
    if capture and gan.device.type == "cuda":
        from .cuda.graph import automatic

        game = automatic(game, gan)
    watchers, autosave, interrupts, rescue = [], None, Interrupts(), None
    if evaluate_every is not None:
        from ..judge.evaluation import Judge

        watchers.append(Judge(gan, data, evaluate_every, evaluate, needs))
    if folder is not None:
        from ..keep.autosave import Autosave

        autosave = Autosave(gan, folder, save_seconds)
        if rank == 0:
            watchers.append(autosave)
    if view is not None:
        watchers.append(view)

    def play(eager=False):
        with_gradients()
        for one in gan.gans.values():  # a look in the loop's body may have changed it
            training_mode(one)
        before, step = gan.step, getattr(game, "eager", game) if eager else game
        batches = read(gan, data, k, size)
        with synced(gan) if sync_batch_norm and world > 1 else nullcontext():
            stats = step.step(gan, batches.part(rank, world) if world > 1 else batches)
        if hasattr(game, "opaque"):
            figures(stats)
        if gan.step == before:  # a step of the user's own that leaves the counting to us
            gan.step, gan.images_seen = gan.step + 1, gan.images_seen + k * size
        return stats

    records = Records(gan, data, game, play, record_every, evaluate_every)
    if world > 1:
        from ..keep.several.rescue import Rescue
        from .several.alike import alike
        from .several.synced import synced

        often = {"record_every": record_every, "evaluate_every": evaluate_every}
        ends = [text(rule.rule) for rule in rules]
        alike(gan, settings, **often, until=ends, sync_batch_norm=sync_batch_norm)
        rescue = Rescue(gan, records, autosave, settings)
        watchers.insert(0, rescue)
    if world == 1 and gan.device.type == "cpu" and (threads := watch(records.reading)):
        watchers.insert(0, threads)
        play = threads.timed(play)
    if folder is not None:
        settings = _held(autosave if rank == 0 else None, settings)
    if world > 1:  # one run, whoever saves it
        rescue.settings, gan.run_id = processes.agree((settings, getattr(gan, "run_id", None)))
    steps = _begin(gan, game, settings, play, records, rules, watchers, interrupts, view, rescue)
    return Training(gan, steps, autosave if rank == 0 else None, interrupts, rescue)


class Training:
    """What `train` returns: an iterator over the steps. Nothing is trained before its first.

    Leaving the loop saves the run, if nobody else keeps the iterator. If somebody does (`run =
    train(...)`, and `break`), it is saved where anything asks for the run: `resume`, `save`,
    `export` or `train` with its folder, the end of the notebook's cell, and that of the process.
    """

    def __init__(self, gan, steps, autosave=None, interrupts=None, rescue=None):
        self.gan, self.steps, self.autosave, self.interrupts = gan, steps, autosave, interrupts
        self.rescue = rescue
        self.busy, self.ended = threading.Lock(), False
        if autosave is not None and autosave.claim is not None:
            autosave.claim.holder = weakref.ref(self)

    def __iter__(self):
        return self

    def __next__(self):
        with self.busy:
            if self.ended:
                self.steps.close()
            self.interrupts.stands_in(sys._getframe(1))
            with self.rescue or nullcontext():
                return next(self.steps)

    def close(self):
        """Leave the loop, as `break` does: all watchers are told of the end. While a step is
        played, by another thread, the loop ends after it.
        """
        self.ended = True
        if self.busy.acquire(blocking=False):
            try:
                self.steps.close()
            finally:
                self.busy.release()

    def rest(self):
        """Save the run and restore the signal handlers: a suspended loop may never go on."""
        if self.busy.acquire(blocking=False):
            try:
                if self.autosave is not None:
                    self.autosave.rest()
                self.interrupts.rest()
            finally:
                self.busy.release()

    def __repr__(self):
        return (
            f"<the run at step {self.gan.step:,}: nothing is trained until you loop over it: "
            "for now in ganlib.train(...): pass>"
        )


def _begin(gan, game, settings, play, records, rules, watchers, interrupts, view, rescue):
    """Yield the steps of the loop; if the run has reached its end already, print that and draw
    its last picture.
    """
    gan.trained_on = settings
    launch.share(
        [
            weight
            for one in gan.gans.values()
            for player in one.players.values()
            for net in player.nets()
            for weight in net.state_dict().values()
        ]
    )
    if rescue is not None:
        records.keep()  # the weights of the first process
    now = Now(gan, game)
    if done := next((rule for rule in rules if rule.of_run and rule(now)), None):
        now.reason, now.progress = f"this run is finished: {done(now)}", 1.0
        if view is not None:
            view.close(now)
        above = "that" if callable(done.rule) else repr(done.rule)
        say(
            f"{now.reason}. To go on, raise `until` above {above} (in the notebooks STEPS, on the "
            "command line --steps); to start anew, resume(..., fresh=True) (FRESH = True, another "
            "--out)."
        )
        return
    if rescue is not None:
        rescue.begin()
    yield from loop(gan, game, play, records, rules, watchers, interrupts, best)


def _plan_of(game, batch_size):
    """Return the recipe's name and the length it is planned for, for `plans.kept`; or None."""
    game = getattr(game, "eager", game)  # that of a compiled step
    if not (hasattr(game, "until") and isinstance(getattr(game, "name", None), str)):
        return None
    augment = game.augment and game.augment.name
    length = {"until": game.until, "images": game.images, "batch_size": batch_size}
    return length | {"recipe": game.name, "augment": augment}


def _held(autosave, settings):
    """Claim the folder in the first process; in all raise BlockingIOError if it is in use."""
    used = None
    try:
        settings = settings if autosave is None else autosave.hold(settings)
    except BlockingIOError as error:
        used = str(error)
    if used := processes.agree(used):
        raise BlockingIOError(used)
    return settings
