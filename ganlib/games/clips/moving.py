"""Clips of digits that glide and bounce, made of the embedded digits."""

import math

import torch
from torch.nn.functional import affine_grid, grid_sample

from ...data.images import Images
from ...data.loading import load
from ...machine.choices import whole

FRAMES = 8
REACH = 4  # pixels from the middle at which a digit bounces
SPEED = 0.5, 1.4  # pixels a frame
HELD = 1_000  # of the digits, the last, that `held_out` takes


def gliding(n=12_000, seed=0, digits=None, held_out=False):
    """Return `n` clips of a digit that glides and bounces, an `Images` `(n, 1, 8, 28, 28)` of
    uint8, labelled with the digit.

    Each glides 0.5 to 1.4 pixels a frame in a direction of its own, within 4 pixels of the middle.
    digits: labelled images, by default the 10,000 that ship with ganlib; the last 1,000 of them are
    used with `held_out`, the others without. The same `seed` makes the same clips.
    """
    n, draws = whole("n", n), torch.Generator().manual_seed(seed)
    digits, index = _chosen(n, digits, held_out, draws)
    clips = moved(digits.images[index].cpu(), places(n, draws))
    loaded = {"drawn": "gliding", "n": n, "seed": seed}
    labels = None if digits.labels is None else digits.labels[index].cpu()
    return Images(clips, labels, digits.classes, "gliding digits", loaded=loaded)


def pairs(n=12_000, seed=0, digits=None, held_out=False):
    """Return `n` clips of two small digits that glide on their own, `(n, 1, 8, 28, 28)`, without
    labels: no map of a whole picture moves both. Arguments as for `gliding`.
    """
    n, draws = whole("n", n), torch.Generator().manual_seed(seed)
    clips = torch.zeros(n, 1, FRAMES, 28, 28, dtype=torch.uint8)
    for side in (-1, 1):
        chosen, index = _chosen(n, digits, held_out, draws)
        way = places(n, draws) * torch.tensor([0.6, 1.5]) + torch.tensor([6.5 * side, 0.0])
        clips = torch.maximum(clips, moved(chosen.images[index].cpu(), way, zoom=2.0))
    return Images(clips, name="pairs of digits", loaded={"drawn": "pairs", "n": n, "seed": seed})


def _chosen(n, digits, held_out, draws):
    """Return (the digits, the places of `n` of them)."""
    digits = load("digits") if digits is None else digits
    if tuple(digits.shape) != (1, 28, 28):
        raise ValueError(f"digits of {tuple(digits.shape)} were given; (1, 28, 28) is expected")
    first, last = (len(digits) - HELD, len(digits)) if held_out else (0, len(digits) - HELD)
    if not first < last or first < 0:
        raise ValueError(f"{len(digits)} digits were given; more than {HELD:,} are expected")
    return digits, torch.randint(first, last, (n,), generator=draws)


def places(n, draws, frames=FRAMES):
    """Return paths, `(n, frames, 2)`: how far right and down of the middle, in pixels."""

    def between(low, high):
        return torch.rand(n, generator=draws) * (high - low) + low

    start = torch.stack([between(0, 2 * REACH), between(0, 2 * REACH)], 1)
    speed, angle = between(*SPEED), between(0, 2 * math.pi)
    step = torch.stack([angle.cos(), angle.sin()], 1) * speed[:, None]
    way = start[:, None] + step[:, None] * torch.arange(frames)[:, None]
    return 2 * REACH - (2 * REACH - way % (4 * REACH)).abs() - REACH  # it bounces at both ends


def moved(images, way, zoom=1.0):
    """Return clips `(n, 1, T, h, w)` of images `(n, 1, h, w)`, uint8, that go a `way (n, T, 2)`;
    1 / `zoom` as large.
    """
    n, frames, side = len(images), way.shape[1], images.shape[-1]
    clips = torch.empty(n, frames, *images.shape[2:])
    for part in torch.arange(n).split(500):
        step = way[part].flatten(0, 1)
        theta = torch.zeros(len(step), 2, 3)
        theta[:, 0, 0] = theta[:, 1, 1] = zoom
        theta[:, :, 2] = -zoom * step / (side / 2)
        shown = images[part].float().repeat_interleave(frames, 0)
        grid = affine_grid(theta, shown.shape, align_corners=False)
        found = grid_sample(shown, grid, align_corners=False)
        clips[part] = found.view(len(part), frames, *images.shape[2:])
    return clips.round().clamp(0, 255).to(torch.uint8)[:, None]
