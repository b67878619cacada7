"""Augmentation for little data: what D sees is changed, reals and fakes alike, so that it cannot learn them by heart.

Each is a differentiable function of images and of the generator it is given: the same generator, the same changes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class Augmentation:
    """`transform(images, p, draws)` changes images `(N, C, H, W)`; `p`, a 0-d tensor, is how likely each change is.

    Without a `target` p is 1. With one it is adapted as in ADA: every 4 steps p grows by (images of 4 steps) / `ramp`
    where the mean sign of D's logits on the reals is above `target`, a sign that D knows them by heart, and shrinks
    where it is below; it stays in 0 .. 1 and is part of the run's state (`gan.adaptive`).
    """

    name: str
    transform: Callable
    target: float | None = None
    ramp: float = 500_000

    def __repr__(self):
        return f"augment.{self.name}"

    @torch.no_grad()
    def adapt(self, gan, sign, images):
        """Move `gan.adaptive`, (p, the sum of signs), after a move of D on `images` reals of this mean sign."""
        p, signs = gan.adaptive
        signs += sign
        due = gan.varying(lambda: 1.0 if gan.step % 4 == 3 else 0.0)  # no branch: a captured step would keep its own
        p += due * (signs / 4 - self.target).sign() * 4 * images / self.ramp
        p.clamp_(0, 1)
        signs *= 1 - due


def _uniform(x, draws, low=0.0, high=1.0, shape=(1, 1, 1)):
    """One number per image, (N, 1, 1, 1), uniform in low .. high."""
    return torch.rand(len(x), *shape, generator=draws, device=x.device, dtype=x.dtype) * (high - low) + low


def colour(x, draws):
    """Brightness +-0.5, saturation times 0 .. 2 (colour only), contrast times 0.5 .. 1.5: DiffAugment's 'color'."""
    x = x + _uniform(x, draws, -0.5, 0.5)
    grey = x.mean(1, keepdim=True)
    x = grey + (x - grey) * _uniform(x, draws, 0.0, 2.0)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + (x - mean) * _uniform(x, draws, 0.5, 1.5)


def translation(x, draws, share=1 / 8):
    """Shift by whole pixels, up to `share` of the size each way; what comes in from outside is 0 (grey)."""
    h, w = x.shape[2:]
    rows = torch.arange(h, device=x.device) - _integers(x, draws, int(h * share + 0.5))  # (N, H): where each comes from
    columns = torch.arange(w, device=x.device) - _integers(x, draws, int(w * share + 0.5))
    inside = ((rows >= 0) & (rows < h))[:, None, :, None] & ((columns >= 0) & (columns < w))[:, None, None, :]
    x = x.gather(2, rows.clamp(0, h - 1)[:, None, :, None].expand_as(x))
    return x.gather(3, columns.clamp(0, w - 1)[:, None, None, :].expand_as(x)) * inside


def cutout(x, draws, share=0.5):
    """A square of `share` of the size, anywhere (it may reach over the edge), becomes 0 (grey)."""
    inside = True
    for axis, size in ((2, x.shape[2]), (3, x.shape[3])):
        side = int(size * share + 0.5)
        start = torch.randint(0, size + (1 - side % 2), (len(x), 1), generator=draws, device=x.device) - side // 2
        place = torch.arange(size, device=x.device)
        within = (place >= start) & (place < start + side)
        inside = inside & (within[:, None, :, None] if axis == 2 else within[:, None, None, :])
    return x * ~inside


def _integers(x, draws, largest):
    return torch.randint(-largest, largest + 1, (len(x), 1), generator=draws, device=x.device)


def _diff(x, p, draws):
    return cutout(translation(colour(x, draws), draws), draws)


diff_augment = Augmentation("diff_augment", _diff)
"""DiffAugment: colour, translation up to 1/8 and cutout of 1/2, always: Zhao et al. 2020, section 4."""


