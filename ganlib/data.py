"""Data: a whole set as one uint8 tensor on the device, and endless batches that are a function of (seed, step)."""

import difflib
import gzip
import hashlib
import math
import socket
import zlib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch

from .randomness import generator

DIGITS = {  # made by tools/make_digits.py
    "digits-images-idx3-ubyte.gz": "11a772a6dc925b05dd399880865d80fdc378f1482a27072a7fe2c10be2367eda",
    "digits-labels-idx1-ubyte.gz": "4e8b4ac90e302aa725dd50c14268e8630d3941e30cf889ea15dfa1a6dedf8665",
}
TORCHVISION = {"mnist": "MNIST", "fashion": "FashionMNIST", "kmnist": "KMNIST", "cifar10": "CIFAR10"}


class Batches(NamedTuple):
    """Images `(k, B, C, H, W)` in [-1, 1] and labels `(k, B)` or None: what one training step is given."""

    images: torch.Tensor
    labels: torch.Tensor | None


@dataclass
class Images:
    """A set of images at rest: `images` uint8 `(N, C, H, W)`, `labels` int64 `(N,)` or None, `classes`, `name`."""

    images: torch.Tensor
    labels: torch.Tensor | None = None
    classes: tuple = ()
    name: str = "images"
    _orders: dict = field(default_factory=dict, repr=False, compare=False)

    def __post_init__(self):
        given = f"{self.images.dtype} {tuple(self.images.shape)}"
        if self.images.dtype != torch.uint8 or self.images.ndim != 4 or 0 in self.images.shape:
            raise ValueError(f"images of {given} were given; torch.uint8 (N, C, H, W) is expected, none of them 0")
        if self.labels is not None and (self.labels.dtype != torch.int64 or self.labels.shape != (len(self),)):
            given = f"{self.labels.dtype} {tuple(self.labels.shape)}"
            raise ValueError(f"labels of {given} were given; torch.int64 ({len(self)},), one per image, is expected")

    def __len__(self):
        return len(self.images)

    @property
    def shape(self):
        """(C, H, W) of one image."""
        return tuple(self.images.shape[1:])

    def to(self, device):
        """Return the set on `device`."""
        labels = None if self.labels is None else self.labels.to(device)
        return Images(self.images.to(device), labels, self.classes, self.name)

    def batches(self, seed, step, k=1, size=100, dtype=torch.float32):
        """Return the `k` batches of `size` images for training step `step` (0, 1, ...): `Batches`.

        The set is walked in a new random order each epoch, without end: step s takes places s*k*size to
        (s+1)*k*size - 1 of that walk, so that the batches depend on the arguments alone.
        Raises ValueError where a batch is larger than the set.
        """
        if not 1 <= size <= len(self):
            raise ValueError(f"a batch of {size} was asked of {self.name!r}, which holds {len(self)} images; "
                             f"give a batch size from 1 to {len(self)}")  # fmt: skip
        epoch, place = divmod(step * k * size, len(self))
        parts, missing = [], k * size
        while missing:
            parts.append(self._order(seed, epoch)[place : place + missing])
            missing, epoch, place = missing - len(parts[-1]), epoch + 1, 0
        index = torch.cat(parts)
        images = as_float(self.images[index], dtype).unflatten(0, (k, size))
        return Batches(images, None if self.labels is None else self.labels[index].view(k, size))

    def _order(self, seed, epoch):
        """The random order of one epoch; drawn on the CPU so that it is the same on every device."""
        if (seed, epoch) not in self._orders:
            while len(self._orders) > 1:
                del self._orders[next(iter(self._orders))]
            order = torch.randperm(len(self), generator=generator("cpu", seed, epoch, "data"))
            self._orders[seed, epoch] = order.to(self.images.device)
        return self._orders[seed, epoch]


def as_float(images, dtype=torch.float32):
    """uint8 0..255 to float in [-1, 1], both ends exact."""
    return images.to(dtype).div_(127.5).sub_(1)


def as_uint8(images):
    """Float in [-1, 1] (values beyond are clamped) to uint8 0..255; uint8 is returned as it is."""
    return images if images.dtype == torch.uint8 else images.float().add(1).mul_(127.5).round_().clamp_(0, 255).byte()


