"""A pair for colour pictures: G adds up one picture from each size, D has a residual block at each.

G's last layer is no tanh, so that flat colours and white paper need no large numbers, and each size
adds what the sizes below it cannot show, as in Karras et al. 2020, section 4.1. G's normalisation
is of each place by itself (over the channels): batch statistics mix what small sets have of each
kind. As in compact.py all but G's last layers work at half the image's size or less, and channels
lie last in memory. How it was found: benchmarks/LOG.md.
"""

from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import embedding, interpolate, leaky_relu, linear, rms_norm

from .compact import Fold, Mean, Places, ResizeConv2d, same_size
from .layers import Discriminator, Generator, Verdict, as_dcgan, as_he, scale, widths_of

OUT = -1e4  # a score that softmax makes 0


class PictureGenerator(Generator):
    """The G for pictures: it maps noise `(N, latent_dim)` to images `(N, *shape)`, about -1 to 1.

    A linear layer to 4x4 (or 7x7) places, a 3x3 convolution, and for each further size a doubling
    with a 3x3 convolution and one more, each followed by `PixelNorm` and LeakyReLU. Each size but
    the last gives a picture by a 1x1 convolution, the last by its second 3x3 convolution; they are
    added, each doubled bilinearly to the next size. `widths`: the channels at each size, the
    smallest first, the image's own included: 32 = 4 * 2^3 takes four. `classes` makes G
    conditional, `categorical` gives it InfoGAN's codes. With `anchors` the noise first goes through
    an `Attraction` to so many codes, by `strength`: if None by 0.15 if it is `tempered`, else 0.4.
    """

    def __init__(
        self,
        latent_dim=64,
        shape=(3, 32, 32),
        widths=None,
        classes=0,
        categorical=0,
        anchors=0,
        strength=None,
        tempered=False,
    ):
        base, doublings = scale(shape, at_least=1)
        default = [min(128, 16 * 2**i) for i in reversed(range(doublings + 1))]
        widths = widths_of(widths, shape, default)
        if anchors and categorical:
            raise ValueError(
                "noise that is drawn to anchors has no room for codes; give one of the two"
            )
        own = {"anchors": anchors, "tempered": tempered}  # without: as runs before there were any
        own = {name: value for name, value in own.items() if anchors and value}
        super().__init__(latent_dim, shape, classes, categorical, widths=widths, **own)
        self.attraction = Attraction(latent_dim, anchors, classes, tempered) if anchors else None
        if strength is not None:
            self.draw_to(strength)

        def stage(conv, inputs, width):
            first, second = conv(inputs, width, bias=False), same_size(width, width, bias=False)
            return nn.Sequential(first, PixelNorm(), second, PixelNorm())

        first = nn.Linear(self.latent.width, widths[0] * base**2, bias=False)
        conv = same_size(widths[0], widths[0], bias=False)
        self.first = nn.Sequential(first, Places(base), PixelNorm(), conv, PixelNorm())
        sizes = pairwise(widths[:-1])
        self.stages = nn.ModuleList([stage(ResizeConv2d, *widths) for widths in sizes])
        self.pictures = nn.ModuleList([nn.Conv2d(width, shape[0], 1) for width in widths[:-1]])
        self.last = nn.Sequential(
            ResizeConv2d(widths[-2], widths[-1], bias=False),
            PixelNorm(),
            same_size(widths[-1], shape[0]),
        )
        self.apply(as_dcgan)

    def draw_to(self, strength):
        """Draw noise to the anchors by `strength` from now on: 0, not at all, to 1, to few each. It
        becomes a setting of this G. Raises ValueError for other numbers, and without anchors.
        """
        if self.attraction is None:
            raise ValueError(
                f"strength={strength!r} was given, and this G has no anchors to draw noise to"
            )
        number = isinstance(strength, (int, float)) and not isinstance(strength, bool)
        if not number or not 0 <= strength <= 1:
            raise ValueError(f"strength={strength!r} was given; 0 to 1 is expected")
        self.attraction.strength.fill_(strength)
        self.settings.pop("strength", None)
        if strength != self.attraction.usual:  # without: as runs before it was a setting
            self.settings["strength"] = strength

    def forward(self, z, labels=None):
        if self.attraction is not None:
            z = self.attraction(z, labels)
        x = self.first(self.latent(z, labels))
        picture = self.pictures[0](x)
        for stage, to_picture in zip(self.stages, self.pictures[1:], strict=True):
            x = stage(x)
            picture = doubled(picture) + to_picture(x)
        return doubled(picture) + self.last(x)


