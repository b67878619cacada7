"""The moves of the game: D's, G's, and the step that plays both."""

import inspect
from functools import partial

import torch
from torch.nn.utils import parametrize

from ..machine import processes
from . import losses
from .schedules import text
from .splitting import play


def discriminator_step(gan, real, objective=losses.non_saturating, penalty=None, labels=None, move=0, augment=None,
                       question=None, fake=None):  # fmt: skip
    """Play D's move: one optimizer step on `d_loss` for the reals `(B, C, H, W)` and as many fakes.

    G takes no part in it: its fakes come without a graph, fresh and from the reals' `labels`, unless G's own ones of
    this step, `gan.fake(B, "G", labels)`, are handed over as `fake`. `augment` changes what D sees of
    both, `penalty` and `question` (see `losses`) join the loss. Returns detached 0-d tensors `d_loss`, `d_real`,
    `d_fake` (mean logits), `p_real`, `p_fake` (mean probabilities) and `penalty` (the mean of its term, no part of
    `d_loss`), all from before the step; with a question also `question`, the mean of its loss on the fakes. `move`
    numbers D's moves within one training step, so that each has noise of its own. Goodfellow et al. 2014, algorithm 1.
    Raises ValueError for a penalty on a D with batch statistics, and for a loss that is not one per image.
    """
    stream, asked = f"D{move}", question is not None
    adaptive = augment is not None and augment.target is not None and move == 0
    if asked:
        question.check(gan)
    drawn = stream if fake is None else "G"  # whose noise it is

    def part(rows, mark):
        reals, own, known = real[rows], stream + mark, None if labels is None else labels[rows]
        with torch.no_grad():
            fakes = gan.fake(len(real), stream, labels, rows, mark) if fake is None else fake[rows].detach()
        both = None if known is None else torch.cat([known, known])
        if gan.one_pass:
            images = torch.cat([reals, fakes]).requires_grad_(penalty is not None and penalty.of_gradients)
            judged = gan.judge(images, own, both, augment, asked)
            logits, answers = judged if asked else (judged, None)
        else:
            judged = [gan.judge(x, f"{own}/{name}", known, augment, asked)
                      for x, name in ((reals, "real"), (fakes, "fake"))]  # fmt: skip
            logits, answers = map(torch.cat, zip(*judged, strict=True)) if asked else (torch.cat(judged), None)
        d_real, d_fake = logits.chunk(2)
        loss = _mean(objective.d_loss(d_real, d_fake), reals, f"{objective.name}.d_loss")
        term = answered = loss.new_zeros(())
        if penalty is not None and penalty.term is not None:
            if not gan.one_pass:
                raise ValueError(f"{penalty.name} was asked of a D with BatchNorm, whose verdict on an image depends "
                                 "on the others: there is no gradient of one image; use a D without")  # fmt: skip

            def judge(x):
                asked_for = known if len(x) == len(reals) else both
                return gan.judge(x, own, asked_for, augment, exact=penalty.of_differences)

            values = penalty.term(judge, images, logits, gan.draws(f"{own}/penalty"))
            term = gan.at(penalty.weight) * _mean(values, reals, penalty.name)
        if asked:
            of_real, of_fake = answers.chunk(2)
            noise = gan.noise_now(len(real), drawn)[rows]
            answered = _mean(question.loss(of_fake, noise, known), reals, question.name)
            right = _mean(question.loss(of_real, None, known), reals, question.name) if question.of_reals else 0.0
        whole = loss + term + (gan.at(question.weight) * (answered + right) if asked else 0.0)
        d_real, d_fake = d_real.detach(), d_fake.detach()
        found = {
            "d_loss": loss.detach(),
            "d_real": d_real.mean(),
            "d_fake": d_fake.mean(),
            "p_real": d_real.sigmoid().mean(),
            "p_fake": d_fake.sigmoid().mean(),
            "penalty": term.detach(),
        } | ({"question": answered.detach()} if asked else {})
        if adaptive:
            found["sign"] = (d_real - d_fake if objective.paired else d_real).sign().mean()
        return whole, found

    with parametrize.cached():  # spectral norm moves on with each use: one and the same weight for the whole move
        found = play(gan, "D", len(real), part)
    if penalty is not None and penalty.bound is not None:
        penalty.bound(gan.D)
    if adaptive:
        sign = found.pop("sign")
        processes.average([sign])
        augment.adapt(gan, sign, len(real) * gan.world)
    return found


