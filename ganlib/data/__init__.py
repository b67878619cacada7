"""Data sets (`Images`, stored as uint8), the `Batches` of each training step, and `load`."""

from .images import Batches, Images, as_float, as_uint8

__all__ = ["Batches", "Images", "as_float", "as_uint8", "load"]


def __getattr__(name):
    if name == "load":
        from .loading import load

        return load
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
