"""The two moves of the game, D's and G's: each is one optimizer step. `game.Game` plays both."""

import torch
from torch.nn.utils import parametrize

from ..machine import processes
from .contract import frozen
from .player import play


def d_move(gan, game, real, labels=None, move=0, fake=None):
    """Take one optimizer step of D on `d_loss` for the reals `(B, C, H, W)` and as many fakes.

    The fakes have no graph. They are fresh, drawn for the reals' `labels`, or `fake`: those of G's
    move of this step, `gan.fake(B, "G", labels)`. The game's `augment` changes all images that D
    sees; `penalty` and `question` add to the loss. `move` numbers D's moves within a training step:
    each has its own noise and dropout masks. Returns detached 0-d tensors, all from before the
    step: `d_loss`; `d_real` and `d_fake` (mean logits); `p_real` and `p_fake` (mean probabilities);
    `penalty` (mean of its term, not part of `d_loss`); with a question also `question`, its mean
    loss on the fakes. Goodfellow et al. 2014, algorithm 1. Raises ValueError for a penalty on a D
    with batch statistics, and for a loss that is not one value per image.
    """
    gan.ready(real.shape[1:], labels)
    objective, penalty = game.objective, game.penalty
    augment, question = game.augment, game.question
    stream, reads = f"D{move}", question is not None
    adaptive = augment is not None and augment.target is not None and move == 0
    if reads:
        question.check(gan)
    drawn = stream if fake is None else "G"  # whose noise it is

    def part(rows, mark):
        reals, part_stream = real[rows], stream + mark
        part_labels = None if labels is None else labels[rows]
        with torch.no_grad():
            fakes = gan.fake(len(real), stream, labels, rows, mark) if fake is None else fake[rows]
        fakes = fakes.detach()
        both = None if part_labels is None else torch.cat([part_labels, part_labels])
        if gan.one_pass:
            images = torch.cat([reals, fakes])
            images.requires_grad_(penalty is not None and penalty.of_gradients)
            judged = gan.judge(images, part_stream, both, augment, reads)
            logits, answers = judged if reads else (judged, None)
        else:
            images = None
            judged = [
                gan.judge(x, f"{part_stream}/{name}", part_labels, augment, reads)
                for x, name in ((reals, "real"), (fakes, "fake"))
            ]
            logits, answers = (
                map(torch.cat, zip(*judged, strict=True)) if reads else (torch.cat(judged), None)
            )
        d_real, d_fake = logits.chunk(2)
        loss = _mean(objective.d_loss(d_real, d_fake), reals, f"{objective.name}.d_loss", game)
        term = answered = loss.new_zeros(())
        if penalty is not None and penalty.term is not None:
            if images is None:
                raise ValueError(
                    f"{penalty.name} was asked of a D with BatchNorm or the like, whose "
                    "verdict on an image depends on the others: there is no gradient of one image; "
                    "use a D without"
                )

            def judge(x):
                wanted = part_labels if len(x) == len(reals) else both
                exact = penalty.of_differences
                return _of_image(gan.judge(x, part_stream, wanted, augment, exact=exact))

            draws = gan.draws(f"{part_stream}/penalty")
            values = penalty.term(judge, images, _of_image(logits), draws)
            term = gan.at(penalty.weight) * _mean(values, reals, penalty.name)
        if reads:
            of_real, of_fake = answers.chunk(2)
            noise = gan.noise_now(len(real), drawn)[rows]
            answered = _mean(question.loss(of_fake, noise, part_labels), reals, question.name)
            whole = answered
            if question.of_reals:
                right = question.loss(of_real, None, part_labels)
                whole = whole + _mean(right, reals, question.name)
            whole = loss + term + gan.at(question.weight) * whole
        else:
            whole = loss + term
        d_real, d_fake = d_real.detach(), d_fake.detach()
        figures = {
            "d_loss": loss.detach(),
            "d_real": d_real.mean(),
            "d_fake": d_fake.mean(),
            "p_real": d_real.sigmoid().mean(),
            "p_fake": d_fake.sigmoid().mean(),
            "penalty": term.detach(),
        } | ({"question": answered.detach()} if reads else {})
        if adaptive:
            figures["sign"] = (d_real - d_fake if objective.paired else d_real).sign().mean()
        return whole, figures

    with parametrize.cached():  # spectral norm changes with each use: one weight for the whole move
        figures = play([gan], "D", len(real), part)
    if penalty is not None and penalty.bound is not None:
        penalty.bound(gan.D)
    if adaptive:
        sign = figures.pop("sign")
        processes.average([sign])
        augment.adapt(gan, sign, len(real) * gan.world)
    return figures


