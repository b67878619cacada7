"""The labelled runs on colour sets on which the doctor is judged, as doctor_runs.py has them on
digits.

The answers stand here before any rule for colour was written. Sets: shapes and planets drawn by
code, and four of Twemoji (CC-BY 4.0; its zip of 64 x 64 icons is named by the environment variable
TWEMOJI, and is needed to play the runs only).
"""

import io
import os
import zipfile
from dataclasses import replace
from functools import partial

import numpy
import torch

import ganlib
from benchmarks import drawn
from benchmarks.doctor_runs import FINE, Deaf, Failing, Few, Noisy, Run, _game, loud_G
from ganlib import losses, nets, schedules
from ganlib.data import augment

FOLDERS = {
    "flags": "flags/",
    "smileys": "smileys-emotion/",
    "animals": "animals-nature/",
    "food": "food-drink/",
}


def data_of(name):
    """Return the images of "flags-32" and the like."""
    name, size = name.rsplit("-", 1)
    if name == "shapes":
        pictures = drawn.shapes(3000, 1).images
    elif name == "planets":
        pictures = torch.stack([planet(i) for i in range(500)])
    else:
        pictures = twemoji(FOLDERS[name])
    if pictures.shape[-1] != int(size):
        pictures = torch.nn.functional.interpolate(
            pictures.float(), size=int(size), mode="bilinear", antialias=True
        )
        pictures = pictures.round().clamp(0, 255).to(torch.uint8)
    return ganlib.Images(pictures, name=name)


def twemoji(folder):
    """Return the icons of one folder, transparent pixels white, (N, 3, 64, 64) uint8."""
    from PIL import Image

    with zipfile.ZipFile(os.environ["TWEMOJI"]) as icons:
        names = sorted(n for n in icons.namelist() if n.startswith(folder) and n.endswith(".png"))
        made = []
        for name in names:
            icon = Image.open(io.BytesIO(icons.read(name))).convert("RGBA")
            paper = Image.new("RGBA", icon.size, "white")
            paper.alpha_composite(icon)
            made.append(numpy.asarray(paper.convert("RGB")).transpose(2, 0, 1))
    return torch.from_numpy(numpy.stack(made))


COLOURS = [(255, 70, 64), (255, 160, 64), (64, 255, 84), (64, 140, 255), (160, 64, 255)]


def planet(seed, side=64):
    """Return a lit ball with bands, (3, side, side) uint8."""
    draw = numpy.random.default_rng(seed)
    y, x = numpy.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    radius, (left, up) = draw.uniform(0.5, 0.8), draw.uniform(-0.12, 0.12, 2)
    u, v = (x - left) / radius, (y - up) / radius
    depth = numpy.sqrt(numpy.clip(1 - u**2 - v**2, 0, 1))
    sun, tilt = draw.uniform(0, 2 * numpy.pi), draw.uniform(-0.5, 0.5)
    light = 0.75 * depth + 0.65 * (numpy.cos(sun) * u + numpy.sin(sun) * v)
    light = numpy.clip(light, 0.06, 1)[..., None]
    bands = numpy.sin(
        draw.uniform(4, 10) * (v * numpy.cos(tilt) + u * numpy.sin(tilt)) + draw.uniform(0, 6)
    )
    dark = numpy.array(COLOURS[draw.integers(5)])
    ground = dark + (255 - dark) * 0.5 * (0.5 + 0.5 * bands[..., None])
    edge = numpy.clip((1 - u**2 - v**2) * radius * side / 4, 0, 1)[..., None]
    sky = numpy.array([10, 13, 31])
    picture = (sky + (ground * light - sky) * edge).astype(numpy.uint8)
    return torch.from_numpy(picture.transpose(2, 0, 1).copy())


class Tinted(Few):
    """A G that draws only `modes` different pictures, each in any colour: contrast, brightness and
    a tint are the noise's. It fools what compares pixels.
    """

    def forward(self, z, labels=None):
        picture = super().forward(z)
        tint = 0.5 * z[:, 1:4, None, None]
        return (picture * (1 + 0.3 * z[:, 4:5, None, None]) + tint).clamp(-1, 1)