def load(name, device=None, root="data", split="train", fallback=None):
    """Load a data set by name: `Images` on `device`.

    "digits" is 10,000 of MNIST's training digits, and needs no network: they are part of ganlib. "mnist",
    "fashion", "kmnist" and "cifar10" come from torchvision, with its mirrors and checksums, into the folder `root`;
    files that are there already, the compressed ones alone too, are used. `split` is "train" or "test".
    `fallback="digits"` goes on with the digits, and says so, where a download fails.

    Raises ValueError for an unknown name, OSError where a download fails or a file is corrupt.
    """
    known = ["digits", *TORCHVISION]
    for what, given, allowed in (("data set", name, known), ("split", split, ["train", "test"]),
                                 ("fallback", fallback, [None, "digits"])):  # fmt: skip
        if given not in allowed:
            near = difflib.get_close_matches(str(given), [str(a) for a in allowed], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"unknown {what} {given!r}; {', '.join(map(repr, allowed))} are known{hint}")
    if name == "digits":
        if split != "train":
            raise ValueError('"digits" has no test images; use split="train", or load("mnist", split="test")')
        data = _digits()
    else:
        try:
            data = _torchvision(name, Path(root), split == "train")
        except Exception as error:  # torchvision raises RuntimeError, URLError, ValueError, ... for a failed download
            sources = ", ".join(_sources(name))
            tried = (
                f"{name!r} could not be loaded into {str(root)!r}; tried {sources} ({type(error).__name__}: {error})"
            )
            if fallback is None:
                raise OSError(f'{tried}. To go on without a network: load("digits"), or fallback="digits"') from error
            print(f"{tried}.\nGoing on with the embedded 10,000 digits instead, as fallback='digits' asks.")
            data = _digits()
    return data if device is None else data.to(device)


def _digits():
    raw = []
    for name, expected in DIGITS.items():
        packed = (files(__package__) / "assets" / name).read_bytes()
        found = hashlib.sha256(packed).hexdigest()
        if found != expected:
            raise OSError(f"ganlib/assets/{name} is corrupt: its SHA-256 is {found}, {expected} is expected; "
                          "install ganlib again")  # fmt: skip
        raw.append(_idx(gzip.decompress(packed), name))
    return Images(raw[0].unsqueeze(1), raw[1].long(), tuple("0123456789"), "digits")


def _torchvision(name, root, train):
    from torchvision import datasets  # imported here: it costs more than the rest of ganlib together

    kind = getattr(datasets, TORCHVISION[name])
    if name == "cifar10":
        with _impatient():
            found = kind(root, train=train, download=True)
        images = torch.from_numpy(found.data).permute(0, 3, 1, 2).contiguous()  # (N, 32, 32, 3) -> (N, 3, 32, 32)
        return Images(images, torch.tensor(found.targets), tuple(found.classes), name)
    folder = root / kind.__name__ / "raw"
    wanted = [file for file, _ in kind.resources if file.startswith("train" if train else "t10k")]
    if None in [_read(folder / file) for file in wanted]:
        with _impatient():
            kind(root, train=train, download=True)
    images, labels = (_idx(_read(folder / file), folder / file) for file in wanted)
    return Images(images.unsqueeze(1), labels.long(), tuple(kind.classes), name)


def _read(packed):
    """The content of an IDX file, from itself or from the .gz (whose own checksum is tested); None if neither."""
    plain = packed.with_suffix("")
    if plain.exists():
        return plain.read_bytes()
    try:
        return gzip.decompress(packed.read_bytes()) if packed.exists() else None
    except (EOFError, gzip.BadGzipFile, zlib.error):  # cut short or damaged: torchvision fetches it anew
        return None


def _idx(raw, name):
    """Parse MNIST's IDX format: two zero bytes, the type (8 is uint8), the number of axes, the sizes, the values."""
    sizes = [int.from_bytes(raw[4 + 4 * axis : 8 + 4 * axis], "big") for axis in range(raw[3] if len(raw) > 3 else 0)]
    values = raw[4 + 4 * len(sizes) :]
    if raw[:3] != b"\0\0\x08" or not values or len(values) != math.prod(sizes):
        raise OSError(f"{name} is corrupt: its {len(raw)} bytes are no IDX file; delete it and load again")
    return torch.frombuffer(bytearray(values), dtype=torch.uint8).view(sizes)


def _sources(name):
    """The addresses that torchvision asks."""
    from torchvision import datasets

    kind = getattr(datasets, TORCHVISION[name])
    return getattr(kind, "mirrors", None) or [kind.url]


class _impatient:
    """A server that accepts a connection and never answers is given up after 30 s instead of never."""

    def __enter__(self):
        self.before = socket.getdefaulttimeout()
        socket.setdefaulttimeout(30)

    def __exit__(self, *_):
        socket.setdefaulttimeout(self.before)
