"""The commands of the command line for translations: `train --game cycle --data A --to B`, and what
one does with such a run. `meant` says whether a command is meant for them.
"""

from dataclasses import replace
from pathlib import Path

import torch

from ..data.images import as_uint8
from ..data.loading import is_own, load
from ..game import losses
from ..judge import evaluation, features
from ..judge.doctor import diagnose
from ..keep import export as exporting
from ..keep.checkpoint import newest, resume
from ..machine import files, launch, processes
from ..machine.device import setup
from ..machine.folder import path_of
from ..machine.progress import say
from ..machine.randomness import some_of
from ..run.plans import kept
from ..run.until import alike, length
from ..show.looks import drawn
from .command.loop import OBJECTIVES, play
from .command.unused import refuse_judging
from .kept import judge_translation
from .printed import DRAWN
from .readers.both import source_classifier
from .readers.shapes import varied
from .translation import KINDS, rate, refuse_unlike, translation

HELD = 2_000  # images of each domain, at most a fifth, that are never trained on
CLASSIFIER = "classifier.safetensors"  # of the source domain, in the folder of a semantic run


def meant(options):
    """Whether the command of these options is for a translation, or for the run of one."""
    if options.command == "train":
        return options.game is not None or options.to is not None
    return (kept(options.folder) or {}).get("recipe") in KINDS if "folder" in options else False


def train(options):
    """Train a translation, or go on with the one in `options.out`."""
    if options.game is None:
        raise ValueError(f"--to {options.to} was given without --game; --game cycle, say")
    if options.to is None:
        raise ValueError(
            f"--game {options.game}: --to is missing; --data names the source domain, and --to the "
            "target"
        )
    options.out = str(path_of(options.out))
    device = launch.start(options.device, options)
    device = setup(options.seed, device, precision=options.precision)
    first = processes.place()[0] == 0
    if not first:
        launch.wait()  # until the first has downloaded, and trained a classifier
    a, b = (_parts(domain(x, options.size, options.fit))[0] for x in (options.data, options.to))
    make = _maker(options, a, b)
    if first:
        launch.wait()
    until = options.until or options.steps
    run, data, game = _planned(make, options, until, len(b), device)
    data = _marked(data, options.game, a, b)
    run.to(device)
    resume(options.out, run)
    evaluate = None
    if options.evaluate_every is not None:
        there = run.gans.get("there", run)

        def evaluate(run, data):
            return evaluation.quick(there, b)

    status = play(run, data, game, until, options.out, options, evaluate)
    launch.wait()
    launch.end(status)
    return status


