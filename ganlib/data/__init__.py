"""Data: images at rest, and the batches that a step is given."""

from .images import Batches, Images, as_float, as_uint8, load

__all__ = ["Batches", "Images", "as_float", "as_uint8", "load"]
