"""Commands: python -m ganlib train | convert | sample | evaluate | export | upscale | bench | ...

`main` reads the options; run/commands.py, or a file of the game in games/, does the work. The exit
status is 0 only if it worked.
"""

import argparse
import contextlib
import sys
from pathlib import Path

from .data.decoding import FITS
from .data.loading import LOADERS
from .games import commands as of_translations
from .games import enlarging_commands
from .games.clips import commands as of_clips
from .games.command.loop import OBJECTIVES
from .games.command.unused import in_its_own_way, refuse
from .games.faces import commands as of_faces
from .games.flows import commands as of_flows
from .games.printed import DRAWN
from .games.translation import KINDS
from .games.words import commands as of_words
from .judge.features import EXTRACTORS
from .keep.checkpoint import newest
from .machine import launch
from .machine.progress import Tolerant
from .nets.fed.enlarging import INVENTED
from .run import commands
from .run import options as arguments_of
from .run.recipes import RECIPES

GAMES = {"enlarge": enlarging_commands, "words": of_words, "clips": of_clips, "flows": of_flows}
ROOMS = GAMES | {"faces": of_faces}


def main(arguments=None):
    """Run the command that `arguments`, by default sys.argv's, ask for; return the exit status."""
    program = "ganlib" if Path(sys.argv[0]).stem == "ganlib" else "python -m ganlib"
    parser = argparse.ArgumentParser(prog=program, description=__doc__.splitlines()[0])
    parts = parser.add_subparsers(dest="command", required=True)
    defaults = {"formatter_class": argparse.ArgumentDefaultsHelpFormatter}
    add = parts.add_parser(
        "train", help="train a recipe, or go on with the run in a folder", **defaults
    )
    add.add_argument(
        "--data",
        default="digits",
        help=f"{', '.join(LOADERS)}; a folder, .zip or .tar of images; what convert made",
    )
    add.add_argument("--size", type=int, help="pixels, for images of your own: 64, say")
    add.add_argument(
        "--game",
        choices=(*KINDS, *GAMES),
        help="another game than that of a G that draws from noise. enlarge is super-resolution: L1 "
        "alone, to --until, in FOLDER/l1; then, as long, the game with D; images of your own are "
        'cut into patches of --size (64) at random places. words writes numbers, "forty two", in '
        "handwriting. clips draws digits that glide (--data digits or pairs; --recipe moved, parts "
        "path, frames). flows is a flow without D, its copy in one step, then that with D, each to "
        "--until. The others translate the images of --data to the look of those of --to, tied so",
    )
    add.add_argument(
        "--to",
        metavar="DATA",
        help=f"the target domain of a translation; also (as --data): {', '.join(DRAWN)}",
    )
    add.add_argument(
        "--objective",
        choices=OBJECTIVES,
        help=f"of the two players of a translation or of enlarge; {OBJECTIVES[0]} by default",
    )
    add.add_argument("--scale", type=int, default=4, help="of the game enlarge: 2, 4 or 8")
    add.add_argument("--fit", default="crop", choices=FITS, help="how they become squares")
    add.add_argument(
        "--augment",
        choices=["shift", "colour_translation", "diff_augment", "ada", "none"],
        help="for little data: what D sees is changed; by default shift with the recipe pictures "
        "and fewer than 5,000 images",
    )
    add.add_argument(
        "--fallback", choices=["digits"], help="go on with the digits where a download fails"
    )
    add.add_argument(
        "--recipe",
        help=f"{', '.join(RECIPES)}; by default pictures for images in colour or of your own, else "
        "classic; style for 5,000 or more of them by class",
    )
    add.add_argument(
        "--conditional",
        action="store_true",
        help="ask for images by class, where the data have labels",
    )
    add.add_argument(
        "--steps", type=int, default=10_000, help="steps, counted from the run's beginning"
    )
    add.add_argument(
        "--until",
        metavar="LIMIT",
        help='instead of --steps: "1M images", "100 epochs", 5000 (steps), ..., or a time, "60s", '
        "which is measured once, as images; the schedules of a new run are planned for it",
    )
    add.add_argument("--plan", help=argparse.SUPPRESS)  # earlier: what --until does by itself now
    add.add_argument(
        "--seed", type=int, default=0, help="decides weights, noise and the order of the data"
    )
    add.add_argument(
        "--batch-size", type=int, help="images per step (and process); the recipe's own by default"
    )
    add.add_argument(
        "--precision",
        default="float32",
        help="float32, bf16, or fast: bf16 where the CPU has units for it",
    )
    add.add_argument(
        "--evaluate-every",
        type=int,
        metavar="STEPS",
        help="judge up to 2,000 fakes so often; keeps the best run in FOLDER/best",
    )
    add.add_argument(
        "--save-seconds", type=float, default=60.0, help="seconds between two checkpoints"
    )
    add.add_argument(
        "--sync-batch-norm",
        action="store_true",
        help="of several processes: batch normalisation over the images of all, as of one process; "
        "by default over each one's own",
    )
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.add_argument("--out", default="runs/first", metavar="FOLDER", help="the run's folder")
    add.set_defaults(run=commands.train)
    add = parts.add_parser(
        "convert",
        help="turn data larger than memory into shards on the disk, once: train --data FOLDER",
        description="However it is ended, the same command goes on where it was.",
        **defaults,
    )
    arguments_of.convert(add)
    add.set_defaults(run=commands.convert)
    add = parts.add_parser(
        "sample",
        help="draw images from a trained run or an exported generator, as many as you like",
        description="Draw images. What was cut off goes on when the same command is given again.",
        **defaults,
    )
    arguments_of.sample(add)
    add.set_defaults(run=commands.sample)
    add = parts.add_parser(
        "evaluate", help="judge a trained run: one table, and a diagnosis", **defaults
    )
    add.add_argument("folder", help="the run's folder")
    add.add_argument(
        "--data", help="the data set to compare with; the one that it was trained on by default"
    )
    add.add_argument(
        "--size", type=int, help="pixels, for images of your own; as in the run by default"
    )
    add.add_argument(
        "--fit", choices=FITS, help="how they become squares; as in the run by default"
    )
    add.add_argument(
        "--n",
        type=int,
        help="how many fakes; 10,000, or as many as there are real images, by default",
    )
    add.add_argument(
        "--extractor", help=f"{', '.join(EXTRACTORS)}; chosen for the images by default"
    )
    arguments_of.strength(add)
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.set_defaults(run=commands.evaluate)
    add = parts.add_parser(
        "export", help="write a trained run's generator for others, with a page", **defaults
    )
    add.add_argument("folder", help="the run's folder")
    add.add_argument("--to", required=True, metavar="FOLDER", help="where to")
    add.add_argument("--name", help="what it is called; the run's folder by default")
    add.add_argument("--license", default="unknown", help="under which you share it")
    arguments_of.strength(add)
    add.add_argument("--hub", metavar="USER/NAME", help="upload it to the Hugging Face Hub as well")
    add.add_argument(
        "--app", action="store_true", help="write space/ too: an app for a Space, with Gradio"
    )
    add.set_defaults(run=commands.export)
    add = parts.add_parser(
        "upscale",
        help="enlarge all pictures of a folder with a run of train --game enlarge",
        description=f"Enlarge pictures of any size. Beware: {INVENTED}.",
        **defaults,
    )
    add.add_argument("pictures", help="a folder, .zip or .tar of pictures, or one picture")
    add.add_argument("folder", metavar="RUN", help="the run's folder")
    add.add_argument("--to", metavar="FOLDER", help="where to; PICTURES-x4 by default")
    add.add_argument(
        "--interpolate",
        type=float,
        metavar="A",
        help="between the weights of L1 alone (0: nearer to the truth) and those of the game (1: "
        "more detail); 1 by default",
    )
    add.set_defaults(run=enlarging_commands.upscale)
    add = parts.add_parser(
        "bench", help="how fast this machine trains: a table and a plot", **defaults
    )
    add.add_argument(
        "--recipe",
        nargs="*",
        default=["classic", "small"],
        choices=RECIPES,
        help="which to measure",
    )
    add.add_argument(
        "--precision",
        default="fast",
        help="float32, bf16, or fast: bf16 where the CPU has units for it",
    )
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.add_argument(
        "--seconds", type=float, default=1.0, help="of each measurement; there are nine a recipe"
    )
    add.add_argument("--out", default="bench.png", help="a file for the plot")
    add.set_defaults(run=commands.bench)
    add = parts.add_parser(
        "selftest",
        help="try every recipe and game on this machine's device: a line for each check",
        description="A few steps of every recipe and game, and what belongs to a run: on a GPU a "
        "few minutes. The exit status is 1 if a check failed.",
        **defaults,
    )
    add.add_argument("--device", help="cuda, mps or cpu; the fastest there is by default")
    add.add_argument("--out", metavar="FILE", help="a report of machine and checks, in Markdown")
    add.add_argument(
        "--quick",
        action="store_true",
        help="seconds: of the recipes classic, small and style, of resuming classic, of the "
        "augmentations ada, of the games words, cycle and enlarging, and no export",
    )
    add.set_defaults(run=_selftest)
    options = parser.parse_args(arguments)
    with (
        contextlib.redirect_stdout(Tolerant(sys.stdout)),
        contextlib.redirect_stderr(Tolerant(sys.stderr)),
    ):
        return _run(options, parts.choices[options.command])


def _selftest(options):
    from .games.selftest.commands import selftest

    return selftest(options)


def _command(options):
    """Return the function that does what the options ask for, with the run's own game."""
    of_a_run = options.command in ("sample", "evaluate", "export")
    if getattr(options, "say", None) is not None and not of_words.plays(options.folder):
        exported = (Path(options.folder) / "config.json").exists()
        what = "generator" if exported else "run"
        if not exported:
            newest(options.folder)  # raises where there is no run
        raise ValueError(
            f"--say {options.say!r} was given, and the {what} in {options.folder} knows no words; "
            "python -m ganlib train --game words trains one that does"
        )
    for name, room in ROOMS.items():
        own, game = getattr(room, options.command, None), getattr(options, "game", None)
        if own and (room.plays(options.folder) if of_a_run else game == name):
            return in_its_own_way(options, own)
    if options.command != "upscale" and of_translations.meant(options):
        return in_its_own_way(options, getattr(of_translations, options.command))
    return options.run


def _run(options, parser):
    """Run the command of the parsed options; return the exit status. An error becomes a line."""
    try:
        commands.check(options)
        refuse(options, parser)
        return _command(options)(options)
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        launch.failed(error)  # one of several processes ends here
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted at once: what was not saved before is lost", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