def play(kind, seed, size=32, objective=losses.relativistic, penalty=None, batch=16, **more):
    """Return a game of narrow nets: `kind` is "pictures", "compact", "dcgan", "spectral", "mlp"."""
    torch.manual_seed(seed)
    shape, large = (3, size, size), size == 64
    if kind == "pictures":
        G = nets.PictureGenerator(32, shape, (*[48] * large, 48, 24, 16, 12))
        D = nets.PictureDiscriminator(shape, (*[8] * large, 12, 24, 48))
    elif kind == "compact":
        G = nets.CompactGenerator(32, shape, (*[64] * large, 64, 32, 16))
        D = nets.CompactDiscriminator(shape, (*[12] * large, 16, 32, 64))
    elif kind == "mlp":
        G = nets.MLPGenerator(64, shape, (128, 256, 512))
        D = nets.MLPDiscriminator(shape, (512, 256), dropout=0.0)
    else:
        norm = "batch" if kind == "dcgan" else "spectral"
        G = nets.ConvGenerator(32, shape, (*[64] * large, 64, 32, 16))
        D = nets.ConvDiscriminator(shape, (*[12] * large, 16, 32, 64), norm=norm)
    settings = {"lr": 1e-3, "betas": (0.0, 0.99)} | more
    augmented = settings.pop("augment", None)
    gan, step, batch, only = _game(
        G, D, seed, batch=batch, objective=objective, penalty=penalty, **settings
    )
    return gan, partial(step, augment=augmented), batch, only


small = augment.diff_augment
GAMES = {
    "pictures": partial(play, "pictures", penalty=losses.approximate_r1_r2(0.1, 0.05)),
    "pictures-aug": partial(
        play, "pictures", penalty=losses.approximate_r1_r2(0.1, 0.05), augment=small
    ),
    "small": partial(play, "compact", penalty=losses.approximate_r1_r2(0.3, 0.05), lr=2e-3),
    "small-aug": partial(
        play, "compact", penalty=losses.approximate_r1_r2(0.3, 0.05), lr=2e-3, augment=small
    ),
    "dcgan": partial(
        play, "dcgan", objective=losses.non_saturating, lr=5e-4, betas=(0.5, 0.999), batch=32
    ),
    "hinge": partial(play, "spectral", objective=losses.hinge, lr=5e-4, betas=(0.0, 0.9)),
    "mlp": partial(
        play, "mlp", objective=losses.non_saturating, penalty=losses.r1(1.0), lr=5e-4, batch=32
    ),
}
SETS = ("shapes", "planets", "flags", "smileys", "animals", "food")
UNLIKE = ("unlike",)  # the fakes do not look like the data: what a failed evaluation says


def runs():
    """Return all runs, in a fixed order: halves "colour-a" and "colour-b" take turns in a kind; and
    "colour-c", other seeds and sets, played after rules were changed for what a and b had shown.
    """
    return [*_runs(SETS), *_runs((*SETS[2:], *SETS[:2]), third=True)]


