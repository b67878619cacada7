"""Games other than a GAN of pictures from noise: translation, super-resolution, words, faces,
clips, flows. Each has its files here or in a folder: data, game, measures, commands.
"""

from . import clips, enlarging, faces, fidelity, flows, photographs, upscaling, words
from .kept import judge_translation, swaps
from .printed import printed, scenes
from .readers.both import source_classifier
from .translation import KINDS, Kind, rate, translation

__all__ = [
    "KINDS",
    "Kind",
    "clips",
    "enlarging",
    "faces",
    "fidelity",
    "flows",
    "judge_translation",
    "photographs",
    "printed",
    "rate",
    "scenes",
    "source_classifier",
    "swaps",
    "translation",
    "upscaling",
    "words",
]