class PictureDiscriminator(Discriminator):
    """The D for pictures, which maps images `(N, *shape)` to logits `(N,)`.

    Each 2x2 square of pixels becomes channels; then at each size a 3x3 convolution, a residual
    block of two and LeakyReLU 0.2, and between sizes the mean of each 2x2 square. No normalisation.
    `widths`: the channels at each size, the largest size first, half the image's size, down to 4x4
    (or 7x7). `classes` makes D conditional, `answers` gives it a second head.
    """

    def __init__(self, shape=(3, 32, 32), widths=None, classes=0, answers=0):
        base, halvings = scale(shape, at_least=1)
        widths = widths_of(widths, shape, [min(128, 32 * 2**i) for i in range(halvings)])
        super().__init__(shape, classes, answers, widths=widths)
        layers = [Fold()]
        for inputs, width in pairwise((4 * shape[0], *widths)):
            layers += [same_size(inputs, width), Residual(width), nn.LeakyReLU(0.2, inplace=True)]
            layers.append(Mean())
        self.layers = nn.Sequential(*layers[:-1])
        self.verdict = Verdict(widths[-1] * base**2, classes, answers)
        self.apply(as_he)
        for layer in self.modules():
            if isinstance(layer, Residual):  # each block begins near the identity
                with torch.no_grad():
                    layer.second.weight.mul_(0.1)

    def forward(self, images, labels=None, read=False):
        places = self.layers(images).permute(0, 2, 3, 1)  # memory order: flatten copies nothing
        return self.verdict(places.flatten(1), labels, read)


class Attraction(nn.Module):
    """Draws noise `(N, latent_dim)` to anchors: codes of training images, as long as noise is.

    A set of a few hundred pictures is no continuum, and noise that lies between two of them is
    drawn as both at once, one over the other. The noise is brought to length sqrt(latent_dim), and
    so is the mean of the anchors, weighted by softmax of their scalar products with it: one step of
    mean shift (Cheng 1995). What is returned, of the same length, lies between the two. `fill` sets
    the anchors, at most `count`; before, nothing is drawn. With `classes` noise is drawn to the
    anchors of its label, where that has any.

    `tempered`: the strength is the weight of the nearest anchor, the mean over noise, so that it
    means the same for all sets and widths: the products are multiplied by what gives it, the
    inverse of a temperature, which `fill` finds for each label. From a strength of 0.1 on noise
    goes all the way to the mean, below by 10 times the strength. Otherwise, as in runs before
    2026-12, the products are as they are, the likelihood of normal noise of variance 1, and noise
    goes to the mean by the strength.
    """

    STEPS, SOON = 20, 10.0

    def __init__(self, latent_dim, count, classes=0, tempered=False):
        super().__init__()
        # behind the anchors is one more, which is always 0: noise that has no other goes nowhere
        self.register_buffer("anchors", torch.zeros(count + 1, latent_dim))
        self.register_buffer("scores", torch.full((max(classes, 1), count + 1), OUT))
        self.scores[:, -1] = 0
        self.classes, self.tempered, self.usual = classes, tempered, 0.15 if tempered else 0.4
        self.register_buffer("strength", torch.tensor([self.usual]), persistent=False)
        if tempered:  # the factors of the products at strengths of 0, 1/20, ... to 1
            self.register_buffer("factors", torch.zeros(max(classes, 1), self.STEPS + 1))

    @property
    def filled(self):
        """Whether there are anchors."""
        return self.anchors.any()

    def between(self, strength):
        """Return weights (STEPS + 1,): each strength as a mean of the two steps beside it."""
        steps = torch.arange(self.STEPS + 1, device=strength.device, dtype=strength.dtype)
        return (1 - (steps - self.STEPS * strength).abs()).clamp(min=0)

    @torch.no_grad()
    def fill(self, codes, labels=None):
        """Take the first of `codes (M, latent_dim)`, and their `labels (M,)`, as anchors."""
        n = min(len(codes), len(self.anchors) - 1)
        self.anchors.zero_()[:n] = codes[:n]
        own = torch.ones(len(self.scores), n, dtype=torch.bool, device=codes.device)
        if self.classes:
            own = labels[:n] == torch.arange(self.classes, device=codes.device)[:, None]
        self.scores.fill_(OUT)[:, :n] = OUT * ~own
        self.scores[:, -1] = OUT * own.any(1)
        if self.tempered:
            for row, mine in zip(self.factors, own, strict=True):
                row.copy_(_factors(self.anchors[:n][mine], self.STEPS))

    def forward(self, z, labels=None, strength=None):
        """Return noise that is drawn; `strength` replaces that of G, 0 (not at all) to 1."""
        size, strength = z.shape[1:], self.strength if strength is None else z.new_tensor(strength)
        z = rms_norm(z, size, eps=1e-6)
        sharp, way = 1, strength
        scores = embedding(labels, self.scores) if self.classes else self.scores
        if self.tempered:
            way = (self.SOON * strength).clamp(max=1)
            factors = embedding(labels, self.factors) if self.classes else self.factors
            sharp = linear(factors, self.between(strength)[None])
        near = (sharp * linear(z, self.anchors) + scores).softmax(1)
        mean = rms_norm(linear(near, self.anchors.T), size, eps=1e-6)
        none = near[:, len(self.anchors) - 1 :]  # 1 where there is no anchor: then mean is 0
        return rms_norm(way * mean + (1 - way) * z + none * z, size, eps=1e-6)


