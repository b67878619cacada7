"""Does a clip show a digit, the same in all frames, and does it move as real ones do?"""

import torch
from torch.nn.functional import affine_grid, grid_sample

from ...data.images import as_float, as_uint8
from ...judge import features
from ...judge.metrics import frechet_distance
from .moving import gliding, pairs

DRAWN = {"gliding": (gliding, 1), "pairs": (pairs, 2)}  # and how many digits stand side by side
FIGURES = {  # and how they are written
    "frames": "{:.1f}",
    "motion": "{:.1f}",
    "speed": "{:.2f}",
    "bend": "{:.2f}",
    "same": "{:.1%}",
    "together": "{:.2f}",
}


class Moved(dict):
    """What `judge_clips` measured, as a dict; it prints as a table, with `real` in a column."""

    def __str__(self):
        lines = [f"{'':14}{'fakes':>10}{'real':>10}"]
        for name, how in FIGURES.items():
            if name in self:
                ours, real = (how.format(x[name]) for x in (self, self["real"]))
                lines.append(f"{name:14}{ours:>10}{real:>10}")
        return "\n".join(lines)


@torch.no_grad()
def judge_clips(gan, n=1500):
    """Judge a G of `gliding` clips, or of `pairs`, as its run says: return a `Moved`, a dict.

    `frames`: the Frechet distance of the frames, each digit moved back to the middle, by the digit
    classifier's features, in floors (that of real clips of other digits). `motion`: the same of the
    path, the place of the ink's middle in the first frame and the steps from frame to frame, as one
    vector: no net is asked. `speed`: the mean length of a step, in pixels; `bend`, of a change
    between two steps. `same`: the share of frames that are read as the digit that the most of their
    clip's frames are. Of pairs each half is looked at by itself, and `together` is the correlation
    of the two digits' steps: 0 where each goes its own way. `real`: all of it for other real clips.
    The real clips that fakes are compared with are of digits that no G was shown. Raises ValueError
    where a run draws other clips.
    """
    drawn = ((getattr(gan, "trained_on", None) or {}).get("loaded") or {}).get("drawn", "gliding")
    if drawn not in DRAWN:
        raise ValueError(
            f"clips of {drawn!r} were given; nothing here judges others than {', '.join(DRAWN)}"
        )
    make, parts = DRAWN[drawn]
    real, other = (
        _figures(as_float(make(n, seed, held_out=held).images), parts)
        for seed, held in ((101, True), (102, False))
    )
    fakes = torch.cat([gan.sample(len(x), stream=f"clips/{i}") for i, x in _parts(n)])
    found = _figures(as_float(as_uint8(fakes.cpu())), parts)
    floors = {key: frechet_distance(real[key], other[key]) for key in ("seen", "way")}

    def row(x):
        return {
            "frames": frechet_distance(real["seen"], x["seen"]) / floors["seen"],
            "motion": frechet_distance(real["way"], x["way"]) / floors["way"],
            **{key: x[key] for key in FIGURES if key in x},
        }

    return Moved(row(found) | {"real": row(other)})


def _parts(n):
    return list(enumerate(torch.arange(n).split(250)))


def middles(clips):
    """Return the middle of the ink of each frame of clips `(N, 1, T, H, W)` in [-1, 1]: `(N, T,
    2)`, right and down in pixels, from 0.
    """
    ink = (clips[:, 0] + 1) / 2
    whole = ink.sum((2, 3)).clamp(min=1e-3)
    down, right = (torch.arange(size) + 0.5 for size in ink.shape[2:])
    return torch.stack([(ink.sum(2) * right).sum(2) / whole, (ink.sum(3) * down).sum(2) / whole], 2)


def _figures(clips, parts=1):
    """Return what is compared of clips: features of one frame a clip, ways, speeds, ...

    parts: as many digits stand side by side, each in a column of its own, and as much smaller.
    """
    n, side = len(clips), clips.shape[3]
    clips = torch.cat(clips.chunk(parts, 4))  # all left halves first
    middle, (_, _, frames, height, width) = middles(clips), clips.shape
    theta = torch.zeros(len(clips) * frames, 2, 3)
    theta[:, 0, 0], theta[:, 1, 1] = side / parts / width, 1 / parts
    size = torch.tensor([width, height]) / 2
    theta[:, :, 2] = (middle.flatten(0, 1) - size) / size
    flat = clips.transpose(1, 2).flatten(0, 1)
    grid = affine_grid(theta, [len(flat), 1, side, side], align_corners=False)
    centred = grid_sample(flat + 1, grid, align_corners=False) - 1
    net = features.digit_classifier()
    seen = features.read(net, centred)
    read = features.logits_of(net, seen).argmax(1).view(-1, frames)
    steps = middle.diff(dim=1)
    ways = torch.cat([middle[:, 0], steps.flatten(1)], 1)
    figures = {
        "seen": seen.view(len(clips), frames, -1)[:, frames // 2],
        "way": torch.cat(ways.split(n), 1),  # of all digits of a clip, as one vector
        "speed": steps.norm(dim=2).mean().item(),
        "bend": steps.diff(dim=1).norm(dim=2).mean().item(),
        "same": (read == read.mode(1, keepdim=True).values).double().mean().item(),
    }
    if parts == 2:
        both = torch.stack([x.flatten() for x in steps.split(n)])
        figures["together"] = torch.corrcoef(both)[0, 1].item()
    return figures
