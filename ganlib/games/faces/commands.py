"""The command line's part of the pixel faces: `evaluate` reads them with their own reader."""

import torch

from ...keep import export as exporting
from ...keep.checkpoint import newest
from ...machine.progress import say
from .reading import FaceReader, judge_attributes, reader


def plays(folder):
    """Whether the run in `folder` was trained on the faces that ship; False where there is none."""
    try:
        began = newest(folder)["state"]["trained_on"]
        return began["loaded"]["name"] in FaceReader.fits
    except (OSError, ValueError, LookupError, TypeError):  # whoever reads it says what is wrong
        return False


def evaluate(options):
    """Judge a run on the faces in the features of their reader; then say which attributes it draws
    in which shares.
    """
    if options.extractor or options.data not in (None, *FaceReader.fits):
        return options.run(options)
    options.extractor = reader()
    status = options.run(options)
    gan = exporting.rebuild(options.folder)
    if not gan.classes:  # else the shares are those that were asked for
        images = [gan.sample(250, stream=f"attributes/{i}") for i in range(4)]
        say(f"\n{judge_attributes(torch.cat(images).clamp(-1, 1), known=options.extractor)}")
    return status