def _factors(anchors, steps):
    """Return the factors of the products with `anchors (M, d)`, at which the largest weight of a
    softmax over them is 0, 1 / steps, ... to 1, as the mean over 256 draws of noise: 0.01 to 10.
    """
    factors = torch.logspace(-2, 1, 61, dtype=torch.float64)
    if len(anchors) < 2:
        return factors[-1:].expand(steps + 1)
    z = torch.randn(256, anchors.shape[1], generator=torch.Generator().manual_seed(0)).double()
    products = rms_norm(z, z.shape[1:]) @ anchors.T.to("cpu", torch.float64)
    below = products - products.amax(1, keepdim=True)
    weights = torch.stack([(1 / (k * below).exp().sum(1)).mean() for k in factors])
    wanted = torch.linspace(0, 1, steps + 1, dtype=torch.float64)
    right = torch.searchsorted(weights, wanted).clamp(1, len(weights) - 1)
    left, here = weights[right - 1], weights[right]
    part = ((wanted - left) / (here - left).clamp(min=1e-12)).clamp(0, 1)
    return factors[right - 1] ** (1 - part) * factors[right] ** part


def draw_to(source, strength):
    """Let G draw noise to its training images by `strength` from now on, and return `source`, a GAN
    or a generator.

    strength: 0, not at all, to 1, to one image each: how much of what noise becomes is the nearest
    one, on the average; G was trained with 0.15, or what its recipe said. As with truncation
    (Brock et al. 2019) one thing is given for another: the nearer, the more of the training images
    are covered and the less two of them blend; and the more fakes are copies.
    A run that is saved with another strength than its recipe has is resumed with that one alone.
    Raises ValueError for other numbers, and for a G without anchors.
    """
    for net in attracted(source):
        net.draw_to(strength)
    return source


def attracted(source):
    """Return the nets of a GAN, or the generator itself, whose noise is drawn to anchors. Raises
    ValueError for a G that has none.
    """
    run = hasattr(source, "G_ema")
    nets = [net for net in (source.G, source.G_ema) if net is not None] if run else [source]
    if any(getattr(net, "attraction", None) is None for net in nets):
        raise ValueError(
            f"{type(nets[0]).__name__} draws its noise to no training images; the G of "
            'recipe("pictures") does'
        )
    return nets


class PixelNorm(nn.Module):
    """Divides the channels of `(N, C, H, W)` at each place by their root mean square (Karras et al.
    2018, section 4.2), and applies LeakyReLU 0.2.
    """

    def forward(self, x):
        x = rms_norm(x.permute(0, 2, 3, 1), (x.shape[1],), eps=1e-6)
        return leaky_relu(x.permute(0, 3, 1, 2), 0.2)


class Residual(nn.Module):
    """x + (LeakyReLU, 3x3 convolution, LeakyReLU, 3x3 convolution): He et al. 2016b."""

    def __init__(self, width):
        super().__init__()
        self.first, self.second = same_size(width, width), same_size(width, width)

    def forward(self, x):
        return x + self.second(leaky_relu(self.first(leaky_relu(x, 0.2)), 0.2))


def doubled(picture):
    """Return `(N, C, H, W)` at twice the size, bilinearly."""
    return interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False)
