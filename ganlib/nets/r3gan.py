"""The R3GAN pair: residual blocks, no normalisation; square sizes of 4 or 7 times a power of 2."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import conv_transpose2d, leaky_relu

from .conv import Conv2d, convolve
from .layers import Discriminator, Generator, Verdict, scale, widths_of


class ResidualGenerator(Generator):
    """R3GAN's G, which maps noise `(N, latent_dim)` to images `(N, *shape)`.

    Huang et al. 2024, section 4, without normalisation or tanh. A linear layer weights a learned
    basis of 4x4 (or 7x7) places; then follow `blocks` residual blocks at each size, with a bilinear
    doubling between sizes. `widths`: the channels at each size, the first and the last included:
    28 = 7 * 2^2 takes three.
    """

    def __init__(
        self, latent_dim=64, shape=(1, 28, 28), widths=None, blocks=2, classes=0, categorical=0
    ):
        base, doublings = scale(shape)
        widths = widths_of(
            widths, shape, [min(256, 16 * 2**i) for i in reversed(range(doublings + 1))]
        )
        super().__init__(latent_dim, shape, classes, categorical, widths=widths, blocks=blocks)
        self.basis = nn.Parameter(torch.randn(widths[0], base, base))
        self.first = _scaled(nn.Linear(self.latent.width, widths[0], bias=False))
        count = blocks * len(widths)
        layers = [Block(widths[0], count) for _ in range(blocks)]
        for inputs, width in pairwise(widths):
            layers += [
                Resample(inputs, width, up=True),
                *(Block(width, count) for _ in range(blocks)),
            ]
        self.layers = nn.Sequential(*layers, _scaled(nn.Conv2d(widths[-1], shape[0], 1)))

    def forward(self, z, labels=None):
        weights = self.first(self.latent(z, labels))
        return self.layers(weights[:, :, None, None] * self.basis)  # (N, W, 1, 1) * (W, 4, 4)


class ResidualDiscriminator(Discriminator):
    """R3GAN's D, which maps images `(N, *shape)` to logits `(N,)`.

    Huang et al. 2024, section 4: the mirror image of its G. `widths`: the channels at each size,
    from the image's down to 4x4 (or 7x7).
    """

    def __init__(self, shape=(1, 28, 28), widths=None, blocks=2, classes=0, answers=0):
        base, halvings = scale(shape)
        widths = widths_of(widths, shape, [min(256, 16 * 2**i) for i in range(halvings + 1)])
        super().__init__(shape, classes, answers, widths=widths, blocks=blocks)
        count = blocks * len(widths)
        layers = [
            _scaled(Conv2d(shape[0], widths[0], 1)),
            *(Block(widths[0], count, Conv2d) for _ in range(blocks)),
        ]
        for inputs, width in pairwise(widths):
            layers += [
                Resample(inputs, width, up=False, conv=Conv2d),
                *(Block(width, count, Conv2d) for _ in range(blocks)),
            ]
        basis = _scaled(Conv2d(widths[-1], widths[-1], base, groups=widths[-1], bias=False))
        self.layers = nn.Sequential(*layers, basis, nn.Flatten())
        self.verdict = Verdict(widths[-1], classes, answers)


class Block(nn.Module):
    """Residual block: x + (1x1 to twice the width, grouped 3x3, 1x1 back), LeakyReLU 0.2 between.

    The last convolution begins at zero, so `count` blocks begin as the identity; the others are
    scaled by count^(-1/4) (Zhang et al. 2019, section 3; Huang et al. 2024). Groups have 16
    channels.
    """

    def __init__(self, width, count, conv=nn.Conv2d):
        super().__init__()
        inner, gain = 2 * width, math.sqrt(2 / (1 + 0.2**2)) * count**-0.25
        self.widen = _scaled(conv(width, inner, 1), gain)
        self.mix = _scaled(
            conv(inner, inner, 3, padding=1, groups=inner // math.gcd(inner, 16)), gain
        )
        self.narrow = _scaled(conv(inner, width, 1, bias=False), 0.0)

    def forward(self, x):
        inner = leaky_relu(self.mix(leaky_relu(self.widen(x), 0.2)), 0.2)
        return x + self.narrow(inner)


class Resample(nn.Module):
    """Doubles or halves the size by the bilinear filter [1, 2, 1], and where `inputs` and `outputs`
    differ changes the width by a 1x1 convolution.
    """

    def __init__(self, inputs, outputs, up, conv=nn.Conv2d):
        super().__init__()
        self.up, line = up, (1.0, 2.0, 1.0)
        total = 4 if up else 16  # keeps a constant image constant, except at the edge: zeros beyond
        kernel = torch.tensor([[[[a * b / total for a in line] for b in line]]])  # (1, 1, 3, 3)
        self.register_buffer("kernel", kernel, persistent=False)
        self.change = (
            _scaled(conv(inputs, outputs, 1, bias=False)) if inputs != outputs else nn.Identity()
        )

    def forward(self, x):
        if self.up:  # the 1x1 convolution at the smaller size
            x = self.change(x)
            kernel = self.kernel.expand(x.shape[1], -1, -1, -1)
            return conv_transpose2d(
                x, kernel, stride=2, padding=1, output_padding=1, groups=x.shape[1]
            )
        kernel = self.kernel.expand(x.shape[1], -1, -1, -1)
        return self.change(convolve(x, kernel, None, (2, 2), (1, 1), x.shape[1]))


def _scaled(layer, gain=1.0):
    """Return `layer` with weights of std gain / sqrt(fan in) and biases 0: He et al. 2015."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
