"""The command line's part of flows: `train --game flows`. A run is sampled, judged and exported as
any other that draws from noise.
"""

import torch

from ...data.loading import LOADERS, load
from ...keep.checkpoint import resume
from ...machine import launch
from ...machine.choices import one_of
from ...machine.device import setup
from ...machine.folder import path_of
from ...machine.progress import say
from ...run.plans import kept, planned
from ..command.loop import play
from .matching import STAGES, recipe


def train(options):
    """Train a teacher in the folder teacher of `options.out`, its copy in copy, and the student in
    `options.out` itself, each to --until; or go on where that was left: with the last stage that
    has begun, since it follows the net before as that is.
    """
    one_of("set of images (--data)", options.data, list(LOADERS))
    device = setup(options.seed, launch.start(options.device, options), precision=options.precision)
    data, out, gan, status = load(options.data).to(device), path_of(options.out), None, 0
    folders = [out if stage == "student" else out / stage for stage in STAGES]
    for stage, folder, following in zip(STAGES, folders, [*folders[1:], None], strict=True):
        teacher, until = gan if stage == "copy" else None, options.until or options.steps

        def make(images, stage=stage, teacher=teacher):
            return recipe(stage, data.shape, images, teacher)

        game = planned(make, until, data, folder, options.batch_size)
        torch.manual_seed(options.seed)  # alike, whether or not the stage before is new
        gan = game.gan(options.seed, gan).to(device)
        resume(folder, gan)
        if following is not None and kept(following) is not None:
            say(f"{stage}: {folder} stays as it is, since the run in {following} began with it")
            continue
        say(f"{stage}, to {until}: {'the game with D' if game.adversary else 'G alone'}, {folder}")
        status = play(gan, data, game, until, folder, options, None)
        if status:
            break
    launch.wait()
    launch.end(status)
    return status
