"""Training: the two moves of the game, the step that plays both, and the loop around it."""

import signal
import threading
import time
from dataclasses import dataclass, field
from functools import partial

import torch

from . import losses
from .gan import GAN
from .stopping import Rule


def discriminator_step(gan, real, objective=losses.non_saturating, penalty=None, labels=None, move=0):
    """Play D's move: one optimizer step on `d_loss` for the reals `(B, C, H, W)` and as many fresh fakes.

    G takes no part in it: its fakes come without a graph. Returns detached 0-d tensors `d_loss`, `d_real`, `d_fake`
    (mean logits), `p_real`, `p_fake` (mean probabilities) and `penalty` (the mean of its term, no part of `d_loss`),
    all from before the step. `move` numbers D's moves within one training step, so that each has noise of its own.
    Goodfellow et al. 2014, algorithm 1. Raises ValueError for a penalty on a D with batch statistics.
    """
    stream = f"D{move}"
    with torch.no_grad():
        fake = gan.fake(len(real), stream, labels)
    if gan.one_pass:
        both = None if labels is None else torch.cat([labels, labels])
        images = torch.cat([real, fake]).requires_grad_(penalty is not None and penalty.of_gradients)
        logits = gan.judge(images, stream, both)
        d_real, d_fake = logits.chunk(2)
    else:
        d_real, d_fake = gan.judge(real, f"{stream}/real", labels), gan.judge(fake, f"{stream}/fake", labels)
    loss = objective.d_loss(d_real, d_fake).mean()
    term = loss.new_zeros(())
    if penalty is not None and penalty.term is not None:
        if not gan.one_pass:
            raise ValueError(f"{penalty.name} was asked of a D with BatchNorm, whose verdict on an image depends on "
                             "the others of its batch: there is no gradient of one image; use a D without")  # fmt: skip

        def judge(x):
            return gan.judge(x, stream, labels if both is None or len(x) == len(real) else both)

        term = penalty.term(judge, images, logits, gan.draws(f"{stream}/penalty")).mean()
    gan.opt_D.zero_grad()
    (loss + term).backward()
    gan.opt_D.step()
    if penalty is not None and penalty.bound is not None:
        penalty.bound(gan.D)
    d_real, d_fake = d_real.detach(), d_fake.detach()
    return {
        "d_loss": loss.detach(),
        "d_real": d_real.mean(),
        "d_fake": d_fake.mean(),
        "p_real": d_real.sigmoid().mean(),
        "p_fake": d_fake.sigmoid().mean(),
        "penalty": term.detach(),
    }


def generator_step(gan, real, objective=losses.non_saturating, labels=None):
    """Play G's move: one optimizer step on `g_loss` for as many fresh fakes as there are reals `(B, C, H, W)`.

    The gradient passes through D, whose weights are frozen meanwhile; the reals themselves are judged only where
    the objective is `paired`. Returns the detached 0-d tensor `g_loss`. Goodfellow et al. 2014, algorithm 1.
    """
    weights = [weight for weight in gan.D.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)
    try:
        d_fake = gan.judge(gan.fake(len(real), "G", labels), "G", labels)
        d_real = gan.judge(real, "G/real", labels) if objective.paired else None
        loss = objective.g_loss(d_real, d_fake).mean()
        gan.opt_G.zero_grad()
        loss.backward()
    finally:
        for weight in weights:
            weight.requires_grad_(True)
    gan.opt_G.step()
    return {"g_loss": loss.detach()}


def gan_step(gan, batches, objective=losses.non_saturating, n_critic=1, penalty=None):
    """Play both: `n_critic` moves of D, then one of G; returns the last D move's figures and G's, on the device.

    `batches` holds `images (k, B, C, H, W)` and `labels (k, B)` or None, one batch for each D move and one more if
    the objective is `paired`. Counts the step in `gan.step` and the images that D saw in `gan.images_seen`.
    """
    if n_critic < 1:
        raise ValueError(f"n_critic={n_critic} was given; at least 1 move of D per move of G is expected")
    images, labels = batches.images, batches.labels
    labels = [None] * len(images) if labels is None else labels
    for move in range(n_critic):
        stats = discriminator_step(gan, images[move], objective, penalty, labels[move], move)
    stats |= generator_step(gan, images[-1], objective, labels[-1])
    gan.step += 1
    gan.images_seen += n_critic * images.shape[1]
    return stats


gan_step.batches = lambda objective=losses.non_saturating, n_critic=1, penalty=None: n_critic + objective.paired


def _batches(step):
    """How many batches `step` wants: its `batches`, a number or a function of the arguments bound by `partial`."""
    bound = {}
    while isinstance(step, partial) and not hasattr(step, "batches"):
        if step.args:
            raise ValueError("partial(step, ...) binds positional arguments; name them: partial(step, objective=...)")
        step, bound = step.func, step.keywords | bound
    wanted = getattr(step, "batches", 1)
    return wanted(**bound) if callable(wanted) else wanted


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


