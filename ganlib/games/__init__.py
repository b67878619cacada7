"""Games that are no GAN from noise: pictures from pictures."""

from . import enlarging, fidelity, photographs, upscaling
from .kept import judge_translation, swaps
from .printed import printed, scenes
from .translation import KINDS, Kind, rate, source_classifier, translation

__all__ = [
    "KINDS",
    "Kind",
    "enlarging",
    "fidelity",
    "judge_translation",
    "photographs",
    "printed",
    "rate",
    "scenes",
    "source_classifier",
    "swaps",
    "translation",
    "upscaling",
]