def generator_step(gan, real, objective=losses.non_saturating, labels=None, augment=None, question=None, fake=None):
    """Play G's move: one optimizer step on `g_loss` for as many fakes as there are reals `(B, C, H, W)`.

    They are fresh, unless those of this step, `gan.fake(B, "G", labels)`, are handed over as `fake` with their graph.
    The gradient passes through D, whose weights are frozen meanwhile; the reals themselves are judged only where the
    objective is `paired`. `augment` and `question` as in D's move. `gan.G_ema` follows, where there is one. Returns the
    detached 0-d tensor `g_loss`. Goodfellow et al. 2014, algorithm 1.
    """
    asked, weights = question is not None, [weight for weight in gan.D.parameters() if weight.requires_grad]
    for weight in weights:
        weight.requires_grad_(False)

    def part(rows, mark):
        reals, known = real[rows], None if labels is None else labels[rows]
        fakes = gan.fake(len(real), "G", labels, rows, mark) if fake is None else fake[rows]
        judged = gan.judge(fakes, f"G{mark}", known, augment, asked)
        d_fake, answers = judged if asked else (judged, None)
        d_real = gan.judge(reals, f"G/real{mark}", known, augment) if objective.paired else None
        loss = _mean(objective.g_loss(d_real, d_fake), reals, f"{objective.name}.g_loss")
        term = 0.0
        if asked:
            values = question.loss(answers, gan.noise_now(len(real), "G")[rows], known)
            term = gan.at(question.weight) * _mean(values, reals, question.name)
        return loss + term, {"g_loss": loss.detach()}

    try:
        with parametrize.cached():
            found = play(gan, "G", len(real), part, None if fake is None else "both moves share one pass of G")
    finally:
        for weight in weights:
            weight.requires_grad_(True)
    gan.average(len(real) * gan.world)
    return found


def _mean(values, images, name):
    """The mean over the batch, of a loss that has to be one per image."""
    if values.shape != (len(images),):
        raise ValueError(f"{name} returned {tuple(values.shape)} for {len(images)} images; one loss per image, "
                         f"({len(images)},), is expected: the step itself takes the mean")  # fmt: skip
    return values.mean()


def gan_step(gan, batches, objective=losses.non_saturating, n_critic=1, penalty=None, augment=None, question=None,
             shared_fakes=False):  # fmt: skip
    """Play both: `n_critic` moves of D, then one of G; returns the last D move's figures and G's, on the device.

    `batches` holds `images (k, B, C, H, W)` and `labels (k, B)` or None, one batch for each D move and one more if
    the objective is `paired`. With `shared_fakes` both moves see one and the same batch, its reals and its fakes, as
    in many tutorials: G draws once instead of twice. (`n_critic` has to be 1 then.) Counts the step in `gan.step` and
    the images that D saw in `gan.images_seen`.
    """
    if n_critic < 1:
        raise ValueError(f"n_critic={n_critic} was given; at least 1 move of D per move of G is expected")
    if shared_fakes and n_critic != 1:
        raise ValueError(f"shared_fakes=True and n_critic={n_critic} were given; with shared fakes D has 1 move")
    images, labels = batches.images, batches.labels
    labels = [None] * len(images) if labels is None else labels
    fake, last = (gan.fake(images.shape[1], "G", labels[0]), 0) if shared_fakes else (None, -1)
    for move in range(n_critic):
        stats = discriminator_step(gan, images[move], objective, penalty, labels[move], move, augment, question, fake)
    stats |= generator_step(gan, images[last], objective, labels[last], augment, question, fake)
    gan.step += 1
    gan.images_seen += n_critic * images.shape[1] * gan.world
    return stats


def _wanted(objective=losses.non_saturating, n_critic=1, penalty=None, augment=None, question=None,
            shared_fakes=False):  # fmt: skip
    return n_critic + (objective.paired and not shared_fakes)


gan_step.batches = _wanted


def played(step):
    """How many batches `step` wants, and what it plays: from its `batches`, a number or a function of what it binds."""
    bound, step = {}, getattr(step, "eager", step)
    while isinstance(step, partial) and not hasattr(step, "batches"):
        if step.args:
            raise ValueError("partial(step, ...) binds positional arguments; name them: partial(step, objective=...)")
        step, bound = step.func, step.keywords | bound
    wanted = getattr(step, "batches", 1)
    if not callable(wanted):
        return wanted, {}
    names = inspect.signature(wanted).parameters.values()
    return wanted(**bound), {name.name: text(bound.get(name.name, name.default)) for name in names}
