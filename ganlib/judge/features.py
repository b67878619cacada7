"""Feature extractors: modules that map images to the features that metrics are computed from.

`evaluate(extractor=...)` takes a name from `EXTRACTORS`, or a module; `choose` picks one for a data
set. The digit classifier ships with ganlib. Features of a data set are cached in its object. A new
extractor is a function in extractors.py and a row of `EXTRACTORS`.
"""

import json
import struct

import torch

from ..data.images import as_uint8
from ..game.contract import evaluating
from ..machine.assets import asset
from ..machine.choices import one_of
from . import extractors
from .classifiers import Classifier, load_classifier, ready, save_classifier, train_classifier  # noqa: F401
from .reading import extract  # noqa: F401

LITE0 = "efficientnet-lite0"
SMALLEST = 16  # pixels a side: below it a picture is a blur to a net of 224 x 224

DIGITS = (
    "digit-classifier.safetensors",
    "d797e4b3a9a165bf6192095049bb8b19439e9f587ccf95c104400974a5eec5f4",
)  # made by tools/train_classifier.py


REFERENCE = (
    "mnist-features.safetensors",
    "dbfb8900e4fbe61310d10a2a399a56990d77888294c6e3b6cc6a29a4feb1cba5",
)  # made by tools/make_reference.py


class DigitClassifier(Classifier):
    """The `Classifier` of MNIST's digits: images `(N, 1, 28, 28)` in [-1, 1] to 64 features."""

    fit_for = (
        "Fit for MNIST's digits, white on black, 28 x 28; not for other images, clothes and "
        "letters included."
    )
    fits = ("digits", "mnist")

    def __init__(self):
        super().__init__((1, 28, 28), "0123456789")


def digit_classifier(device=None):
    """Return the shipped `DigitClassifier`, in evaluation mode; OSError if its file is corrupt."""
    from safetensors.torch import load

    content = asset(*DIGITS)
    with torch.device("meta"):  # spends no time on initial weights
        net = DigitClassifier()
    weights = {
        key: value.float() if value.is_floating_point() else value
        for key, value in load(content).items()
    }
    net.load_state_dict(weights, assign=True)
    net.name, net.sha256 = DIGITS
    return ready(net, device)


EXTRACTORS = {
    "digits": digit_classifier,
    "efficientnet-lite0": extractors.efficientnet_lite0,
    "inception": extractors.inception,
    "pixels": extractors.pixels,
}


def extractor(name, device=None):
    """Return the extractor `name` on `device`, in evaluation mode.

    It maps float images in [-1, 1] to features `(N, d)`. "digits" is the classifier that ships with
    ganlib, with 64 features. "efficientnet-lite0" has 1,280 features of a small net trained on
    ImageNet, for colour photographs; it works offline. "inception" has the 2,048 features of
    published FIDs; its weights are downloaded. "pixels" has the colours of 8 x 8 fields: it needs
    no package, and reads any number of channels, and clips. Each has a `name`, `sha256` (of its
    weights or its definition), `fit_for` (a sentence) and `fits` (names of data sets, or None).
    Raises ValueError for an unknown name, ImportError, with the pip command, if a package is
    missing (then it is an extractors.MissingPackages) or broken, OSError if the weights are corrupt
    or cannot be downloaded.
    """
    one_of(
        "extractor", name, list(EXTRACTORS), "; a module of your own needs no name: give it itself"
    )
    return EXTRACTORS[name](device)


def reference(extractor):
    """Return MNIST's features, which ship with ganlib: "train" and "test", `(10_000, 64)` each.

    `extractor` is the SHA-256 of the classifier that reads the fakes. Raises ValueError if another
    classifier made the stored features, OSError if their file is corrupt.
    """
    from safetensors.torch import load

    content = asset(*REFERENCE)
    header = json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])
    if (maker := header["__metadata__"]["extractor"]) != extractor:
        raise ValueError(
            f"the stored features of MNIST were made by the extractor {maker[:12]}, the fakes are "
            f"read by {extractor[:12]}: their features cannot be compared; use the shipped digit "
            "classifier, or give held_out="
        )
    return {split: values.float() for split, values in load(content).items()}


def choose(data, asked=None, device=None):
    """Return (extractor, why that one, whether MNIST's shipped features are its real images).

    asked: what `evaluate(extractor=...)` was given; None leaves the choice to `data`: the digit
        classifier for digits as `load` returns them, EfficientNet-Lite0 for other images of 1 or 3
        channels and at least 16 pixels a side, where its packages are installed, else "pixels".

    Raises what `extractor` raises: for a broken or corrupt EfficientNet-Lite0 too, which is not
    passed over.
    """
    digits = getattr(data, "known", None) in DigitClassifier.fits
    if asked is None:
        reader, why = _choice(data, digits, device)
    elif isinstance(asked, str):
        reader, why = extractor(asked, device), "it was asked for by name"
    else:
        reader, why = asked, "it was given"
    return reader, why, digits and isinstance(reader, DigitClassifier)


def _choice(data, digits, device):
    if digits:
        why = f"these are {data.known!r}, as `load` brings them"
        return extractor("digits", device), why
    channels, size = data.shape[0], data.shape[1:]
    if len(size) > 2:
        why = f"these are clips, and {LITE0} reads single images"
    elif channels not in (1, 3):
        why = f"these have {channels} channels, and {LITE0} reads 1 or 3"
    elif min(size) < SMALLEST:
        why = f"{size[1]} x {size[0]} pixels are too few for {LITE0} ({SMALLEST} a side)"
    else:
        try:
            return extractor(LITE0, device), (
                f"images of {size[1]} x {size[0]} that are no known digits; taught on photographs, "
                "it is less sure of drawings"
            )
        except extractors.MissingPackages as error:
            why = f"{LITE0} is not installed: {error.install}"
    return extractor("pixels", device), why


def as_bytes(data, index):
    """Return the real images at `index` as uint8 on the CPU."""
    return as_uint8(data.floats(index, "cpu"))


def cached(data, key, make):
    """Return `make()`, cached with `data` under `key` (unless it is None): reals never change."""
    if key is None:
        return make()
    if key not in data._features:
        if len(data._features) > 8:
            data._features.clear()
        data._features[key] = make()
    return data._features[key]


def of_set(extractor, data, index, device):
    """Return the features of the real images at `index`, cached if the extractor has a hash."""

    def make():
        images = (data.floats(part, device) for part in index.split(1000))
        return torch.cat([read(extractor, part) for part in images])

    sha256 = getattr(extractor, "sha256", None)
    return cached(data, sha256 and (sha256, len(index), *index[:4].tolist()), make)


def read(extractor, images):
    """Return the features of images on any device, with the extractor in evaluation mode."""
    modules = [extractor] if isinstance(extractor, torch.nn.Module) else []
    with evaluating(*modules):
        return extract(extractor, images.to(_place(extractor, images.device)))


def logits_of(extractor, x):
    """Return the logits, on the CPU, of features `x`, with the extractor in evaluation mode."""
    modules = [extractor] if isinstance(extractor, torch.nn.Module) else []
    with evaluating(*modules):
        return extractor.logits(x.to(_place(extractor, x.device))).cpu()


def _place(extractor, otherwise):
    """Return the device of the extractor's weights, or `otherwise` if it has no weights."""
    weights = extractor.parameters() if isinstance(extractor, torch.nn.Module) else iter(())
    return next((weight.device for weight in weights), otherwise)
