"""The DCGAN pair, for square sizes of 4 or 7 times a power of two; conditional with `classes`."""

from itertools import pairwise

from torch import nn

from .layers import Discriminator, Generator, Verdict, as_dcgan, scale, widths_of


class ConvGenerator(Generator):
    """DCGAN's G, which maps noise `(N, latent_dim)` to images `(N, *shape)` in [-1, 1].

    Radford et al. 2016, section 3: a linear layer to 4x4 (or 7x7) places, then transposed
    convolutions that double the size, BatchNorm and ReLU between them, tanh at the end. `widths`:
    the channels at each hidden size, the smallest size first: 28 = 7 * 2^2 takes two, 32 = 4 * 2^3
    three; by default they halve at each doubling, down to 64. `extra` adds this many 3x3
    convolutions at each hidden size. `classes` makes G conditional, `categorical` gives it
    InfoGAN's codes.
    """

    def __init__(
        self, latent_dim=100, shape=(1, 28, 28), widths=None, extra=0, classes=0, categorical=0
    ):
        base, doublings = scale(shape, at_least=1)
        widths = widths_of(widths, shape, [64 * 2**i for i in reversed(range(doublings))])
        super().__init__(latent_dim, shape, classes, categorical, widths=widths, extra=extra)

        def block(layer, width):
            return [layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]

        first = nn.Linear(self.latent.width, widths[0] * base**2, bias=False)
        layers = [first, *block(nn.Unflatten(1, (widths[0], base, base)), widths[0])]
        for width, following in zip(widths, (*widths[1:], None), strict=True):
            for _ in range(extra):
                layers += block(nn.Conv2d(width, width, 3, 1, 1, bias=False), width)
            if following is not None:
                layers += block(
                    nn.ConvTranspose2d(width, following, 4, 2, 1, bias=False), following
                )
        self.layers = nn.Sequential(
            *layers, nn.ConvTranspose2d(widths[-1], shape[0], 4, 2, 1), nn.Tanh()
        )
        self.apply(as_dcgan)

    def forward(self, z, labels=None):
        return self.layers(self.latent(z, labels))


class ConvDiscriminator(Discriminator):
    """DCGAN's D, which maps images `(N, *shape)` to logits `(N,)`.

    Radford et al. 2016, section 3: convolutions that halve the size, with LeakyReLU 0.2 between
    them. `widths`: the channels at each hidden size, the largest size first; by default they double
    at each halving, from 64. `extra` adds this many 3x3 convolutions at each hidden size. `norm`:
    None; "batch" (as in DCGAN; it allows no penalty); or "spectral" (Miyato et al. 2018, torch's).
    `classes` makes D conditional, `answers` gives it a second head.
    """

    def __init__(self, shape=(1, 28, 28), widths=None, extra=0, norm=None, classes=0, answers=0):
        base, halvings = scale(shape, at_least=1)
        widths = widths_of(widths, shape, [64 * 2**i for i in range(halvings)])
        if norm not in (None, "batch", "spectral"):
            raise ValueError(f'norm={norm!r} was given; None, "batch" or "spectral" is expected')
        super().__init__(shape, classes, answers, widths=widths, extra=extra, norm=norm)
        layers = []
        for inputs, width in pairwise((shape[0], *widths)):
            for layer in (
                nn.Conv2d(inputs, width, 4, 2, 1),
                *(nn.Conv2d(width, width, 3, 1, 1) for _ in range(extra)),
            ):
                normed = norm == "batch" and layers  # none in the first layer, as in DCGAN
                layers += [
                    layer,
                    *([nn.BatchNorm2d(width)] if normed else []),
                    nn.LeakyReLU(0.2, inplace=True),
                ]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.verdict = Verdict(widths[-1] * base**2, classes, answers)
        self.apply(as_dcgan)
        if norm == "spectral":
            for layer in [
                m for m in self.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))
            ]:
                nn.utils.parametrizations.spectral_norm(layer)
