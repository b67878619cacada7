"""Look: what a picture of a run shows; the live view, the exported samples and the card draw it."""

from typing import NamedTuple

import torch
from torch.nn.functional import interpolate


class Look(NamedTuple):
    """What a picture of a run shows: `images` `(N, C, H, W)` in so many `columns`, or points `(N, 2)`.

    `rows` and `heads` name its rows and its columns, where they have names.
    """

    images: torch.Tensor
    columns: int = 8
    rows: tuple = ()
    heads: tuple = ()


def look(gan):
    """Return the `Look` of a GAN.

    64 images; of up to 12 classes a column each; of a G that is fed images each of them above what G makes of it;
    of clips `(N, C, T, H, W)` eight, one in each row, frame by frame.
    """
    if 0 < gan.classes <= 12:
        names = (gan.trained_on or {}).get("classes") or map(str, range(gan.classes))
        return Look(gan.class_grid(), gan.classes, heads=tuple(names))
    images = gan.sample(64)
    if images.ndim == 5:
        return Look(generated(images[:8].transpose(1, 2).flatten(0, 1)), images.shape[2])
    if images.ndim == 4 and gan.latent_dim is None and (source := gan.noise(64)).ndim == 4:
        blocks = [x[:32].unflatten(0, (4, 8)) for x in (alike(source, images), images)]  # four rows of each
        return Look(generated(torch.stack(blocks, 1).flatten(0, 2)), 8, rows=("source", "fake") * 4)
    return Look(images, 8)


def alike(source, images):
    """Source images as large, and with as many channels, as `images`, to stand beside them."""
    if source.shape[2:] != images.shape[2:]:
        source = interpolate(source, images.shape[2:], mode="nearest")
    return source.expand(-1, images.shape[1], -1, -1) if source.shape[1] == 1 else source[:, : images.shape[1]]


def generated(images):
    """The images, marked as `GAN.sample` marks them: `show` writes it into the file."""
    images.generated = True
    return images
