"""Parts that several nets share: input and output layers, base classes, sizes, initial weights."""

import math

import torch
from torch import nn
from torch.nn.functional import one_hot


class Latent(nn.Module):
    """The input of G's first layer: noise, codes and the label's embedding, `(N, width)`.

    With `categorical=k` the first k numbers of the noise are replaced by the one-hot code of the
    largest of them, so that all codes are equally likely (Chen et al. 2016). With `classes` an
    embedding of the label, as wide as the noise, is appended.
    """

    def __init__(self, latent_dim, classes=0, categorical=0):
        super().__init__()
        if not 0 <= categorical <= latent_dim:
            raise ValueError(
                f"categorical={categorical} was given; 0 to {latent_dim}, of the numbers of noise, "
                "are expected"
            )
        self.categorical, self.width = categorical, latent_dim * (2 if classes else 1)
        self.embedding = nn.Embedding(classes, latent_dim) if classes else None
        if classes:  # less than the noise: with equal scales G drew a single image per class
            nn.init.normal_(self.embedding.weight, std=0.25)

    def forward(self, z, labels=None):
        if self.categorical:
            code = one_hot(z[:, : self.categorical].argmax(1), self.categorical)
            z = torch.cat([code.to(z.dtype), z[:, self.categorical :]], 1)
        return (
            z if self.embedding is None else torch.cat([z, embed(self.embedding, labels, "G")], 1)
        )


class Verdict(nn.Module):
    """D's last layer: features `(N, width)` to logits `(N,)`, in float32 even under autocast.

    (In bf16 two logits that differ by a finite difference would be the same number.) With `classes`
    the label's embedding is projected on the features and added to the logit: Miyato & Koyama 2018,
    equation 3. With `answers=q` and `read=True` it returns (logits, answers `(N, q)`): a second
    head, for InfoGAN and ACGAN.
    """

    def __init__(self, width, classes=0, answers=0):
        super().__init__()
        self.linear = nn.Linear(width, 1)
        self.embedding = nn.Embedding(classes, width) if classes else None
        self.answers = nn.Linear(width, answers) if answers else None
        if classes:
            nn.init.normal_(self.embedding.weight, std=width**-0.5)  # on the linear layer's scale

    def forward(self, features, labels=None, read=False):
        with torch.autocast(features.device.type, enabled=False):
            features = features.to(self.linear.weight.dtype)
            # faster than nn.Linear for one column
            logits = torch.mv(features, self.linear.weight[0]) + self.linear.bias
            if self.embedding is not None:
                logits = logits + (embed(self.embedding, labels, "D") * features).sum(1)
            if not read:
                return logits
            if self.answers is None:
                raise ValueError(
                    "D was asked a question and has no head for it; build it with answers=q, the "
                    "number of answers (InfoGAN: categorical + continuous, ACGAN: classes)"
                )
            return logits, self.answers(features)


class Generator(nn.Module):
    """Base class of G: `settings`, the arguments of the subclass by name, build it again;
    `latent_dim`, `shape` and `classes` say how to call it; `latent` makes the input of its first
    layer, see `Latent`.
    """

    player = "G"

    def __init__(self, latent_dim, shape, classes=0, categorical=0, **settings):
        super().__init__()
        self.latent_dim, self.shape, self.classes = latent_dim, tuple(shape), classes
        conditional = {"classes": classes, "categorical": categorical}
        self.settings = {"latent_dim": latent_dim, "shape": self.shape, **settings, **conditional}
        self.latent = Latent(latent_dim, classes, categorical)


class Discriminator(nn.Module):
    """Base class of D: `settings`, the arguments of the subclass, build it again. Subclasses set
    `layers`, from images to features, and `verdict`, a `Verdict`.
    """

    player = "D"

    def __init__(self, shape, classes=0, answers=0, **settings):
        super().__init__()
        self.settings = {"shape": tuple(shape), **settings, "classes": classes, "answers": answers}

    def forward(self, images, labels=None, read=False):
        return self.verdict(self.layers(images), labels, read)


def scale(shape, at_least=0):
    """Return (base, doublings) of a square image size base * 2^doublings, with base 4 or 7.

    Raises ValueError for other shapes, and for fewer doublings than `at_least`.
    """
    channels, *size = shape
    for base in (4, 7):
        doublings = round(math.log2(max(size[0], 1) / base))
        if doublings >= at_least and size == [base * 2**doublings] * 2 and channels >= 1:
            return base, doublings
    sizes = [base * 2**i for i in range(at_least, 7) for base in (4, 7)]
    raise ValueError(
        f"shape={tuple(shape)} was given; channels and a square size that is 4 or 7 times a power "
        f"of two are expected ({', '.join(map(str, sizes))}, ...): pad or resize the images"
    )


def embed(embedding, labels, player):
    """Return the rows of `embedding` for `labels`; raise ValueError for missing or wrong labels."""
    classes = embedding.num_embeddings
    expected = (
        f"{player} is conditional on {classes} classes; int64 labels (N,) from 0 to "
        f"{classes - 1} are expected"
    )
    if labels is None:
        raise ValueError(f"no labels were given, and {expected}")
    try:
        return embedding(labels)
    except IndexError:  # raised on a CPU only; `GAN` checks labels before they go to a GPU
        raise ValueError(
            f"labels from {labels.min()} to {labels.max()} were given, and {expected}"
        ) from None


def widths_of(widths, shape, default):
    """Return `widths` (or `default`) as a tuple; raise ValueError unless there is one per size."""
    widths = tuple(default if widths is None else widths)
    if len(widths) != len(default):
        raise ValueError(
            f"widths={widths} was given; {len(default)} widths, one for each size, are expected "
            f"for images of {tuple(shape)}: {tuple(default)} by default"
        )
    return widths


def as_dcgan(layer):
    """Set weights to a standard deviation of 0.02, biases to 0: Radford et al. 2016, section 4."""
    if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)):
        nn.init.normal_(layer.weight, std=0.02)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
    elif isinstance(layer, nn.BatchNorm2d):
        nn.init.normal_(layer.weight, 1.0, 0.02)


def as_he(layer):
    """Set weights to the scale that keeps a LeakyReLU's outputs (He et al. 2015), biases to 0."""
    if isinstance(layer, (nn.Conv2d, nn.Linear)):
        nn.init.kaiming_normal_(layer.weight, 0.2)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)
