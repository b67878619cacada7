"""Games that are no GAN from noise: pictures from pictures."""

from .printed import printed, scenes
from .translation import KINDS, Kind, source_classifier, translation

__all__ = ["KINDS", "Kind", "printed", "scenes", "source_classifier", "translation"]
