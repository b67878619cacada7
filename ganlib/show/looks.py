"""Draw a `Look` (game/look.py), what a run shows of itself, for the live view and `export`."""

import io

from .pictures import Picture, show
from .plane import cloud

COLOURS, APART = 256, 7  # of a palette; its largest mean error, in levels of 255 (JPEG: 5)


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


def compact(picture):
    """Return a picture in colour as a PNG of 256 colours or as a JPEG, whichever is smaller.

    Flat colours and sharp edges are smaller as a PNG, photographs as a JPEG. The PNG is not taken
    where its colours would be visibly others. A picture in grey is returned as it is.
    """
    import numpy
    from PIL import Image

    jpeg = picture.lossy()
    if jpeg is picture:
        return picture
    with Image.open(io.BytesIO(picture.data)) as exact:
        few = exact.quantize(COLOURS, Image.Quantize.FASTOCTREE)
        apart = numpy.asarray(few.convert("RGB"), int) - numpy.asarray(exact, int)
    settings = picture.width, picture.generated, picture.alt
    png = Picture(few, picture.text, "png", *settings)
    smaller = len(png.data) < len(jpeg.data) and abs(apart).mean() < APART
    return png if smaller else jpeg
