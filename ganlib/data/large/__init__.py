"""Data larger than memory: `Shards`, a data set of uint8 images on a disk, and `convert`, which
makes one of images of any kind.
"""


def __getattr__(name):
    if name == "Shards":
        from .shards import Shards

        return Shards
    if name == "convert":
        from .converting import convert

        return convert
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
