"""The moves of the game: D's, and G's. Each is one optimizer step; `game.Game` plays both."""

import torch
from torch.nn.utils import parametrize

from ..machine import processes
from .contract import frozen
from .player import play


def d_move(gan, game, real, labels=None, move=0, fake=None):
    """Play D's move: one optimizer step on `d_loss` for the reals `(B, C, H, W)` and as many fakes.

    G takes no part in it: its fakes come without a graph, fresh and from the reals' `labels`, unless G's of this step,
    `gan.fake(B, "G", labels)`, are handed over as `fake`. The game's `augment` changes what D sees of both, its
    `penalty` and `question` join the loss. Returns detached 0-d tensors `d_loss`, `d_real`, `d_fake` (mean logits),
    `p_real`, `p_fake` (mean probabilities) and `penalty` (the mean of its term, no part of `d_loss`), all from before
    the step; with a question also `question`, the mean of its loss on the fakes. `move` numbers D's moves within one
    training step, so that each has noise and dropout masks of its own. Goodfellow et al. 2014, algorithm 1.
    Raises ValueError for a penalty on a D with batch statistics, and for a loss that is not one per image.
    """
    objective, penalty, augment, question = game.objective, game.penalty, game.augment, game.question
    stream, asked = f"D{move}", question is not None
    adaptive = augment is not None and augment.target is not None and move == 0
    if asked:
        question.check(gan)
    drawn = stream if fake is None else "G"  # whose noise it is

    def part(rows, mark):
        reals, here, known = real[rows], stream + mark, None if labels is None else labels[rows]
        with torch.no_grad():
            fakes = gan.fake(len(real), stream, labels, rows, mark) if fake is None else fake[rows].detach()
        both = None if known is None else torch.cat([known, known])
        if gan.one_pass:
            images = torch.cat([reals, fakes]).requires_grad_(penalty is not None and penalty.of_gradients)
            judged = gan.judge(images, here, both, augment, asked)
            logits, answers = judged if asked else (judged, None)
        else:
            images = None
            judged = [gan.judge(x, f"{here}/{name}", known, augment, asked)
                      for x, name in ((reals, "real"), (fakes, "fake"))]  # fmt: skip
            logits, answers = map(torch.cat, zip(*judged, strict=True)) if asked else (torch.cat(judged), None)
        d_real, d_fake = logits.chunk(2)
        loss = _mean(objective.d_loss(d_real, d_fake), reals, f"{objective.name}.d_loss", game)
        term = answered = loss.new_zeros(())
        if penalty is not None and penalty.term is not None:
            if images is None:
                raise ValueError(f"{penalty.name} was asked of a D with BatchNorm, whose verdict on an image depends "
                                 "on the others: there is no gradient of one image; use a D without")  # fmt: skip

            def judge(x):
                asked_for = known if len(x) == len(reals) else both
                return _of_image(gan.judge(x, here, asked_for, augment, exact=penalty.of_differences))

            values = penalty.term(judge, images, _of_image(logits), gan.draws(f"{here}/penalty"))
            term = gan.at(penalty.weight) * _mean(values, reals, penalty.name)
        if asked:
            of_real, of_fake = answers.chunk(2)
            noise = gan.noise_now(len(real), drawn)[rows]
            answered = _mean(question.loss(of_fake, noise, known), reals, question.name)
            right = _mean(question.loss(of_real, None, known), reals, question.name) if question.of_reals else 0.0
        whole = loss + term + (gan.at(question.weight) * (answered + right) if asked else 0.0)
        d_real, d_fake = d_real.detach(), d_fake.detach()
        figures = {
            "d_loss": loss.detach(),
            "d_real": d_real.mean(),
            "d_fake": d_fake.mean(),
            "p_real": d_real.sigmoid().mean(),
            "p_fake": d_fake.sigmoid().mean(),
            "penalty": term.detach(),
        } | ({"question": answered.detach()} if asked else {})
        if adaptive:
            figures["sign"] = (d_real - d_fake if objective.paired else d_real).sign().mean()
        return whole, figures

    with parametrize.cached():  # spectral norm moves on with each use: one and the same weight for the whole move
        figures = play([gan], "D", len(real), part)
    if penalty is not None and penalty.bound is not None:
        penalty.bound(gan.D)
    if adaptive:
        sign = figures.pop("sign")
        processes.average([sign])
        augment.adapt(gan, sign, len(real) * gan.world)
    return figures


