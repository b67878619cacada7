"""Classifiers: nets trained on the labels of some images. Metrics use their features and classes.

`train_classifier` makes one for the user's own data; features.py offers these functions to users.
"""

import hashlib
import json
import math
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import cross_entropy, interpolate, pad

from ..data.images import Images
from ..machine.files import replace
from ..machine.progress import say
from ..machine.randomness import generator
from .reading import extract, require_floats


class Classifier(nn.Module):
    """A small convolutional classifier: maps images `(N, C, H, W)` in [-1, 1] to features `(N, d)`.

    `shape` is the (C, H, W) of an image, with 1 or 3 channels and at least 8 x 8 pixels; `classes`
    are the names of the classes; `features` is d. `forward(images)` returns the features that
    metrics use, `logits(features)` the logits of the classes. `name` and `sha256` identify the
    weights: report them with every metric. `fit_for` is a sentence that says which images the net
    is fit for; `fits` holds the names of the data sets it fits, or None.
    """

    fit_for, fits, accuracy = "Fit for nothing yet: it is untrained.", None, None

    def __init__(self, shape, classes, features=64):
        super().__init__()
        channels, *size = shape
        if channels not in (1, 3) or len(size) != 2 or min(size) < 8:
            raise ValueError(
                f"shape={tuple(shape)} was given; (C, H, W) with 1 or 3 channels and at least 8 x "
                "8 pixels is expected: enlarge or convert the images"
            )
        self.name = self.sha256 = "untrained"
        self.shape, self.classes = tuple(shape), tuple(classes)
        stride = 2 if min(size) >= 48 else 1  # large images at full size take too long
        widths = [
            24 * 2 ** min(i, 2) for i in range(max(1, round(math.log2(min(size) / stride / 7))))
        ]
        layers = []
        for width in widths:
            layers += [*_block(channels, width, stride), *_block(width, width), nn.MaxPool2d(2)]
            channels, stride = width, 1
        # at 28 x 28 and 32 x 32 pixels the widths are 24, 48 and d
        self.layers = nn.Sequential(*layers, *_block(channels, features))
        self.logits = nn.Linear(features, len(self.classes))

    def forward(self, images):
        require_floats(images, self.name)
        if tuple(images.shape[1:]) != self.shape:
            wanted = ", ".join(map(str, self.shape))
            raise ValueError(
                f"images of {tuple(images.shape)} were given; {self.name} reads float (N, "
                f"{wanted}) in [-1, 1]. {self.fit_for}"
            )
        return self.layers(images).mean((2, 3))  # (N, d, h, w) -> (N, d)


def _block(inputs, outputs, stride=1):
    return (
        nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    )


def ready(net, device):
    """Return the net on `device`, in evaluation mode and with frozen weights."""
    return net.to(device, memory_format=torch.channels_last).eval().requires_grad_(False)


def train_classifier(data, features=64, epochs=None, seed=0, device=None, held_out=0.1, vary=None):
    """Train a `Classifier` on labelled `data`, an `Images`, and return it.

    Use it for data that no ready-made extractor is fit for. A share `held_out` of the images is
    never trained on; the printed `accuracy` is measured on these. By default training sees about
    60,000 images, in 2 to 30 epochs: at 28 x 28 pixels a minute on two CPU cores. Training images
    are shifted by up to 1/14 of their size, half of them have noise added (see `speckled`), and
    they are augmented in no other way, since a flipped letter is a different letter, but by `vary`,
    a function of (images, a CPU's `torch.Generator`). The weights depend only on the arguments and
    the machine; the global random generators are left as they were. Raises ValueError for data
    without labels, with fewer than 2 classes, or with fewer than 20 images per class on average.
    """
    train, test, classes = _parts(data, held_out, seed)
    device = data.images.device if device is None else device
    epochs = min(30, max(2, round(60_000 / len(train)))) if epochs is None else epochs
    size = 128 if len(train) >= 2000 else 32
    steps = max(1, epochs * len(train) // size)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the GPUs' generators too
        torch.default_generator.set_state(generator("cpu", seed, 0, "classifier").get_state())
        net = Classifier(data.shape, classes, features)
    net.to(device, memory_format=torch.channels_last)
    with deterministic():
        _train(net, train, seed, steps, size, device, vary)
    ready(net, device)
    right = (
        net.logits(extract(net, test.floats(slice(None), device)).to(device)).argmax(1).cpu()
        == test.labels.cpu()
    )
    _describe(net, data.name, right.double().mean().item())
    say(
        f"{net.name}: {100 * net.accuracy:.2f} % right of {len(test):,} images held out, after "
        f"{epochs} epochs of the other {len(train):,}; {len(classes)} classes, seed {seed}"
    )
    return net


@contextmanager
def deterministic():
    """A context in which cuDNN takes algorithms that give the same at each call."""
    before, torch.backends.cudnn.deterministic = torch.backends.cudnn.deterministic, True
    try:
        yield
    finally:
        torch.backends.cudnn.deterministic = before


@torch.enable_grad()
def _train(net, data, seed, steps, size, device, vary):
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=6e-3, total_steps=steps)
    for step in range(steps):
        images, labels = (x[0].to(device) for x in data.batches(seed, step, size=size))
        images = shifted(images, generator("cpu", seed, step, "shift"))
        if vary is not None:
            images = vary(images, generator("cpu", seed, step, "vary"))
        images = speckled(images, generator("cpu", seed, step, "speckle"))
        loss = cross_entropy(net.logits(net(images)), labels, label_smoothing=0.05)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()


