"""Augmentation for small data sets: change all images that D sees, reals and fakes alike, so that D
cannot memorise the reals.

Each augmentation is a differentiable function of images and of a random generator, `draws`: the
same generator state gives the same changes. A `Game` takes an `Augmentation`; a new one is a new
`Augmentation` value.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from ..machine.choices import one_of

LITTLE = 5_000  # of fewer images D memorises each


@dataclass(frozen=True)
class Augmentation:
    """An augmentation: `transform(images, p, draws)` returns changed images `(N, C, H, W)`.

    `p`, a 0-d tensor, is the probability of each change; `draws` is a `torch.Generator`. Without a
    `target` p is 1; with a `target` it is adapted as in ADA (adaptive discriminator augmentation):
    every 4 steps it grows by (images of 4 steps) / `ramp` if the mean sign of D's logits on the
    reals is above `target`, which shows that D memorises them, and shrinks by as much if it is
    below. p stays in 0 .. 1 and is part of the run's state (`gan.adaptive`).
    """

    name: str
    transform: Callable
    target: float | None = None
    ramp: float = 500_000

    def __repr__(self):
        return f"augment.{self.name}"

    @torch.no_grad()
    def adapt(self, gan, sign, images):
        """Update `gan.adaptive`, (p, the sum of signs), after a move of D.

        `sign` is the mean sign of D's logits on the reals of that move, `images` their number.
        """
        p, signs = gan.adaptive
        signs += sign
        # no `if`: a step captured as a CUDA graph would repeat the same branch for ever
        due = gan.varying(lambda: 1.0 if gan.step % 4 == 3 else 0.0)
        p += due * (signs / 4 - self.target).sign() * 4 * images / self.ramp
        p.clamp_(0, 1)
        signs *= 1 - due


def _uniform(x, draws, low=0.0, high=1.0, shape=(1, 1, 1)):
    """Return one random number per image, `(N, *shape)`, uniform in low .. high."""
    return (
        torch.rand(len(x), *shape, generator=draws, device=x.device, dtype=x.dtype) * (high - low)
        + low
    )


def colour(x, draws):
    """Change brightness, saturation and contrast at random: DiffAugment's 'color'.

    Brightness +-0.5, saturation times 0 .. 2 (colour images only), contrast times 0.5 .. 1.5.
    """
    x = x + _uniform(x, draws, -0.5, 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * _uniform(x, draws, 0.0, 2.0)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * _uniform(x, draws, 0.5, 1.5)


def translation(x, draws, share=1 / 8):
    """Shift by whole pixels, up to `share` of the size each way; new pixels are 0 (grey)."""
    h, w = x.shape[2:]
    # (N, H) and (N, W): the old row and the old column of each new pixel
    rows = torch.arange(h, device=x.device) - _integers(x, draws, int(h * share + 0.5))
    columns = torch.arange(w, device=x.device) - _integers(x, draws, int(w * share + 0.5))
    inside = ((rows >= 0) & (rows < h))[:, None, :, None] & ((columns >= 0) & (columns < w))[
        :, None, None, :
    ]
    x = x.gather(2, rows.clamp(0, h - 1)[:, None, :, None].expand_as(x))
    return x.gather(3, columns.clamp(0, w - 1)[:, None, None, :].expand_as(x)) * inside


def cutout(x, draws, share=0.5):
    """Set a square of `share` of the size to 0 (grey), anywhere; it may reach over the edge."""
    inside = True
    for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
        side = int(size * share + 0.5)
        start = (
            torch.randint(0, size + (1 - side % 2), (len(x), 1), generator=draws, device=x.device)
            - side // 2
        )
        place = torch.arange(size, device=x.device)
        within = (place >= start) & (place < start + side)
        inside = inside & (within[:, None, :, None] if axis == 2 else within[:, None, None, :])
    return x * ~inside


def _integers(x, draws, largest):
    """Return one whole number per image, `(N, 1)`, uniform in -largest .. largest."""
    return torch.randint(-largest, largest + 1, (len(x), 1), generator=draws, device=x.device)


shift = Augmentation("shift", lambda x, p, draws: translation(x, draws))
"""Shifts alone, up to 1/8 of the size each way: Zhao et al. 2020, the policy "translation". Of all
it leaves the images most as they are."""


def _colour_translation(x, p, draws):
    return translation(colour(x, draws), draws)


colour_translation = Augmentation("colour_translation", _colour_translation)
"""DiffAugment without its cutout: Zhao et al. 2020, the policy "color, translation"."""


def _diff(x, p, draws):
    return cutout(_colour_translation(x, p, draws), draws)


diff_augment = Augmentation("diff_augment", _diff)
"""DiffAugment: always colour, translation to 1/8 and cutout of 1/2. Zhao et al. 2020, section 4."""


def _adaptive(x, p, draws):
    """Apply ADA's pixel, geometric and colour changes, each with probability `p`.

    After Karras et al. 2020, appendix B, but simpler: one rotation in place of two, shifts that
    need not be whole pixels, no luma flip.
    """

    def maybe(value, otherwise):  # always one draw per image, whatever p is
        return torch.where(
            _uniform(value, draws, shape=(1,) * (value.ndim - 1)) < p, value, otherwise
        )

    def angle(high):
        return _uniform(x, draws, -high, high, ())

    ones, zeros = x.new_ones(len(x)), x.new_zeros(len(x))
    flip = maybe(
        ones - 2 * (torch.rand(len(x), generator=draws, device=x.device) < 0.5).to(x.dtype), ones
    )
    quarter = (
        maybe(torch.randint(0, 4, (len(x),), generator=draws, device=x.device).to(x.dtype), zeros)
        * math.pi
        / 2
    )
    shift = [maybe(angle(1 / 8), zeros) for _ in range(2)]  # share of the size; in ADA whole pixels
    size = maybe(torch.exp2(0.2 * _normal(x, draws)), ones)
    turn = maybe(angle(math.pi), zeros)
    stretch = maybe(torch.exp2(0.2 * _normal(x, draws)), ones)
    drift = [maybe(0.125 * _normal(x, draws), zeros) for _ in range(2)]
    cos, sin = (quarter + turn).cos(), (quarter + turn).sin()
    # the map from new to old places, both in -1 .. 1: rotation, then scales, then shifts
    a = torch.stack(
        [cos * flip / (size * stretch), -sin / (size * stretch), 2 * (shift[0] + drift[0])], 1
    )
    b = torch.stack(
        [sin * flip / size * stretch, cos / size * stretch, 2 * (shift[1] + drift[1])], 1
    )
    x = warp(x, torch.stack([a, b], 1))
    ones, zeros = ones[:, None, None, None], zeros[:, None, None, None]
    x = x + maybe(0.2 * _normal(x, draws)[:, None, None, None], zeros)  # brightness
    x = x * maybe(torch.exp2(0.5 * _normal(x, draws))[:, None, None, None], ones)  # contrast
    if x.shape[1] == 3:  # hue and saturation, around the grey axis
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * maybe(torch.exp2(_normal(x, draws))[:, None, None, None], ones)
        x = _hue(x, maybe(angle(math.pi), zeros.flatten()))
    return x


def _normal(x, draws):
    """Return one standard normal number per image, `(N,)`."""
    return torch.randn(len(x), generator=draws, device=x.device, dtype=x.dtype)


def _hue(x, angle):
    """Turn colours `(N, 3, H, W)` by `angle` (N,) around the grey axis, by Rodrigues' formula."""
    cos, sin = angle.cos(), angle.sin() / math.sqrt(3)
    third = (1 - cos) / 3
    rows = [cos + third, third - sin, third + sin]  # the first row of a circulant matrix (N, 3, 3)
    matrix = torch.stack(
        [torch.stack([rows[(j - i) % 3] for j in range(3)], 1) for i in range(3)], 1
    )
    return torch.einsum("nij,njhw->nihw", matrix, x)


