"""A style-based G: a mapping net turns noise into a style w, and w scales the channels of every
layer of a synthesis net that begins with a learned constant (Karras et al. 2019, 2020).

Modulated convolutions need no grouped convolution here: the channels that go in are scaled by the
style, the convolution is the same for all images, and what comes out is divided by what the scaling
did to its size, which is one small matrix product (Karras et al. 2020, section 2.2, its second
form). Each size adds a picture of its own, as in section 4.1.
"""

from functools import partial

import torch
from torch import nn
from torch.nn.functional import leaky_relu, linear, rms_norm

from .compact import ResizeConv2d, same_size
from .layers import Generator, as_he, scale, widths_of
from .pictures import doubled


class StyleGenerator(Generator):
    """The style-based G, which maps noise `(N, latent_dim)` to images `(N, *shape)`, about -1 to 1.

    `styles(z)` is the mapping net's w `(N, latent_dim)`, and `draw(ws)` an image of one w for each
    of `depth_of` layers: two w's that take turns mix two images, the first layers what is coarse.
    In training each image has a second w from a random layer on with probability `mixing`, so that
    layers learn not to rely on each other's w (Karras et al. 2019, section 3.1); noise is drawn for
    each layer. In evaluation there is no mixing, and each layer's noise is one that stays.

    widths: the channels at each size, the smallest first, the image's own included: 16 = 4 * 2^2
        takes three.
    mapped: the layers of the mapping net, 0 to 64; at least 1 with `classes`, which make G
        conditional.
    level: whether the input of each layer is first brought to mean square 1, image by image; as the
        recipes ask. The division by what the style did to a size expects that. Without it channels
        that do the same make each layer louder than the last, and one step of Adam the images 500
        times too bright.

    Raises ValueError for sizes that are not 4 or 7 times a power of two, and for other settings.
    """

    def __init__(
        self,
        latent_dim=64,
        shape=(3, 32, 32),
        widths=None,
        mapped=3,
        mixing=0.5,
        classes=0,
        level=False,
    ):
        base, doublings = scale(shape, at_least=1)
        default = [min(128, 32 * 2**i) for i in reversed(range(doublings + 1))]
        widths = widths_of(widths, shape, default)
        if not 0 <= mixing <= 1:
            raise ValueError(f"mixing={mixing} was given; a probability from 0 to 1 is expected")
        least = 1 if classes else 0  # 0: noise is the style
        if type(mapped) is not int or not least <= mapped <= 64:
            raise ValueError(f"mapped={mapped!r} was given; {least} to 64 layers are expected")
        own = {"level": True} if level else {}  # without: as runs before it
        own |= {"widths": widths, "mapped": mapped, "mixing": mixing}
        super().__init__(latent_dim, shape, classes, **own)
        del self.settings["categorical"]
        self.mixing, self.generator = mixing, None  # where mixing is drawn from, see `Dropout`
        layers, inputs = [], self.latent.width
        for _ in range(mapped):
            layers += [nn.Linear(inputs, latent_dim), nn.LeakyReLU(0.2)]
            inputs = latent_dim
        self.mapping = nn.Sequential(*layers)
        self.constant = nn.Parameter(torch.randn(1, widths[0], base, base))
        styled = partial(Styled, level=level)
        self.layers = nn.ModuleList([styled(widths[0], widths[0], latent_dim, base)])
        for i, (before, width) in enumerate(zip(widths, widths[1:], strict=False)):
            size = base * 2 ** (i + 1)
            self.layers.append(styled(before, width, latent_dim, size, ResizeConv2d))
            self.layers.append(styled(width, width, latent_dim, size))
        self.pictures = nn.ModuleList([Coloured(x, shape[0], latent_dim) for x in widths])
        self.mapping.apply(as_he)

    @property
    def depth_of(self):
        """How many layers take a w."""
        return len(self.layers)

    def styles(self, z, labels=None):
        """Return w `(N, latent_dim)` of noise `(N, latent_dim)`."""
        z = self.latent(z, labels)
        return self.mapping(rms_norm(z, z.shape[1:], eps=1e-6))

    def draw(self, ws):
        """Return the images `(N, *shape)` of `ws`, one w `(N, latent_dim)` for each layer."""
        x = self.constant.expand(ws[0].shape[0], -1, -1, -1)  # len would fix the size in exports
        x = self.layers[0](x, ws[0])
        picture = self.pictures[0](x, ws[0])
        for i, to_picture in enumerate(self.pictures[1:]):
            first, second = ws[2 * i + 1 : 2 * i + 3]
            x = self.layers[2 * i + 2](self.layers[2 * i + 1](x, first), second)
            picture = doubled(picture) + to_picture(x, second)
        return picture

    def forward(self, z, labels=None):
        w, depth = self.styles(z, labels), self.depth_of
        if not self.training or not self.mixing or depth < 2:
            return self.draw([w] * depth)
        draws = {"generator": self.generator, "device": w.device}
        z = torch.randn(z.shape, dtype=z.dtype, **draws)
        other = self.styles(z, labels)  # other noise, its own label
        start = torch.randint(1, depth, (len(w), 1), **draws)
        start = torch.where(torch.rand(len(w), 1, **draws) < self.mixing, start, depth)
        layers = torch.arange(depth, device=w.device)[:, None, None]
        return self.draw(torch.where(start <= layers, other, w).unbind())


