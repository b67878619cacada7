"""Pixel faces: a reader of their attributes, and faces under sentences that describe them."""

from .captions import captions, spoken
from .reading import FaceReader, judge_attributes, reader

__all__ = ["FaceReader", "captions", "judge_attributes", "reader", "spoken"]
