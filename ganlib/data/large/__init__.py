"""Data larger than memory: shards of uint8 images on a disk (`Shards`), and how images of any kind
become such (`convert`).
"""


def __getattr__(name):
    if name == "Shards":
        from .shards import Shards

        return Shards
    if name == "convert":
        from .converting import convert

        return convert
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
