"""Train games by their names, in as many processes as there are, and write the weights: what
test_equal.py compares. In one process, with the double batch, the random numbers are those that two
processes draw, one after the other.

    python tests/processes.py FOLDER NAME...
"""

import sys
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch.nn.functional import batch_norm

sys.path.insert(0, str(Path(__file__).parents[1]))

import ganlib  # noqa: E402
from ganlib import augment, games, losses, nets  # noqa: E402
from ganlib.data import points  # noqa: E402
from ganlib.games import enlarging  # noqa: E402
from ganlib.games.clips import drawing as clips  # noqa: E402
from ganlib.games.clips.moving import gliding  # noqa: E402
from ganlib.games.faces.captions import captions  # noqa: E402
from ganlib.games.selftest.playing import some_images  # noqa: E402
from ganlib.games.translation import KINDS  # noqa: E402
from ganlib.games.words import drawing as words  # noqa: E402
from ganlib.games.words.handwriting import numbers  # noqa: E402
from ganlib.machine import launch, processes  # noqa: E402
from ganlib.machine.randomness import generator  # noqa: E402
from ganlib.nets.mlp import Dropout  # noqa: E402
from ganlib.run.recipes import RECIPES, UNCONDITIONAL  # noqa: E402

STEPS, SIZE = 4, 8  # of a run; images of a step, over all processes
PLAN = STEPS * SIZE
GREY, COLOUR = (1, 28, 28), (3, 16, 16)
SYNCED = "synced "  # before a name: batch statistics of all processes


def _recipe(name, classes=0, change="", **changes):
    shape = COLOUR if name in ("pictures", "style") or change else GREY
    made = replace(ganlib.recipe(name, shape, classes, PLAN), **changes)
    if change:
        made = replace(made, augment=replace(augment.named(change), ramp=100))
    gan = made.gan(0)
    for name, bias in gan.D.named_parameters() if change else ():
        if name.endswith("bias"):  # grey on grey is 0: with biases of 0, and so LeakyReLU's kink,
            torch.nn.init.normal_(bias, std=0.1)  # rounding would decide which slope there is
    return gan, some_images(shape), made


def _toy():
    G, D = nets.MLPGenerator(4, (2,), (16,)), nets.MLPDiscriminator((2,), (16,), dropout=0.0)
    penalty = losses.r1(0.5)
    return ganlib.GAN(G, D, seed=0), points.Points(points.ring()), ganlib.Game(penalty=penalty)


def _words(data):
    made = words.recipe(data, PLAN)
    return made.gan(0), data, made


def _clips(kind):
    data = gliding(64)
    made = clips.recipe(data, kind, PLAN)
    return made.gan(0), data, made


def _enlarging(stage):
    data = ganlib.load("digits").subset(slice(0, 64))
    features = {"extractor": ganlib.features.digit_classifier().double()}
    given = features if stage == "gan" else {}
    made = enlarging.recipe(stage, data, images=PLAN, width=8, blocks=1, **given)
    return made.gan(0), data, made


def _translation(kind):
    a, b = ganlib.load("digits").subset(slice(0, 64)), some_images(GREY)
    given = {}
    if KINDS[kind].semantic:
        given["classifier"] = ganlib.features.digit_classifier().double()
    return games.translation(kind, a, b, PLAN, seed=0, pool=9, **given)


GAMES = {
    **{name: partial(_recipe, name) for name in RECIPES if name != "acgan"},
    **{
        f"{name} by class": partial(_recipe, name, 10)
        for name in RECIPES
        if name not in UNCONDITIONAL
    },
    **{
        f"r3gan {change}": partial(_recipe, "r3gan", 0, change)
        for change in ("shift", "colour_translation", "diff_augment", "ada")
    },
    "shared fakes": partial(_recipe, "r3gan", shared_fakes=True),
    "toy": _toy,
    "words": lambda: _words(numbers(64, hidden=(), only=(12, 20, 42, 57))),
    "faces in words": lambda: _words(captions()[0].subset(slice(0, 64))),
    **{f"clips {kind}": partial(_clips, kind) for kind in clips.KINDS},
    **{f"enlarging {stage}": partial(_enlarging, stage) for stage in enlarging.STAGES},
    **{f"translation {kind}": partial(_translation, kind) for kind in KINDS},
}  # fmt

BATCHED = [  # those with batch normalisation
    name
    for name in GAMES
    if name.split()[0] in {*RECIPES, "words", "clips"}
    and name.split()[0] not in ("classic", "r3gan", "pictures", "style")
]
ALL = [*GAMES, *(SYNCED + name for name in BATCHED)]


