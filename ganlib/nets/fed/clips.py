"""Nets for clips (N, C, T, H, W): three ways to draw one, and a D that sees all frames at once.

`FramesGenerator` draws the frames as channels of one picture. `MovedGenerator` draws one picture,
or several, and a path that moves it. `PathGenerator` draws each frame from what stays and from a
point of a path through the noise. In the latter two, content and motion have noise of their own.
"""

from contextlib import nullcontext

import torch
from torch import nn
from torch.nn.functional import affine_grid, grid_sample

from ..compact import CompactDiscriminator, CompactGenerator
from ..layers import scale

MOTION = 16  # numbers of noise that decide how something moves


class ClipDiscriminator(CompactDiscriminator):
    """The D for clips `(N, C, T, H, W)`: `CompactDiscriminator`, which is shown the frames as
    channels. By default it has 48 channels at the first size, 16 more at each further one.
    """

    def __init__(self, shape=(1, 8, 28, 28), widths=None):
        channels, frames, *size = shape
        if widths is None:
            _, halvings = scale((channels, *size), at_least=1)
            widths = tuple(min(128, 48 + 16 * i) for i in range(halvings))
        super().__init__((channels * frames, *size), widths)
        self.settings = {"shape": tuple(shape), "widths": tuple(widths)}

    def forward(self, clips, labels=None):
        return super().forward(clips.flatten(1, 2))


class FramesGenerator(CompactGenerator):
    """Draws a clip as one picture whose channels are the frames: nothing in it knows that they
    follow one another.
    """

    def __init__(self, latent_dim=80, shape=(1, 8, 28, 28), widths=None):
        channels, frames, *size = shape
        super().__init__(latent_dim, (channels * frames, *size), widths)
        widths = self.settings["widths"]
        self.shape = tuple(shape)
        self.settings = {"latent_dim": latent_dim, "shape": self.shape, "widths": widths}

    def forward(self, z, labels=None):
        return super().forward(z).unflatten(1, self.shape[:2])


class Curve(nn.Module):
    """A path through `out` numbers: from noise `(N, MOTION)` and times `(T,)`, in frames, to `(N,
    T, out)`. It begins at rest: nearly 0 at all times.

    Each of 64 units is a line of the time, whose slope and start the motion says, and bends where
    it crosses 0 (LeakyReLU); the path is their weighted sum. So paths go straight on between
    bends, as what is pushed once does, or what bounces.
    """

    UNITS = 64

    def __init__(self, out, frames):
        super().__init__()
        self.frames, last = frames, nn.Linear(self.UNITS, out)
        nn.init.normal_(last.weight, std=0.01)
        nn.init.zeros_(last.bias)
        self.first = nn.Sequential(nn.Linear(MOTION, 64), nn.LeakyReLU(0.2))
        self.slope, self.start = nn.Linear(64, self.UNITS), nn.Linear(64, self.UNITS)
        self.layers = nn.Sequential(nn.LeakyReLU(0.2), last)

    def forward(self, motion, times):
        clock, x = (times / self.frames).to(motion.dtype), self.first(motion)
        lines = self.slope(x)[:, None] * clock[:, None] + self.start(x)[:, None]
        return self.layers(lines)


class _Moving(CompactGenerator):
    """The base of G's that keep content and motion apart: the last MOTION numbers of the noise
    decide the motion, the others the content.
    """

    def __init__(self, latent_dim, shape, widths, inner, out, parts=1):
        channels, frames, *size = shape
        content = latent_dim - MOTION
        if content < 1:
            raise ValueError(
                f"latent_dim={latent_dim} was given; more than {MOTION} is expected: that many "
                "numbers of the noise are the motion"
            )
        super().__init__(content + inner, (channels * parts, *size), widths)
        widths = self.settings["widths"]
        self.latent_dim, self.shape, self.content = latent_dim, tuple(shape), content
        self.settings = {"latent_dim": latent_dim, "shape": self.shape, "widths": widths}
        self.curve = Curve(out, frames)

    def times(self, z):
        """Return the times of the frames, 0 to T - 1, `(T,)`."""
        return torch.arange(self.shape[1], device=z.device, dtype=torch.float32)


class MovedGenerator(_Moving):
    """Maps noise `(N, latent_dim)` to clips `(N, *shape)`: one picture of the content, moved,
    turned and stretched by an affine map for each time, which a `Curve` of the motion says.

    What moves is the same thing in all frames, by construction, and nothing moves but the whole
    picture. With `parts` there are several pictures, each on a path of its own; at rest they are as
    much smaller and stand side by side, and their light adds up. `times (T',)` are other times than
    0, 1, ... T - 1: half steps are slow motion.
    """

    def __init__(self, latent_dim=80, shape=(1, 8, 28, 28), widths=None, parts=1):
        if type(parts) is not int or parts < 1:
            raise ValueError(f"parts={parts!r} was given; a whole number of 1 or more is expected")
        super().__init__(latent_dim, shape, widths, inner=0, out=6 * parts, parts=parts)
        self.parts = parts
        rest = [[[parts, 0, parts - 1 - 2 * part], [0, parts, 0]] for part in range(parts)]
        self.register_buffer("rest", torch.tensor(rest, dtype=torch.float32), persistent=False)
        if parts != 1:
            self.settings |= {"parts": parts}

    def forward(self, z, labels=None, times=None):
        times = self.times(z) if times is None else times
        picture = super().forward(z[:, : self.content]).to(z.dtype)
        pictures = picture.repeat_interleave(len(times), 0)
        whole = nullcontext()  # an export knows no `autocast`
        if torch.is_autocast_enabled(z.device.type):  # of bf16, maps are too coarse
            whole = torch.autocast(z.device.type, enabled=False)
        with whole:
            ways = self.curve(z[:, self.content :], times).flatten(0, 1)
            frames, channels, rest = -1, self.shape[0], self.rest.to(z.dtype)
            for part in range(self.parts):
                picture = pictures[:, part * channels : (part + 1) * channels]
                theta = ways[:, 6 * part : 6 * (part + 1)].view(-1, 2, 3) + rest[part]
                grid = affine_grid(theta, picture.shape, align_corners=False)
                frames = frames + grid_sample(picture + 1, grid, align_corners=False)  # beside: 0
        return frames.unflatten(0, (z.shape[0], len(times))).transpose(1, 2)


class PathGenerator(_Moving):
    """Maps noise to clips frame by frame: each is drawn from the content and from a point of a
    `Curve`, so that parts can move on their own (MoCoGAN, Tulyakov et al. 2018, with DIGAN's times
    in place of a recurrent net, Yu et al. 2022). It costs T times as much as one picture.
    """

    STEP = 12  # numbers of a point of the path

    def __init__(self, latent_dim=80, shape=(1, 8, 28, 28), widths=None):
        super().__init__(latent_dim, shape, widths, inner=self.STEP, out=self.STEP)
        nn.init.normal_(self.curve.layers[-1].weight, std=0.1)

    def forward(self, z, labels=None, times=None):
        times = self.times(z) if times is None else times
        way = self.curve(z[:, self.content :], times)
        content = z[:, None, : self.content].expand(-1, len(times), -1)
        frames = super().forward(torch.cat([content, way.to(z.dtype)], 2).flatten(0, 1))
        return frames.unflatten(0, (z.shape[0], len(times))).transpose(1, 2)
