"""Pixel faces: a reader of their attributes, and faces under sentences that describe them."""

from ...data.shipped.faces import ATTRIBUTES, faces
from .captions import captions, spoken
from .reading import FaceReader, judge_attributes, reader

__all__ = [
    "ATTRIBUTES",
    "FaceReader",
    "captions",
    "faces",
    "judge_attributes",
    "reader",
    "spoken",
]
