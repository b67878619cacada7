"""Unpaired translation: from pictures of one domain to those of another, without pairs.

One game, with a tie of choice between a fake and its source: `translation("cycle", a, b)`. A new
kind is a row of `KINDS`.
"""

import time
from dataclasses import dataclass, replace
from functools import partial

from .. import nets
from ..data.together import Together
from ..game import losses
from ..game.schedules import Linear
from ..game.several import Several
from ..machine import processes
from ..machine.choices import made, one_of, whole
from . import ties
from .readers.both import source_classifier
from .translator import BothWays, TranslationGame, Translator


@dataclass(frozen=True)
class Kind:
    """How a translation is tied to its source: where this is from, and the weight of each tie.

    cycle: there and back again (`losses.cycle`), which needs a G of either direction.
    identity, contrastive, semantic: see ties.py. near: `losses.near`, squared.
    """

    source: str
    cycle: float = 0.0
    identity: float = 0.0
    contrastive: float = 0.0
    semantic: float = 0.0
    near: float = 0.0


KINDS = {
    "none": Kind("no tie: the fake may be any picture of the target domain"),
    "near": Kind("the fake's pixels near the source's", near=0.3),
    "cycle": Kind("CycleGAN, Zhu et al. 2017", cycle=3.0, identity=1.5),
    "discogan": Kind("DiscoGAN, Kim et al. 2017: reconstruction alone", cycle=1.0),
    "contrastive": Kind("CUT, Park et al. 2020", contrastive=1.0),
    "semantic": Kind("CyCADA's semantic tie, Hoffman et al. 2018; needs labels", semantic=1.0),
    "cycle_semantic": Kind(
        "CyCADA, Hoffman et al. 2018: a cycle that keeps the class; needs labels",
        cycle=3.0,
        identity=1.5,
        semantic=1.0,
    ),
}


def translation(
    kind,
    a,
    b,
    images=20_000,
    *,
    seed=None,
    classifier=None,
    objective=losses.relativistic,
    pool=50,
    batch_size=32,
    gamma=0.3,
    until=None,
    **settings,
):
    """Return (run, data, game) of a translation from domain `a` to domain `b`, for `train(run,
    data, game, until=..., batch_size=game.batch_size)`.

    kind: a name from `KINDS`, or a `Kind` with weights of its own. With a cycle the run is
        `Several`, `run.there` from a to b and `run.back`; else one `Translator`, from a to b.
        "semantic" and "cycle_semantic" read labels of `a`: unpaired, not unsupervised.
    a, b: `Images` of the same shape, H and W divisible by 4. Nothing pairs them.
    images: the length that the learning rate is planned for; see `until` in TranslationGame.
    classifier: of `a`'s classes, for the semantic tie; see `source_classifier`.
    objective: of the two players, such as `losses.least_squares` (CycleGAN's) or
        `losses.relativistic`.
    pool: how many past fakes D may be shown, 0 for none.
    gamma: the weight of D's penalty, `losses.approximate_r1_r2`.

    `settings` are those of `GAN` in place of these: Adam (0, 0.99), the learning rate rises to
    2e-3 and falls, and an average of G. Raises ValueError for an unknown kind, an empty domain,
    shapes that differ or that the nets cannot take, and for a semantic tie without labels.
    """
    name, ways = ("of your own", kind) if isinstance(kind, Kind) else (kind, None)
    if ways is None:
        ways = KINDS[one_of("kind", name, list(KINDS), ", or a Kind with weights of its own")]
    refuse_unlike(a, b)
    images, pool = whole("images", images, 10), whole("pool", pool, 0)
    made("objective", objective, losses.Objective, "losses.hinge")
    if ways.semantic and classifier is None:
        classifier = source_classifier(a, b=b)
    settings = planned(images) | settings | {"seed": seed}
    if ways.cycle:
        run = Several(there=_translator(a, b, settings), back=_translator(b, a, settings))
        run.there.partner, run.back.partner = run.back, run.there
    else:
        run = _translator(a, b, settings, heads=bool(ways.contrastive))
    of_one = partial(
        TranslationGame,
        objective=objective,
        penalty=losses.approximate_r1_r2(gamma, 0.05),
        kind=name,
        pool=pool,
        batch_size=batch_size,
        images=images,
    )
    if not ways.cycle:
        return run, b, of_one(tie=_tie(run, ways, classifier), until=until)
    back = _tie(run.back, replace(ways, semantic=0.0), None)
    there = of_one(tie=_tie(run.there, ways, classifier))
    return run, Together(there=b, back=a), BothWays(until, there=there, back=of_one(tie=back))


def planned(images):
    """Return the settings of both players for a run of so many images, those of `small`."""
    images = int(images)
    return {
        "lr": Linear(((0, 1e-4), (images // 10, 2e-3), (images // 2, 2e-3), (images, 4e-5))),
        "betas": (0.0, 0.99),
        "ema": Linear(((0, 0), (150_000, 15_000))),
    }


def rate(run, data, game, seconds=4.0):
    """Return the images/s at which such a run is trained here, measured for some seconds: then
    `images=rate(...) * 300` plans one of five minutes. It trains the run, which is good for nothing
    else afterwards.
    """
    start, count, ended = None, 0, None
    while ended is None:
        batches = data.batches(run.seed, run.step, game.batches, game.batch_size, run.dtype)
        figures = game.step(run, batches.to(run.device))
        next(iter(figures.values())).item()  # waits for the device
        if start is None:  # the first step warms up
            start = time.monotonic()
        else:
            count += game.batch_size
            over = time.monotonic() - start >= seconds
            ended = processes.agree("enough" if over else None)  # clocks differ
    return count / (time.monotonic() - start)


def refuse_unlike(a, b):
    """Raise ValueError unless the two domains can be translated into each other."""
    for data in (a, b):
        if len(data) == 0:
            raise ValueError(f"{data.name!r} has no images; both domains need some")
    if tuple(a.shape) != tuple(b.shape):
        raise ValueError(
            f"{a.name!r} has images of {tuple(a.shape)}, and {b.name!r} of {tuple(b.shape)}; both "
            "domains need the same channels and size: load both with one size= and channels="
        )


def _translator(source, target, settings, heads=False):
    """Return a `Translator` with fresh nets; bigger images get more blocks, which see farther."""
    shape = tuple(source.shape)
    blocks = 1 if max(shape[1:]) <= 32 else 3
    G, D = nets.TranslationGenerator(shape, blocks=blocks), nets.PatchDiscriminator(shape)
    heads = ties.Heads((4 * shape[0], *G.settings["widths"])) if heads else None
    return Translator(G, D, source, target, heads=heads, **settings)


def _tie(gan, ways, classifier):
    """Return the tie of one direction."""
    made = [
        ways.cycle and losses.cycle(gan.partner, ways.cycle),
        ways.identity and ties.identity(gan, ways.identity),
        ways.contrastive and ties.contrastive(gan, ways.contrastive),
        ways.semantic and ties.semantic(classifier, ways.semantic, gan),
        ways.near and losses.near(ways.near, 2),
    ]
    return ties.joined([tie for tie in made if tie])