def _runs(SETS, third=False):
    made, fresh = [], 1000 * third

    def add(kind, answers, name, data, make, steps=350, judged=0):
        count = sum(run.kind == kind for run in made)
        half = ("colour-a", "colour-b")[(count + count // 6) % 2]  # there are six sets
        if third:  # of the same kinds, every second
            half = "colour-c" if half == "colour-a" else "none"
            name += f"-{len(made)}"
        every = steps // judged if judged else None
        title = f"{'third ' * third}colour {kind}/{name}-{data}"
        run = Run(title, kind, tuple(answers), make, steps, every, half)
        made.append(replace(run, data=data))

    # healthy: known to go on getting better; half of them judged. Within a minute most have recall
    # 0: then the right answer is that the fakes do not look like the data
    for i, (game, data) in enumerate(
        (game, data)
        for game in ("pictures-aug", "pictures", "small-aug", "small", "dcgan", "hinge")
        for data in SETS
    ):
        if i >= 6 and (i + i // 6) % 2:
            continue
        make = partial(GAMES[game], seed=fresh + 400 + i)
        add("healthy", (*FINE, *UNLIKE), game, f"{data}-32", make, judged=2 * (i % 4 < 2))
    for i, game in enumerate(("pictures-aug", "pictures", "small", "dcgan")):
        make = partial(GAMES[game], seed=fresh + 440 + i, size=64, batch=8)
        add("healthy", (*FINE, *UNLIKE), game, f"{SETS[i]}-64", make, 250, 2 * (i % 2))
    for i, data in enumerate(("shapes-32", "planets-32")):
        make = partial(GAMES["mlp"], seed=fresh + 450 + i)
        add("healthy", (*FINE, *UNLIKE), "mlp", data, make, 600, 2 * i)
    # undertrained: hardly begun
    for i, game in enumerate(
        ("pictures-aug", "small", "dcgan", "pictures", "hinge", "small-aug", "mlp", "pictures-aug")
    ):
        data = f"{SETS[i % 6]}-32"
        add(
            "undertrained",
            (*FINE, *UNLIKE),
            game,
            data,
            partial(GAMES[game], seed=fresh + 460 + i),
            80,
        )
    # done: the learning rate has gone to nothing
    for i, game in enumerate(("small", "pictures-aug", "dcgan", "small-aug", "pictures", "hinge")):
        images = 32 if game == "dcgan" else 16
        lr = schedules.Linear(((0, 1e-3), (180 * images, 1e-3), (240 * images, 1e-6)))
        make = partial(GAMES[game], seed=fresh + 470 + i, lr=lr)
        add("done", ("done", *UNLIKE), game, f"{SETS[i]}-32", make, 560, 7)
    # D wins: G hardly moves, or D moves eight times; no penalty
    for i, game in enumerate(("small", "pictures", "mlp", "small", "dcgan", "pictures")):
        make = partial(GAMES[game], seed=fresh + 480 + i, lr_G=2e-6, penalty=None)
        add("d_wins", ("d_wins",), f"slow-G-{game}", f"{SETS[i]}-32", make, 300)
    for i, game in enumerate(("pictures", "small", "mlp", "small")):
        weak = {"penalty": None, "n_critic": 8, "lr_G": 1e-5, "lr_D": 3e-3}
        make = partial(GAMES[game], seed=fresh + 490 + i, **weak)
        add("d_wins", ("d_wins",), f"fast-D-{game}", f"{SETS[-1 - i]}-32", make, 100)
    # G wins, or D cannot learn: D hardly moves, or sees hardly anything
    for i, game in enumerate(("small", "pictures", "dcgan", "mlp", "hinge", "pictures-aug")):
        make = partial(GAMES[game], seed=fresh + 500 + i, lr_D=1e-7)
        add("g_wins", ("g_wins",), f"slow-D-{game}", f"{SETS[i]}-32", make, 250)
    for i, game in enumerate(("small", "pictures", "mlp", "dcgan")):
        blind = {"wrap_D": partial(Noisy, sigma=20.0), "penalty": None}
        make = partial(GAMES[game], seed=fresh + 510 + i, **blind)
        add("g_wins", ("g_wins",), f"blind-D-{game}", f"{SETS[-1 - i]}-32", make, 250)
    # total collapse: G cannot hear its noise
    for i, game in enumerate(
        ("small", "pictures", "dcgan", "mlp", "hinge", "pictures-aug", "small-aug", "pictures")
    ):
        share = 0.002 if game == "mlp" else 0.0
        make = partial(GAMES[game], seed=fresh + 520 + i, wrap_G=partial(Deaf, share=share))
        data = f"{SETS[(i + i // 6) % 6]}-32"
        add("total_collapse", ("total_collapse",), f"deaf-G-{game}", data, make, 300)
    # partial collapse: G can draw only so many pictures, as they are or in any colour
    for i, game in enumerate(("small", "pictures", "dcgan", "small-aug", "pictures-aug", "hinge")):
        for modes, few in ((3 + i, Few), (4 + 2 * i, Tinted)):
            make = partial(GAMES[game], seed=fresh + 530 + 3 * i, wrap_G=partial(few, modes=modes))
            name = f"{modes}-{'tinted-' * (few is Tinted)}modes-{game}-{i}"
            data = f"{SETS[(i + modes) % 6]}-32"
            add("partial_collapse", ("partial_collapse",), name, data, make, 300)
    # vanishing gradients: a saturated last layer
    for i, game in enumerate(("dcgan", "small", "mlp", "hinge")):
        make = partial(GAMES[game], seed=fresh + 560 + i, wrap_G=loud_G)
        add("vanishing_gradients", ("vanishing_gradients",), game, f"{SETS[i]}-32", make, 200)
    # learning rate too high
    for i, game in enumerate(("pictures", "small", "dcgan", "mlp", "hinge", "pictures-aug")):
        make = partial(GAMES[game], seed=fresh + 570 + i, lr=(0.3, 1.0)[i % 2])
        add("lr_too_high", ("lr_too_high", "not_finite"), game, f"{SETS[i]}-32", make, 200)
    # not finite: a layer divides 0 by 0 after so many calls
    for i, (game, player) in enumerate(
        (("pictures", "G"), ("dcgan", "D"), ("small", "G"), ("mlp", "D"))
    ):
        failing = {f"wrap_{player}": partial(Failing, calls=150 + 20 * i)}
        make = partial(GAMES[game], seed=fresh + 580 + i, **failing)
        add("not_finite", ("not_finite",), game, f"{SETS[i]}-32", make, 250)
    # memorising: a few images, again and again, without augmentation; of 8 and 16 nets had not
    # learned any by heart after 900 steps
    for i, (game, only) in enumerate(
        (("pictures", 8), ("small", 8), ("dcgan", 8), ("mlp", 8), ("pictures", 16), ("small", 16))
    ):
        only, steps = (8, 2500) if third else (only, 900)
        make = partial(GAMES[game], seed=fresh + 590 + i, only=only, batch=8)
        add("memorising", ("memorising",), f"{only}-images-{game}", f"{SETS[i]}-32", make, steps, 2)
    return [run for run in made if run.half != "none"]