class Both:
    """The generators of two processes, which draw one half of a batch each."""

    def __init__(self, run, stream):
        stream = run.prefix + stream
        self.each = [generator(run.device, run.seed, run.step, stream, rank) for rank in (0, 1)]

    def draw(self, function, size):
        """Return what both draw, in the order of one process: its reals, then its fakes."""
        first, second = (function((size[0] // 2, *size[1:]), one) for one in self.each)
        if size[0] <= SIZE:
            return torch.cat([first, second])
        parts = [x.chunk(2) for x in (first, second)]
        return torch.cat([half for both in zip(*parts, strict=True) for half in both])


@contextmanager
def as_two():
    """In one process: draw what two would, and swap words' pictures within each one's half."""
    before = torch.randn, torch.rand, torch.randint, Dropout.mask, words.mismatched

    def of_both(function):
        def drawn(*size, generator=None, **given):
            if not isinstance(generator, Both):
                return function(*size, generator=generator, **given)
            bounds = ()
            if not isinstance(size[-1], int):  # a shape; before it what `randint` draws between
                *bounds, size = size
            each = lambda size, one: function(*bounds, size, generator=one, **given)  # noqa: E731
            return generator.draw(each, tuple(size))

        return drawn

    def mask(layer, x):
        both = layer.generator
        if not isinstance(both, Both):
            return before[3](layer, x)

        def each(size, one):
            layer.generator = one
            return before[3](layer, x.new_empty(size))

        try:
            return both.draw(each, tuple(x.shape))
        finally:
            layer.generator = both

    def swapped(fake, real, labels, count):
        halves = zip(*(x.chunk(2) for x in (fake, real, labels)), strict=True)
        return torch.cat([before[4](*half, round(0.2 * SIZE / 2)) for half in halves])

    torch.randn, torch.rand = map(of_both, before[:2])
    torch.randint = of_both(before[2])
    Dropout.mask, words.mismatched = mask, swapped
    ganlib.GAN.draws = lambda gan, stream: Both(gan, stream)
    try:
        yield
    finally:
        torch.randn, torch.rand, torch.randint, Dropout.mask, words.mismatched = before
        del ganlib.GAN.draws


def by_halves(norm, x):
    """Normalise each half of a batch by its own statistics, as two processes do; the running ones
    follow the mean of both.
    """
    if not norm.training:
        return type(norm).forward(norm, x)
    halves, found = x.chunk(2), []
    for half in halves:
        flat = half.transpose(0, 1).flatten(1)
        found.append(torch.stack([flat.mean(1), flat.var(1)]))
    with torch.no_grad():
        mean = torch.stack(found).mean(0)
        for running, now in zip((norm.running_mean, norm.running_var), mean, strict=True):
            running.lerp_(now, norm.momentum)
        norm.num_batches_tracked += 1
    given = {"weight": norm.weight, "bias": norm.bias, "training": True, "eps": norm.eps}
    return torch.cat([batch_norm(half, None, None, **given) for half in halves])


def train(name, rank, world):
    """Return the weights, pools and batch statistics of a run, as float64."""
    torch.manual_seed(0)
    run, data, game = GAMES[name.removeprefix(SYNCED)]()
    run.to(dtype=torch.float64)
    if rank:  # other weights: the first one's are shared
        for gan in run.gans.values():
            for weight in (*gan.G.parameters(), *gan.D.parameters()):
                weight.data.add_(1)
    given = {"sync_batch_norm": name.startswith(SYNCED), "batch_size": SIZE // world}
    if world == 1 and not name.startswith(SYNCED):
        for gan in run.gans.values():
            for module in (*gan.G.modules(), *gan.D.modules()):
                if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                    module.forward = partial(by_halves, module)
    with as_two() if world == 1 else nullcontext():
        for _ in ganlib.train(run, data, game, until=STEPS, **given):
            pass
    found = {"images": torch.tensor(float(run.images_seen))}
    for which, gan in run.gans.items():
        for player, one in gan.players.items():
            for i, net in enumerate(one.nets()):
                state = net.state_dict().items()
                found |= {f"{which}.{player}{i}.{key}": x.double() for key, x in state}
        if getattr(gan, "pool", None) is not None:
            found[f"{which}.pool"] = gan.pool.images
        found[f"{which}.adaptive"] = gan.adaptive.double()
    return found


if __name__ == "__main__":
    launch.start("cpu")
    torch.set_num_threads(1)
    rank, world = processes.place()
    out = {}
    for name in sys.argv[2:]:
        try:
            out[name] = train(name, rank, world)
        except Exception as error:
            error.add_note(f"while {name!r} was played")
            raise
    torch.save(out, f"{sys.argv[1]}/{world}-{rank}.pt")
    launch.end()
