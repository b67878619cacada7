"""Feature extractors: modules that map images to the features that metrics are computed from.

`evaluate(extractor=...)` takes a name from `EXTRACTORS`, or the user's own module. The digit
classifier ships with ganlib.
"""

import json
import struct

import torch

from ..machine.assets import asset
from ..machine.choices import one_of
from . import extractors
from .classifiers import Classifier, load_classifier, ready, save_classifier, train_classifier  # noqa: F401
from .reading import extract  # noqa: F401

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
}


def extractor(name, device=None):
    """Return the extractor `name` on `device`, in evaluation mode.

    It maps float images in [-1, 1] to features `(N, d)`. "digits" is the classifier that ships with
    ganlib, with 64 features. "efficientnet-lite0" has 1,280 features of a small net trained on
    ImageNet, for colour photographs; it works offline. "inception" has the 2,048 features of
    published FIDs; its weights are downloaded. Each has a `name`, `sha256` (of its weights),
    `fit_for` (a sentence) and `fits` (names of data sets, or None). Raises ValueError for an
    unknown name, ImportError, with the pip command, if a package is missing, OSError if the weights
    are corrupt or cannot be downloaded.
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
