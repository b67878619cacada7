"""Convolutional nets for any square size that is 7 or 4 times a power of two; with `classes` they are conditional."""

import math
from itertools import pairwise

import torch
from torch import nn
from torch.nn.functional import conv2d, conv_transpose2d, leaky_relu, one_hot


class Latent(nn.Module):
    """What G's first layer is given: the noise, its codes and the embedding of the label, `(N, width)`.

    With `categorical=k` the first k numbers of the noise are replaced by the one-hot code of the largest of them, so
    that each code is as likely as another (Chen et al. 2016). With `classes` an embedding of the label, as wide as the
    noise, is appended.
    """

    def __init__(self, latent_dim, classes=0, categorical=0):
        super().__init__()
        self.categorical, self.width = categorical, latent_dim * (2 if classes else 1)
        self.embedding = nn.Embedding(classes, latent_dim) if classes else None
        if classes:  # the noise is louder than the class: with both alike G drew one image for each class
            nn.init.normal_(self.embedding.weight, std=0.25)

    def forward(self, z, labels=None):
        if self.categorical:
            code = one_hot(z[:, : self.categorical].argmax(1), self.categorical)
            z = torch.cat([code.to(z.dtype), z[:, self.categorical :]], 1)
        return z if self.embedding is None else torch.cat([z, embed(self.embedding, labels, "G")], 1)


class Verdict(nn.Module):
    """D's last layer: features `(N, width)` to logits `(N,)`, in float32 under autocast too.

    (In bf16 two logits that differ by a finite difference would be the same number.) With `classes` the label's
    embedding is projected on the features and joins the logit: Miyato & Koyama 2018, equation 3. With `answers=q` and
    `read=True` it returns (logits, answers `(N, q)`): a second head, for InfoGAN and ACGAN.
    """

    def __init__(self, width, classes=0, answers=0):
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.embedding = nn.Embedding(classes, width) if classes else None
        self.answers = nn.Linear(width, answers) if answers else None
        if classes:
            nn.init.normal_(self.embedding.weight, std=width**-0.5)  # as heavy as the linear layer

    def forward(self, features, labels=None, read=False):
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.linear.weight.dtype)
            logits = torch.mv(features, self.linear.weight[0]) + self.linear.bias  # for one column faster than linear
            if self.embedding is not None:
                logits = logits + (embed(self.embedding, labels, "D") * features).sum(1)
            if not read:
                return logits
            if self.answers is None:
                raise ValueError("D was asked a question and has no head for it; build it with answers=q, the number "
                                 "of answers (InfoGAN: categorical + continuous, ACGAN: classes)")  # fmt: skip
            return logits, self.answers(features)


class ConvGenerator(nn.Module):
    """Noise `(N, latent_dim)` to images `(N, *shape)` in [-1, 1]: DCGAN's G, Radford et al. 2016, section 3.

    A linear layer to 4x4 (or 7x7) places, then transposed convolutions that double the size, BatchNorm and ReLU
    between them, tanh at the end. `widths`: the channels at each hidden size, in this order; 28 = 7 * 2^2 takes two,
    32 = 4 * 2^3 three; by default they halve at each doubling, down to 64. `extra` adds as many 3x3 convolutions at
    each hidden size. `classes` makes it conditional, `categorical` gives it InfoGAN's codes.
    """

    def __init__(self, latent_dim=100, shape=(1, 28, 28), widths=None, extra=0, classes=0, categorical=0):
        super().__init__()
        base, doublings = scale(shape, at_least=1)
        widths = widths_of(widths, shape, [64 * 2**i for i in reversed(range(doublings))])
        self.settings = {"latent_dim": latent_dim, "shape": tuple(shape), "widths": widths, "extra": extra,
                         "classes": classes, "categorical": categorical}  # fmt: skip
        self.latent_dim, self.shape, self.classes = latent_dim, tuple(shape), classes
        self.latent = Latent(latent_dim, classes, categorical)

        def block(layer, width):
            return [layer, nn.BatchNorm2d(width), nn.ReLU(inplace=True)]

        first = nn.Linear(self.latent.width, widths[0] * base**2, bias=False)
        layers = [first, *block(nn.Unflatten(1, (widths[0], base, base)), widths[0])]
        for width, following in zip(widths, (*widths[1:], None), strict=True):
            for _ in range(extra):
                layers += block(nn.Conv2d(width, width, 3, 1, 1, bias=False), width)
            if following is not None:
                layers += block(nn.ConvTranspose2d(width, following, 4, 2, 1, bias=False), following)
        self.layers = nn.Sequential(*layers, nn.ConvTranspose2d(widths[-1], shape[0], 4, 2, 1), nn.Tanh())
        self.apply(as_dcgan)

    def forward(self, z, labels=None):
        return self.layers(self.latent(z, labels))


