"""A G that enlarges pictures: super-resolution by 2, 4 or 8.

Residual blocks without normalisation work at the small size, as in ESRGAN (Wang et al. 2018,
section 3.1); what they add begins small, and the result is added to a plain enlargement.
"""

import math

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, interpolate, leaky_relu

from ..compact import ResizeConv2d, same_size
from ..layers import as_he

SCALES = (2, 4, 8)
PLAIN = ("bilinear", "bicubic")
INVENTED = (
    "details that are not in a small picture are invented, in the manner of the training pictures: "
    "a digit can become another digit, a face another face. An enlarged picture proves nothing"
)
SMALL = 0.1  # what residual blocks, and the last layer, begin with: this part of He's scale


class EnlargingGenerator(nn.Module):
    """Enlarges pictures `scale` times; it learns from large ones, which it shrinks by itself.

    `forward(large)` takes true pictures `(N, C, H, W)` in [-1, 1] of any size that the scale
    divides, shrinks them (`shrink`) and enlarges them again: so a tie can compare the result with
    its source. `enlarge(small)` takes pictures that are small already, of any size. Both return
    floats about -1 to 1: nothing is clamped, since beyond a clamp there is no gradient.

    A 3x3 convolution to `width` channels, `blocks` residual blocks x + conv(LeakyReLU(conv(x))), a
    doubling with a convolution for each factor of 2, which halves the channels, and a last
    convolution, added to the `plain` enlargement, "bilinear" or "bicubic". `shape` is that of the
    large pictures in training. Raises ValueError for another scale, and for a size that the scale
    does not divide.
    """

    player, latent_dim, classes = "G", None, 0
    notice = f"Enlarged by a generative adversarial network: {INVENTED}."

    def __init__(self, shape=(1, 28, 28), scale=4, width=64, blocks=3, plain="bilinear"):
        super().__init__()
        if scale not in SCALES or plain not in PLAIN:
            raise ValueError(
                f"scale={scale!r} and plain={plain!r} were given; a scale of "
                f"{', '.join(map(str, SCALES))} and one of {', '.join(map(repr, PLAIN))} are "
                "expected"
            )
        if width % scale or width < scale:
            raise ValueError(f"width={width} was given; a multiple of the scale, {scale}, is due")
        self.shape, self.scale, self.plain = tuple(shape), scale, plain
        self.settings = {"shape": self.shape, "scale": scale, "width": width, "blocks": blocks}
        self.settings["plain"] = plain
        divided(shape, scale)
        self.first = same_size(shape[0], width)
        self.blocks = nn.ModuleList(
            [
                nn.Sequential(same_size(width, width), nn.LeakyReLU(0.2), same_size(width, width))
                for _ in range(blocks)
            ]
        )
        layers = []
        for left in reversed(range(round(math.log2(scale)))):  # doublings that are still to come
            layers += [ResizeConv2d(width, width // 2), nn.LeakyReLU(0.2)]
            width //= 2
            layers += [same_size(width, width), nn.LeakyReLU(0.2)] if left else []
        self.larger = nn.Sequential(*layers)
        self.last = same_size(width, shape[0])
        self.apply(as_he)
        with torch.no_grad():
            for layer in (self.last, *(block[2] for block in self.blocks)):
                layer.weight.mul_(SMALL)

    @property
    def margin(self):
        """How many small pixels around a pixel decide about its place in the large picture, at
        most: a tile that has them on each side is enlarged as in the whole picture.
        """
        return 2 * len(self.blocks) + 4

    def shrink(self, large):
        """Return pictures 1 / `scale` as large: the mean of each square. ValueError for a size that
        the scale does not divide.
        """
        divided(large.shape[1:], self.scale)
        return avg_pool2d(large, self.scale)

    def plainly(self, small):
        """Return the plain enlargement, to which the net adds."""
        return interpolate(small, scale_factor=self.scale, mode=self.plain, align_corners=False)

    def enlarge(self, small):
        """Return small pictures `(N, C, h, w)`, `scale` times as large. Details that are not in
        them are invented.
        """
        if small.ndim != 4 or small.shape[1] != self.shape[0]:
            raise ValueError(
                f"pictures of {tuple(small.shape)} were given; (N, {self.shape[0]}, h, w) is "
                "expected, with the channels that this net was built for"
            )
        x = leaky_relu(self.first(small), 0.2)
        for block in self.blocks:
            x = x + block(x)
        return self.last(self.larger(x)) + self.plainly(small)

    def forward(self, large, labels=None):
        return self.enlarge(self.shrink(large))

    def alone(self):
        """Return a net from small pictures to large ones with these weights, for an export."""
        return Enlarges(self)


class Enlarges(nn.Module):
    """The way from small pictures `(N, *fed)`, or of other sizes, to large ones alone."""

    latent_dim, classes = None, 0

    def __init__(self, net):
        super().__init__()
        self.net, self.shape = net, net.shape
        self.fed = (net.shape[0], *(size // net.scale for size in net.shape[1:]))

    def forward(self, small):
        return self.net.enlarge(small)


def divided(shape, scale):
    """Raise ValueError unless `scale` divides the size of a picture of `shape` (C, H, W)."""
    if not isinstance(scale, int) or scale < 1:
        raise ValueError(f"scale={scale!r} was given; one of {', '.join(map(str, SCALES))} is due")
    if any(size % scale or size < scale for size in shape[1:]):
        raise ValueError(
            f"pictures of {shape[2]} x {shape[1]} were given, and a scale of {scale}, which does "
            f"not divide their size; give sizes that are multiples of {scale}, or another scale"
        )
