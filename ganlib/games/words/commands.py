"""The command line's part of the game of words: `train --game words`, and what `sample --say` and
`evaluate` do with such a run.
"""

import torch

from ...keep import export as exporting
from ...keep.sampling import drawing
from ...machine import launch
from ...machine.device import setup
from ...machine.folder import path_of
from ...machine.progress import say
from ...run.plans import kept, planned
from ...show.pictures import show
from .. import faces
from ..command.exported import says
from ..command.loop import drawn_by, run
from ..command.unused import refuse_judging
from .drawing import recipe
from .handwriting import WORDS, numbers
from .judging import judge_words
from .vocabulary import encode


def plays(folder):
    """Whether the run or the exported generator in `folder` is one of this game; False where there
    is none.
    """
    try:
        plan = kept(folder)
        if plan is None:
            return bool(says(folder, "input", "words"))
        return plan.get("recipe") == "words"
    except ValueError:  # whoever reads it says what is wrong with it
        return False


def train(options):
    """Train a G of numbers in words, or go on with the one in `options.out`."""
    if options.data not in ("digits", "faces"):
        raise ValueError(
            f"--data {options.data} was given with --game words, which writes numbers with the "
            "digits that ship with ganlib, or draws its faces; for sentences of your own see "
            "docs/games.md"
        )
    device = setup(options.seed, launch.start(options.device, options), precision=options.precision)
    out, until = path_of(options.out), options.until or options.steps
    began = drawn_by(out) if kept(out) else None  # the data of the run are found again
    faced = options.data == "faces" or began == "faces in words"
    data = (faces.captions()[0] if faced else numbers()).to(device)
    game = planned(lambda images: recipe(data, images), until, data, out, options.batch_size)
    return run(data, game, until, options, _figures)


def _figures(gan, data):
    """Return what is judged during a run, by name."""
    if tuple(data.classes) == faces.WORDS:
        judged = faces.judge_captions(gan, n=500)
        return {f"{name}_as_asked": row["all"] for name, row in judged.items()}
    judged = judge_words(gan, n=500)
    return {
        f"{name}_{figure}": row[figure]
        for name, row in judged.items()
        for figure in ("right", "diversity", "floors")
    }


def sample(options):
    """Draw pictures of the sentence that `--say` gives, or of some that the run was shown."""
    if not options.out.endswith(".png") or options.label is not None:
        raise ValueError(
            f"--out {options.out} was given; a name that ends in .png is expected, and no --label: "
            'this run is asked in words, --say "forty two"'
        )
    asked, labels = [options.say] * options.n, None
    if kept(options.folder) is None:
        by, G = "generator", exporting.load_generator(options.folder)
        if options.say is None:
            raise ValueError(
                f"the generator in {options.folder} is asked in words, and none were given; say "
                'what to draw, --say "forty two"'
            )
        labels = encode(asked, G.config["class_names"], G.length)
        images = torch.cat([images for images, _ in drawing.draw(G, options.n, labels)])
    else:
        by, gan = "run", exporting.rebuild(options.folder)
        if options.say is not None:
            words = (gan.trained_on or {}).get("classes") or WORDS
            labels = encode(asked, words, gan.G.length)
        images = gan.sample(options.n, labels)
    show(images, generated=True, title=options.say).save(options.out)
    say(f"{options.out}: {options.n} images drawn by the {by} in {options.folder}")
    return 0


def evaluate(options):
    """Judge a run on the sentences that it was shown, and on those that were hidden from it."""
    refuse_judging(options, "words")
    gan = exporting.rebuild(options.folder).to(setup(0, options.device))
    judges = {WORDS: judge_words, faces.WORDS: faces.judge_captions}
    judge = judges.get(tuple((gan.trained_on or {}).get("classes") or ()))
    if judge is None:
        raise ValueError(
            f"the run in {options.folder} draws other sentences than numbers and faces in words, "
            "which nothing here reads"
        )
    say(judge(gan, n=options.n or 1000))
    return 0
