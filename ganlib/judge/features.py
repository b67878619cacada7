"""Features: what a metric looks at. The digit classifier ships with ganlib; any module of your own will do too."""

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
    """The `Classifier` that reads MNIST's digits: images `(N, 1, 28, 28)` in [-1, 1] to 64 features."""

    fit_for = "Fit for MNIST's digits, white on black, 28 x 28; not for other images, clothes and letters included."
    fits = ("digits", "mnist")

    def __init__(self):
        super().__init__((1, 28, 28), "0123456789")


def digit_classifier(device=None):
    """Return the `DigitClassifier` that ships with ganlib, in evaluation mode; OSError where its file is corrupt."""
    from safetensors.torch import load

    packed = asset(*DIGITS)
    with torch.device("meta"):  # no weights are drawn only to be replaced
        net = DigitClassifier()
    weights = {key: value.float() if value.is_floating_point() else value for key, value in load(packed).items()}
    net.load_state_dict(weights, assign=True)
    net.name, net.sha256 = DIGITS
    return ready(net, device)


EXTRACTORS = {
    "digits": digit_classifier,
    "efficientnet-lite0": extractors.efficientnet_lite0,
    "inception": extractors.inception,
}


def extractor(name, device=None):
    """Return an extractor by name, in evaluation mode on `device`: float images in [-1, 1] to features `(N, d)`.

    "digits": the classifier that ships with ganlib, 64 features. "efficientnet-lite0": 1,280 features of a small net
    trained on ImageNet, for colour photographs; works offline. "inception": the 2,048 of published FIDs; its weights
    are downloaded. Each has `name`, `sha256` (of its weights), `fit_for` (a sentence) and `fits` (data sets, or None).
    Raises ValueError for another name, ImportError with the pip command where a package is missing, OSError where
    weights are corrupt or cannot be downloaded.
    """
    one_of("extractor", name, list(EXTRACTORS), "; a module of your own needs no name: give it itself")
    return EXTRACTORS[name](device)


def reference(extractor):
    """Return the shipped features of MNIST, "train" and "test" `(10_000, 64)`, for the classifier of this SHA-256.

    Raises ValueError for another classifier than the one that made them, OSError where the file is corrupt.
    """
    from safetensors.torch import load

    packed = asset(*REFERENCE)
    header = json.loads(packed[8 : 8 + struct.unpack("<Q", packed[:8])[0]])
    if (maker := header["__metadata__"]["extractor"]) != extractor:
        raise ValueError(f"the stored features of MNIST were made by the extractor {maker[:12]}, the fakes are read by "
                         f"{extractor[:12]}: their features cannot be compared; use the shipped digit classifier, or "
                         "give held_out=")  # fmt: skip
    return {split: values.float() for split, values in load(packed).items()}
