"""Train a game as the options of its command say: what the commands of all games share."""

import torch

from ...keep.checkpoint import newest, resume
from ...machine import launch, processes
from ...machine.folder import path_of
from ...run import training
from ...run.interrupt import status_of
from ...show.live import LiveView

OBJECTIVES = ("relativistic", "relativistic_average", "least_squares", "non_saturating", "hinge")


def drawn_by(folder):
    """Return which drawn set the run in `folder` began with, None for another."""
    return ((newest(folder)["state"]["trained_on"] or {}).get("loaded") or {}).get("drawn")


def play(gan, data, game, until, folder, options, evaluate=None):
    """Train `gan` in `folder`, with a live view in the first process; return the exit status.
    `evaluate(gan, data)` judges it where the options ask for that.
    """
    now = None
    for now in training.train(  # noqa: B007
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
        pass
    return status_of(now and now.reason)


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
