"""The command line: python -m ganlib train | sample. Exit status 0 only where the work was done."""

import argparse
import sys
from pathlib import Path

from . import checkpoint, data, nets
from .checkpoint import resume, save
from .device import setup
from .files import replace
from .gan import GAN
from .pictures import show
from .training import train
from .view import LiveView


def main(arguments=None):
    parser = argparse.ArgumentParser(prog="python -m ganlib", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    defaults = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    add = commands.add_parser("train", help="train the classic recipe, or go on with the run in a folder", **defaults)
    add.add_argument("--data", default="digits", help=f"digits, {', '.join(data.TORCHVISION)}")
    add.add_argument("--fallback", choices=["digits"], help="go on with the digits where a download fails")
    add.add_argument("--steps", type=int, default=10_000, help="steps, counted from the run's beginning")
    add.add_argument("--until", metavar="LIMIT", help='instead of --steps: "1M images", "100 epochs", "60s", ...')
    add.add_argument("--seed", type=int, default=0, help="decides weights, noise and the order of the data")
    add.add_argument("--batch-size", type=int, default=100, help="images per step")
    add.add_argument("--save-every", type=int, default=500, metavar="STEPS", help="steps between two checkpoints")
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.add_argument("--out", default="runs/first", metavar="FOLDER", help="the run's folder")
    add.set_defaults(run=_train)
    add = commands.add_parser("sample", help="draw images from a trained run", **defaults)
    add.add_argument("folder", help="the run's folder")
    add.add_argument("--n", type=int, default=64, help="how many images")
    add.add_argument("--out", default="grid.png", help="grid.png, or samples.npy: uint8 (N, C, H, W)")
    add.set_defaults(run=_sample)
    options = parser.parse_args(arguments)
    try:
        return options.run(options)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted at once: what was not saved before is lost", file=sys.stderr)
        return 130


def _train(options):
    if options.save_every < 1:
        raise ValueError(f"--save-every {options.save_every} was given; a number of steps of at least 1 is expected")
    device = setup(options.seed, options.device)
    images = data.load(options.data, device, fallback=options.fallback)
    gan = GAN(nets.MLPGenerator(shape=images.shape), nets.MLPDiscriminator(shape=images.shape), seed=options.seed)
    gan.to(device)
    resume(options.out, gan)
    until = options.until or options.steps
    view = LiveView(total=None if options.until else options.steps, folder=options.out)
    now = None
    for now in train(gan, images, until=until, view=view, batch_size=options.batch_size):
        if now.every(options.save_every):
            save(options.out, gan)
    if now is not None and not now.every(options.save_every):
        save(options.out, gan)
    if now is not None:
        print(f"{options.out}: saved at step {gan.step:,}")
    return 130 if now is not None and "interrupted" in now.reason else 0


def _sample(options):
    if options.n < 1 or not options.out.endswith((".png", ".npy")):
        raise ValueError(f"--n {options.n} --out {options.out} was given; at least 1 image, and a name that ends in "
                         ".png or .npy, are expected")  # fmt: skip
    file = Path(options.folder) / checkpoint.FILE
    if not file.exists():
        raise OSError(f"{options.folder} holds no run: there is no {checkpoint.FILE} in it; train one with "
                      f"python -m ganlib train --out {options.folder}")  # fmt: skip
    gan = checkpoint.rebuild(file)
    images = data.as_uint8(gan.sample(options.n))
    if options.out.endswith(".png"):
        show(images).save(options.out)
    else:
        import numpy

        replace(Path(options.out), lambda out: numpy.save(out, images.numpy()))
    print(f"{options.out}: {options.n} images drawn by the run in {options.folder} at step {gan.step:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