def sample(options):
    """Translate held-out images: as a grid of pairs (.png) or as numbers (.npy)."""
    if not options.out.endswith((".png", ".npy")) or options.label is not None:
        raise ValueError(
            f"--out {options.out} was given; a name that ends in .png or .npy is expected, and no "
            "--label: a translation has none"
        )
    run, a, _ = restored(options.folder)
    gan, held = run.gans.get("there", run), a[1]
    n = options.n if options.out.endswith(".npy") else max(8, options.n // 8 * 8)
    source = held.floats(some_of(len(held)).repeat(-(-n // len(held)))[:n])
    if options.out.endswith(".png"):
        drawn(gan.shown(source)).save(options.out)
    else:
        import numpy

        images = as_uint8(gan.sample(noise=source)).numpy()
        files.replace(path_of(options.out), lambda out: numpy.save(out, images))
    say(f"{options.out}: {n} images of {held.name!r}, translated at step {gan.step:,}")
    return 0


def evaluate(options):
    """Judge a translation on held-out images, either way, and print a diagnosis."""
    refuse_judging(options, "to")
    run, a, b = restored(options.folder)
    readers = [_reader(train) for train, _ in (a, b)]
    judged = [judge_translation(run.gans.get("there", run), a[1], b[1], readers[1], readers[0])]
    if "back" in run.gans:
        judged.append(judge_translation(run.back, b[1], a[1], *readers))
    say("\n\n".join(map(str, judged)))
    if run.history:
        say(f"\n{diagnose(run.history)}")
    return 0


def export(options):
    """Write a translation's generator, of either direction, for others."""
    run, *_ = restored(options.folder)
    name = options.name or path_of(options.folder).resolve().name
    for of, gan in run.gans.items():
        back = of == "back"
        gan.trained_on, gan.run_id = run.trained_on, None
        to = Path(options.to) / "back" if back else options.to
        hub = None if back else options.hub
        called, app = f"{name}{', back' * back}", options.app
        exporting.write(gan, to, called, license=options.license, hub=hub, app=app)
    return 0


def domain(name, size=None, fit="crop"):
    """Return a domain by its name: what `printed.DRAWN` draws, or what `load` takes."""
    if name in DRAWN:
        if size is not None and size != (side := DRAWN[name](1).shape[1]):
            raise ValueError(f"--size {size} was given, and {name!r} is drawn at {side} pixels")
        return DRAWN[name]()
    return load(name, size=size if is_own(name) else None, fit=fit)


def restored(folder):
    """Return (the run in `folder` with its state, (source domain, its held-out part), the same of
    the target domain). Raises OSError or ValueError where one of them cannot be had.
    """
    state = newest(folder)["state"]
    began = state["trained_on"]
    parts = [_parts(_again(began["loaded"][which])) for which in "ab"]
    ways = replace(KINDS[began["loaded"]["game"]], semantic=0.0)  # ties have no state
    train = (train for train, _ in parts)
    run, _, _ = translation(ways, *train, began["plan"]["images"], seed=state["seed"])
    resume(folder, run)
    return run, *parts


def _again(loaded):
    """Return the data set that `loaded` describes."""
    if "drawn" in loaded:
        return DRAWN[loaded["drawn"]](loaded["n"], loaded["seed"])
    if "fit" in loaded and not Path(loaded["name"]).exists():
        raise ValueError(f"the images of the run were in {loaded['name']}, which is gone")
    return load(**loaded)


def _parts(data):
    """Return (the images to train on, those that are held out), the same at each call."""
    order = some_of(len(data)).to(data.images.device)
    count = min(HELD, len(data) // 5)
    train, held = data.subset(order[count:]), data.subset(order[:count] if count else order)
    train.loaded = data.loaded
    return train, held


def _marked(data, kind, a, b):
    """Return the data of a run, which say where both domains are, for `restored`."""
    data = data if hasattr(data, "sets") else data.subset(slice(None))
    data.loaded = {"game": kind, "a": a.loaded, "b": b.loaded}
    return data


def _maker(options, a, b):
    """Return a function of (images, until) that makes run, data and game."""
    refuse_unlike(a, b)  # before a reader is trained
    classifier = None
    if KINDS[options.game].semantic:
        file = Path(options.out) / CLASSIFIER
        if file.exists():
            classifier = features.load_classifier(file)
            classifier.vary = varied  # as `source_classifier` made it
        else:
            classifier = source_classifier(a, b=b)
            if a.known not in features.DigitClassifier.fits and processes.place()[0] == 0:
                file.parent.mkdir(parents=True, exist_ok=True)
                features.save_classifier(classifier, file)
    objective = getattr(losses, options.objective or OBJECTIVES[0])

    def make(images, until=None, batch_size=None):
        return translation(
            options.game,
            a,
            b,
            images,
            seed=options.seed,
            classifier=classifier,
            objective=objective,
            batch_size=options.batch_size or batch_size or 32,
            until=until,
        )

    return make


def _planned(make, options, until, epoch, device):
    """Return what `make` makes for a length, or for the one with which the run in `out` began."""
    first = processes.place()[0] == 0
    plan = processes.agree(kept(options.out) if first else None)
    if plan is not None:
        if plan["until"] is not None and not alike(until, plan["until"], epoch):
            say(
                f"{options.out}: keeps the plan with which it began, {plan['images']:,} images; "
                f"{until} is only where it ends"
            )
        return make(plan["images"], plan["until"], plan["batch_size"])
    number, unit = length(until, epoch) or (None, None)
    if number is None:
        raise ValueError(f'--until {until} was given; "60s", "40k images" or steps are expected')
    size, speed = (options.batch_size or 32) * processes.place()[1], ""
    if unit == "step":
        number *= size
    elif unit == "second":
        images = processes.agree(_rate(make, device)) * processes.place()[1]
        number, speed = number * images, f" at {images:,.0f} images/s"
    images = max(10, round(number))
    say(f"{options.game}: {until}{speed}: its schedules are planned for {images:,} images")
    return make(images, str(until))


def _rate(make, device):
    """Return the images/s of fresh nets."""
    with torch.random.fork_rng(devices=[]):  # the run itself begins as if it had not been measured
        run, data, game = make(20_000)
    return rate(run.to(device), data, game)


def _reader(data):
    """Return a classifier of a domain, or None where it has no labels."""
    if data.known in features.DigitClassifier.fits:
        return features.digit_classifier()
    return None if data.labels is None else features.train_classifier(data)
