"""Data: images at rest, and the batches that a step is given."""

from .images import Batches, Images, as_float, as_uint8

__all__ = ["Batches", "Images", "as_float", "as_uint8", "load"]


def __getattr__(name):
    if name == "load":
        from .loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