def g_move(turns):
    """Play the move of one G, or of several at once: their losses are added, and share one backward pass.

    `turns`: for each G `(gan, game, real, labels, fake)`. It draws as many fakes as there are reals `(B, C, H, W)`,
    fresh ones, unless those of this step, `gan.fake(B, "G", labels)`, are handed over as `fake` with their graph. The
    gradient passes through D, whose weights are frozen meanwhile; the reals themselves are judged only where the
    objective is `paired`. `augment` and `question` as in D's move; the game's `tie` compares the fakes with what G
    drew them from. The average of each G follows. Returns for each G a dict of detached 0-d tensors: `g_loss`, and
    `tie` where there is one. Goodfellow et al. 2014, algorithm 1.
    """
    n = len(turns[0][2])

    def part(rows, mark):
        total, figures = 0.0, {}
        for i, (gan, game, real, labels, fake) in enumerate(turns):
            loss, mine = _g_loss(gan, game, real, labels, fake, rows, mark)
            total = loss + total
            figures |= {(i, name): value for name, value in mine.items()}
        return total, figures

    gans = [gan for gan, *_ in turns]
    shared = any(fake is not None for *_, fake in turns)
    with frozen(*(gan.D for gan in gans)), parametrize.cached():
        figures = play(gans, "G", n, part, "both moves share one pass of G" if shared else None)
    for gan in gans:
        gan.average(n * gan.world)
    return [{name: value for (at, name), value in figures.items() if at == i} for i in range(len(turns))]


def _g_loss(gan, game, real, labels, fake, rows, mark):
    """What one G wants to be small, for the `rows` of its batch, and the figures of that."""
    objective, question, tie = game.objective, game.question, game.tie
    reals, known = real[rows], None if labels is None else labels[rows]
    fakes = gan.fake(len(real), "G", labels, rows, mark) if fake is None else fake[rows]
    judged = gan.judge(fakes, f"G{mark}", known, game.augment, question is not None)
    d_fake, answers = judged if question is not None else (judged, None)
    d_real = gan.judge(reals, f"G/real{mark}", known, game.augment) if objective.paired else None
    loss = _mean(objective.g_loss(d_real, d_fake), reals, f"{objective.name}.g_loss", game)
    figures = {"g_loss": loss.detach()}
    if question is None and tie is None:
        return loss, figures
    source = gan.noise_now(len(real), "G")[rows]
    if question is not None:
        values = question.loss(answers, source, known)
        loss = loss + gan.at(question.weight) * _mean(values, reals, question.name)
    if tie is not None:
        term = _mean(tie.loss(fakes.to(gan.dtype), source), reals, tie.name)
        loss = loss + gan.at(tie.weight) * term
        figures["tie"] = term.detach()
    return loss, figures


def _of_image(values):
    """One value per image: of a D that judges places the mean over these."""
    return values.flatten(1).mean(1) if values.ndim > 1 else values


def _mean(values, images, name, game=None):
    """The mean over the batch, of a loss that has to be one per image, or per place where the game says so."""
    values = _of_image(values) if game is not None and game.places else values
    if values.shape != (len(images),):
        raise ValueError(f"{name} returned {tuple(values.shape)} for {len(images)} images; one loss per image, "
                         f"({len(images)},), is expected: the step itself takes the mean")  # fmt: skip
    return values.mean()
