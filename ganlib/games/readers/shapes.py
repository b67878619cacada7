"""What a reader for the semantic tie is taught with. It knows labels of the source domain, and is
asked about pictures on their way to the target: so it has to read shapes, whatever their tones.
"""

import torch
from torch.nn.functional import interpolate

SPECKS = 6


def varied(images, draws):
    """Return images `(N, C, H, W)`, each in other tones, and with specks on it."""
    return specked(retoned(images, draws), draws)


def retoned(images, draws):
    """Return images `(N, C, H, W)` in [-1, 1], nine of ten of them in other tones, within [-1, 1].

    What differs from the mean colour is multiplied by 0.15 to 1, half of the time negative, and by
    0.5 to 1.5 that changes smoothly with channel and place; the new mean is of -1 to 1. The
    `torch.Generator` `draws` draws it all.
    """
    n, channels, *size = images.shape

    def even(*shape):
        return (2 * torch.rand(*shape, generator=draws, device=draws.device) - 1).to(images)

    def smooth():
        return interpolate(even(n, channels, 3, 3), size=size, mode="bicubic").clamp(-1, 1)

    gain = even(n, 1, 1, 1)
    gain = gain.sign() * (0.15 + 0.85 * gain.abs()) * (1 + 0.5 * smooth())
    mean = 0.7 * even(n, 1, 1, 1) + 0.3 * even(n, channels, 1, 1) + 0.3 * smooth()
    other = (images - images.mean((2, 3), keepdim=True)) * gain + mean
    return torch.where(even(n, 1, 1, 1) > -0.8, other.clamp(-1, 1), images)


def specked(images, draws):
    """Return images `(N, C, H, W)`, each with up to SPECKS discs of one colour on it, of a 64th to
    5 64ths of its size in radius, as stars and lamps are at night.
    """
    n, channels, *size = images.shape

    def drawn(*shape):
        return torch.rand(*shape, generator=draws, device=draws.device).to(images)

    many = drawn(n)
    rows, columns = (torch.arange(side, device=images.device).to(images.dtype) for side in size)
    for _ in range(SPECKS):
        y, x, r = drawn(3, n)
        r = (1 + 4 * r**2) / 64 * min(size)
        far = (rows - (size[0] * y)[:, None])[:, :, None] ** 2
        far = far + (columns - (size[1] * x)[:, None])[:, None] ** 2
        inside = (far < (r**2)[:, None, None]) & (drawn(n) < many)[:, None, None]
        images = torch.where(inside[:, None], 2 * drawn(n, channels, 1, 1) - 1, images)
    return images