def _parts(data, held_out, seed):
    """Return the training images, the held-out images, and the names of the classes."""
    if data.labels is None:
        raise ValueError(
            f"{data.name!r} has no labels, and a classifier learns from them: give Images(images, "
            'labels), or use extractor("efficientnet-lite0")'
        )
    if not 0 < held_out <= 0.5:
        raise ValueError(
            f"held_out={held_out} was given; a share above 0 and at most 0.5 is expected, 0.1 is "
            "usual"
        )
    low, high, count = data.labels.min().item(), data.labels.max().item(), len(data.labels.unique())
    classes = tuple(data.classes) or tuple(map(str, range(high + 1)))
    if count < 2:
        raise ValueError(
            f"{data.name!r} has {count} class in its labels; at least 2 are needed to tell them "
            "apart"
        )
    if low < 0 or high >= len(classes):
        raise ValueError(
            f"{data.name!r} has labels from {low} to {high}; 0 to {len(classes) - 1} is expected, "
            "one per name in `classes`"
        )
    if len(data) < 20 * count:
        raise ValueError(
            f"{data.name!r} has {len(data)} images of {count} classes; at least {20 * count} are "
            "needed, 20 per class, and hundreds are usual"
        )
    order = torch.randperm(len(data), generator=generator("cpu", seed, 0, "held out")).to(
        data.images.device
    )
    test, train = order.split([n := max(1, round(held_out * len(data))), len(data) - n])
    return *(
        Images(data.images[i], data.labels[i], classes, data.name) for i in (train, test)
    ), classes


def shifted(images, draws):
    """Return images `(N, C, H, W)`, each shifted by up to 1/14 of its size in each direction.

    Shifts are whole pixels, drawn by the `torch.Generator` `draws`; the pixels of the edge are
    repeated.
    """
    m = max(1, round(min(images.shape[2:]) / 14))
    windows = (
        pad(images, (m, m, m, m), "replicate")
        .unfold(2, images.shape[2], 1)
        .unfold(3, images.shape[3], 1)
    )
    y, x = torch.randint(2 * m + 1, (2, len(images)), generator=draws).to(images.device)
    return windows[torch.arange(len(images), device=images.device), :, y, x]


def speckled(images, draws, most=0.3):
    """Return images `(N, C, H, W)`, half of them with normal noise, within [-1, 1].

    Its standard deviation is drawn from 0 to `most`; half of it has grains of one pixel, half of
    two. The CPU's `torch.Generator` `draws` draws it. A net that saw flat drawings alone reads a
    speckle that nobody sees, and all fakes have some, as whatever class it has least seen: of six
    drawn shapes with noise of 0.05 it called 95 % stars (benchmarks/LOG.md).
    """
    n, channels, *size = images.shape
    strength, chosen, fine = torch.rand(3, n, 1, 1, 1, generator=draws)
    grains = torch.randn(n, channels, *size, generator=draws)
    half = torch.randn(n, channels, *(-(-side // 2) for side in size), generator=draws)
    coarse = 1.5 * interpolate(half, size=size, mode="bilinear")  # about as loud, once smoothed
    noise = torch.where(fine < 0.5, grains, coarse) * (most * strength * (chosen < 0.5))
    return (images + noise.to(images)).clamp(-1, 1)


def _describe(net, trained_on, accuracy):
    """Set name, accuracy and SHA-256 of the net, and that it fits images like `trained_on`."""
    net.name, net.accuracy, net.fits = f"classifier of {trained_on}", accuracy, (trained_on,)
    net.fit_for = (
        f"Fit for images like those of {trained_on!r}, whose labels it learned; not for "
        "other images."
    )
    digest = hashlib.sha256()
    for key, value in sorted(net.state_dict().items()):
        digest.update(
            f"{key} {value.dtype} {tuple(value.shape)}".encode() + value.cpu().numpy().tobytes()
        )
    net.sha256 = digest.hexdigest()


def save_classifier(net, path):
    """Write a net that `train_classifier` returned to the file `path`, in safetensors format."""
    from safetensors.torch import save

    about = {
        "shape": net.shape,
        "classes": net.classes,
        "features": net.logits.in_features,
        "data": net.fits[0],
    }
    about = json.dumps(about | {"accuracy": net.accuracy, "sha256": net.sha256})
    state = {key: value.cpu().contiguous() for key, value in net.state_dict().items()}
    check = hashlib.sha256(about.encode()).hexdigest()
    replace(Path(path), lambda file: file.write(save(state, {"about": about, "check": check})))


def load_classifier(path, device=None):
    """Return the net that `save_classifier` wrote, for evaluation; OSError for a corrupt file."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, "pt") as file:
            metadata, state = file.metadata(), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        about = json.loads(metadata["about"])
        if hashlib.sha256(metadata["about"].encode()).hexdigest() != metadata["check"]:
            raise ValueError("what it says of itself has changed")
        with torch.device("meta"):
            net = Classifier(about["shape"], about["classes"], about["features"])
        net.load_state_dict(state, assign=True)
        _describe(net, about["data"], about["accuracy"])
        if net.sha256 != about["sha256"]:
            raise ValueError(
                f"the SHA-256 of its weights is {net.sha256}, {about['sha256']} is expected"
            )
    except FileNotFoundError:
        raise
    except (SafetensorError, RuntimeError, KeyError, TypeError, ValueError, OSError) as error:
        raise OSError(
            f"{path} is corrupt or no file of save_classifier ({type(error).__name__}: {error}); "
            "train and save the classifier again"
        ) from error
    return ready(net, device)