def g_move(turns):
    """Take one optimizer step of one G, or of several whose losses share one backward pass.

    `turns` holds (gan, game, real, labels, fake) for each G. G draws as many fakes as there are
    reals `(B, C, H, W)`: fresh ones, or `fake`, those of this step with their graph. Gradients pass
    through D, whose weights are frozen meanwhile; reals are judged only if the objective is
    `paired`. `augment` and `question` act as in D's move; `tie` compares the fakes with what G drew
    them from. Each G's average follows. Returns for each G a dict of detached 0-d tensors:
    `g_loss`, and `tie` if there is one. Goodfellow et al. 2014, algorithm 1.
    """
    n = len(turns[0][2])

    def part(rows, mark):
        total, figures = 0.0, {}
        for i, (gan, game, real, labels, fake) in enumerate(turns):
            loss, of_gan = _g_loss(gan, game, real, labels, fake, rows, mark)
            total = loss + total
            figures |= {(i, name): value for name, value in of_gan.items()}
        return total, figures

    gans = [gan for gan, *_ in turns]
    shared = any(fake is not None for *_, fake in turns)
    with frozen(*(gan.D for gan in gans)), parametrize.cached():
        figures = play(gans, "G", n, part, "both moves share one pass of G" if shared else None)
    for gan in gans:
        gan.average(n * gan.world)
    return [
        {name: value for (at, name), value in figures.items() if at == i} for i in range(len(turns))
    ]


def _g_loss(gan, game, real, labels, fake, rows, mark):
    """Return the loss of one G for the slice `rows` of its batch, and its figures."""
    objective, question, tie = game.objective, game.question, game.tie
    reals, part_labels = real[rows], None if labels is None else labels[rows]
    fakes = gan.fake(len(real), "G", labels, rows, mark) if fake is None else fake[rows]
    judged = gan.judge(fakes, f"G{mark}", part_labels, game.augment, question is not None)
    d_fake, answers = judged if question is not None else (judged, None)
    d_real = None
    if objective.paired:
        d_real = gan.judge(reals, f"G/real{mark}", part_labels, game.augment)
    loss = _mean(objective.g_loss(d_real, d_fake), reals, f"{objective.name}.g_loss", game)
    figures = {"g_loss": loss.detach()}
    if question is None and tie is None:
        return loss, figures
    source = gan.noise_now(len(real), "G")[rows]
    if question is not None:
        values = question.loss(answers, source, part_labels)
        loss = loss + gan.at(question.weight) * _mean(values, reals, question.name)
    if tie is not None:
        term = _mean(tie.loss(fakes.to(gan.dtype), source), reals, tie.name)
        loss = loss + gan.at(tie.weight) * term
        figures["tie"] = term.detach()
    return loss, figures


def _of_image(values):
    """Return one value per image: the mean over places, for a D that judges places."""
    return values.flatten(1).mean(1) if values.ndim > 1 else values


def _mean(values, images, name, game=None):
    """Return the mean over the batch of a loss that must be one value per image (or per place)."""
    values = _of_image(values) if game is not None and game.places else values
    if values.shape != (len(images),):
        raise ValueError(
            f"{name} returned {tuple(values.shape)} for {len(images)} images; one loss per image, "
            f"({len(images)},), is expected: the step itself takes the mean"
        )
    return values.mean()
