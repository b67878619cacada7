"""A G that is a flow: a net that says for each place between noise and image where to go next.

The usual U (Ronneberger et al. 2015), told the time by a scale and a shift in each block. As in
compact.py all layers but the last work at half the image's size or less, channels last in memory.
"""

import math

import torch
from torch import nn
from torch.nn.functional import leaky_relu

from ..compact import Fold, Mean, ResizeConv2d, same_size
from ..layers import as_he

METHODS = {"euler": 1, "heun": 2}  # and how often each asks the net in a step
FREQUENCIES, TOLD = 8, 64  # of the time's cosines and sines, and numbers that all blocks are told
SMALL = 0.1  # what residual blocks begin with: this part of He's scale
MOST = 1000  # steps
LEAK = 0.05  # of what lies beyond -1 and 1


class FlowGenerator(nn.Module):
    """Maps noise `z (N, latent_dim)`, one number for each of an image's, to images `(N, *shape)`,
    about -1 to 1, in `steps` steps along a velocity.

    `velocity(x, t)` is the net itself. Time runs from 0, where x is noise, to 1, where it is an
    image; between them x = (1 - t) z + t image, which moves with the velocity image - z (Lipman et
    al. 2023; Liu et al. 2023). The net learns the mean velocity at each x and t. With one step
    G(z) = z + velocity(z, 0), but for what `draw` does beyond -1 and 1.

    The net's last layer is added to what a linear guess knows: `skip(t)` x is the best multiple of
    x for images of mean square `spread` squared. At time 0 it is -x, so that with one step no noise
    is left over.

    `widths`: the channels at half and at a quarter of the size, which 4 must divide; `blocks`
    residual blocks on the way down at half the size, twice as many at a quarter, and as many on the
    way up again. `steps` and `method`, "euler" or "heun", are how `forward` draws; set the
    attributes to change that. Raises ValueError for other sizes, steps and methods.
    """

    player, classes = "G", 0

    def __init__(
        self, shape=(1, 28, 28), widths=(32, 64), blocks=1, steps=1, method="euler", spread=0.6
    ):
        super().__init__()
        if any(size % 4 or size < 4 for size in shape[1:]) or len(widths) != 2:
            raise ValueError(
                f"shape={tuple(shape)} and widths={tuple(widths)} were given; sizes that 4 divides "
                "are expected, and two widths, at half and at a quarter of the size"
            )
        self.shape, self.latent_dim, self.spread = tuple(shape), math.prod(shape), spread
        self.made = {"shape": self.shape, "widths": tuple(widths), "blocks": blocks}
        self.steps, self.method = _drawn(steps, method)
        half, quarter = widths
        self.told = nn.Linear(2 * FREQUENCIES, TOLD)
        self.fold, self.mean = Fold(), Mean()
        self.first, self.last = same_size(4 * shape[0], half), ResizeConv2d(half, shape[0])
        self.deeper, self.up = same_size(half, quarter), ResizeConv2d(quarter, half)
        self.join = same_size(2 * half, half)
        self.apply(as_he)
        self.down = nn.ModuleList(Told(half) for _ in range(blocks))
        self.deep = nn.ModuleList(Told(quarter) for _ in range(2 * blocks))
        self.back = nn.ModuleList(Told(half) for _ in range(blocks))
        with torch.no_grad():
            self.last.weight.mul_(SMALL)

    @property
    def settings(self):
        """What builds the net again, with the steps and the method of now."""
        drawn = {"steps": self.steps, "method": self.method, "spread": self.spread}
        return self.made | drawn

    def skip(self, t):
        """Return by what x is multiplied in the linear guess of its velocity, for times `t`."""
        variance = self.spread**2
        return (t * variance - (1 - t)) / ((1 - t).square() + t.square() * variance)

    def velocity(self, x, t):
        """Return the velocity `(N, C, H, W)` at `x (N, C, H, W)` and the times `t`, `(N,)` or a
        number, 0 to 1.
        """
        if not isinstance(t, torch.Tensor):
            t = x.new_full((1,), t)  # made on the device: a captured step may copy nothing to it
        t = t.to(x).expand(x.shape[0])  # not len(x), which an ONNX file would fix
        angles = t[:, None] * (math.pi * torch.arange(1, FREQUENCIES + 1, device=x.device))
        told = leaky_relu(self.told(torch.cat([angles.cos(), angles.sin()], 1).to(x.dtype)), 0.2)
        half = self.first(self.fold(x))
        for block in self.down:
            half = block(half, told)
        deep = self.deeper(self.mean(half))
        for block in self.deep:
            deep = block(deep, told)
        both = self.join(torch.cat([self.up(deep), half], 1))
        for block in self.back:
            both = block(both, told)
        return self.last(leaky_relu(both, 0.2)).to(x.dtype) + self.skip(t).view(-1, 1, 1, 1) * x

    def draw(self, z, steps=None, method=None):
        """Return the images `(N, C, H, W)` that noise `z` flows to, see `flow`. What lies beyond -1
        and 1 is drawn near: to a 20th of its way, so that there is still a gradient.
        """
        x = self.flow(z, steps, method)
        return torch.lerp(x.clamp(-1, 1), x, LEAK)

    def flow(self, z, steps=None, method=None):
        """Return where noise `z`, `(N, latent_dim)` or `(N, C, H, W)`, flows to in so many equal
        `steps`, `(N, C, H, W)`. "euler" asks the net once in each, "heun" twice, but for the last.
        """
        asked = self.steps if steps is None else steps, self.method if method is None else method
        steps, method = _drawn(*asked)
        x = z.reshape(-1, *self.shape)
        for i in range(steps):
            v = self.velocity(x, i / steps)
            if method == "heun" and i < steps - 1:
                v = (v + self.velocity(x + v / steps, (i + 1) / steps)) / 2
            x = x + v / steps
        return x

    def forward(self, z, labels=None):
        return self.draw(z)


class Told(nn.Module):
    """A residual block x + conv(f(x)), `(N, width, H, W)` to the same; `told (N, TOLD)` scales and
    shifts what its first convolution gives.
    """

    def __init__(self, width):
        super().__init__()
        self.first, self.second = same_size(width, width), same_size(width, width)
        self.style = nn.Linear(TOLD, 2 * width)
        self.apply(as_he)
        nn.init.zeros_(self.style.weight)
        with torch.no_grad():
            self.second.weight.mul_(SMALL)

    def forward(self, x, told):
        scale, shift = self.style(told)[:, :, None, None].chunk(2, 1)
        h = self.first(leaky_relu(x, 0.2)) * (1 + scale) + shift
        return x + self.second(leaky_relu(h, 0.2))


def _drawn(steps, method):
    """Return both; raise ValueError for steps that are none, and for an unknown method."""
    if type(steps) is not int or not 1 <= steps <= MOST or method not in METHODS:
        raise ValueError(
            f"steps={steps!r} and method={method!r} were given; a whole number from 1 to {MOST:,} "
            f"and one of {', '.join(map(repr, METHODS))} are expected"
        )
    return steps, method
