"""A pair of small nets that are fast on a CPU: 3x3 convolutions, all but G's last at half the
image's size or less.

Two thirds of the DCGAN pair's time on a CPU go into layers at the image's full size, one channel
wide, and into convolutions of stride 2, whose gradients are slow there. Here D first folds each 2x2
square of pixels into channels. Sizes are halved by means, and doubled by repetition, computed
together with the next convolution. (G unfolded squares at first, but then the four pixels of each
drifted apart, and smooth images got a pattern.) All layers keep channels last in memory.
"""

from contextlib import nullcontext
from functools import partial
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, conv_transpose2d

from .layers import Discriminator, Generator, Verdict, as_dcgan, scale, widths_of

same_size = partial(nn.Conv2d, kernel_size=3, padding=1)


class CompactGenerator(Generator):
    """The compact G, which maps noise `(N, latent_dim)` to images `(N, *shape)` in [-1, 1].

    A linear layer to 4x4 (or 7x7) places, then at each hidden size `extra` 3x3 convolutions, and
    one more before each doubling, each followed by BatchNorm and ReLU; at last a doubling, a
    convolution to pixels, and tanh. `widths`: the channels at each hidden size, the smallest size
    first: 28 = 7 * 2^2 takes two, 32 = 4 * 2^3 three. `classes` makes G conditional, `categorical`
    gives it InfoGAN's codes.
    """

    def __init__(
        self, latent_dim=64, shape=(1, 28, 28), widths=None, extra=1, classes=0, categorical=0
    ):
        base, doublings = scale(shape, at_least=1)
        widths = widths_of(widths, shape, [min(128, 32 * 2**i) for i in reversed(range(doublings))])
        super().__init__(latent_dim, shape, classes, categorical, widths=widths, extra=extra)

        def block(layer, width):
            return [layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]

        first = nn.Linear(self.latent.width, widths[0] * base**2, bias=False)
        layers, conv = [first, *block(Places(base), widths[0])], same_size
        for width, following in zip(widths, (*widths[1:], None), strict=True):
            for outputs in (*[width] * extra, *([] if following is None else [following])):
                layers += block(conv(width, outputs, bias=False), outputs)
                conv = same_size
            conv = ResizeConv2d if following else conv  # the first at a size also doubles it
        if conv is ResizeConv2d:  # with extra=0 the last hidden size has no layer yet
            layers += block(conv(widths[-1], widths[-1], bias=False), widths[-1])
        self.layers = nn.Sequential(*layers, ResizeConv2d(widths[-1], shape[0]), nn.Tanh())
        self.apply(as_dcgan)

    def forward(self, z, labels=None):
        return self.layers(self.latent(z, labels))


class CompactDiscriminator(Discriminator):
    """The compact D, which maps images `(N, *shape)` to logits `(N,)`.

    The mirror image of `CompactGenerator`, without normalisation. `widths`: the channels at each
    hidden size, the largest size first. LeakyReLU 0.2 follows each convolution. `classes` makes D
    conditional, `answers` gives it a second head.
    """

    def __init__(self, shape=(1, 28, 28), widths=None, extra=1, classes=0, answers=0):
        base, halvings = scale(shape, at_least=1)
        widths = widths_of(widths, shape, [min(128, 32 * 2**i) for i in range(halvings)])
        super().__init__(shape, classes, answers, widths=widths, extra=extra)
        layers = [Fold()]
        for inputs, width in pairwise((4 * shape[0], *widths)):
            for channels in (inputs, *[width] * extra):
                layers += [same_size(channels, width), nn.LeakyReLU(0.2, inplace=True)]
            layers.append(Mean())
        self.layers = nn.Sequential(*layers[:-1])
        self.verdict = Verdict(widths[-1] * base**2, classes, answers)
        self.apply(as_dcgan)

    def forward(self, images, labels=None, read=False):
        places = self.layers(images).permute(0, 2, 3, 1)  # memory order: flatten copies nothing
        return self.verdict(places.flatten(1), labels, read)


class Places(nn.Module):
    """Turns `(N, base * base * C)`, channels last, into `(N, C, base, base)`."""

    def __init__(self, base):
        super().__init__()
        self.base = base

    def forward(self, x):
        return x.unflatten(1, (self.base, self.base, -1)).permute(0, 3, 1, 2)


class Fold(nn.Module):
    """Turns `(N, C, 2H, 2W)` into `(N, 4C, H, W)`: each 2x2 square's pixels become channels."""

    def forward(self, x):
        n, c, h, w = x.shape
        x = x.permute(0, 2, 3, 1).reshape(n, h // 2, 2, w // 2, 2, c).transpose(2, 3)
        return x.reshape(n, h // 2, w // 2, 4 * c).permute(0, 3, 1, 2)


class ResizeConv2d(nn.Conv2d):
    """Doubles the size by nearest neighbours and applies a 3x3 convolution, both in one.

    Turns `(N, C, H, W)` into `(N, outputs, 2H, 2W)`. Equal to
    `nn.Sequential(nn.Upsample(scale_factor=2), nn.Conv2d(inputs, outputs, 3, padding=1,
    bias=bias))`, weights included (Odena et al. 2016, "Deconvolution and checkerboard artifacts").
    Some of the nine products at each place of the doubled image share a factor; here their weights
    are added first, which leaves four products: a transposed convolution with 4x4 weights and
    stride 2.
    """

    def __init__(self, inputs, outputs, bias=True):
        super().__init__(inputs, outputs, 3, padding=1, bias=bias)
        line = torch.tensor([[0.0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]])  # turned, as the 4x4 are
        both = torch.einsum("ip,jq->ijpq", line, line).reshape(9, 16)
        self.register_buffer("sums", both, persistent=False)

    def forward(self, x):
        whole = nullcontext()  # an export knows no `autocast`
        if torch.is_autocast_enabled(x.device.type):  # sums of weights, in their own precision
            whole = torch.autocast(x.device.type, enabled=False)
        with whole:
            weight = (self.weight.flatten(2) @ self.sums).unflatten(2, (4, 4))
        weight = weight.transpose(0, 1)  # (C, outputs, 4, 4)
        weight = weight.contiguous(memory_format=torch.channels_last)  # the output's layout
        return conv_transpose2d(x, weight, self.bias, stride=2, padding=1)


class Mean(nn.Module):
    """Turns `(N, C, 2H, 2W)` into `(N, C, H, W)`: the mean of each 2x2 square."""

    def forward(self, x):
        return avg_pool2d(x, 2)
