"""The command line's part of the game of clips: `train --game clips`, and what `sample` and
`evaluate` do with such a run.
"""

from pathlib import Path

import numpy
import torch

from ...data.images import as_uint8
from ...keep import export as exporting
from ...keep.sampling import drawing
from ...machine import launch
from ...machine.choices import one_of
from ...machine.device import setup
from ...machine.files import replace
from ...machine.folder import path_of
from ...machine.progress import say
from ...run.plans import kept, planned
from ...show.pictures import show
from ..command.exported import says
from ..command.loop import drawn_by, run
from ..command.unused import refuse_judging
from .drawing import KINDS, film, recipe
from .judging import judge_clips
from .movies import movie
from .moving import gliding, pairs

DATA = {"digits": gliding, "pairs": pairs}
ENDINGS = (".gif", ".mp4", ".png", ".npy")


def plays(folder):
    """Whether the run or the exported generator in `folder` is one of this game; False where there
    is none.
    """
    try:
        if kept(folder) is None:
            return len(says(folder, "output", "images") or ()) == 4
        return _kind(folder) is not None
    except ValueError:  # whoever reads it says what is wrong with it
        return False


def _kind(folder):
    name = (kept(folder) or {}).get("recipe") or ""
    return name.removeprefix("clips-") if name.startswith("clips-") else None


def train(options):
    """Train a G of clips, or go on with the one in `options.out`."""
    one_of("set of clips (--data)", options.data, list(DATA))
    out = path_of(options.out)
    began = "pairs" if kept(out) and drawn_by(out) == "pairs" else options.data  # found again
    kind = one_of("G of clips (--recipe)", options.recipe or _kind(out) or "moved", list(KINDS))
    device = setup(options.seed, launch.start(options.device, options), precision=options.precision)
    data, until = DATA[began]().to(device), options.until or options.steps
    game = planned(lambda images: recipe(data, kind, images), until, data, out, options.batch_size)
    return run(data, game, until, options, _figures)


def _figures(gan, data):
    """Return what is judged during a run, by name."""
    judged = judge_clips(gan, n=500)
    return {name: x for name, x in judged.items() if name != "real"}


def sample(options):
    """Draw clips: a film, side by side (.gif, .mp4), their frames (.png), or an array (.npy)."""
    if Path(options.out).suffix not in ENDINGS or options.label is not None:
        raise ValueError(
            f"--out {options.out} was given; a name that ends in {', '.join(ENDINGS)} is expected, "
            "and no --label: this run draws clips"
        )
    if kept(options.folder) is None:
        by, G = "generator", exporting.load_generator(options.folder)
        parts = [images for images, _ in drawing.draw(G, options.n)]
    else:
        by, gan = "run", exporting.rebuild(options.folder)
        sizes = map(len, torch.arange(options.n).split(250))
        parts = [gan.sample(size, stream=f"film/{i}") for i, size in enumerate(sizes)]
    clips, out = torch.cat(parts), Path(options.out).expanduser()
    clips.generated = True
    if out.suffix == ".npy":
        array = as_uint8(clips).numpy()
        replace(out, lambda file: numpy.save(file, array), durable=False)
    elif out.suffix == ".mp4":
        movie(clips, out)
    elif out.suffix == ".gif":
        film(clips).save(out)
    else:
        show(clips.transpose(1, 2).flatten(0, 1), clips.shape[2], generated=True).save(out)
    say(
        f"{out}: {options.n} clips of {clips.shape[2]} frames drawn by the {by} in {options.folder}"
    )
    return 0


def evaluate(options):
    """Judge a run of digits that glide: its frames, its motion, whether a digit stays the same."""
    refuse_judging(options, "clips")
    gan = exporting.rebuild(options.folder).to(setup(0, options.device))
    say(judge_clips(gan, n=options.n or 1500))
    return 0
