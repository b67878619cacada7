"""Train as the options of a command say."""

import torch

from ...keep.checkpoint import resume
from ...machine import launch, processes
from ...machine.folder import path_of
from ...run import training
from ...run.interrupt import ENDS
from ...show.live import LiveView


def without(options, names):
    """Raise ValueError if one of the options `names` was given, of which the game has no use."""
    for name in names:
        if getattr(options, name):
            raise ValueError(
                f"--{name.replace('_', '-')} was given with --game {options.game}, which has no "
                "use for it"
            )


def play(gan, data, game, until, folder, options, evaluate=None):
    """Train `gan` in `folder`, with a live view in the first process; return the exit status.
    `evaluate(gan, data)` judges it where the options ask for that.
    """
    reason = ""
    for now in training.train(
        gan,
        data,
        game,
        until=until,
        view=LiveView(folder=folder) if processes.place()[0] == 0 else None,
        folder=folder,
        batch_size=options.batch_size or game.batch_size,
        save_seconds=options.save_seconds,
        sync_batch_norm=options.sync_batch_norm,
        evaluate_every=options.evaluate_every,
        evaluate=options.evaluate_every and evaluate,
    ):
        reason = now.reason or ""
    return next((code for word, code in ENDS.items() if word in reason), 0)


def run(data, game, until, options, evaluate=None):
    """Play `game` on `data` with fresh nets, or go on with the run in `options.out`, as `play`
    does; return the exit status, when all processes have come so far.
    """
    folder = path_of(options.out)
    torch.manual_seed(options.seed)
    gan = game.gan(options.seed).to(data.images.device)
    resume(folder, gan)
    status = play(gan, data, game, until, folder, options, evaluate)
    launch.wait()
    launch.end(status)
    return status