def warp(x, matrix):
    """Return images sampled at affinely moved places, bilinearly, mirrored at the edges.

    `matrix (N, 2, 3)` maps new places to old ones. Places run from -1 to 1 between the image's
    edges, x before y, as in torch's `affine_grid`. torch's `grid_sample` has no second derivative,
    which gradient penalties need; this function, made of `gather`, has one.
    """
    n, c, h, w = x.shape
    ys = (torch.arange(h, device=x.device, dtype=x.dtype) * 2 + 1) / h - 1
    xs = (torch.arange(w, device=x.device, dtype=x.dtype) * 2 + 1) / w - 1
    grid = torch.stack([xs.expand(h, w), ys[:, None].expand(h, w), x.new_ones(h, w)]).flatten(1)
    place = matrix @ grid  # (N, 2, 3) @ (3, H * W) -> (N, 2, H * W)
    column, row = ((place[:, 0] + 1) * w - 1) / 2, ((place[:, 1] + 1) * h - 1) / 2
    left, top = column.floor(), row.floor()
    flat, result = x.flatten(2), 0
    for dy in (0, 1):
        for dx in (0, 1):
            i, j = _mirrored(top + dy, h), _mirrored(left + dx, w)
            weight = (1 - (row - top - dy).abs()) * (1 - (column - left - dx).abs())
            result = (
                result + flat.gather(2, (i * w + j)[:, None].expand(-1, c, -1)) * weight[:, None]
            )
    return result.view(n, c, h, w)


def _mirrored(place, size):
    """Fold whole places into 0 .. size - 1; edge pixels repeat: -1 is 0, size is size - 1."""
    place = place.long() % (2 * size)
    return torch.minimum(place, 2 * size - 1 - place)


ada = Augmentation("ada", _adaptive, target=0.6)
"""ADA: flips, quarter turns, shifts, scales, rotations and colours, each with a probability p that
grows while D overfits. Karras et al. 2020, sections 2 and 3. (A flipped or turned digit may no
longer be a digit: watch p.)"""


def named(name):
    """Return the augmentation of this module with this name; raise ValueError for another name."""
    known = {value.name: value for value in globals().values() if isinstance(value, Augmentation)}
    one_of("augmentation", name, list(known))
    return known[name]
