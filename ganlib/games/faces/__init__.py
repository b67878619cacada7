"""Pixel faces: a net that reads their attributes, and faces labelled with sentences about them."""

from ...data.shipped.faces import ATTRIBUTES, faces
from .captions import WORDS, captions, judge_captions, spoken
from .reading import FaceReader, judge_attributes, reader

__all__ = [
    "ATTRIBUTES",
    "FaceReader",
    "WORDS",
    "captions",
    "faces",
    "judge_attributes",
    "judge_captions",
    "reader",
    "spoken",
]