class ConvDiscriminator(nn.Module):
    """Images `(N, *shape)` to logits `(N,)`: DCGAN's D, Radford et al. 2016, section 3.

    Convolutions that halve the size, LeakyReLU 0.2 between them. `widths`: the channels at each hidden size, in this
    order; by default they double at each halving, from 64. `extra` adds as many 3x3 convolutions at each hidden size.
    `norm` is None; "batch" (DCGAN; no penalty may be used then); or "spectral" (Miyato et al. 2018, torch's). `classes`
    makes it conditional, `answers` gives it a second head.
    """

    def __init__(self, shape=(1, 28, 28), widths=None, extra=0, norm=None, classes=0, answers=0):
        super().__init__()
        base, halvings = scale(shape, at_least=1)
        widths = widths_of(widths, shape, [64 * 2**i for i in range(halvings)])
        if norm not in (None, "batch", "spectral"):
            raise ValueError(f'norm={norm!r} was given; None, "batch" or "spectral" is expected')
        self.settings = {"shape": tuple(shape), "widths": widths, "extra": extra, "norm": norm, "classes": classes,
                         "answers": answers}  # fmt: skip
        layers = []
        for inputs, width in pairwise((shape[0], *widths)):
            for layer in (nn.Conv2d(inputs, width, 4, 2, 1), *(nn.Conv2d(width, width, 3, 1, 1) for _ in range(extra))):
                normed = norm == "batch" and layers  # DCGAN: none at the image
                layers += [layer, *([nn.BatchNorm2d(width)] if normed else []), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.verdict = Verdict(widths[-1] * base**2, classes, answers)
        self.apply(as_dcgan)
        if norm == "spectral":
            for layer in [m for m in self.modules() if isinstance(m, (nn.Conv2d, nn.Linear, nn.Embedding))]:
                nn.utils.parametrizations.spectral_norm(layer)

    def forward(self, images, labels=None, read=False):
        return self.verdict(self.layers(images), labels, read)


class ResidualGenerator(nn.Module):
    """Noise `(N, latent_dim)` to images `(N, *shape)`: R3GAN's G, Huang et al. 2024, section 4, no norm and no tanh.

    A learned basis of 4x4 (or 7x7) places weighted by a linear layer, then at each size `blocks` residual blocks and a
    bilinear doubling. `widths`: the channels at each size, the first and the last included: 28 = 7 * 2^2 takes three.
    """

    def __init__(self, latent_dim=64, shape=(1, 28, 28), widths=None, blocks=2, classes=0, categorical=0):
        super().__init__()
        base, doublings = scale(shape)
        widths = widths_of(widths, shape, [min(256, 16 * 2**i) for i in reversed(range(doublings + 1))])
        self.settings = {"latent_dim": latent_dim, "shape": tuple(shape), "widths": widths, "blocks": blocks,
                         "classes": classes, "categorical": categorical}  # fmt: skip
        self.latent_dim, self.shape, self.classes = latent_dim, tuple(shape), classes
        self.latent = Latent(latent_dim, classes, categorical)
        self.basis = nn.Parameter(torch.randn(widths[0], base, base))
        self.first = _scaled(nn.Linear(self.latent.width, widths[0], bias=False))
        count = blocks * len(widths)
        layers = [Block(widths[0], count) for _ in range(blocks)]
        for inputs, width in pairwise(widths):
            layers += [Resample(inputs, width, up=True), *(Block(width, count) for _ in range(blocks))]
        self.layers = nn.Sequential(*layers, _scaled(nn.Conv2d(widths[-1], shape[0], 1)))

    def forward(self, z, labels=None):
        weights = self.first(self.latent(z, labels))
        return self.layers(weights[:, :, None, None] * self.basis)  # (N, W, 1, 1) * (W, 4, 4)


class ResidualDiscriminator(nn.Module):
    """Images `(N, *shape)` to logits `(N,)`: R3GAN's D, Huang et al. 2024, section 4, the mirror image of its G.

    `widths`: the channels at each size, from the image's own down to 4x4 (or 7x7).
    """

    def __init__(self, shape=(1, 28, 28), widths=None, blocks=2, classes=0, answers=0):
        super().__init__()
        base, halvings = scale(shape)
        widths = widths_of(widths, shape, [min(256, 16 * 2**i) for i in range(halvings + 1)])
        self.settings = {"shape": tuple(shape), "widths": widths, "blocks": blocks, "classes": classes,
                         "answers": answers}  # fmt: skip
        count = blocks * len(widths)
        layers = [_scaled(nn.Conv2d(shape[0], widths[0], 1)), *(Block(widths[0], count) for _ in range(blocks))]
        for inputs, width in pairwise(widths):
            layers += [Resample(inputs, width, up=False), *(Block(width, count) for _ in range(blocks))]
        basis = _scaled(nn.Conv2d(widths[-1], widths[-1], base, groups=widths[-1], bias=False))
        self.layers = nn.Sequential(*layers, basis, nn.Flatten())
        self.verdict = Verdict(widths[-1], classes, answers)

    def forward(self, images, labels=None, read=False):
        return self.verdict(self.layers(images), labels, read)


class Block(nn.Module):
    """x + a bottleneck turned inside out: 1x1 to twice the width, grouped 3x3, 1x1 back; LeakyReLU 0.2 between them.

    The last convolution begins at zero, so that a net of `count` blocks begins as the identity; the others are scaled
    by count^(-1/4) (Zhang et al. 2019, section 3; Huang et al. 2024). Groups have 16 channels.
    """

    def __init__(self, width, count):
        super().__init__()
        inner, gain = 2 * width, math.sqrt(2 / (1 + 0.2**2)) * count**-0.25
        self.widen = _scaled(nn.Conv2d(width, inner, 1), gain)
        self.mix = _scaled(nn.Conv2d(inner, inner, 3, padding=1, groups=inner // math.gcd(inner, 16)), gain)
        self.narrow = _scaled(nn.Conv2d(inner, width, 1, bias=False), 0.0)

    def forward(self, x):
        inner = leaky_relu(self.mix(leaky_relu(self.widen(x), 0.2)), 0.2)
        return x + self.narrow(inner)


class Resample(nn.Module):
    """Twice or half the size by the bilinear filter [1, 2, 1], and a 1x1 convolution where the width changes."""

    def __init__(self, inputs, outputs, up):
        super().__init__()
        self.up, line = up, torch.tensor([1.0, 2.0, 1.0])
        kernel = torch.outer(line, line) / (
            4 if up else 16
        )  # a constant image stays so, but for its edge: zeros lie beyond
        self.register_buffer("kernel", kernel.view(1, 1, 3, 3), persistent=False)
        self.change = _scaled(nn.Conv2d(inputs, outputs, 1, bias=False)) if inputs != outputs else nn.Identity()

    def forward(self, x):
        if self.up:  # the 1x1 convolution where the image is small
            x = self.change(x)
            kernel = self.kernel.expand(x.shape[1], -1, -1, -1)
            return conv_transpose2d(x, kernel, stride=2, padding=1, output_padding=1, groups=x.shape[1])
        kernel = self.kernel.expand(x.shape[1], -1, -1, -1)
        return self.change(conv2d(x, kernel, stride=2, padding=1, groups=x.shape[1]))


def scale(shape, at_least=0):
    """Return (base, doublings) of a square size base * 2^doublings with base 4 or 7; ValueError for other shapes."""
    channels, *size = shape
    for base in (4, 7):
        doublings = round(math.log2(max(size[0], 1) / base))
        if doublings >= at_least and size == [base * 2**doublings] * 2 and channels in (1, 3):
            return base, doublings
    sizes = [base * 2**i for i in range(at_least, 7) for base in (4, 7)]
    raise ValueError(f"shape={tuple(shape)} was given; 1 or 3 channels and a square size that is 4 or 7 times a power "
                     f"of two are expected ({', '.join(map(str, sizes))}, ...): pad or resize the images")  # fmt: skip


def embed(embedding, labels, player):
    """The rows of `embedding` for `labels`, or a ValueError that says what is wrong with them."""
    classes = embedding.num_embeddings
    expected = f"{player} is conditional on {classes} classes; int64 labels (N,) from 0 to {classes - 1} are expected"
    if labels is None:
        raise ValueError(f"no labels were given, and {expected}")
    try:
        return embedding(labels)
    except IndexError:  # only the CPU notices by itself; `GAN` looks at labels before they go to a GPU
        raise ValueError(f"labels from {labels.min()} to {labels.max()} were given, and {expected}") from None


def widths_of(widths, shape, default):
    """The widths given, or the default, as a tuple; ValueError where there are not as many as sizes."""
    widths = tuple(default if widths is None else widths)
    if len(widths) != len(default):
        raise ValueError(f"widths={widths} was given; {len(default)} widths, one for each size, are expected for "
                         f"images of {tuple(shape)}: {tuple(default)} by default")  # fmt: skip
    return widths


def _scaled(layer, gain=1.0):
    """Weights of standard deviation gain / sqrt(fan in), biases 0: He et al. 2015."""
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def as_dcgan(layer):
    """Weights of standard deviation 0.02: Radford et al. 2016, section 4."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)
