"""The sliced Wasserstein distance between small patches of images: it needs no trained net.

It compares textures at several scales, and works on images of any kind and number of channels.
"""

import torch
from torch.nn.functional import conv2d, pad

BLUR = torch.outer(*2 * (torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]),)) / 256  # Burt & Adelson 1983
SIDE = 7  # pixels of a patch's side
CHUNK = 64  # directions at a time
FLAT = 1e-6  # standard deviation of a channel of one colour: rounding leaves about 1e-7


def sliced_wasserstein(real, fake, smallest=16, patches=128, directions=512, seed=0):
    """Return `{side: distance}`, one sliced Wasserstein distance per level of a Laplacian pyramid.

    real, fake: as many images `(N, C, H, W)` each, float in [-1, 1] or uint8, on any device.
    smallest: the pyramid halves images, from their own size, while the shorter side stays at least
        so many pixels; its last level holds what is left, blurred. Keys are the shorter sides.
    patches: 7 x 7 patches drawn per image and level.
    directions: random directions on which the patches are projected.

    Karras et al. 2018, section 5: the patches of each set are normalised to mean 0 and standard
    deviation 1 per channel; the distance is the mean, over the directions, of the distance between
    the two sorted projections. Published tables show it times 1,000. 0 is best, but two sets of
    real images do not reach it: report their distance, at the same N, as the floor. A level is
    blind to brightness and contrast of a whole set, which the normalisation removes. Raises
    ValueError for sets that differ in number or shape, for images below 7 pixels a side, and for
    values that are not finite.
    """
    if real.ndim != 4 or real.shape != fake.shape or not len(real):
        raise ValueError(
            f"real images {tuple(real.shape)} and fakes {tuple(fake.shape)} were given; as many "
            "of each, (N, C, H, W), are expected"
        )
    if min(real.shape[2:]) < SIDE:
        raise ValueError(
            f"images of {tuple(real.shape[2:])} pixels were given; sides of at least {SIDE} are "
            "expected"
        )
    draws = torch.Generator().manual_seed(seed)
    distances = {}
    for one, other in zip(_pyramid(real, smallest), _pyramid(fake, smallest), strict=True):
        sets = [_patches(level, patches, draws) for level in (one, other)]
        distances[min(one.shape[2:])] = _sliced(*sets, directions, draws)
    return distances


def _pyramid(images, smallest):
    """Yield the levels of the Laplacian pyramid of `images`, the finest first, on the CPU."""
    images = images.cpu()
    level = images.float() / 127.5 - 1 if images.dtype == torch.uint8 else images.float()
    if not level.isfinite().all():
        raise ValueError("images with values that are not finite were given")
    while min(level.shape[2:]) // 2 >= max(smallest, SIDE):
        smaller = _blurred(level)[..., ::2, ::2]
        yield level - _enlarged(smaller, level.shape[2:])
        level = smaller
    yield level


def _blurred(images):
    """Return the images, blurred by the binomial filter; at the border they are mirrored."""
    filters = BLUR.expand(images.shape[1], 1, 5, 5)
    return conv2d(pad(images, (2, 2, 2, 2), "reflect"), filters, groups=images.shape[1])


def _enlarged(images, size):
    """Return the images at twice their size, at most `size`: zeros between pixels, then a blur."""
    wide = images.new_zeros(*images.shape[:2], *size)
    wide[..., ::2, ::2] = images
    return 4 * _blurred(wide)


def _patches(level, number, draws):
    """Return `number` patches of each image, `(N * number, C, 7, 7)`, normalised per channel."""
    n, channels, height, width = level.shape
    image = torch.arange(n).repeat_interleave(number)[:, None, None]
    rows, columns = (
        torch.randint(size - SIDE + 1, (n * number, 1), generator=draws) + torch.arange(SIDE)
        for size in (height, width)
    )
    patches = level.permute(0, 2, 3, 1)[image, rows[:, :, None], columns[:, None, :]]
    spread, mean = torch.std_mean(patches, (0, 1, 2), correction=0)
    flat = spread < FLAT  # what is left there is rounding: it is not to be blown up
    return ((patches - mean) / spread.masked_fill(flat, torch.inf)).flatten(1)


def _sliced(one, other, directions, draws):
    """Return the mean distance of the sorted projections of two sets of points `(M, d)`."""
    total = 0.0
    for start in range(0, directions, CHUNK):
        axes = torch.randn(one.shape[1], min(CHUNK, directions - start), generator=draws)
        axes /= axes.norm(dim=0)
        a, b = ((points @ axes).T.contiguous().sort().values for points in (one, other))
        total += (a - b).abs().mean(1).sum().item()
    return total / directions
