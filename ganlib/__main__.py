"""The command line: python -m ganlib train | sample | evaluate | export | bench. Exit status 0 only where it worked."""

import argparse
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from .data.decoding import FITS
from .data.images import as_uint8
from .data.loading import LOADERS, load
from .game import augment
from .judge.doctor import diagnose
from .judge.evaluation import evaluate
from .judge.features import EXTRACTORS
from .keep import checkpoint
from .keep.autosave import Autosave
from .keep.checkpoint import resume
from .keep.export import export, rebuild
from .machine import files, launch, processes
from .machine.device import setup
from .run.plan import planned_images
from .run.preflight import preflight
from .run.recipes import RECIPES, recipe
from .run.speed import bench
from .run.training import train
from .show.live import LiveView
from .show.pictures import show

ENDS = {"interrupted": 130, "terminated": 143, "not finite": 1}  # exit statuses


def main(arguments=None):
    """Run the command that `arguments`, by default the program's own, ask for; returns the exit status."""
    program = "ganlib" if Path(sys.argv[0]).stem == "ganlib" else "python -m ganlib"
    parser = argparse.ArgumentParser(prog=program, description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    defaults = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    add = commands.add_parser("train", help="train a recipe, or go on with the run in a folder", **defaults)
    add.add_argument("--data", default="digits",
                     help=f"{', '.join(LOADERS)}; a folder, .zip or .tar of images")  # fmt: skip
    add.add_argument("--size", type=int, help="pixels, for images of your own: 64, say")
    add.add_argument("--fit", default="crop", choices=FITS, help="how they become squares")
    add.add_argument("--augment", choices=["diff_augment", "ada"], help="for little data")
    add.add_argument("--fallback", choices=["digits"], help="go on with the digits where a download fails")
    add.add_argument("--recipe", default="classic", help=", ".join(RECIPES))
    add.add_argument("--conditional", action="store_true", help="ask for images by class, where the data have labels")
    add.add_argument("--plan", metavar="LENGTH", help='stretch the schedules to so many images, "40k images"; or to a '
                     'time: "60s" is measured once as images, kept in FOLDER/plan.json, and ends the run')  # fmt: skip
    add.add_argument("--steps", type=int, default=10_000, help="steps, counted from the run's beginning")
    add.add_argument(
        "--until", metavar="LIMIT", help='instead of --steps: "1M images", "100 epochs", "60s", 5000 (steps), ...'
    )
    add.add_argument("--seed", type=int, default=0, help="decides weights, noise and the order of the data")
    add.add_argument("--batch-size", type=int, help="images per step (and process); the recipe's own by default")
    add.add_argument(
        "--precision", default="float32", help="float32, bf16, or fast: bf16 where the CPU has units for it"
    )
    add.add_argument(
        "--evaluate-every",
        type=int,
        metavar="STEPS",
        help="judge 2,000 fakes so often; keeps the best run in FOLDER/best",
    )
    add.add_argument("--save-seconds", type=float, default=60.0, help="seconds between two checkpoints")
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.add_argument("--out", default="runs/first", metavar="FOLDER", help="the run's folder")
    add.set_defaults(run=_train)
    add = commands.add_parser("sample", help="draw images from a trained run", **defaults)
    add.add_argument("folder", help="the run's folder")
    add.add_argument("--n", type=int, default=64, help="how many images")
    add.add_argument("--label", type=int, help="the class to draw, of a conditional run; each in turn by default")
    add.add_argument("--out", default="grid.png", help="grid.png, or samples.npy: uint8 (N, C, H, W)")
    add.set_defaults(run=_sample)
    add = commands.add_parser("evaluate", help="judge a trained run: one table, and a diagnosis", **defaults)
    add.add_argument("folder", help="the run's folder")
    add.add_argument("--data", help="the data set to compare with; the one that it was trained on by default")
    add.add_argument("--size", type=int, help="pixels, for images of your own; as in the run by default")
    add.add_argument("--fit", choices=FITS, help="how they become squares; as in the run by default")
    add.add_argument("--n", type=int, help="how many fakes; 10,000, or as many as there are real images, by default")
    add.add_argument("--extractor", help=f"{', '.join(EXTRACTORS)}; the digit classifier for digits by default")
    add.set_defaults(run=_evaluate)
    add = commands.add_parser("export", help="write a trained run's generator for others, with a page", **defaults)
    add.add_argument("folder", help="the run's folder")
    add.add_argument("--to", required=True, metavar="FOLDER", help="where to")
    add.add_argument("--name", help="what it is called; the run's folder by default")
    add.add_argument("--license", default="unknown", help="under which you share it")
    add.add_argument("--hub", metavar="USER/NAME", help="upload it to the Hugging Face Hub as well")
    add.set_defaults(run=_export)
    add = commands.add_parser("bench", help="how fast this machine trains: a table and a plot", **defaults)
    add.add_argument("--recipe", nargs="*", default=["classic", "small"], choices=RECIPES, help="which to measure")
    add.add_argument("--precision", default="fast", help="float32, bf16, or fast: bf16 where the CPU has units for it")
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.add_argument("--seconds", type=float, default=1.0, help="of each measurement; there are nine a recipe")
    add.add_argument("--out", default="bench.png", help="a file for the plot")
    add.set_defaults(run=_bench)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted at once: what was not saved before is lost", file=sys.stderr)
        return 130


def _train(options):
    if options.evaluate_every is not None and options.evaluate_every < 1:
        raise ValueError(f"--evaluate-every {options.evaluate_every} was given; 1 step or more is expected")
    device = launch.start(options.device)
    device = setup(options.seed, device, precision=options.precision)
    first = processes.place()[0] == 0  # of several processes one writes and talks
    if not first:
        processes.wait()  # one of them downloads
    images = load(options.data, device, fallback=options.fallback, size=options.size, fit=options.fit)
    if first and options.size and not (Path(options.out) / checkpoint.FILE).exists():
        seconds = 3.0 if processes.place()[1] == 1 else 0  # several would have to measure together
        preflight(images, options.recipe, options.conditional, seconds).sheet.save(Path(options.out) / "data.png")
    if first:
        processes.wait()
    classes = (len(images.classes) if images.labels is not None else 0) if options.conditional else 0
    if options.conditional and not classes:
        raise ValueError(f"--conditional was given, and {images.name!r} has no labels; leave it out")
    planned = None
    if options.plan is not None:
        make, kept = partial(recipe, options.recipe, images.shape, classes), Path(options.out) / "plan.json"
        planned, timed = planned_images(options.plan, make, images, kept, options.batch_size, first)
        options.until = options.until or (f"{planned} images" if timed else None)
    chosen = recipe(options.recipe, images.shape, classes, planned)
    if options.augment:
        chosen = replace(chosen, augment=getattr(augment, options.augment))
    batch_size = chosen.batch_size if options.batch_size is None else options.batch_size
    length = options.steps * batch_size * processes.place()[1] * chosen.n_critic
    if chosen.images and options.until is None and not 0.8 < length / chosen.images < 1.25:
        print(f"{chosen.name}: its schedules are planned for {chosen.images:,} images, this run has {length:,}; "
              f"--plan {length} stretches them")  # fmt: skip
    gan = chosen.gan(options.seed).to(device)
    resume(options.out, gan)
    until = options.until or options.steps
    view = LiveView(total=options.steps if until == options.steps else None, folder=options.out) if first else None
    best = Autosave(gan, Path(options.out) / "best")
    now = None
    for now in train(gan, images, chosen, until=until, view=view, folder=options.out, batch_size=batch_size,
                     save_seconds=options.save_seconds, evaluate_every=options.evaluate_every):  # fmt: skip
        if first and now.best():
            best.save()
    processes.wait()
    reason = now.reason if now is not None else ""
    status = next((code for word, code in ENDS.items() if word in reason), 0)
    launch.end(status)
    return status


def _sample(options):
    if options.n < 1 or not options.out.endswith((".png", ".npy")):
        raise ValueError(f"--n {options.n} --out {options.out} was given; at least 1 image, and a name that ends in "
                         ".png or .npy, are expected")  # fmt: skip
    gan = rebuild(options.folder)
    if options.label is not None and not gan.classes:
        raise ValueError(f"--label {options.label} was given, and the run in {options.folder} is not conditional")
    images = as_uint8(gan.sample(options.n, options.label))
    if options.out.endswith(".png"):
        show(images, generated=True).save(options.out)
    else:
        import numpy

        files.replace(Path(options.out), lambda out: numpy.save(out, images.numpy()))
    print(f"{options.out}: {options.n} images drawn by the run in {options.folder} at step {gan.step:,}")
    return 0


def _evaluate(options):
    gan = rebuild(options.folder).to(setup(0))
    data = _data_of(options, gan.trained_on or {}).near(gan.device)
    evaluate(gan, data, options.n, options.extractor)
    if gan.history:
        print(f"\n{diagnose(gan.history)}")
    return 0


def _data_of(options, trained_on):
    """The data that the options name; by default those on which the run was trained."""
    name = trained_on.get("data", "digits").split(",")[0]
    found = trained_on.get("loaded") or ({"name": name} if name in LOADERS else None)
    if options.data:
        found = {"name": options.data, "size": options.size, "fit": options.fit or "crop"}
    elif found and "fit" in found:
        found |= {key: value for key in ("size", "fit") if (value := getattr(options, key)) is not None}
    if found is None or ("fit" in found and not Path(found["name"]).exists()):
        gone = f"which were in {found['name']}" if found else "and does not say where they were"
        raise ValueError(f"the run in {options.folder} was trained on the images {name!r}, {gone}; say where they are "
                         "now: --data FOLDER --size PIXELS")  # fmt: skip
    return load(**found)


def _export(options):
    export(options.folder, options.to, options.name, license=options.license, hub=options.hub)
    return 0


def _bench(options):
    if not options.seconds > 0:
        raise ValueError(f"--seconds {options.seconds} was given; more than 0 are expected")
    device = setup(0, options.device, precision=options.precision)
    bench(device, options.recipe, seconds=options.seconds, out=options.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
