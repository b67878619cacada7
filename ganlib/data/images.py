"""Data: a whole set as one uint8 tensor on the device, and endless batches that are a function of (seed, step)."""

import difflib
import gzip
import hashlib
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import torch

from .downloads import TORCHVISION, fetch, idx, sources
from .prepared import looks_like_own, prepare
from ..machine.randomness import generator

DIGITS = {  # made by tools/make_digits.py
    "digits-images-idx3-ubyte.gz": "11a772a6dc925b05dd399880865d80fdc378f1482a27072a7fe2c10be2367eda",
    "digits-labels-idx1-ubyte.gz": "4e8b4ac90e302aa725dd50c14268e8630d3941e30cf889ea15dfa1a6dedf8665",
}


class Batches(NamedTuple):
    """Images `(k, B, C, H, W)` in [-1, 1] and labels `(k, B)` or None: what one training step is given."""

    images: torch.Tensor
    labels: torch.Tensor | None

    def to(self, device):
        return Batches(*(None if x is None else x.to(device) for x in self))

    def part(self, rank, world):
        """Return the share of process `rank` of `world`: B / world images of each batch, the first ones for rank 0."""
        return Batches(*(None if x is None else x.chunk(world, 1)[rank] for x in self))


@dataclass
class Images:
    """A set of images at rest: `images` uint8 `(N, C, H, W)`, `labels` int64 `(N,)` or None, `classes`, `name`."""

    images: torch.Tensor
    labels: torch.Tensor | None = None
    classes: tuple = ()
    name: str = "images"
    report: dict = field(default_factory=dict, repr=False, compare=False)  # what was done to images of one's own
    _orders: dict = field(default_factory=dict, repr=False, compare=False)
    _features: dict = field(default_factory=dict, repr=False, compare=False)  # what an extractor saw in them

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
        return Images(self.images.to(device), labels, self.classes, self.name, self.report)

    def near(self, device):
        """Return the set on `device` where it takes at most half of the memory that is free there, else as it is."""
        device = torch.device(device)
        if device.type == "cuda" and self.images.nbytes > torch.cuda.mem_get_info(device)[0] / 2:
            print(f"{self.name}: {self.images.nbytes / 1e9:.1f} GB stay where they are, too many for {device}")
            return self
        return self if self.images.device == device else self.to(device)

    def floats(self, index, device=None):
        """Return the images at `index` as floats in [-1, 1] on `device`."""
        return as_float(self.images[index].to(device))

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


def load(name, device=None, root="data", split="train", fallback=None, size=None, fit="crop", channels=None):
    """Load a data set: by name, from a folder or archive of images, or from a data set object: `Images` on `device`.

    "digits" is 10,000 of MNIST's training digits, and needs no network: they are part of ganlib. "mnist",
    "fashion", "kmnist" and "cifar10" come from torchvision, with its mirrors and checksums, into the folder `root`;
    files that are there already, the compressed ones alone too, are used. `split` is "train" or "test".
    `fallback="digits"` goes on with the digits, and says so, where a download fails.

    Images of your own: `load("path/to/folder", size=64)`, a .zip or .tar, or a data set of torchvision or Hugging Face.
    Any mix of formats, kinds of pixels and sizes becomes squares of `size` pixels: the middle is cut out
    (`fit="crop"`), the whole put on a white square ("pad") or stretched to it ("stretch"); grey where all are, else
    colour, or as `channels` (1 or 3) says. One folder per class makes labels. Files that cannot be read are skipped and
    reported, see `preflight`. The result is kept in `root`/prepared, by content, so that the next start is quick; a set
    above 512 MB stays there as a file that is mapped into memory.

    Raises ValueError for an unknown name or an archive that is made to do harm, OSError where a download fails, a file
    is corrupt, or nothing can be read.
    """
    if looks_like_own(name, ("digits", *TORCHVISION)):
        if size is None:
            raise ValueError(f"load({name!r}) reads images of your own; say how large they are to be, as size=64")
        data = Images(*prepare(name, size, fit, channels, root))
        return data if device is None else data.near(device)
    if size is not None:
        raise ValueError(f"size={size} was given for {name!r}, whose images have a size of their own; leave it out")
    known = ["digits", *TORCHVISION]
    for what, given, allowed in (("data set", name, known), ("split", split, ["train", "test"]),
                                 ("fallback", fallback, [None, "digits"])):  # fmt: skip
        if given not in allowed:
            near = difflib.get_close_matches(str(given), [str(a) for a in allowed], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            hint += ", or the path of a folder or archive, as './cats'" if what == "data set" else ""
            raise ValueError(f"unknown {what} {given!r}; {', '.join(map(repr, allowed))} are known{hint}")
    if name == "digits":
        if split != "train":
            raise ValueError('"digits" has no test images; use split="train", or load("mnist", split="test")')
        data = _digits()
    else:
        try:
            data = Images(*fetch(name, Path(root), split == "train"), name)
        except Exception as error:  # torchvision raises RuntimeError, URLError, ValueError, ... for a failed download
            asked = ", ".join(sources(name))
            tried = f"{name!r} could not be loaded into {str(root)!r}; tried {asked} ({type(error).__name__}: {error})"
            if fallback is None:
                raise OSError(f'{tried}. To go on without a network: load("digits"), or fallback="digits"') from error
            print(f"{tried}.\nGoing on with the embedded 10,000 digits instead, as fallback='digits' asks.")
            data = _digits()
    return data if device is None else data.to(device)


def _digits():
    raw = []
    for name, expected in DIGITS.items():
        packed = (files("ganlib") / "assets" / name).read_bytes()
        found = hashlib.sha256(packed).hexdigest()
        if found != expected:
            raise OSError(f"ganlib/assets/{name} is corrupt: its SHA-256 is {found}, {expected} is expected; "
                          "install ganlib again")  # fmt: skip
        raw.append(idx(gzip.decompress(packed), name))
    return Images(raw[0].unsqueeze(1), raw[1].long(), tuple("0123456789"), "digits")
