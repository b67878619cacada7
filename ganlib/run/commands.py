"""The commands of the command line: each takes the parsed options and returns the exit status. A
new one is a function here, and its options in __main__.py. Other games have commands of their own.
"""

import time
from dataclasses import replace
from pathlib import Path

import torch

from ..data import augment
from ..data.large import converting
from ..data.large.store import refuse_folder
from ..data.loading import LOADERS, load
from ..game.gan import GAN
from ..judge import evaluation
from ..judge.doctor import diagnose
from ..keep import checkpoint
from ..keep import export as exporting
from ..keep.autosave import Autosave
from ..keep.checkpoint import resume
from ..keep.sampling import drawing, places, writing
from ..keep.sharing import hub
from ..machine import launch, processes
from ..machine.device import choice, setup
from ..machine.folder import path_of
from ..machine.progress import readable, say
from ..nets.known import classes_of
from ..nets.pictures import draw_to
from ..show.live import LiveView
from ..show.pictures import show
from . import speed, training
from .checks import fingerprint, other
from .interrupt import status_of
from .plans import chosen, planned
from .preflight import preflight
from .recipes import recipe

# options that are 1 or more, and of what
COUNTS = {"batch_size": "image", "size": "pixel", "n": "image", "evaluate_every": "step"}


def check(options):
    """Raise ValueError for a number out of range, and for several processes where one works, before
    anything is loaded or written.
    """
    if options.command != "train":
        launch.alone(options.command)
    if options.command in ("train", "export"):
        refuse_folder(*(options.out, "a run") if options.command == "train" else (options.to, "it"))
    for name, what in COUNTS.items():
        if (value := getattr(options, name, None)) is not None and value < 1:
            option = name.replace("_", "-")
            raise ValueError(f"--{option} {value} was given; at least 1 {what} is expected")
    if not 0 < getattr(options, "seconds", 1) < float("inf"):
        raise ValueError(f"--seconds {options.seconds} was given; more than 0 are expected")


def convert(options):
    """Turn images of any number into shards on the disk."""
    source = options.source[0] if len(options.source) == 1 else options.source
    made = options.fit, options.channels, options.background, options.split
    converting.convert(source, options.folder, options.size, *made)
    return 0


def train(options):
    """Train a recipe, or go on with the run in the folder `options.out`."""
    options.out = str(path_of(options.out))
    device = launch.start(options.device, options)
    device = setup(options.seed, device, precision=options.precision)
    first = processes.place()[0] == 0  # only the first of several processes writes and prints
    if not first:
        launch.wait()  # until the first has downloaded
    images = load(
        options.data, device, fallback=options.fallback, size=options.size, fit=options.fit
    )
    if first:
        launch.wait()
    name, changes = chosen(images, options.out, options.recipe, options.augment)
    changes = changes and augment.named(changes)
    if first and options.size and not (Path(options.out) / checkpoint.FILE).exists():
        seconds = 3.0 if processes.place()[1] == 1 else 0  # several would have to measure together
        preflight(images, name, options.conditional, seconds, changes).sheet.save(
            Path(options.out) / "data.png"
        )
    classes = (
        (len(images.classes) if images.labels is not None else 0) if options.conditional else 0
    )
    if options.conditional and not classes:
        raise ValueError(
            f"--conditional was given, and {images.name!r} has no labels; leave it out"
        )
    until = options.until or options.plan or options.steps

    def make(length):
        made = recipe(name, images.shape, classes, length)
        return replace(made, augment=changes) if changes else made

    game = planned(make, until, images, options.out, options.batch_size)
    batch_size = game.batch_size if options.batch_size is None else options.batch_size
    gan = game.gan(options.seed).to(device)
    resume(options.out, gan)
    view = (
        LiveView(total=options.steps if until == options.steps else None, folder=options.out)
        if first
        else None
    )
    best, main = Autosave(gan, Path(options.out) / "best"), None
    if options.evaluate_every is not None:
        main = evaluation.settle(gan, images).main
        if first and main != "frechet_distance":
            kept = (
                f"keeps the best {main}" if main else "stays empty: no figure orders so few images"
            )
            say(f"{Path(options.out) / 'best'} {kept}")
    now = None
    for now in training.train(
        gan,
        images,
        game,
        until=until,
        view=view,
        folder=options.out,
        batch_size=batch_size,
        save_seconds=options.save_seconds,
        sync_batch_norm=options.sync_batch_norm,
        evaluate_every=options.evaluate_every,
    ):
        if first and main is not None and now.best(main):
            best.save()
    launch.wait()
    status = status_of(now and now.reason)
    launch.end(status)
    return status


