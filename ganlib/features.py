"""Features: what a metric looks at. The digit classifier ships with ganlib; any module of your own will do too."""

import hashlib
from importlib.resources import files

import torch
from torch import nn

DIGITS = (
    "digit-classifier.safetensors",
    "d797e4b3a9a165bf6192095049bb8b19439e9f587ccf95c104400974a5eec5f4",
)  # made by tools/train_classifier.py


class DigitClassifier(nn.Module):
    """A small convolutional net that reads MNIST's digits: images `(N, 1, 28, 28)` in [-1, 1] to 64 features.

    `forward(images)` returns the features `(N, 64)` that the metrics take, `logits(features)` the ten classes'.
    `name` and `sha256` say which weights they are: print them beside every figure.
    """

    def __init__(self):
        super().__init__()
        self.name = self.sha256 = "untrained"
        layers = []
        for inputs, outputs, pool in ((1, 24, False), (24, 24, True), (24, 48, False), (48, 48, True), (48, 64, False)):
            layers += [nn.Conv2d(inputs, outputs, 3, padding=1, bias=False), nn.BatchNorm2d(outputs), nn.ReLU()]
            layers += [nn.MaxPool2d(2)] if pool else []
        self.layers = nn.Sequential(*layers)  # (N, 1, 28, 28) -> (N, 64, 7, 7)
        self.logits = nn.Linear(64, 10)

    def forward(self, images):
        if images.shape[1:] != (1, 28, 28) or not images.is_floating_point():
            raise ValueError(f"images of {images.dtype} {tuple(images.shape)} were given; the digit classifier reads "
                             "float (N, 1, 28, 28) in [-1, 1], and digits only")  # fmt: skip
        return self.layers(images).mean((2, 3))  # (N, 64, 7, 7) -> (N, 64)


def digit_classifier(device=None):
    """Return the `DigitClassifier` that ships with ganlib, in evaluation mode; OSError where its file is corrupt."""
    from safetensors.torch import load

    name, expected = DIGITS
    packed = (files(__package__) / "assets" / name).read_bytes()
    found = hashlib.sha256(packed).hexdigest()
    if found != expected:
        raise OSError(f"ganlib/assets/{name} is corrupt: its SHA-256 is {found}, {expected} is expected; "
                      "install ganlib again")  # fmt: skip
    with torch.device("meta"):  # no weights are drawn only to be replaced
        net = DigitClassifier()
    weights = {key: value.float() if value.is_floating_point() else value for key, value in load(packed).items()}
    net.load_state_dict(weights, assign=True)
    net.name, net.sha256 = name, found
    return net.to(device).eval().requires_grad_(False)


@torch.no_grad()
def extract(extractor, images, batch=1000):
    """Return the features `(N, d)` float32 of `images` `(N, C, H, W)` in [-1, 1], on the CPU, `batch` at a time."""
    return torch.cat([extractor(part).float().cpu() for part in images.split(batch)])