class Styled(nn.Module):
    """A modulated 3x3 convolution, noise, bias and LeakyReLU 0.2: images `(N, inputs, H, W)` and w
    `(N, d)` to `(N, outputs, H, W)`, or twice the size with `conv=ResizeConv2d`.
    """

    def __init__(self, inputs, outputs, d, size, conv=same_size, level=False):
        super().__init__()
        self.level = level
        self.conv, self.style = conv(inputs, outputs, bias=False), Style(d, inputs)
        self.bias = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.loudness = nn.Parameter(torch.zeros(outputs, 1, 1))
        self.register_buffer("grain", torch.randn(1, 1, size, size))
        self.register_buffer("least", torch.full((outputs,), 1e-8), persistent=False)
        self.generator = None
        nn.init.normal_(self.conv.weight, std=(9 * inputs) ** -0.5)

    def forward(self, x, w):
        style = scaled = self.style(w)
        if self.level:
            scaled = style * torch.rsqrt(x.square().mean((1, 2, 3)) + 1e-8)[:, None]
        x = self.conv(x * scaled[:, :, None, None])
        power = self.conv.weight.square().sum((2, 3)) / 2  # (outputs, inputs); LeakyReLU halves it
        size = torch.rsqrt(linear(style * style, power, self.least))
        size = size[:, :, None, None]
        if self.training:
            noise = torch.randn(
                len(x), 1, *x.shape[2:], generator=self.generator, device=x.device, dtype=x.dtype
            )
            # two passes over the images in place of four
            x = torch.addcmul(torch.addcmul(self.bias, x, size), self.loudness, noise)
        else:
            x = x * size + (self.loudness * self.grain + self.bias)
        return leaky_relu(x, 0.2)


class Coloured(nn.Module):
    """Channels `(N, inputs, H, W)` and w `(N, d)` to a picture `(N, colours, H, W)`: a modulated
    1x1 convolution.
    """

    def __init__(self, inputs, colours, d):
        super().__init__()
        self.conv, self.style = nn.Conv2d(inputs, colours, 1), Style(d, inputs)
        nn.init.normal_(self.conv.weight, std=inputs**-0.5)

    def forward(self, x, w):
        return self.conv(x * self.style(w)[:, :, None, None])


class Style(nn.Linear):
    """w `(N, d)` to a scale for each channel, 1 where w is 0."""

    def __init__(self, d, channels):
        super().__init__(d, channels)
        nn.init.normal_(self.weight, std=d**-0.5)
        nn.init.ones_(self.bias)