def sample(options):
    """Draw images from a trained run or an exported generator: as a grid (.png), or as many as one
    likes into an array, an archive or a folder, see `keep.sampling.writing`.
    """
    grid, precision, device = options.out.endswith(".png"), "float32", "cpu"
    if not grid:
        places.place_of(options.out)  # raises for a name that none has, before anything is loaded
    as_ever = grid and options.seed is options.device is None and options.precision == precision
    if not as_ever:
        device = setup(0, options.device, precision=options.precision)
        precision = choice.precision
    G, by, of = _drawer(options)
    if options.strength is not None:
        draw_to(G, options.strength)
        of["strength"] = options.strength
        by += f", its noise drawn to training images by {options.strength:g},"
    if (label := options.label) is not None:
        if not (classes := classes_of(getattr(G, "G", G))):
            raise ValueError(f"--label {label} was given, and {by} is not conditional")
        if not 0 <= label < classes:
            raise ValueError(
                f"--label {label} was given; {by} has {classes} classes: 0 to {classes - 1}"
            )
    G, asked, rate = G.to(device), (options.n, options.label, options.seed, precision), ""
    if not grid:
        start = time.monotonic()
        if not (drawn := writing.write(options.out, G, *asked, of)):
            return 0
        if drawn >= 1000:
            rate = f", {drawn / (time.monotonic() - start):,.0f} images/s"
    elif as_ever and isinstance(G, GAN):
        show(G.sample(options.n, options.label), generated=True).save(options.out)
    else:
        images = [x for x, _ in drawing.Drawing(G, *asked).batches()]
        show(torch.cat(images), generated=True).save(options.out)
    by += f" at step {of['step']:,}" if "step" in of else ""
    say(f"{options.out}: {options.n:,} images drawn by {by}{rate}")
    return 0


def _drawer(options):
    """Return (the GAN of a run or an exported generator, what it is in words, and in the plain
    values of a journal, which may be shared and so names no place on this machine).
    """
    folder = path_of(options.folder)
    run = any((folder / file).exists() for file in (checkpoint.FILE, checkpoint.FORMER))
    shared = (folder / "config.json").exists() or options.folder == "digits"
    if not run and (shared or hub.named(options.folder)):
        G = exporting.load_generator(options.folder, options.revision)
        return G, f"the generator in {options.folder}", {"generator": G.config["name"]}
    if options.revision is not None:
        raise ValueError(
            f"--revision {options.revision} was given; it belongs to a name on the Hugging Face Hub"
        )
    gan = exporting.rebuild(folder)
    of = {"run": readable(folder.resolve().name), "step": gan.step}
    return gan, f"the run in {options.folder}", of


def evaluate(options):
    """Evaluate a trained run, and print a diagnosis of its history."""
    gan = exporting.rebuild(options.folder).to(setup(0, options.device))
    if options.strength is not None:
        draw_to(gan, options.strength)
    data = _data_of(options, gan.trained_on or {})
    if not (options.data or options.size or options.fit):
        then, now = gan.trained_on or {}, fingerprint(data)
        if changed := other({name: then[name] for name in now if name in then}, now):
            raise ValueError(
                f"the images {data.name!r} are not those that the run in {options.folder} was "
                f"trained on (other {' and '.join(changed)}); say where those are: --data FOLDER "
                "--size PIXELS"
            )
    data = data.near(gan.device)
    result = evaluation.evaluate(gan, data, options.n, options.extractor)
    if gan.history:
        say(f"\n{diagnose(gan.history, result)}")
    return 0


def _data_of(options, trained_on):
    """Return the data set that the options name, by default that of the run. Raises ValueError if
    it cannot be found.
    """
    name = trained_on.get("data", "digits").split(",")[0]
    source = trained_on.get("loaded") or ({"name": name} if name in LOADERS else None)
    if options.data:
        source = {"name": options.data, "size": options.size, "fit": options.fit or "crop"}
    elif source and "fit" in source:
        source |= {
            key: value for key in ("size", "fit") if (value := getattr(options, key)) is not None
        }
    of_its_own = options.data in LOADERS if options.data else source and "fit" not in source
    if of_its_own and (given := [name for name in ("size", "fit") if getattr(options, name)]):
        raise ValueError(
            f"--{given[0]} was given, and {source['name']!r} has squares of a size of its own; "
            "leave it out"
        )
    if source and "drawn" in source:
        raise ValueError(
            f"the run in {options.folder} was trained on {name!r}, which no command judges; in "
            "Python games.clips.judge_clips(gan) does, or what else belongs to its game"
        )
    own = source and "fit" in source and source["name"] not in LOADERS
    if source is None or (own and not Path(source["name"]).exists()):
        gone = f"which were in {source['name']}" if source else "and does not say where they were"
        raise ValueError(
            f"the run in {options.folder} was trained on the images {name!r}, {gone}; say where "
            "they are now: --data FOLDER --size PIXELS"
        )
    return load(**source)


def export(options):
    """Write a trained run's generator to a folder, for others."""
    exporting.export(
        options.folder,
        options.to,
        options.name,
        license=options.license,
        hub=options.hub,
        app=options.app,
        strength=options.strength,
    )
    return 0


def bench(options):
    """Measure how fast this machine trains."""
    device = setup(0, options.device, precision=options.precision)
    speed.bench(device, options.recipe, seconds=options.seconds, out=options.out)
    return 0
