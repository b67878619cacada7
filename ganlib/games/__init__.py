"""Games that are no GAN of pictures from noise: pictures from pictures, words, clips."""

from . import clips, enlarging, faces, fidelity, flows, photographs, upscaling, words
from .kept import judge_translation, swaps
from .printed import printed, scenes
from .readers.shapes import source_classifier
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
