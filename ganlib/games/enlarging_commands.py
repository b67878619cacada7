"""The command line's part of super-resolution: `train --game enlarge`, `upscale`, and what
`evaluate`, `export` and `sample` do with such runs.
"""

import torch

from ..data.loading import LOADERS, load
from ..game import losses
from ..judge.classifiers import load_classifier, save_classifier
from ..judge.features import digit_classifier
from ..keep import export as exporting
from ..keep.checkpoint import newest, resume
from ..machine import launch, processes
from ..machine.device import setup
from ..machine.folder import path_of
from ..machine.progress import say
from ..nets.fed.enlarging import INVENTED
from ..run.plans import kept, planned
from . import enlarging, upscaling
from .command.loop import OBJECTIVES, play
from .command.unused import refuse_judging
from .fidelity import judge_enlarging, judging
from .photographs import patches, split

SIZE = 64  # pixels of a patch of one's own photographs
FEATURES = "features.safetensors"  # in the run's folder


def train(options):
    """Train L1 alone in the folder l1 of `options.out`, then the game with D, from there, in
    `options.out`; or go on where that was left.
    """
    out = path_of(options.out)
    device = setup(options.seed, launch.start(options.device, options), precision=options.precision)
    first = processes.place()[0] == 0
    if not first:
        launch.wait()  # until the first has read the pictures
    data, held_out, others = pictures_of(options.data, options.size, options.fallback)
    enlarging.recipe("l1", data, options.scale)  # raises where the scale does not fit
    if first:
        launch.wait()
    gan, status = _stage("l1", data, (held_out, others), out / "l1", None, None, device, options)
    if status == 0:
        extractor = _features(data, out, device, first)
        both = held_out, others
        status = _stage("gan", data, both, out, gan, extractor, device, options)[1]
        say(f"{INVENTED}.")
    launch.wait()
    launch.end(status)
    return status


def pictures_of(name, size=None, fallback=None):
    """Return (pictures to train on, held-out ones, others for a distance or None) of a data set's
    name, or patches of the photographs at a path or of a package.
    """
    if name in LOADERS:
        if size is not None:
            raise ValueError(f"--size {size} was given for {name!r}, whose size is its own")
        whole = load(name, fallback=fallback)
        data, held_out = split(whole)
        others, data.loaded = data, {"name": name}
    else:
        (data, held_out), others = patches(name, size or SIZE), None
        place = name if not path_of(name).exists() else str(path_of(name).absolute())
        data.loaded = {"name": place, "size": size or SIZE}
    return data, held_out, others


def _stage(stage, data, judged, folder, start, extractor, device, options):
    """Train one stage, or go on with it; return the GAN and the exit status."""

    objective = getattr(losses, options.objective or OBJECTIVES[0])

    def make(images):
        return enlarging.recipe(stage, data, options.scale, images, extractor, objective=objective)

    until = options.until or options.steps
    game = planned(make, until, data, folder, options.batch_size)
    torch.manual_seed(options.seed)  # D begins alike, whether or not the first stage is new
    gan = game.gan(options.seed, start).to(device)
    resume(folder, gan)
    say(f"{game.name}, to {until}: {'the game with D' if game.adversary else 'G alone'}")
    return gan, play(gan, data, game, until, folder, options, judging(*judged))


def _features(data, out, device, first):
    """Return the net whose features are compared; it is trained once, and kept with the run."""
    if data.known in ("digits", "mnist"):
        return digit_classifier(device)
    if first and not (out / FEATURES).exists():
        save_classifier(enlarging.feature_net(data.to(device)), out / FEATURES)
    launch.wait()
    return load_classifier(out / FEATURES, device)


def upscale(options):
    """Enlarge all pictures of a folder."""
    run = path_of(options.folder)
    if options.interpolate is None and (run / "generator.safetensors").exists():
        run = exporting.load_generator(run)
    upscaling.upscale(options.pictures, run, options.to, options.interpolate)
    return 0


def plays(folder):
    """Whether the run in `folder` is one of this game; False where there is none."""
    try:
        return str((kept(folder) or {}).get("recipe")).startswith("enlarge-")
    except ValueError:  # whoever reads it says what is wrong with it
        return False


def sample(options):
    """Raise ValueError: this game draws nothing from noise."""
    raise ValueError(
        f"the run in {options.folder} enlarges pictures, and draws none from noise; "
        f"python -m ganlib upscale PICTURES {options.folder} enlarges a folder of them"
    )


def export(options):
    """Write the net of a run to a folder, for others; samples.png shows held-out pictures."""
    held_out = _judged(options.folder, None, None)[0]
    exporting.export(
        options.folder,
        options.to,
        options.name,
        license=options.license,
        hub=options.hub,
        source=held_out,
        look=enlarging.looked,
        app=options.app,
    )
    return 0


def evaluate(options):
    """Judge a run on the held-out part of its pictures, beside its L1 net and nets in between."""
    refuse_judging(options, "enlarge")
    held_out, others = _judged(options.folder, options.data, options.size)
    rows, first = {}, path_of(options.folder) / "l1"
    if first.is_dir():
        rows = {"L1 alone": first} | {
            f"{alpha} between": enlarging.between(first, options.folder, alpha)
            for alpha in (0.25, 0.5, 0.75)
        }
    rows[str(options.folder)] = options.folder
    n, extractor = options.n or 2000, options.extractor
    say(judge_enlarging(rows, held_out, others, n=n, extractor=extractor))
    return 0


def _judged(folder, data, size):
    """Return (the held-out pictures of a run, others for a distance or None)."""
    loaded = (newest(folder)["state"]["trained_on"] or {}).get("loaded") or {}
    name = data or loaded.get("name")
    if name is None:
        raise ValueError(f"nothing says what the run in {folder} was trained on: give --data")
    return pictures_of(name, size or (None if data else loaded.get("size")))[1:]