def train(gan, data, step=gan_step, *, until, view=None, batch_size=100, record_every=50):
    """Train, and hand the loop a `Now` after each step: `for now in train(gan, data, step, until=10_000): ...`

    until: a number of steps, "1M images", "100 epochs", "60s" ("5 min", "1h"), any callable of `now` (it ends the run
        by returning True, or a sentence that says why), or a list of these: the first that holds ends the run, and
        `now.reason` names it. Steps, images and epochs count from the run's beginning, seconds from this call.
    view: told of each step by `view.update(now)` and of the end by `view.close(now)`.
    record_every: every so many steps a row of figures joins `gan.history`: the step's own, both gradient norms and
        the diversity of 64 fakes of one fixed noise (their standard deviation over the batch, mean over the pixels).

    An interrupt (the kernel's stop button, Ctrl-C) lets the step finish and ends the loop cleanly; the next call goes
    on. A second one raises KeyboardInterrupt at once. Raises ValueError for nets that do not fit the data, a batch
    larger than the data, or an `until` that it cannot read.
    """
    rules = [Rule(rule, len(data)) for rule in (until if isinstance(until, (list, tuple)) and until else [until])]
    if record_every < 1:
        raise ValueError(f"record_every={record_every} was given; a number of steps of at least 1 is expected")
    k = _batches(step)
    data = data.to(gan.device) if data.images.device != gan.device else data
    gan.check(data)
    given = {"data": f"{data.name}, {len(data)} of {data.shape}", "batch_size": batch_size}
    if gan.trained_on not in (None, given):
        raise ValueError(f"this run was trained on {gan.trained_on}, {given} is given now; use the same, or start anew "
                         "in another folder or with fresh=True (in the notebooks: FRESH = True)")  # fmt: skip
    data.batches(gan.seed, gan.step, k, batch_size)  # raises where a batch is larger than the data
    gan.trained_on = given
    now = Now(gan)
    now.progress = max((rule.progress(now) for rule in rules if rule.unit), default=None)
    if done := next((rule for rule in rules if rule.of_run and rule(now)), None):
        now.reason = f"this run is finished: {done(now)}"
        if view is not None:
            view.update(now, force=True)
            view.close(now)
        print(f"{now.reason}. To go on, raise `until` above {done.rule!r} (in the notebooks STEPS, on the command line "
              "--steps); to start anew, resume(..., fresh=True) (FRESH = True, another --out).")  # fmt: skip
        return
    with _deferred_interrupt() as interrupted:
        if view is not None:
            view.update(now, force=True)
        start = time.monotonic()
        try:
            while now.reason is None:
                before = gan.step
                now.stats = step(gan, data.batches(gan.seed, gan.step, k, batch_size, gan.dtype))
                if gan.step == before:  # a step of the user's own that leaves the counting to us
                    gan.step, gan.images_seen = gan.step + 1, gan.images_seen + k * batch_size
                now.seconds = time.monotonic() - start
                if now.every(record_every) or gan.step == 1:
                    gan.history.append(_record(now))
                now.progress = max((rule.progress(now) for rule in rules if rule.unit), default=None)
                now.reason = next((reason for rule in rules if (reason := rule(now))), None) or interrupted(now)
                if view is not None:
                    view.update(now, force=now.reason is not None)
                yield now
                if now.reason is None and interrupted(now):  # it came while the loop's body ran
                    now.reason = interrupted(now)
                    if view is not None:
                        view.update(now, force=True)
        finally:
            if view is not None:
                view.close(now)


def _record(now):
    """One row of the history. The only place where the loop waits for the device, once in `record_every` steps."""
    gan = now.gan
    norms = {
        f"grad_norm_{player}": torch.nn.utils.get_total_norm([p.grad for p in net.parameters() if p.grad is not None])
        for player, net in (("d", gan.D), ("g", gan.G))
    }
    figures = now.stats | norms | {"diversity": gan.sample(64).std(0).mean()}
    values = torch.stack([torch.as_tensor(value, device=gan.device).float() for value in figures.values()]).tolist()
    return {"step": now.step, "images": now.images} | dict(zip(figures, values, strict=True))


class _deferred_interrupt:
    """The first SIGINT is noted, and said when called; the second raises. Only a main thread can listen."""

    def __enter__(self):
        self.seen, self.before = False, None
        if threading.current_thread() is threading.main_thread():
            self.before = signal.signal(signal.SIGINT, self._note)
        return self

    def __exit__(self, *_):
        if self.before is not None:
            signal.signal(signal.SIGINT, self.before)

    def __call__(self, now):
        return f"interrupted at step {now.step:,}; run again to go on" if self.seen else None

    def _note(self, *_):
        if self.seen:
            raise KeyboardInterrupt
        self.seen = True
