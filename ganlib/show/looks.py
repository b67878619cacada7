"""Draws a `Look` (game/look.py), what a run shows of itself; for the live view and `export`."""

from .pictures import show
from .plane import cloud


def drawn(look):
    """Return a `Look` as a `Picture`: images as a grid, with the names of its rows and columns.

    Points are drawn as clouds, one for each name in `rows`.
    """
    images = look.images
    if images.ndim == 2:
        return cloud(images, rows=look.rows)
    if images.shape[1] not in (1, 3):  # the channels may be frames: draw the first one
        images = images[:, :1]
    scale = max(2, round(56 / max(images.shape[2:])))  # small images are enlarged more
    picture = show(images, look.heads or look.columns, scale, generated=True, rows=look.rows)
    picture.alt = f"what G draws from the same noise at each time; {picture.alt}"
    return picture
