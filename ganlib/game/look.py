"""What a picture of a run shows. The live view, the exported samples and the model card draw it."""

from typing import NamedTuple

import torch
from torch.nn.functional import interpolate


class Look(NamedTuple):
    """Images `(N, C, H, W)` in so many `columns`, or points `(N, 2)`, with names of `rows` and of
    columns (`heads`) where there are any.
    """

    images: torch.Tensor
    columns: int = 8
    rows: tuple = ()
    heads: tuple = ()


def look(gan):
    """Return the `Look` of a GAN.

    By default 64 images. Up to 12 classes get a column each. A G that is fed images shows each of
    them above its fake. Of clips `(N, C, T, H, W)` eight are shown, one per row, frame by frame.
    """
    if 0 < gan.classes <= 12:
        names = (gan.trained_on or {}).get("classes") or map(str, range(gan.classes))
        return Look(gan.class_grid(), gan.classes, heads=tuple(names))
    images = gan.sample(64)
    if images.ndim == 5:
        return Look(generated(images[:8].transpose(1, 2).flatten(0, 1)), images.shape[2])
    if images.ndim == 4 and gan.latent_dim is None and (source := gan.noise(64)).ndim == 4:
        blocks = [
            x[:32].unflatten(0, (4, 8)) for x in (alike(source, images), images)
        ]  # four rows of each
        return Look(generated(torch.stack(blocks, 1).flatten(0, 2)), 8, rows=("source", "fake") * 4)
    return Look(images, 8)


def alike(source, images):
    """Return source images with the size and channels of `images`, to stand beside them."""
    if source.shape[2:] != images.shape[2:]:
        source = interpolate(source, images.shape[2:], mode="nearest")
    return (
        source.expand(-1, images.shape[1], -1, -1)
        if source.shape[1] == 1
        else source[:, : images.shape[1]]
    )


def generated(images):
    """Mark the images as generated, as `GAN.sample` does: `show` writes that into the file."""
    images.generated = True
    return images