def _adaptive(x, p, draws):
    """ADA's pixel, geometric and colour changes, each with probability p: after Karras et al. 2020, appendix B.

    Simpler than there: one rotation in place of two, shifts that need not be whole pixels, no luma flip.
    """

    def maybe(value, otherwise):  # one draw per image and change; the draws are the same whatever p is
        return torch.where(_uniform(value, draws, shape=(1,) * (value.ndim - 1)) < p, value, otherwise)

    def angle(high):
        return _uniform(x, draws, -high, high, ())

    one, none = x.new_ones(len(x)), x.new_zeros(len(x))
    flip = maybe(one - 2 * (torch.rand(len(x), generator=draws, device=x.device) < 0.5).to(x.dtype), one)
    quarter = maybe(torch.randint(0, 4, (len(x),), generator=draws, device=x.device).to(x.dtype), none) * math.pi / 2
    shift = [maybe(angle(1 / 8), none) for _ in range(2)]  # of the size: pixels, before the rest
    size = maybe(torch.exp2(0.2 * _normal(x, draws)), one)
    turn = maybe(angle(math.pi), none)
    stretch = maybe(torch.exp2(0.2 * _normal(x, draws)), one)
    drift = [maybe(0.125 * _normal(x, draws), none) for _ in range(2)]
    cos, sin = (quarter + turn).cos(), (quarter + turn).sin()
    # where in the old image each new pixel comes from, in -1 .. 1: rotation, then scales, then shifts
    a = torch.stack([cos * flip / (size * stretch), -sin / (size * stretch), 2 * (shift[0] + drift[0])], 1)
    b = torch.stack([sin * flip / size * stretch, cos / size * stretch, 2 * (shift[1] + drift[1])], 1)
    x = warp(x, torch.stack([a, b], 1))
    one, none = one[:, None, None, None], none[:, None, None, None]
    x = x + maybe(0.2 * _normal(x, draws)[:, None, None, None], none)  # brightness
    x = x * maybe(torch.exp2(0.5 * _normal(x, draws))[:, None, None, None], one)  # contrast
    if x.shape[1] == 3:  # hue and saturation, around the grey axis
        grey = x.mean(1, keepdim=True)
        x = grey + (x - grey) * maybe(torch.exp2(_normal(x, draws))[:, None, None, None], one)
        x = _hue(x, maybe(angle(math.pi), none.flatten()))
    return x


def _normal(x, draws):
    return torch.randn(len(x), generator=draws, device=x.device, dtype=x.dtype)


def _hue(x, angle):
    """Turn colours `(N, 3, H, W)` around the grey axis by `angle` (N,): Rodrigues' formula."""
    cos, sin = angle.cos(), angle.sin() / math.sqrt(3)
    third = (1 - cos) / 3
    rows = [cos + third, third - sin, third + sin]  # a circulant matrix
    matrix = torch.stack([torch.stack([rows[(j - i) % 3] for j in range(3)], 1) for i in range(3)], 1)  # (N, 3, 3)
    return torch.einsum("nij,njhw->nihw", matrix, x)


def warp(x, matrix):
    """Sample images at affinely moved places, bilinearly, mirrored at the edges; `matrix (N, 2, 3)` maps new to old.

    Places run from -1 to 1 over the image's edges, x before y, as in torch's `affine_grid`. torch's `grid_sample` has
    no second derivative, which the penalties need; this one, made of `gather`, has.
    """
    n, c, h, w = x.shape
    ys = (torch.arange(h, device=x.device, dtype=x.dtype) * 2 + 1) / h - 1
    xs = (torch.arange(w, device=x.device, dtype=x.dtype) * 2 + 1) / w - 1
    grid = torch.stack([xs.expand(h, w), ys[:, None].expand(h, w), x.new_ones(h, w)]).flatten(1)  # (3, H * W)
    place = matrix @ grid  # (N, 2, H * W)
    column, row = ((place[:, 0] + 1) * w - 1) / 2, ((place[:, 1] + 1) * h - 1) / 2
    left, top = column.floor(), row.floor()
    flat, result = x.flatten(2), 0
    for dy in (0, 1):
        for dx in (0, 1):
            i, j = _mirrored(top + dy, h), _mirrored(left + dx, w)
            weight = (1 - (row - top - dy).abs()) * (1 - (column - left - dx).abs())
            result = result + flat.gather(2, (i * w + j)[:, None].expand(-1, c, -1)) * weight[:, None]
    return result.view(n, c, h, w)


def _mirrored(place, size):
    """Whole places folded back into 0 .. size - 1, the edge pixels repeated: -1 is 0, size is size - 1."""
    place = place.long() % (2 * size)
    return torch.minimum(place, 2 * size - 1 - place)


ada = Augmentation("ada", _adaptive, target=0.6)
"""ADA: flips, quarter turns, shifts, scales, rotations and colours, each with a probability that grows while D
overfits: Karras et al. 2020, sections 2 and 3. (Flipped and turned digits are no digits: look at what p does.)"""
