"""Looks drawn: what a run shows of itself, as a picture."""

from .pictures import show
from .plane import cloud


def drawn(look):
    """Return a `Look` as a `Picture`: images in a grid, with the names of its rows and columns.

    Points are a cloud, one for each row.
    """
    images = look.images
    if images.ndim == 2:
        return cloud(images, rows=look.rows)
    if images.shape[1] not in (1, 3):  # frames, say, that stand in the channels: the first of them
        images = images[:, :1]
    scale = max(2, round(56 / max(images.shape[2:])))  # of small images more than twice
    return show(images, look.heads or look.columns, scale, generated=True, rows=look.rows)
